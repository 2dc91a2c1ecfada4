"""What a small model is taught beside the codes: where in the text it is.

It is known which word is being said in every frame. Some attention heads are made to look at that word's token whenever
they predict a row ("guided attention"), and from a middle layer two linear maps have to tell which sound, and which token,
was heard last. The maps are thrown away later; the model that remains is the plain class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.higgs_audio_v2.modeling_higgs_audio_v2 import rotate_half

from swift_plugins.losses import IGNORED
from swift_plugins.model import HiggsAudioV2Training, TrainingOutput
from tools.demo_checkpoint.phonemes import NUM_SOUNDS


@dataclass
class TeachingOutput(TrainingOutput):
    """The losses of training, and those of teaching.

    ``attention``: mean of −log of the attention on the right token; ``found``: share of rows for which that token has more
    attention than any other token; ``sound``, ``token``: cross-entropies of what was heard last.
    """

    attention: Tensor | None = None
    found: Tensor | None = None
    sound: Tensor | None = None
    token: Tensor | None = None


@dataclass(frozen=True)
class Plan:
    """Which heads are guided and how much everything weighs.

    Attributes:
        heads: (layer, head) of each guided head.
        ear: layer whose output tells what was heard.
    """

    heads: tuple[tuple[int, int], ...] = ((2, 0), (3, 0))
    ear: int = 1
    attention_weight: float = 1.0
    ear_weight: float = 0.3


class TeachingModel(HiggsAudioV2Training):
    """The model of the plugin with guided heads. Without ``attend`` among its inputs it is the plugin's."""

    plan: Plan = Plan()

    def add_teaching(self) -> None:
        """Give the model its maps; after its weights were loaded, since no checkpoint has them."""
        size = self.config.hidden_size
        maps = {"sound": nn.Linear(size, NUM_SOUNDS), "token": nn.Linear(size, self.config.vocab_size)}
        self.teaching_heads = nn.ModuleDict(maps).to(self.dtype)

    def forward(self, *args: Any, attend: Tensor | None = None, heard: Tensor | None = None, **inputs: Any) -> Any:  # type: ignore[override]
        """Also takes what the template adds to a batch.

        Args:
            attend: shape (batch, num_rows): position of the token that is being said in a row, ``IGNORED`` for none.
            heard: shape (batch, num_rows, 2): sound and token id of a row's frame, ``IGNORED`` for none.
        """
        if attend is None or heard is None or inputs.get("labels") is None:
            return super().forward(*args, **inputs)
        caught: dict[int, tuple[Tensor, tuple[Tensor, Tensor]]] = {}
        ear: list[Tensor] = []
        layers = self.model.layers
        hooks = [layers[self.plan.ear].register_forward_hook(lambda _m, _i, out: ear.append(out.clone()))]
        for layer in {layer for layer, _ in self.plan.heads}:
            hook = _catcher(caught, layer)
            hooks.append(layers[layer].self_attn.register_forward_pre_hook(hook, with_kwargs=True))
        try:
            output = super().forward(*args, **inputs)
        finally:
            for hook in hooks:
                hook.remove()
        mask = inputs["audio_input_ids_mask"]
        is_audio = self.model.get_placeholder_mask(inputs["input_ids"], None, mask)
        attention, found = self._attention(caught, is_audio, inputs["attention_mask"].bool(), attend[mask])
        sound, token = self._hearing(ear[0], is_audio, heard[mask])
        fields = {name: value for name, value in output.items() if name != "loss"}
        return TeachingOutput(
            loss=output.loss + self.plan.attention_weight * attention + self.plan.ear_weight * (sound + token),
            **fields,
            attention=attention.detach(),
            found=found,
            sound=sound.detach(),
            token=token.detach(),
        )

    def _attention(self, caught: Any, is_audio: Tensor, is_token: Tensor, attend: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of the guided heads, and the share of rows whose token they find.

        Args:
            caught: by layer, what went into its attention.
            is_audio, is_token: shape (batch, num_tokens): rows of codes; no padding.
            attend: shape (num_rows,), all rows of the batch in reading order.
        """
        taught = attend != IGNORED
        sample, position = (index[taught] for index in is_audio.nonzero(as_tuple=True))
        target, nothing = attend[taught], torch.finfo(torch.float32).min
        losses, found = [], []
        for layer, head in self.plan.heads:
            # A row is predicted by the position before it.
            scores = head_scores(self.model.layers[layer].self_attn, head, *caught[layer], sample, position - 1)
            scores = scores.masked_fill(~is_token[sample], nothing)
            losses.append(F.cross_entropy(scores, target))
            words = scores.detach().masked_fill(is_audio[sample], nothing)
            found.append((words.argmax(dim=1) == target).float().mean())
        return torch.stack(losses).mean(), torch.stack(found).mean()

    def _hearing(self, states: Tensor, is_audio: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Losses of telling sound and token of the last row heard; ``heard`` has shape (num_rows, 2)."""
        known = heard[:, 0] != IGNORED
        state = states[is_audio][known]
        sound, token = (self.teaching_heads[name](state).float() for name in ("sound", "token"))
        return F.cross_entropy(sound, heard[known, 0]), F.cross_entropy(token, heard[known, 1])


# As in the plugin: the name is saved as the architecture.
TeachingModel.__name__ = HiggsAudioV2Training.__name__


def _catcher(caught: dict[int, Any], layer: int) -> Any:
    def catch(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        caught[layer] = (hidden, kwargs["position_embeddings"])

    return catch


def head_scores(
    attention: Any, head: int, hidden: Tensor, rotation: tuple[Tensor, Tensor], sample: Tensor, position: Tensor
) -> Tensor:
    """Scores of one attention head at chosen positions, before the softmax; float32, positions to come at the minimum.

    Args:
        attention: a ``HiggsAudioV2Attention``.
        hidden: its input, shape (batch, num_tokens, hidden_size).
        rotation: cosines and sines of the rotary embedding, shape (1, num_tokens, head_dim) each.
        sample, position: shape (num_queries,), where to look from.

    Returns:
        Shape (num_queries, num_tokens).
    """
    size = attention.head_dim
    shared = head // attention.num_key_value_groups
    query_weight = attention.q_proj.weight[head * size : (head + 1) * size]
    key_weight = attention.k_proj.weight[shared * size : (shared + 1) * size]
    cosine, sine = (part[0] for part in rotation)
    queries, keys = F.linear(hidden[sample, position], query_weight), F.linear(hidden, key_weight)
    queries = queries * cosine[position] + rotate_half(queries) * sine[position]
    keys = keys * cosine + rotate_half(keys) * sine
    # One padded product a sample is far cheaper than gathering the keys of every query.
    parts = [queries[sample == index] @ keys[index].T for index in range(hidden.shape[0])]
    scores = torch.cat(parts).float() * attention.scaling
    future = torch.arange(hidden.shape[1])[None] > position[:, None]
    return scores.masked_fill(future, torch.finfo(scores.dtype).min)

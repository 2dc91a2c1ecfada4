"""The speaker model of Seed-TTS-eval: WavLM large with an ECAPA-TDNN head, out of the file that UniSpeech published.

``wavlm_large_finetune.pth`` (microsoft/UniSpeech, downstreams/speaker_verification) keeps WavLM under the names of its
original code; here it becomes transformers' WavLM. The head is ECAPA-TDNN (Desplanques et al. 2020, arXiv:2005.07143) over a
learnt mixture of all hidden states, as ``models/ecapa_tdnn.py`` there builds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import studio.engine  # noqa: F401  the guard without which some machines cannot import transformers
from studio.audio.waveform import total_seconds
from studio.errors import StudioError
from studio.evaluation.measures.voice_encoder import LEAST_SECONDS, Heard
from studio.files import shown_name, weights_digest

RATE = 16_000
_LARGE = (1024, 24)
_MOST_SAMPLES = 60 * RATE
"""Its memory grows with the square of the length; no take of a list is that long."""
_SPEECH = "feature_extract.model."
# Names of the original code (left) and of transformers; what comes first wins.
_RENAMED = [
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.1\.", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (r"encoder\.pos_conv\.0\.weight_g", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"encoder\.pos_conv\.0\.bias", "encoder.pos_conv_embed.conv.bias"),
    (r"(encoder\.layers\.\d+)\.self_attn\.grep_linear\.", r"\1.attention.gru_rel_pos_linear."),
    (r"(encoder\.layers\.\d+)\.self_attn\.grep_a", r"\1.attention.gru_rel_pos_const"),
    (r"(encoder\.layers\.\d+)\.self_attn\.relative_attention_bias\.", r"\1.attention.rel_attn_embed."),
    (r"(encoder\.layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"(encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.layer_norm."),
    (r"(encoder\.layers\.\d+)\.fc1\.", r"\1.feed_forward.intermediate_dense."),
    (r"(encoder\.layers\.\d+)\.fc2\.", r"\1.feed_forward.output_dense."),
    (r"(encoder\.(?:layers\.\d+\.final_)?layer_norm\.)", r"\1"),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"mask_emb", "masked_spec_embed"),
]


class WavLMSpeakerModel:
    """See :class:`studio.evaluation.measures.voice_encoder.VoiceEncoder`. It hears whole sounds, as its authors' script does.

    Args:
        path: the published file, or one of the same names and smaller sizes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Of the model, with a hash of its weights."""
        return self._name

    @cached_property
    def _name(self) -> str:
        size = (self._loaded[0].config.hidden_size, self._loaded[0].config.num_hidden_layers)
        kind = "WavLM-large SV" if size == _LARGE else f"WavLM SV of {size[1]} layers"
        return f"{kind} ({weights_digest([self._path])}, transformers {version('transformers')})"

    def vectors(self, sounds: Sequence[Heard]) -> list[np.ndarray | None]:
        """See :class:`studio.evaluation.measures.voice_encoder.VoiceEncoder`."""
        import torch

        model, mixture, head = self._loaded
        found: list[np.ndarray | None] = []
        for sound, speech in sounds:
            if total_seconds(speech) < LEAST_SECONDS:
                found.append(None)
                continue
            samples = torch.from_numpy(sound.resampled(RATE).samples[:_MOST_SAMPLES])
            samples = torch.nn.functional.layer_norm(samples, samples.shape)
            with torch.inference_mode():
                states = torch.stack(model(samples[None], output_hidden_states=True).hidden_states)
                weights = torch.softmax(mixture, dim=0)[:, None, None, None]
                vector = head((weights * states).sum(dim=0).transpose(1, 2) + 1e-6)[0]
            found.append(torch.nn.functional.normalize(vector, dim=0).numpy())
        return found

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        """WavLM, the weights of its hidden states, and the head."""
        import torch

        try:
            # Tensors only: a file of this kind could otherwise run code.
            weights = torch.load(self._path, map_location="cpu", weights_only=True)["model"]
            speech = {name.removeprefix(_SPEECH): each for name, each in weights.items() if name.startswith(_SPEECH)}
            model, head = _wavlm(speech), _head(weights)
            return model, weights["feature_weight"].float(), head
        except Exception as error:  # damaged, cut short, of other names or shapes: torch has no one type
            raise StudioError(
                f"{shown_name(self._path)} is no speaker model of UniSpeech: set STUDIO_SPEAKER_MODEL to its "
                "wavlm_large_finetune.pth, or to included."
            ) from error


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        changed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return changed
    return name


def _wavlm(weights: Mapping[str, Any]) -> Any:
    """transformers' model of these weights; its sizes are theirs."""
    from transformers import WavLMConfig, WavLMModel

    layers = _count(r"encoder\.layers\.(\d+)\.", weights)
    convolutions = _count(r"feature_extractor\.conv_layers\.(\d+)\.", weights)
    buckets, heads = weights["encoder.layers.0.self_attn.relative_attention_bias.weight"].shape
    position = weights["encoder.pos_conv.0.weight_v"]
    hidden = weights["encoder.layer_norm.weight"].shape[0]
    config = WavLMConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=weights["encoder.layers.0.fc1.weight"].shape[0],
        conv_dim=tuple(weights[f"feature_extractor.conv_layers.{each}.0.weight"].shape[0] for each in range(convolutions)),
        conv_kernel=tuple(weights[f"feature_extractor.conv_layers.{each}.0.weight"].shape[2] for each in range(convolutions)),
        conv_stride=(5, *(2,) * (convolutions - 1)), conv_bias=False, feat_extract_norm="layer", do_stable_layer_norm=True,
        num_buckets=buckets, max_bucket_distance=800, num_conv_pos_embeddings=position.shape[2],
        num_conv_pos_embedding_groups=hidden // position.shape[1],
    )  # fmt: skip
    model = WavLMModel(config).eval()
    given = {_renamed(name): each.float() for name, each in weights.items()}
    own = model.state_dict()
    given["masked_spec_embed"] = given.get("masked_spec_embed", own.get("masked_spec_embed"))
    model.load_state_dict({name: each for name, each in given.items() if name in own}, strict=True)
    return model


def _count(pattern: str, names: Iterable[str]) -> int:
    """How many different numbers stand there in the names."""
    return len({match[1] for name in names if (match := re.match(pattern, name))})


def _head(weights: Mapping[str, Any]) -> Any:
    """The head of these weights."""
    width, channels = weights["layer1.conv.weight"].shape[:2]
    pooled, size = weights["conv.weight"].shape[0], weights["linear.weight"].shape[0]
    scale = len([name for name in weights if re.fullmatch(r"layer2\.Res2Conv1dReluBn\.convs\.\d+\.weight", name)]) + 1
    head = _head_class()(
        channels, width, pooled, size, scale, weights["layer2.SE_Connect.linear1.weight"].shape[0]
    ).eval()
    own = head.state_dict()
    head.load_state_dict({name: each for name, each in weights.items() if name in own}, strict=True)
    return head


@lru_cache(maxsize=1)
def _head_class() -> Any:
    """The class is made when torch is there. Its parts have the names that the published file gives them."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Convolution(nn.Module):
        def __init__(self, channels: int, width: int, kernel: int = 1) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv1d(channels, width, kernel, padding=kernel // 2), nn.BatchNorm1d(width)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return self.bn(functional.relu(self.conv(frames)))

    class Hierarchy(nn.Module):
        """Res2Net: each group of channels hears its own and what became of the one before it; the last is passed on."""

        def __init__(self, width: int, dilation: int, scale: int) -> None:
            super().__init__()
            self.group = width // scale
            self.convs = nn.ModuleList(
                nn.Conv1d(self.group, self.group, 3, padding=dilation, dilation=dilation) for _ in range(scale - 1)
            )
            self.bns = nn.ModuleList(nn.BatchNorm1d(self.group) for _ in range(scale - 1))

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            *groups, last = torch.split(frames, self.group, dim=1)
            done: list[torch.Tensor] = []
            for group, conv, norm in zip(groups, self.convs, self.bns, strict=True):
                done.append(norm(functional.relu(conv(done[-1] + group if done else group))))
            return torch.cat([*done, last], dim=1)

    class Excitation(nn.Module):
        def __init__(self, width: int, bottleneck: int) -> None:
            super().__init__()
            self.linear1, self.linear2 = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            gate = torch.sigmoid(self.linear2(functional.relu(self.linear1(frames.mean(dim=2)))))
            return frames * gate[:, :, None]

    class Block(nn.Module):
        def __init__(self, width: int, dilation: int, scale: int, bottleneck: int) -> None:
            super().__init__()
            self.Conv1dReluBn1, self.Conv1dReluBn2 = Convolution(width, width), Convolution(width, width)
            self.Res2Conv1dReluBn = Hierarchy(width, dilation, scale)
            self.SE_Connect = Excitation(width, bottleneck)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            inner = self.Conv1dReluBn2(self.Res2Conv1dReluBn(self.Conv1dReluBn1(frames)))
            return frames + self.SE_Connect(inner)

    class Pooling(nn.Module):
        """Mean and deviation over time, weighted by attention."""

        def __init__(self, width: int, attention: int) -> None:
            super().__init__()
            self.linear1, self.linear2 = nn.Conv1d(width, attention, 1), nn.Conv1d(attention, width, 1)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            weights = torch.softmax(self.linear2(torch.tanh(self.linear1(frames))), dim=2)
            mean = (weights * frames).sum(dim=2)
            deviation = ((weights * frames.square()).sum(dim=2) - mean.square()).clamp(min=1e-9).sqrt()
            return torch.cat([mean, deviation], dim=1)

    class Head(nn.Module):
        def __init__(self, channels: int, width: int, pooled: int, size: int, scale: int, bottleneck: int) -> None:
            super().__init__()
            self.instance_norm = nn.InstanceNorm1d(channels)
            self.layer1 = Convolution(channels, width, 5)
            self.layer2, self.layer3, self.layer4 = (
                Block(width, dilation, scale, bottleneck) for dilation in (2, 3, 4)
            )
            self.conv = nn.Conv1d(3 * width, pooled, 1)
            self.pooling = Pooling(pooled, bottleneck)
            self.bn, self.linear = nn.BatchNorm1d(2 * pooled), nn.Linear(2 * pooled, size)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            first = self.layer2(self.layer1(self.instance_norm(frames)))
            second = self.layer3(first)
            together = torch.cat([first, second, self.layer4(second)], dim=1)
            return self.linear(self.bn(self.pooling(functional.relu(self.conv(together)))))

    return Head

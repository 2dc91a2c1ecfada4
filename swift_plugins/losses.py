"""Text loss and audio loss, with heads computed only where there is something to learn.

A head is a large matrix (128,256 rows for text, 8 · 1,026 for audio in the 3B) and most positions of a sample are prompt:
the hidden states that predict a label are picked out first and the head is applied to them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.engine.prompt import IGNORED
from swift_plugins.options import Options


@dataclass
class Losses:
    """Means over the targets of one batch; 0 where a batch has no such target, so that gradients still flow everywhere.

    Attributes:
        total: what is minimised.
        text: cross-entropy of the text targets, unweighted.
        codebooks: shape (num_codebooks,), cross-entropy of each codebook over its own targets, unweighted.
        audio: mean of ``codebooks``. The native forward sums them; the original takes the mean, and so does this.
        z: mean squared log-partition of text and audio targets together.
        num_text_targets, num_audio_targets: labels; of audio, summed over codebooks.
    """

    total: Tensor
    text: Tensor
    codebooks: Tensor
    audio: Tensor
    z: Tensor
    num_text_targets: Tensor
    num_audio_targets: Tensor


def text_states(hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The states that predict text, and what they predict.

    Args:
        hidden: shape (batch, num_tokens, hidden_size).
        labels: shape (batch, num_tokens).

    Returns:
        Shapes (num_targets, hidden_size) and (num_targets,). A label is predicted by the position before it.
    """
    following = labels[:, 1:]
    wanted = following != IGNORED
    return hidden[:, :-1][wanted], following[wanted]


def audio_states(hidden: Tensor, is_audio: Tensor, audio_labels: Tensor) -> tuple[Tensor, Tensor]:
    """The states that predict steps of codes, and what they predict.

    Args:
        hidden: shape (batch, num_tokens, hidden_size).
        is_audio: shape (batch, num_tokens), where a token stands for a step.
        audio_labels: shape (num_steps, num_codebooks), the steps of the whole batch in reading order.

    Returns:
        Shapes (num_targets, hidden_size) and (num_targets, num_codebooks), a target being a step with any label.
    """
    sample, position = is_audio.nonzero(as_tuple=True)
    if len(position) != len(audio_labels):
        raise ValueError(f"{len(position)} audio tokens stand for {len(audio_labels)} rows: they must be as many")
    wanted = (audio_labels != IGNORED).any(dim=1)
    return hidden[sample[wanted], position[wanted] - 1], audio_labels[wanted]


def weighted_losses(
    text_logits: Tensor, text_targets: Tensor, audio_logits: Tensor, audio_targets: Tensor, options: Options
) -> Losses:
    """Losses of logits at the positions that have a target.

    Args:
        text_logits: shape (num_targets, vocabulary).
        text_targets: shape (num_targets,).
        audio_logits: shape (num_steps, num_codebooks, codes).
        audio_targets: shape (num_steps, num_codebooks), ``IGNORED`` where a codebook has no target in a step.
    """
    text_logits, audio_logits = text_logits.float(), audio_logits.float()
    learnt = audio_targets != IGNORED
    counts = learnt.sum(dim=0)
    each = F.cross_entropy(audio_logits.transpose(1, 2), audio_targets, ignore_index=IGNORED, reduction="none")
    codebooks = each.sum(dim=0) / counts.clamp(min=1)
    weights = torch.tensor(options.codebook_loss_weights or [1.0] * len(counts), device=codebooks.device)
    text = F.cross_entropy(text_logits, text_targets, reduction="sum") / max(1, len(text_targets))
    total = options.text_loss_weight * text + options.audio_loss_weight * (weights * codebooks).sum() / weights.sum()
    z = text.new_zeros(())
    if options.auxiliary_loss_weight:
        partitions = torch.cat([text_logits.logsumexp(dim=-1), audio_logits.logsumexp(dim=-1)[learnt]])
        z = partitions.square().sum() / max(1, len(partitions))
        total = total + options.auxiliary_loss_weight * z
    return Losses(
        total=total,
        text=text,
        codebooks=codebooks,
        audio=codebooks.mean(),
        z=z,
        num_text_targets=torch.tensor(len(text_targets), device=text.device),
        num_audio_targets=counts.sum(),
    )


def losses_of(
    model: Any, hidden: Tensor, *, labels: Tensor, is_audio: Tensor, audio_labels: Tensor, options: Options
) -> Losses:
    """Losses of a batch from the last hidden states; see the parts above for shapes.

    Args:
        model: has ``text_lm_head``, ``audio_lm_head`` and the config of ``HiggsAudioV2ForConditionalGeneration``.
    """
    states, text_targets = text_states(hidden, labels)
    text_logits = model.text_lm_head(states)
    states, audio_targets = audio_states(hidden, is_audio, audio_labels)
    config = model.config
    audio_logits = model.audio_lm_head(states).view(-1, config.num_codebooks, config.codebook_size)
    return weighted_losses(text_logits, text_targets, audio_logits, audio_targets, options)

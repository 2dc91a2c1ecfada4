"""The delay pattern: how the frames of a clip are laid out as steps of the language model's audio stream, and which of
them the model is trained on.

Codebook ``k`` is shifted ``k`` steps to the right, so that a step predicts codebook 0 of one frame, codebook 1 of the frame
before, and so on (MusicGen, arXiv 2306.05284, section 2.2, "delay"). A stream opens with a step of stream-BOS and closes
with one stream-EOS per codebook on its diagonal; the corners left over are filled with BOS (before) and EOS (after).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def num_delayed_steps(num_frames: int, num_codebooks: int) -> int:
    """Steps that a clip of ``num_frames`` takes in the stream: its frames, BOS, EOS, and the shift of the last codebook."""
    return num_frames + 2 + num_codebooks - 1


def apply_delay(codes: torch.Tensor, *, bos_id: int, eos_id: int) -> torch.Tensor:
    """Lay out a clip as the model reads it.

    From integers of shape (num_codebooks, num_frames) to shape (num_delayed_steps, num_codebooks): one step of the
    language model each.
    """
    num_codebooks, num_frames = codes.shape
    steps = codes.new_full((num_delayed_steps(num_frames, num_codebooks), num_codebooks), eos_id)
    for k in range(num_codebooks):
        steps[: k + 1, k] = bos_id
        steps[k + 1 : k + 1 + num_frames, k] = codes[k]
    return steps


IGNORED = -100
"""The label of what is not trained, as in ``torch.nn.functional.cross_entropy``."""


def audio_labels(codes: torch.Tensor, *, eos_id: int) -> torch.Tensor:
    """What each step of a trained clip has to be: its codes, and in each codebook one stream-EOS right after the last.

    That EOS is what the model learns to stop by. Everything else in the delay pattern is filling: the BOS before a codebook
    begins and the EOS after it has ended are forced while speaking, so nothing is learnt from them.

    The shapes are those of :func:`apply_delay`; ``IGNORED`` where not trained.
    """
    num_codebooks, num_frames = codes.shape
    labels = codes.new_full((num_delayed_steps(num_frames, num_codebooks), num_codebooks), IGNORED)
    for k in range(num_codebooks):
        labels[k + 1 : k + 1 + num_frames, k] = codes[k]
        labels[k + 1 + num_frames, k] = eos_id
    return labels


def revert_delay(steps: torch.Tensor) -> torch.Tensor:
    """Undo the shift of steps that hold codes only (without the step of BOS).

    From shape (num_frames + num_codebooks - 1, num_codebooks) to (num_codebooks, num_frames).
    """
    import torch

    num_codebooks = steps.shape[1]
    num_frames = max(0, steps.shape[0] - num_codebooks + 1)
    return torch.stack([steps[k : k + num_frames, k] for k in range(num_codebooks)])

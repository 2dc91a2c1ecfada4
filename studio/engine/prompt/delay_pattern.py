"""The delay pattern: how the frames of a clip are laid out as rows of the language model's audio stream, and which of
them the model is trained on.

Codebook ``k`` is shifted ``k`` rows to the right, so that a row predicts codebook 0 of one frame, codebook 1 of the frame
before, and so on (MusicGen, arXiv 2306.05284, section 2.2, "delay"). A stream opens with a row of stream-BOS and closes
with one stream-EOS per codebook on its diagonal; the corners left over are filled with BOS (before) and EOS (after).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def num_delayed_rows(num_frames: int, num_codebooks: int) -> int:
    """Rows that a clip of ``num_frames`` takes in the stream: its frames, BOS, EOS, and the shift of the last codebook."""
    return num_frames + 2 + num_codebooks - 1


def apply_delay(codes: torch.Tensor, *, bos_id: int, eos_id: int) -> torch.Tensor:
    """Lay out a clip as the model reads it.

    Args:
        codes: shape (num_codebooks, num_frames), integer.

    Returns:
        Shape (num_delayed_rows, num_codebooks): one row per step of the language model.
    """
    num_codebooks, num_frames = codes.shape
    rows = codes.new_full((num_delayed_rows(num_frames, num_codebooks), num_codebooks), eos_id)
    for k in range(num_codebooks):
        rows[: k + 1, k] = bos_id
        rows[k + 1 : k + 1 + num_frames, k] = codes[k]
    return rows


IGNORED = -100
"""The label of what is not trained, as in ``torch.nn.functional.cross_entropy``."""


def audio_labels(codes: torch.Tensor, *, eos_id: int) -> torch.Tensor:
    """What each row of a trained clip has to be: its codes, and in each codebook one stream-EOS right after the last.

    That EOS is what the model learns to stop by. Everything else in the delay pattern is filling: the BOS before a codebook
    begins and the EOS after it has ended are forced while speaking, so nothing is learnt from them.

    Args:
        codes: shape (num_codebooks, num_frames), integer.

    Returns:
        Shape (num_delayed_rows, num_codebooks), row for row the labels of :func:`apply_delay`; ``IGNORED`` where not trained.
    """
    num_codebooks, num_frames = codes.shape
    labels = codes.new_full((num_delayed_rows(num_frames, num_codebooks), num_codebooks), IGNORED)
    for k in range(num_codebooks):
        labels[k + 1 : k + 1 + num_frames, k] = codes[k]
        labels[k + 1 + num_frames, k] = eos_id
    return labels


def revert_delay(rows: torch.Tensor) -> torch.Tensor:
    """Undo the shift of rows that hold codes only (without the row of BOS).

    Args:
        rows: shape (num_frames + num_codebooks - 1, num_codebooks).

    Returns:
        Shape (num_codebooks, num_frames).
    """
    import torch

    num_codebooks = rows.shape[1]
    num_frames = max(0, rows.shape[0] - num_codebooks + 1)
    return torch.stack([rows[k : k + num_frames, k] for k in range(num_codebooks)])

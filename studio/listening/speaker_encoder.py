"""A voice as a vector: the encoder of Wan et al. 2018 (arXiv:1710.10467) with the weights that Resemblyzer published."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from studio.errors import StudioError
from studio.listening.compiled import librosa
from studio.settings import ASSETS

if TYPE_CHECKING:
    import torch

RATE = 16_000
"""Samples per second that it listens at."""
WINDOW_SECONDS = 1.6
"""The stretch of speech that it was trained on."""
WINDOW_FRAMES = 160
LEVEL = 10.0 ** (-30.0 / 20.0)
"""RMS that it expects, −30 dBFS."""
EMBEDDING_SIZE = 256

_WEIGHTS = ASSETS / "listening" / "speaker_encoder.safetensors"
# Analysis windows of 25 ms every 10 ms, 40 mel bands of power, not of its logarithm.
_WINDOW, _HOP, _BANDS, _LAYERS = 400, 160, 40, 3


def mel_frames(samples: np.ndarray) -> np.ndarray:
    """What the encoder reads: float32 of shape ``(num_samples // 160 + 1, 40)``.

    ``samples`` are float32 of shape ``(num_samples,)`` at 16 kHz, at the level :data:`LEVEL`.
    """
    mel = librosa().feature.melspectrogram(y=samples, sr=RATE, n_fft=_WINDOW, hop_length=_HOP, n_mels=_BANDS)
    return np.ascontiguousarray(mel.T, dtype=np.float32)


def embed(mels: np.ndarray) -> np.ndarray:
    """The voices of some windows.

    Args:
        mels: float32 of shape ``(num_windows, 160, 40)``: :func:`mel_frames` of 1.6 s each.

    Returns:
        float32 of shape ``(num_windows, 256)``: not negative, of length 1; zeros where nothing was recognised as a voice.

    Raises:
        StudioError: the weights are missing or damaged.
    """
    import torch

    lstm, projection = _loaded()
    with torch.inference_mode():
        _, (hidden, _) = lstm(torch.from_numpy(mels))
        return torch.nn.functional.normalize(torch.relu(projection(hidden[-1])), dim=1).numpy()


@lru_cache(maxsize=1)
def _loaded() -> tuple[torch.nn.LSTM, torch.nn.Linear]:
    import torch
    from safetensors.torch import load_file

    lstm = torch.nn.LSTM(_BANDS, EMBEDDING_SIZE, _LAYERS, batch_first=True).eval()
    projection = torch.nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE).eval()
    try:
        weights = load_file(_WEIGHTS)
        for part, prefix in ((lstm, "lstm."), (projection, "linear.")):
            part.load_state_dict({key.removeprefix(prefix): weights[key] for key in weights if key.startswith(prefix)})
    except Exception as error:  # the library has no one type for "missing, cut short or of another shape"
        raise StudioError(
            f"The speaker encoder {_WEIGHTS} is missing or damaged: get that file of the studio again."
        ) from error
    return lstm, projection

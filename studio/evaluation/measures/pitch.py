"""The melody of speech: how high a voice is, how far it moves, and whether it moves as another recording of the text does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version

import numpy as np

from studio.audio.waveform import Waveform
from studio.listening.compiled import compiling, librosa

RATE = 16_000
HOP_SECONDS = 0.01
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
_FRAME = 1024
_HOP = round(HOP_SECONDS * RATE)
_RESOLUTION = 0.2
"""Of a semitone: half of librosa's own, where it takes a third of the time and moves the mean by 0.03 %."""
_PIECE = 30 * RATE
"""A long sound goes in pieces: pYIN needs 4 KB for each moment."""
LEAST_VOICED_SECONDS = 0.3
_MOST_SECONDS = 60.0
_BANDS, _COEFFICIENTS = 40, 13


@dataclass(frozen=True)
class Pitch:
    """Pitch over the voiced moments.

    Attributes:
        mean_hz: the mean, and ``low_hz``, ``high_hz`` the 5th and 95th percentile.
        range_semitones: from the one to the other.
        voiced_seconds: how long there is a pitch at all.
    """

    mean_hz: float
    low_hz: float
    high_hz: float
    range_semitones: float
    voiced_seconds: float

    def as_json(self) -> dict[str, float]:
        """For ``--json``."""
        return {
            "mean_hz": round(self.mean_hz, 2),
            "low_hz": round(self.low_hz, 2),
            "high_hz": round(self.high_hz, 2),
            "range_semitones": round(self.range_semitones, 2),
            "voiced_seconds": round(self.voiced_seconds, 2),
        }


def model_name() -> str:
    """What finds the pitch, with its version."""
    return f"pYIN (librosa {version('librosa')}, {LOWEST_HZ:g}-{HIGHEST_HZ:g} Hz)"


def pitch_contour(sound: Waveform) -> np.ndarray:
    """The pitch in Hz every 10 ms, float32 of shape ``(num_frames,)``; NaN where there is none.

    pYIN (Mauch & Dixon 2014, doi:10.1109/ICASSP.2014.6853678). A sound under 0.1 s has no pitch.
    """
    samples = sound.resampled(RATE).samples
    if len(samples) < 2 * _FRAME or sound.peak == 0.0:
        return np.full(len(samples) // _HOP + 1, np.nan, dtype=np.float32)
    pieces = [_piece(samples[start : start + _PIECE]) for start in range(0, len(samples), _PIECE)]
    # Each piece has a moment at its very end, which is the first of the next.
    return np.concatenate([*(piece[:-1] for piece in pieces[:-1]), pieces[-1]])


def _piece(samples: np.ndarray) -> np.ndarray:
    if len(samples) < 2 * _FRAME:
        return np.full(len(samples) // _HOP + 1, np.nan, dtype=np.float32)
    _compile_once()
    return _pyin(samples)


def _pyin(samples: np.ndarray) -> np.ndarray:
    contour, _, _ = librosa().pyin(
        samples, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=RATE, frame_length=_FRAME, hop_length=_HOP, resolution=_RESOLUTION
    )
    return contour.astype(np.float32)


@lru_cache(maxsize=1)
def _compile_once() -> None:
    """Have pYIN's inner loops compiled, by one process at a time."""
    librosa()
    with compiling():
        _pyin(np.sin(np.arange(4 * _FRAME) * 0.05).astype(np.float32))


@lru_cache(maxsize=1)
def _compile_warping_once() -> None:
    warp, moments = librosa().sequence.dtw, np.arange(6.0).reshape(2, 3)
    with compiling():
        warp(moments, moments, metric="euclidean")


def pitch_of(contour: np.ndarray) -> Pitch | None:
    """Mean and range of a contour; None with under 0.3 s of voiced speech."""
    voiced = contour[np.isfinite(contour)].astype(np.float64)
    if len(voiced) * HOP_SECONDS < LEAST_VOICED_SECONDS:
        return None
    low, high = np.percentile(voiced, (5.0, 95.0)).tolist()
    return Pitch(float(voiced.mean()), low, high, float(12.0 * np.log2(high / low)), len(voiced) * HOP_SECONDS)


def pitch_correlation(
    take: Waveform, of_take: np.ndarray, recording: Waveform, of_recording: np.ndarray
) -> float | None:
    """How alike two melodies of one text are: Pearson's correlation of the logarithms of their pitch, −1 to 1.

    The two are aligned by dynamic time warping (Sakoe & Chiba 1978) over 13 mel cepstra without the first, which is the
    level; moments where both are voiced are compared, as Hayashi et al. do it (ESPnet2-TTS, arXiv:2110.07840).

    Args:
        of_take, of_recording: their :func:`pitch_contour`.

    Returns:
        None where under 0.3 s is voiced in both, one of them has no melody at all, or is longer than 60 s.
    """
    if max(take.duration, recording.duration) > _MOST_SECONDS:
        return None
    if min(len(of_take), len(of_recording)) * HOP_SECONDS < LEAST_VOICED_SECONDS:
        return None
    _compile_warping_once()
    one, other = _cepstra(take, len(of_take)), _cepstra(recording, len(of_recording))
    _, path = librosa().sequence.dtw(one, other, metric="euclidean")
    first, second = np.log(of_take[path[:, 0]].astype(np.float64)), np.log(of_recording[path[:, 1]].astype(np.float64))
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() * HOP_SECONDS < LEAST_VOICED_SECONDS:
        return None
    first, second = first[both] - first[both].mean(), second[both] - second[both].mean()
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.clip(np.dot(first, second) / size, -1.0, 1.0)) if size > 1e-9 else None


def _cepstra(sound: Waveform, count: int) -> np.ndarray:
    """Mel cepstra of each moment of a contour, shape ``(12, count)``, without the mean, which is the room."""
    found = librosa().feature.mfcc(
        y=sound.resampled(RATE).samples, sr=RATE, n_mfcc=_COEFFICIENTS, n_fft=_FRAME, hop_length=_HOP, n_mels=_BANDS
    )[1:]
    found = found - found.mean(axis=1, keepdims=True)
    return np.pad(found, ((0, 0), (0, max(0, count - found.shape[1]))), mode="edge")[:, :count]

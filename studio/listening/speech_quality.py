"""How good speech sounds to people, estimated: DNSMOS P.835 (Reddy et al. 2022, arXiv:2110.01763), weights of speechmos.

It hears noise and distortion well and tells recorded from synthetic speech badly: it is not naturalness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from studio.audio.waveform import Waveform
from studio.errors import StudioError

RATE = 16_000
LEAST_SECONDS = 0.5
"""Shorter sounds, repeated to a window of 9 s, are no speech that anybody rated."""
_WINDOW = int(9.01 * RATE)
_HOP = RATE
_MOST_WINDOWS = 6
"""Of a sound over 15 s so many windows are heard, spread evenly; the original hears one each second."""
_BATCH = 8
# Polynomials from the model's output to ratings, of the original evaluation script (dnsmos_local.py).
_OVRL = (-0.06766283, 1.11546468, 0.04602535)
_SIG = (-0.08397278, 1.22083953, 0.0052439)
_BAK = (-0.13166888, 1.60915514, -0.39604546)


@dataclass(frozen=True)
class SpeechQuality:
    """Mean opinion scores, 1–5, higher is better: overall, of the speech itself, and of the background."""

    ovrl: float
    sig: float
    bak: float

    def as_json(self) -> dict[str, float]:
        """For ``--json``."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def model_name() -> str:
    """What made the figures, with its version. Raises StudioError where the package is missing."""
    _weights()
    return f"DNSMOS P.835 (speechmos {version('speechmos')})"


def speech_quality(sounds: Sequence[Waveform]) -> list[SpeechQuality | None]:
    """Rate some sounds, in batches of windows.

    As the original: at 16 kHz, repeated until there are 9.01 s, a window each second, the mean of their ratings.

    Returns:
        None for a sound under 0.5 s and for silence.

    Raises:
        StudioError: the weights are missing or damaged.
    """
    windows: list[np.ndarray] = []
    owners: list[int] = []
    for number, sound in enumerate(sounds):
        if sound.duration < LEAST_SECONDS or sound.peak == 0.0:
            continue
        found = _windows(np.clip(sound.resampled(RATE).samples, -1.0, 1.0))
        windows += found
        owners += [number] * len(found)
    if not windows:
        return [None] * len(sounds)
    session = _session()
    parts = [
        session.run(None, {"input_1": np.stack(windows[first : first + _BATCH])})[0]
        for first in range(0, len(windows), _BATCH)
    ]
    raw = np.concatenate(parts).astype(np.float64)
    rated = np.stack([np.polyval(_OVRL, raw[:, 2]), np.polyval(_SIG, raw[:, 0]), np.polyval(_BAK, raw[:, 1])], axis=1)
    places = np.array(owners)
    return [
        SpeechQuality(*rated[places == number].mean(axis=0).tolist()) if number in owners else None
        for number in range(len(sounds))
    ]


def _windows(samples: np.ndarray) -> list[np.ndarray]:
    while len(samples) < _WINDOW:
        samples = np.append(samples, samples)
    count = int(len(samples) // RATE - _WINDOW / RATE) + 1
    starts = np.arange(count) * _HOP
    starts = starts[starts + _WINDOW <= len(samples)]
    if len(starts) > _MOST_WINDOWS:
        starts = starts[np.linspace(0, len(starts) - 1, _MOST_WINDOWS).round().astype(int)]
    return [samples[start : start + _WINDOW].astype(np.float32) for start in starts.tolist()]


def _weights() -> Path:
    # Found without being run: what the package's own code imports is not needed for its weights.
    spec = find_spec("speechmos")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0]) / "dnsmos_models" / "sig_bak_ovr.onnx" if folders else None
    if path is None or not path.is_file():
        raise StudioError(
            "The package speechmos, which rates the quality of speech, is missing: install requirements.txt again."
        )
    return path


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # as everything that is measured beside other work
    try:
        return onnxruntime.InferenceSession(str(_weights()), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own kinds, of which it has many
        raise StudioError("The weights of speechmos are damaged: install requirements.txt again.") from error

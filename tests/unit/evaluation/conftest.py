"""Shared by the tests of figures: recordings with what is said in them, and models that are loaded once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform, read_audio
from studio.evaluation.measures import Listeners
from tests.conftest import DATA


@pytest.fixture(scope="package")
def said() -> dict[Path, str]:
    """Seven recordings of one speaker, with what is said in them."""
    texts: dict[str, str] = {}
    for name in ("kathleen", "kathleen_short"):
        texts |= json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return {DATA / name: text for name, text in texts.items()}


@pytest.fixture(scope="package")
def sounds(said: dict[Path, str]) -> list[Waveform]:
    return [read_audio(path) for path in said]


@pytest.fixture(scope="package")
def deaf() -> Listeners:
    """No recogniser, and nobody who rates, which takes longest."""
    return Listeners(leave_out=("dnsmos",))


@pytest.fixture(scope="package")
def listeners(asr_model: Path) -> Listeners:
    from studio.listening.transcriber import Transcriber

    return Listeners(transcriber=Transcriber(str(asr_model), device="cpu"))


def noisy(sound: Waveform, snr_db: float, seed: int = 0) -> Waveform:
    """The sound with white noise of that distance."""
    noise = np.random.default_rng(seed).standard_normal(sound.num_samples)
    level = float(np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64)))) * 10 ** (-snr_db / 20)
    return Waveform((sound.samples + level * noise).astype(np.float32), sound.sample_rate)


def joined(*parts: np.ndarray, rate: int) -> Waveform:
    return Waveform(np.concatenate(parts).astype(np.float32), rate)


def silence(seconds: float, rate: int = 24_000) -> Any:
    return np.zeros(round(seconds * rate), np.float32)

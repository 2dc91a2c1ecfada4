"""Homes, an engine, recordings with what is said in them, and models that are loaded once.

No process makes takes unless a test wants one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform, read_audio
from studio.evaluation.comparison import running
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.measures import Listeners
from studio.store.store import Store
from studio.takes.service import TakeService
from tests.conftest import DATA

START = running._start


@pytest.fixture(autouse=True)
def _no_process_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons wait in their queue."""
    monkeypatch.setattr(running, "_start", lambda settings, session, record: False)


@pytest.fixture
def processes(_no_process_by_itself: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons are begun in processes of their own, as ever."""
    monkeypatch.setattr(running, "_start", START)


@pytest.fixture
def apart(service: Any, tmp_path: Path) -> TakeService:
    """A take service with a home of its own."""
    own = service.settings.with_changes(home=tmp_path / "home")
    return TakeService(service.host, own, Store(own.store_file))


@pytest.fixture
def library(apart: TakeService, owner: str) -> ComparisonLibrary:
    """Comparisons in that home."""
    return ComparisonLibrary(apart.settings, apart.store, owner)


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

"""Shared by all tests: the committed recordings, one tiny checkpoint and one engine for the whole session."""

from __future__ import annotations

import gc
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import studio.engine  # noqa: F401  installs the guard before any test imports transformers

# Before torch is imported, and for every subprocess: on a busy machine two threads of a tiny model wait for each other
# ten times longer than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
for _name in [name for name in os.environ if name.startswith("STUDIO_")]:
    del os.environ[_name]  # a developer's own settings must not decide what a test finds

DATA = Path(__file__).parent / "data"


BEGIN_FIRST = (
    "ui/test_speak", "integration/test_train_cli", "integration/test_documented_commands", "ui/test_voices",
    "integration/test_training_runs", "ui/test_page", "integration/test_training_overfit", "ui/test_train",
    "integration/test_jobs", "integration/", "ui/", "unit/", "cluster/",
)  # fmt: skip
"""Files of tests in the order in which they begin: the longest first, so that all workers end together, and those that
wait for a browser or a job in between those that compute."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector away from what is imported for the tests: a million objects that stay, through which it
    would look again and again meanwhile, and each time an engine is unloaded."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next(number for number, begins in enumerate(BEGIN_FIRST) if path.startswith(begins))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test writes under the developer's own home by accident."""
    os.environ["STUDIO_HOME"] = str(tmp_path_factory.mktemp("studio-home"))


@pytest.fixture(scope="session")
def kathleen() -> dict[Path, str]:
    """Three CC0 recordings of one speaker with what is said in them; see tests/data/README.md."""
    transcripts = json.loads((DATA / "kathleen.json").read_text(encoding="utf-8"))
    return {DATA / name: transcript for name, transcript in transcripts.items()}


@pytest.fixture(scope="session")
def clips(kathleen: dict[Path, str]) -> list[Any]:
    """The sound of the recordings."""
    from studio.audio import read_audio

    return [read_audio(path) for path in kathleen]


@pytest.fixture(scope="session")
def references(kathleen: dict[Path, str], clips: list[Any]) -> list[Any]:
    """The recordings as references, with consent."""
    from studio.engine.speech.reference import Consent, Reference

    consent = Consent("licence", "CC0 1.0")
    return [Reference(clip, said, consent) for clip, said in zip(clips, kathleen.values(), strict=True)]


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete checkpoint with random weights. Shared: copy it before changing anything."""
    from studio.engine.checkpoints import build_tiny_checkpoint

    return build_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with other weights."""
    from studio.engine.checkpoints import build_tiny_checkpoint

    return build_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "other", seed=1)


@pytest.fixture(scope="session")
def new_engine(tiny_checkpoint: Path) -> Callable[..., Any]:
    """Loads an engine of its own for a test that unloads it or wants it without a past."""
    from studio.engine.checkpoints import find_checkpoint, load_checkpoint
    from studio.engine.voice_engine import VoiceEngine

    def load(folder: Path = tiny_checkpoint, *, kind: type[VoiceEngine] = VoiceEngine, **options: Any) -> VoiceEngine:
        return kind(load_checkpoint(find_checkpoint(str(folder)), device="cpu"), **options)

    return load


@pytest.fixture(scope="session")
def engine(new_engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The engine that most tests share: nothing that one of them does may change what another hears."""
    return new_engine(code_cache=tmp_path_factory.mktemp("codes"))


@pytest.fixture(scope="session")
def processor(tiny_checkpoint: Path) -> Any:
    """The stock processor of transformers, as the reference for prompts and codes."""
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="session")
def native_model(tiny_checkpoint: Path) -> Any:
    """The stock model of transformers, as the reference for generation."""
    from transformers import HiggsAudioV2ForConditionalGeneration

    return HiggsAudioV2ForConditionalGeneration.from_pretrained(tiny_checkpoint).eval()


@pytest.fixture(scope="session")
def asr_model() -> Path:
    """Folder of a real speech recogniser (Whisper base); the test skips where it is not installed."""
    from tests.asr_model import model_or_skip

    return model_or_skip()


@pytest.fixture(scope="session")
def settings(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Settings with a home of their own and the tiny checkpoint."""
    from studio.settings import Settings

    return Settings(home=tmp_path_factory.mktemp("home"), checkpoint=str(tiny_checkpoint), device="cpu")


@pytest.fixture(scope="session")
def service(settings: Any) -> Any:
    """The take service that the page and the command line use, shared like ``engine``."""
    from studio.takes.service import TakeService

    return TakeService.from_settings(settings)


@pytest.fixture
def owner() -> str:
    """A visitor of ``service`` whom nobody knows yet: each test has a library of its own."""
    return secrets.token_hex(8)

"""A library of sets, and a small set in it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import soundfile

from studio.audio.synthetic_mark import add_mark
from studio.datasets.dataset import Dataset
from studio.datasets.imports.importer import import_source
from studio.datasets.library import DatasetLibrary
from studio.datasets.sources import SourceOptions
from studio.settings import Settings
from studio.store.store import Store
from studio.voices.consent import SpeakerConsent
from tests.conftest import DATA


class KillsOneProcess:
    """Kills the first process that this one starts for work on a corpus, while it has something to do."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> KillsOneProcess:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _watch(self) -> None:
        deadline = time.monotonic() + 60
        while not self.killed and time.monotonic() < deadline:
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error, OSError):
                    if "spawn_main" in " ".join(child.cmdline()):
                        time.sleep(0.5)
                        os.kill(child.pid, signal.SIGKILL)
                        self.killed.append(child.pid)
                        return
            time.sleep(0.02)


def transcripts(file: str) -> dict[str, str]:
    return json.loads((DATA / f"{file}.json").read_text(encoding="utf-8"))


AGREED = SpeakerConsent.given("licence", who="Kathleen", statement="CC0")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[DatasetLibrary]:
    settings = Settings(home=tmp_path / "home")
    store = Store(settings.store_file)
    yield DatasetLibrary(settings, store)
    store.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Every recording of the test data in a folder with a table; two speakers, the last one Ben's. The first says of itself
    that a model made it."""
    folder = tmp_path / "source"
    folder.mkdir()
    said = {name: text for file in ("kathleen", "kathleen_short") for name, text in transcripts(file).items()}
    lines = []
    for number, (name, text) in enumerate(said.items()):
        clip = DATA / name
        samples, rate = soundfile.read(clip, dtype="int16")
        with soundfile.SoundFile(folder / f"{clip.stem}.wav", "w", rate, 1, "PCM_16") as file:
            if not number:
                add_mark(file)
            file.write(samples)
        speaker = "Ben" if number == len(said) - 1 else "Kathleen"
        lines.append(f"{clip.stem}.wav,{json.dumps(text, ensure_ascii=False)},{speaker}\n")
    (folder / "metadata.csv").write_text("audio,text,speaker\n" + "".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def dataset(library: DatasetLibrary, source: Path) -> Dataset:
    """The source as a set, with the consent of both speakers."""
    made = import_source(library, "Kathleen", "csv", source, SourceOptions(), language="en")
    for speaker in ("Kathleen", "Ben"):
        made = library.record_consent(made.id, speaker, AGREED)
    return made


@pytest.fixture
def again(library: DatasetLibrary) -> Callable[[str, str, Path], Dataset]:
    """Import something else."""

    def run(name: str, kind: str, source: Path, **options: str) -> Dataset:
        return import_source(library, name, kind, source, SourceOptions(**options))  # type: ignore[arg-type]

    return run

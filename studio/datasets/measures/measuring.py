"""Measuring a set: every kept utterance once, by workers beside each other, kept by content; then what looks wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures import Grade, Measured, Measures, grade, measure, suspicions
from studio.datasets.spreading.pace import Pace
from studio.datasets.spreading.ray_cluster import over_ray
from studio.datasets.spreading.worker_processes import over_processes
from studio.datasets.stored_sound import decoded, encoded, waveform_of
from studio.errors import StudioError
from studio.files import read_json, write_json
from studio.store import datasets as queries

if TYPE_CHECKING:
    from studio.listening.transcriber import Transcriber

_AT_ONCE = 32
"""Utterances whose figures are written together."""
_VERSION = 2
"""Of what is measured: figures of another version are measured anew."""
Announce = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """One utterance to be measured, as it travels to a worker.

    Attributes:
        content: where its figures are kept: a hash of all that they depend on.
        before: what slicing found out already.
        sound: its sound as a FLAC file, for a worker that cannot read the recording.
    """

    id: str
    recording: str
    start: float
    end: float
    text: str
    language: str
    content: str
    before: dict[str, Any]
    sound: bytes = b""


class Measurer:
    """What a worker measures with; the recogniser is loaded when it is first needed, once.

    Args:
        asr_model: folder or name of the recogniser that transcripts are compared with; "" for none.
    """

    def __init__(self, asr_model: str, device: str) -> None:
        self._asr_model, self._device = asr_model, device
        self._transcriber: Transcriber | None = None

    def __call__(self, task: Task) -> Measures:
        """Figures of an utterance. Raises StudioError where its recording is gone or damaged, or the recogniser missing."""
        if self._asr_model and self._transcriber is None:
            from studio.listening.transcriber import Transcriber

            self._transcriber = Transcriber(self._asr_model, device=self._device)  # type: ignore[arg-type]
        sound = decoded(task.sound) if task.sound else waveform_of(Path(task.recording), task.start, task.end)
        return measure(sound, task.text, language=task.language, transcriber=self._transcriber, before=task.before)


def measure_dataset(
    library: DatasetLibrary, dataset: Dataset, *, asr_model: str = "", workers: int | None = None, ray: str = "",
    announce: Announce = lambda done, total: None, stopped: Callable[[], bool] = lambda: False, pace: Pace | None = None,
) -> Grade:  # fmt: skip
    """Measure what is kept of a set, say what looks wrong with which utterance, and grade the whole.

    Figures are kept by content: what was measured before, in whatever set, is not measured again. Stopped in the middle,
    the set keeps what was measured so far.

    Args:
        asr_model: folder or name of the recogniser that transcripts are compared with; "" for none. Elsewhere a folder is
            looked for under the same path.
        workers: how many measure beside each other; None: one, on Ray one for each processor. One without Ray is here.
        ray: address of a Ray cluster whose machines measure, see :func:`studio.datasets.spreading.ray_cluster.over_ray`.
        pace: is told how far it is.

    Raises:
        StudioError: nothing can be measured (no recogniser, no such cluster), or the store is locked.
    """
    utterances = library.utterances(dataset.id)
    figures = _Figures(library, dataset.id, len(utterances), announce)
    fresh: list[Task] = []
    for task in (_task(each, asr_model) for each in utterances):
        if stopped():
            break
        if not figures.know(task):
            fresh.append(task)
    pace = pace or Pace()
    # What is kept costs nothing, and says nothing about how long the rest will take.
    pace.begin(len(utterances), free=figures.done)
    begin = partial(Measurer, asr_model, library.settings.device)
    failed: list[tuple[Task, StudioError]] = []
    try:
        found = (
            over_ray(begin, fresh, ray, workers, stopped, carry=_with_sound)
            if ray and fresh
            else over_processes(begin, fresh, workers or 1, stopped)
        )
        with closing(found):
            for task, result in found:
                if isinstance(result, Measures):
                    figures.add(task, result)
                else:
                    failed.append((task, result))
                pace.reach(figures.done + len(failed))
    finally:
        figures.write()
    if failed and not figures.done:
        raise failed[0][1]
    _tell_unmeasured(library, dataset, {task.id: str(error) for task, error in failed})
    return judge(library, dataset)


def unmeasured(dataset: Dataset) -> list[dict[str, str]]:
    """Which utterances could not be measured when it was last tried: place and sentence of each."""
    return list(dataset.report.get("unmeasured", ()))


class _Figures:
    """What was measured, on its way into the store, and kept by content for whoever measures the same again."""

    def __init__(self, library: DatasetLibrary, dataset_id: str, total: int, announce: Announce) -> None:
        self._library, self._id, self._total, self._announce = library, dataset_id, total, announce
        self._waiting: dict[str, dict[str, Any]] = {}
        self.done = 0

    def know(self, task: Task) -> bool:
        """Whether figures of this content are kept; then they are the utterance's."""
        with suppress(StudioError, TypeError, ValueError):
            if (path := self._path(task)).is_file() and (known := Measures.from_json(read_json(path))) is not None:
                self._take(task, known)
                return True
        return False

    def add(self, task: Task, found: Measures) -> None:
        """Keep what was measured."""
        with suppress(StudioError, OSError):  # a cache that cannot be written is no error
            self._path(task).parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path(task), found.as_json())
        self._take(task, found)

    def write(self) -> None:
        """Write what waits."""
        _write(self._library, self._id, self._waiting)
        self._waiting = {}

    def _take(self, task: Task, found: Measures) -> None:
        self._waiting[task.id] = found.as_json()
        self.done += 1
        if len(self._waiting) >= _AT_ONCE:
            self.write()
        self._announce(self.done, self._total)

    def _path(self, task: Task) -> Path:
        return self._library.settings.measures_folder / f"{task.content}.json"


def judge(library: DatasetLibrary, dataset: Dataset) -> Grade:
    """Say anew what looks wrong with which of the measured utterances, and grade the set."""
    measured = [each for each in map(_measured, library.utterances(dataset.id)) if each is not None]
    found = suspicions(measured)
    with library.store.writing() as session:
        for name, record in queries.utterances_by_ids(session, dataset.id, found).items():
            told = [each.as_json() for each in found[name]]
            if record.suspicions != told:
                record.suspicions, record.suspicion = told, max((each["weight"] for each in told), default=0.0)
                queries.save(session, record)
        graded = grade(measured, found)
        kept = library.record(session, dataset.id)
        kept.report = {**kept.report, "grade": graded.as_json()}
        queries.save(session, kept)
    return graded


def grade_of(dataset: Dataset) -> Grade | None:
    """The grade of when it was last measured; None where it never was."""
    kept = dataset.report.get("grade")
    return Grade(**{**kept, "advice": tuple(kept["advice"])}) if kept else None


def _measured(utterance: Utterance) -> Measured | None:
    measures = Measures.from_json(utterance.measures)
    if measures is None:
        return None
    return Measured(
        utterance.id, utterance.speaker, utterance.text, utterance.sha256, measures, utterance.language, utterance.synthetic
    )  # fmt: skip


def _task(utterance: Utterance, asr_model: str) -> Task:
    before = {
        name: utterance.measures[name]
        for name in ("heard", "heard_by", "differs", "inside")
        if utterance.measures.get(name)
    }
    sliced = [before.get("differs"), before.get("inside")]
    content = f"{_VERSION}|{utterance.sha256}|{utterance.text}|{utterance.language}|{asr_model}|{sliced}"
    return Task(
        utterance.id, str(utterance.recording), utterance.start, utterance.end, utterance.text, utterance.language,
        hashlib.sha256(content.encode()).hexdigest(), before,
    )  # fmt: skip


def _tell_unmeasured(library: DatasetLibrary, dataset: Dataset, failed: dict[str, str]) -> None:
    with library.store.writing() as session:
        kept = library.record(session, dataset.id)
        found = queries.utterances_by_ids(session, dataset.id, failed) if failed else {}
        told = [{"place": record.place, "sentence": failed[name]} for name, record in found.items()]
        if kept.report.get("unmeasured", []) != told:
            kept.report = {**kept.report, "unmeasured": told}
            queries.save(session, kept)


def _with_sound(task: Task) -> Task:
    """The task with its sound: machines of a cluster share no files."""
    return replace(task, sound=encoded(Path(task.recording), task.start, task.end, ".flac"))


def _write(library: DatasetLibrary, dataset_id: str, figures: dict[str, dict[str, Any]]) -> None:
    if not figures:
        return
    with library.store.writing() as session:
        for name, record in queries.utterances_by_ids(session, dataset_id, figures).items():
            record.measures = figures[name]
            queries.save(session, record)

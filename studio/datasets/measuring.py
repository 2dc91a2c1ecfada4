"""Measuring a set: every kept utterance once, in processes beside each other, kept by content; then what looks wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures import Grade, Measured, Measures, grade, measure, suspicions
from studio.datasets.pace import Pace
from studio.datasets.stored_sound import waveform_of
from studio.errors import StudioError
from studio.files import read_json, write_json
from studio.store import datasets as queries

_AT_ONCE = 32
"""Utterances whose figures are written together."""
_VERSION = 1
"""Of what is measured: figures of another version are measured anew."""
_DEATHS = 2
"""How often an utterance may end the process that measures it before it is given up."""

Announce = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """One utterance to be measured, as it travels to another process."""

    id: str
    recording: str
    start: float
    end: float
    text: str
    language: str
    sha256: str
    before: str


@dataclass(frozen=True)
class Tools:
    """What a process measures with; models are loaded when they are first needed, once in each.

    Attributes:
        asr_model: model that writes transcripts; "" for none.
        cache: folder of figures by content.
    """

    asr_model: str
    device: str
    cache: str


_tools: Tools | None = None
_transcriber: Any = None


def measure_dataset(
    library: DatasetLibrary, dataset: Dataset, *, asr_model: str = "", workers: int = 1,
    announce: Announce = lambda done, total: None, stopped: Callable[[], bool] = lambda: False, pace: Pace | None = None,
) -> Grade:  # fmt: skip
    """Measure what is kept of a set, say what looks wrong with which utterance, and grade the whole.

    Figures are kept by content: what was measured before, in whatever set, is not measured again. Stopped in the middle,
    the set keeps what was measured so far.

    Args:
        asr_model: folder or name of the recogniser that transcripts are compared with; "" for none.
        workers: processes; 1 measures in this one.
        pace: is told how far it is.

    Raises:
        StudioError: the recogniser cannot be loaded, or the store is locked.
    """
    utterances = library.utterances(dataset.id)
    tools = Tools(asr_model, library.settings.device, str(library.settings.measures_folder))
    tasks = [_task(each) for each in utterances]
    # What is kept goes first: it costs nothing, and says nothing about how long the rest will take.
    kept = {task.id for task in tasks if _kept_file(task, tools).is_file()}
    tasks.sort(key=lambda task: task.id not in kept)
    pace = pace or Pace()
    pace.begin(len(tasks), free=len(kept))
    found: dict[str, Measures] = {}
    pending: dict[str, dict[str, Any]] = {}
    for task, result in spread_out(tasks, tools, workers, stopped):
        if isinstance(result, Measures):
            found[task.id] = result
            pending[task.id] = result.as_json()
        if len(pending) >= _AT_ONCE:
            _write(library, dataset.id, pending)
            pending = {}
        pace.reach(len(found))
        announce(len(found), len(utterances))
    _write(library, dataset.id, pending)
    return judge(library, dataset)


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
        utterance.id, utterance.speaker, utterance.text, utterance.sha256, measures, utterance.language
    )  # fmt: skip


def _task(utterance: Utterance) -> Task:
    kept = {
        name: utterance.measures[name]
        for name in ("heard", "heard_by", "differs", "inside")
        if utterance.measures.get(name)
    }
    return Task(
        utterance.id, str(utterance.recording), utterance.start, utterance.end, utterance.text, utterance.language,
        utterance.sha256, json.dumps(kept),
    )  # fmt: skip


def _write(library: DatasetLibrary, dataset_id: str, figures: dict[str, dict[str, Any]]) -> None:
    if not figures:
        return
    with library.store.writing() as session:
        for name, record in queries.utterances_by_ids(session, dataset_id, figures).items():
            record.measures = figures[name]
            queries.save(session, record)


# Over processes


def spread_out(
    tasks: Sequence[Task], tools: Tools, workers: int, stopped: Callable[[], bool]
) -> Iterator[tuple[Task, Measures | StudioError]]:  # fmt: skip
    """Measure utterances, in no order. A process that is killed loses none: others measure what it had."""
    if workers <= 1:
        with _one_thread():
            _begin(tools)
            for task in tasks:
                if stopped():
                    return
                yield task, _tried(task)
        return
    deaths: dict[str, int] = {}
    left = {task.id: task for task in tasks}
    while left and not stopped():
        # Of processes that were started anew: what a fork of a process with threads does is anybody's guess.
        pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(tools,))
        running: dict[Future[Any], Task] = {}
        waiting = iter(list(left.values()))
        try:
            while not stopped():
                for task in waiting:
                    running[pool.submit(_tried, task)] = task
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    break
                done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for future in done:
                    task = running.pop(future)
                    result = future.result()
                    del left[task.id]
                    yield task, result
        except BrokenProcessPool:
            for task in running.values():
                deaths[task.id] = deaths.get(task.id, 0) + 1
                if deaths[task.id] > _DEATHS * workers and left.pop(task.id, None):
                    yield task, StudioError("It ended the process that measured it: drop it, or look at its recording.")
        finally:
            for process in list(getattr(pool, "_processes", None) or {}):
                if stopped():
                    with contextlib.suppress(OSError):
                        os.kill(process, 15)
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(tools: Tools) -> None:
    """Of each process."""
    global _tools, _transcriber
    _tools, _transcriber = tools, None
    if parent_process() is not None:
        import torch
        from threadpoolctl import threadpool_limits

        torch.set_num_threads(1)
        threadpool_limits(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """What is measured is small: threads would wait for each other longer than they compute, and others have work, too."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _tried(task: Task) -> Measures | StudioError:
    """An utterance measured, or kept figures of the same content."""
    assert _tools is not None
    try:
        return _figures(task, _tools)
    except StudioError as error:
        return error


def _kept_file(task: Task, tools: Tools) -> Path:
    """Where the figures of an utterance are kept, named by its content."""
    before = json.loads(task.before)
    sliced = [before.get("differs"), before.get("inside")]
    content = f"{_VERSION}|{task.sha256}|{task.text}|{task.language}|{tools.asr_model}|{sliced}"
    return Path(tools.cache) / f"{hashlib.sha256(content.encode()).hexdigest()}.json"


def _figures(task: Task, tools: Tools) -> Measures:
    before, kept = json.loads(task.before), _kept_file(task, tools)
    if kept.is_file():
        with contextlib.suppress(StudioError, TypeError, ValueError):
            if (known := Measures.from_json(read_json(kept))) is not None:
                return known
    sound = waveform_of(Path(task.recording), task.start, task.end)
    found = measure(
        sound, task.text, language=task.language, transcriber=_recogniser(tools), before=before
    )  # fmt: skip
    with contextlib.suppress(StudioError, OSError):  # a cache that cannot be written is no error
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, found.as_json())
    return found


def _recogniser(tools: Tools) -> Any:
    global _transcriber
    if tools.asr_model and _transcriber is None:
        from studio.listening.transcriber import Transcriber

        _transcriber = Transcriber(tools.asr_model, device=tools.device)  # type: ignore[arg-type]
    return _transcriber

"""Work on a corpus is a map over its files: here in processes beside each other, none of which can lose anything.

What a worker does is a factory that is called once in each (models are loaded there, once) and gives a function of one task.
:mod:`studio.datasets.spreading.ray_cluster` spreads the same factory over machines.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Generic, TypeVar

from studio.errors import StudioError

Task = TypeVar("Task")
Result = TypeVar("Result")
Begin = Callable[[], Callable[[Task], Result]]
"""Makes what a worker works with; it travels there, and so does what it gives back."""

_SUSPECTED, _GIVEN_UP = 2, 3
"""Deaths of processes that had a task: with so many it is tried alone, with so many no more."""
_DIED: Any = object()

_do: Callable[[Any], Any] | None = None


def over_processes(
    begin: Begin[Task, Result], tasks: Iterable[Task], workers: int, stopped: Callable[[], bool]
) -> Generator[tuple[Task, Result | StudioError]]:
    """Each task with what came of it, in no order. Tasks are asked for as they are needed, two for each process.

    A process that is killed loses none: others do what it had. A task with which two died and then one
    that had nothing else is given up, with a sentence in place of what would have come of it.

    Args:
        workers: processes; 1 works in this one, in order.
        stopped: looked at before each task and every second; processes are ended then.
    """
    if workers <= 1:
        with one_thread():
            do = begin()
            for task in tasks:
                if stopped():
                    return
                yield task, tried(do, task)
        return
    queue, suspected = _Queue(tasks), _Queue[Task](())
    # What is suspected comes last, one at a time: else it would end the processes that do the others'.
    for given, num_processes, at_once in ((queue, workers, 2 * workers), (suspected, 1, 1)):
        while given and not stopped():
            for task, deaths, result in _until_one_dies(begin, given, num_processes, at_once, stopped):
                if result is not _DIED:
                    yield task, result
                elif deaths + 1 >= _GIVEN_UP:
                    yield task, DeadlyTask()
                else:
                    (suspected if deaths + 1 >= _SUSPECTED else given).put_back(task, deaths + 1)


class _Queue(Generic[Task]):
    """Tasks, each with how many processes died that had it; what is put back comes first."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._new, self._back = iter(tasks), deque[tuple[Task, int]]()

    def put_back(self, task: Task, deaths: int) -> None:
        self._back.append((task, deaths))

    def take(self) -> tuple[Task, int] | None:
        """The next one; None where there is none, for now."""
        if self._back:
            return self._back.popleft()
        return next(((task, 0) for task in self._new), None)

    def __bool__(self) -> bool:
        if not self._back and (following := self.take()) is not None:
            self._back.append(following)
        return bool(self._back)


def _until_one_dies(
    begin: Begin[Task, Result], queue: _Queue[Task], workers: int, at_once: int, stopped: Callable[[], bool]
) -> Iterator[tuple[Task, int, Any]]:  # fmt: skip
    """Tasks of the queue with their results; where a process dies, what all of them had is given back as ``_DIED``."""
    # Of processes that were started anew: what a fork of a process with threads does is anybody's guess.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin_process, initargs=(begin,))
    running: dict[Future[Any], tuple[Task, int]] = {}
    try:
        while not stopped():
            while len(running) < at_once and (given := queue.take()) is not None:
                try:
                    running[pool.submit(_do_one, given[0])] = given
                except BrokenProcessPool:
                    queue.put_back(*given)
                    raise
            if not running:
                return
            done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                yield *running.pop(future), result
    except BrokenProcessPool:
        while running:
            future, (task, deaths) = running.popitem()
            done = future.done() and not future.cancelled() and future.exception() is None
            yield task, deaths, future.result() if done else _DIED
    finally:
        if running:  # stopped, or nobody wants to know any more
            for process in list(getattr(pool, "_processes", None) or {}):
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGTERM)
        pool.shutdown(wait=True, cancel_futures=True)


class DeadlyTask(StudioError):
    """What becomes of a task that no process survives."""

    def __init__(self, *_: object) -> None:
        super().__init__(
            "It ended every process that worked on it: look at its recording, and leave out what is damaged."
        )


def tried(do: Callable[[Task], Result], task: Task) -> Result | StudioError:
    """What comes of a task, or why nothing does."""
    try:
        return do(task)
    except StudioError as error:
        return error


def _begin_process(begin: Begin[Any, Any]) -> None:
    global _do
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # of a terminal, whose Ctrl-C reaches all: it is for the one that asked
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_threads()
    _do = begin()


def _do_one(task: Any) -> Any:
    assert _do is not None
    return tried(_do, task)


def _end_with_parent() -> None:
    """A pool's process waits for ever where its parent was killed."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def limit_threads() -> None:
    """One thread in this process from now on: workers are beside each other already."""
    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = (
        "1"  # of what is not loaded yet; torch is slow to load, and not every worker needs it
    )
    threadpool_limits(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """What is worked on is small: threads would wait for each other longer than they compute, and others have work, too."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)

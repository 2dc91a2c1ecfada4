"""Processes by what they really are: an id alone may by now belong to another program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from studio.settings import PROJECT

_SAME_SECONDS = 1.5
"""Start times of one process as two programs read them may differ by this much, when the clock was set in between."""
_detached: list[subprocess.Popen[bytes]] = []
"""Those of this process, kept so that they can be waited for."""


@dataclass(frozen=True)
class Process:
    """A process by its id and by when it ``started``, in seconds since 1970."""

    pid: int
    started: float

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; one that has ended and was not waited for does not."""
        try:
            found = psutil.Process(self.pid)
            return abs(found.create_time() - self.started) < _SAME_SECONDS and found.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def process_of(pid: int) -> Process | None:
    """The process that has this id now."""
    try:
        return Process(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def is_gone(pid: int | None, started: float | None) -> bool:
    """Whether a process that was written down no longer runs, or never did: its id is compared with when it began."""
    return pid is None or started is None or not Process(pid, started).is_alive


def start_detached(module: str, argument: str, *, home: Path, log: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start ``python -m module argument`` in a session of its own: it outlives this process. Raises OSError where it fails.

    Args:
        home: of the studio, its ``STUDIO_HOME``.
        log: takes what it prints.
        variables: of its environment, besides those of this process.
    """
    environment = {
        **os.environ, "STUDIO_HOME": str(home), "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", **variables,
    }  # fmt: skip
    for secret in ("STUDIO_USERNAME", "STUDIO_PASSWORD"):  # it has no use for the page's login
        environment.pop(secret, None)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, argument],
            cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    _detached.append(process)
    return process


def reap_detached() -> None:
    """Wait for the detached processes that have ended, so that none of them stays a zombie."""
    _detached[:] = [process for process in _detached if process.poll() is None]


def with_variable(name: str, value: str) -> list[Process]:
    """All processes of this user, other than this one, that were started with this variable in their environment.

    Children inherit it whatever session or group they are in, so it finds what a run has left behind.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                candidate = Process(process.pid, process.create_time())
                if candidate.is_alive:
                    found.append(candidate)
    return found


def signal_all(processes: Iterable[Process], number: signal.Signals) -> None:
    """Send a signal to those of them that still run."""
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            if process.is_alive:
                os.kill(process.pid, number)


def tree_memory_bytes(pid: int) -> int:
    """Resident memory of a process and all that it started; 0 where it has ended."""
    return sum(_resident(process) for process in _tree(pid))


def _tree(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0

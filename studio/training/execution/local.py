"""Processes of this machine: starting a supervisor, asking it to stop, noticing that it is gone."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from studio.errors import StudioError
from studio.files import atomic_write_bytes
from studio.processes import Process, is_gone, signal_all, start_detached
from studio.settings import Settings
from studio.store.tables import JobRecord
from studio.training.folder import JobFolder

JOB_VARIABLE = "STUDIO_JOB"
"""In the environment of every process of a job, with its id: so none of them can be overlooked."""
ORPHAN_SECONDS = 120.0
"""A trainer whose supervisor is gone has been told to save and end; this long it may take."""


def spawn(settings: Settings, job_id: str, folder: JobFolder) -> subprocess.Popen[bytes]:
    """Start the supervisor of a job, in a session of its own. Raises OSError where that fails."""
    folder.root.mkdir(parents=True, exist_ok=True)
    return start_detached(
        "studio.training.execution.supervisor", str(folder.root),
        home=settings.home, log=folder.root / "supervisor.log", **{JOB_VARIABLE: job_id},
    )  # fmt: skip


def is_abandoned(record: JobRecord) -> bool:
    """Whether a job is said to run and its supervisor does not: a pid is compared together with when it began."""
    return is_gone(record.pid, record.pid_started)


def _orphan_mark(folder: JobFolder) -> Path:
    return folder.root / "orphaned"


def end_orphans(left: list[Process], folder: JobFolder) -> None:
    """First the signal at which the trainer saves and ends, later the one that nothing survives."""
    mark = _orphan_mark(folder)
    try:
        seconds = time.time() - mark.stat().st_mtime
    except OSError:
        signal_all(left, signal.SIGTERM)
        with suppress(OSError):
            mark.touch()
        return
    if seconds > ORPHAN_SECONDS:
        signal_all(left, signal.SIGKILL)


def forget_orphans(folder: JobFolder) -> None:
    """What was left has ended."""
    with suppress(OSError):
        _orphan_mark(folder).unlink(missing_ok=True)


def request_stop(folder: JobFolder, *, immediately: bool) -> None:
    """Ask the supervisor to stop its job. Raises StudioError where that cannot be written down."""
    try:
        atomic_write_bytes(folder.stop_file, b"now" if immediately else b"save")
    except StudioError as error:
        raise StudioError(f"The job could not be told to stop: {error}") from error

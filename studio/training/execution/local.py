"""Processes of this machine: starting a supervisor, asking it to stop, noticing that it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from studio.errors import StudioError
from studio.files import atomic_write_bytes
from studio.processes import Process, signal_all
from studio.settings import PROJECT, Settings
from studio.store.tables import JobRecord
from studio.training.folder import JobFolder

JOB_VARIABLE = "STUDIO_JOB"
"""In the environment of every process of a job, with its id: so none of them can be overlooked."""
ORPHAN_SECONDS = 120.0
"""A trainer whose supervisor is gone has been told to save and end; this long it may take."""
_started: list[subprocess.Popen[bytes]] = []
"""Supervisors of this process, kept so that they can be waited for."""


def reap() -> None:
    """Wait for the supervisors that have ended, so that none of them stays a zombie."""
    _started[:] = [process for process in _started if process.poll() is None]


def spawn(settings: Settings, job_id: str, folder: JobFolder) -> subprocess.Popen[bytes]:
    """Start the supervisor of a job, in a session of its own. Raises OSError where that fails."""
    environment = {
        **os.environ,
        "STUDIO_HOME": str(settings.home),
        JOB_VARIABLE: job_id,
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for secret in ("STUDIO_USERNAME", "STUDIO_PASSWORD"):  # a training has no use for the page's login
        environment.pop(secret, None)
    folder.root.mkdir(parents=True, exist_ok=True)
    with (folder.root / "supervisor.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "studio.training.execution.supervisor", str(folder.root)],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _started.append(process)
    return process


def is_abandoned(record: JobRecord) -> bool:
    """Whether a job is said to run and its supervisor does not: a pid is compared together with when it began."""
    return record.pid is None or record.pid_started is None or not Process(record.pid, record.pid_started).is_alive


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

"""The queue: one job for each device at a time, in order; moved on by whoever looks, and by each job that ends.

All of it happens under the store's write lock, so that two programs that look at once start a job once. Nothing here
waits for anything.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from sqlmodel import Session

from studio.errors import StudioError
from studio.files import read_json
from studio.processes import Process, process_of, signal_all, with_variable
from studio.settings import PROJECT, Settings
from studio.store import jobs as records
from studio.store.store import Store
from studio.store.tables import JobRow, now
from studio.training.folder import JobFolder
from studio.training.job import PRESENT, WAITING

log = logging.getLogger(__name__)

JOB_VARIABLE = "STUDIO_JOB"
"""In the environment of every process of a job, with its id: so none of them can be overlooked."""
ORPHAN_SECONDS = 120.0
"""A trainer whose supervisor is gone has been told to save and end; this long it may take."""

LOST = (
    "Its supervisor disappeared, perhaps because the machine was restarted or ran out of memory: resume it to go on from its "
    "last checkpoint."
)
LOST_WITHOUT_CHECKPOINT = (
    "Its supervisor disappeared before a checkpoint was saved, perhaps because the machine was restarted or ran out of "
    "memory: retry it."
)

_started: list[subprocess.Popen[bytes]] = []


def tidy(settings: Settings, store: Store) -> None:
    """Settle jobs whose supervisor is gone, and start what can start. Cheap where there is nothing to do.

    Raises:
        StudioError: the store cannot be written, or a job cannot be started.
    """
    if not settings.store_file.exists():
        return
    _started[:] = [process for process in _started if process.poll() is None]
    with store.reading() as session:
        present = records.in_states(session, PRESENT)
        waiting = records.in_states(session, WAITING)
        busy = {row.device for row in present}
    if not any(is_abandoned(row) for row in present) and not any(row.device not in busy for row in waiting):
        return
    with store.writing() as session:
        for row in records.in_states(session, PRESENT):
            if is_abandoned(row):
                _settle(session, row, folder_of(settings, row))
        advance(settings, session)


def advance(settings: Settings, session: Session) -> None:
    """Start the next job on every device that is free, within a transaction of the caller's."""
    busy = {row.device for row in records.in_states(session, PRESENT)}
    for row in records.in_states(session, WAITING):
        if row.device not in busy:
            busy.add(row.device)
            _start(settings, session, row)


def folder_of(settings: Settings, row: JobRow) -> JobFolder:
    """Where a job lies."""
    return JobFolder(settings.jobs_folder / row.id)


def is_abandoned(row: JobRow) -> bool:
    """Whether a job is said to run and its supervisor does not: a pid is compared together with when it began."""
    return row.pid is None or row.pid_started is None or not Process(row.pid, row.pid_started).is_alive


def _settle(session: Session, row: JobRow, folder: JobFolder) -> None:
    """Say what became of a job without a supervisor; until what is left of it has ended, nothing."""
    left = with_variable(JOB_VARIABLE, row.id)
    if left:
        _end_orphans(left, folder)
        if row.state != "stopping":
            row.state = "stopping"
            records.save(session, row)
        return
    with suppress(OSError):
        _orphan_mark(folder).unlink(missing_ok=True)
    try:
        outcome = read_json(folder.outcome_file)
        row.state, row.sentence = str(outcome["state"]), str(outcome["sentence"])
        row.exit_code = outcome["exit_code"]
    except (OSError, ValueError, TypeError, KeyError):
        row.state = "lost"
        row.sentence = LOST if folder.checkpoints() else LOST_WITHOUT_CHECKPOINT
    row.ended_at, row.pid, row.pid_started = now(), None, None
    records.save(session, row)


def _orphan_mark(folder: JobFolder) -> Path:
    return folder.root / "orphaned"


def _end_orphans(left: list[Process], folder: JobFolder) -> None:
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


def _start(settings: Settings, session: Session, row: JobRow) -> None:
    folder = folder_of(settings, row)
    for file in (folder.outcome_file, folder.stop_file, folder.status_file):
        with suppress(OSError):
            file.unlink(missing_ok=True)
    try:
        process = _spawn(settings, row.id, folder)
    except OSError as error:
        row.state, row.ended_at = "failed", now()
        row.sentence = f"It could not be started ({error.strerror}): free some space or memory, and retry it."
        records.save(session, row)
        return
    started = process_of(process.pid)
    _started.append(process)
    row.state, row.started_at, row.ended_at = "running", now(), None
    row.pid, row.pid_started = process.pid, started.started if started else None
    row.exit_code, row.sentence, row.runs = None, "", row.runs + 1
    try:
        records.save(session, row)
    except BaseException:
        process.kill()  # it waits for its row before it does anything
        raise
    log.info("job %s starts on %s", row.id, row.device)


def _spawn(settings: Settings, job_id: str, folder: JobFolder) -> subprocess.Popen[bytes]:
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
        return subprocess.Popen(
            [sys.executable, "-m", "studio.training.supervisor", str(folder.root)],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def request_stop(folder: JobFolder, *, immediately: bool) -> None:
    """Ask the supervisor to stop its job. Raises StudioError where that cannot be written down."""
    from studio.files import atomic_write_bytes

    try:
        atomic_write_bytes(folder.stop_file, b"now" if immediately else b"save")
    except StudioError as error:
        raise StudioError(f"The job could not be told to stop: {error}") from error

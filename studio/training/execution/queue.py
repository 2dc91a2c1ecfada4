"""The queue: one job for each device at a time, in order; moved on by whoever looks, and by each job that ends.

All of it happens under the store's write lock, so that two programs that look at once start a job once. Nothing here
waits for anything.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from sqlmodel import Session

from studio.files import read_json
from studio.processes import process_of, with_variable
from studio.settings import Settings
from studio.store import jobs as records
from studio.store.store import Store
from studio.store.tables import JobRow, now
from studio.training.execution import local
from studio.training.execution.local import JOB_VARIABLE, is_abandoned
from studio.training.folder import JobFolder
from studio.training.job import PRESENT, WAITING

log = logging.getLogger(__name__)


LOST = (
    "Its supervisor disappeared, perhaps because the machine was restarted or ran out of memory: resume it to go on from its "
    "last checkpoint."
)
LOST_WITHOUT_CHECKPOINT = (
    "Its supervisor disappeared before a checkpoint was saved, perhaps because the machine was restarted or ran out of "
    "memory: retry it."
)


def tidy(settings: Settings, store: Store) -> None:
    """Settle jobs whose supervisor is gone, and start what can start. Cheap where there is nothing to do.

    Raises:
        StudioError: the store cannot be written, or a job cannot be started.
    """
    if not settings.store_file.exists():
        return
    local.reap()
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


def _settle(session: Session, row: JobRow, folder: JobFolder) -> None:
    """Say what became of a job without a supervisor; until what is left of it has ended, nothing."""
    left = with_variable(JOB_VARIABLE, row.id)
    if left:
        local.end_orphans(left, folder)
        if row.state != "stopping":
            row.state = "stopping"
            records.save(session, row)
        return
    local.forget_orphans(folder)
    try:
        outcome = read_json(folder.outcome_file)
        row.state, row.sentence = str(outcome["state"]), str(outcome["sentence"])
        row.exit_code = outcome["exit_code"]
    except (OSError, ValueError, TypeError, KeyError):
        row.state = "lost"
        row.sentence = LOST if folder.checkpoints() else LOST_WITHOUT_CHECKPOINT
    row.ended_at, row.pid, row.pid_started = now(), None, None
    records.save(session, row)


def _start(settings: Settings, session: Session, row: JobRow) -> None:
    folder = folder_of(settings, row)
    for file in (folder.outcome_file, folder.stop_file, folder.status_file):
        with suppress(OSError):
            file.unlink(missing_ok=True)
    try:
        process = local.spawn(settings, row.id, folder)
    except OSError as error:
        row.state, row.ended_at = "failed", now()
        row.sentence = f"It could not be started ({error.strerror}): free some space or memory, and retry it."
        records.save(session, row)
        return
    started = process_of(process.pid)
    row.state, row.started_at, row.ended_at = "running", now(), None
    row.pid, row.pid_started = process.pid, started.started if started else None
    row.exit_code, row.sentence, row.runs = None, "", row.runs + 1
    try:
        records.save(session, row)
    except BaseException:
        process.kill()  # it waits for its row before it does anything
        raise
    log.info("job %s starts on %s", row.id, row.device)

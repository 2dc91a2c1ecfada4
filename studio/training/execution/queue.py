"""The queue: one job for each device at a time, in order; moved on by whoever looks, and by each job that ends.

All of it happens under the store's write lock, so that two programs that look at once start a job once. Nothing here
waits for anything.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from sqlmodel import Session

from studio.files import read_json
from studio.processes import process_of, reap_detached, with_variable
from studio.settings import Settings
from studio.store import jobs as queries
from studio.store.store import Store
from studio.store.tables import JobRecord, now
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
    reap_detached()
    with store.reading() as session:
        present = queries.in_states(session, PRESENT)
        waiting = queries.in_states(session, WAITING)
        busy = {record.device for record in present}
    if not any(is_abandoned(record) for record in present) and not any(record.device not in busy for record in waiting):
        return
    with store.writing() as session:
        for record in queries.in_states(session, PRESENT):
            if is_abandoned(record):
                _settle(session, record, folder_of(settings, record))
        advance(settings, session)


def advance(settings: Settings, session: Session) -> None:
    """Start the next job on every device that is free, within a transaction of the caller's."""
    busy = {record.device for record in queries.in_states(session, PRESENT)}
    for record in queries.in_states(session, WAITING):
        if record.device not in busy:
            busy.add(record.device)
            _start(settings, session, record)


def folder_of(settings: Settings, record: JobRecord) -> JobFolder:
    """The folder of a job."""
    return JobFolder(settings.jobs_folder / record.id)


def _settle(session: Session, record: JobRecord, folder: JobFolder) -> None:
    """Say what became of a job without a supervisor; until what is left of it has ended, nothing."""
    left = with_variable(JOB_VARIABLE, record.id)
    if left:
        local.end_orphans(left, folder)
        if record.state != "stopping":
            record.state = "stopping"
            queries.save(session, record)
        return
    local.forget_orphans(folder)
    try:
        outcome = read_json(folder.outcome_file)
        record.state, record.sentence = str(outcome["state"]), str(outcome["sentence"])
        record.exit_code = outcome["exit_code"]
    except (OSError, ValueError, TypeError, KeyError):
        record.state = "lost"
        record.sentence = LOST if folder.checkpoints() else LOST_WITHOUT_CHECKPOINT
    record.ended_at, record.pid, record.pid_started = now(), None, None
    queries.save(session, record)


def _start(settings: Settings, session: Session, record: JobRecord) -> None:
    folder = folder_of(settings, record)
    for file in (folder.outcome_file, folder.stop_file, folder.status_file):
        with suppress(OSError):
            file.unlink(missing_ok=True)
    try:
        process = local.spawn(settings, record.id, folder)
    except OSError as error:
        record.state, record.ended_at = "failed", now()
        record.sentence = f"It could not be started ({error.strerror}): free some space or memory, and retry it."
        queries.save(session, record)
        return
    started = process_of(process.pid)
    record.state, record.started_at, record.ended_at = "running", now(), None
    record.pid, record.pid_started = process.pid, started.started if started else None
    record.exit_code, record.sentence, record.runs = None, "", record.runs + 1
    try:
        queries.save(session, record)
    except BaseException:
        process.kill()  # it waits for its record before it does anything
        raise
    log.info("job %s starts on %s", record.id, record.device)

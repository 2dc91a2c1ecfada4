"""The processes that make takes: one comparison at a time, the others in a queue that is moved on by whoever looks.

All of it happens under the store's write lock, so that two programs that look at once start a comparison once.
"""

from __future__ import annotations

import logging

from sqlmodel import Session

from studio.evaluation.comparison.comparison import PRESENT, WAITING
from studio.processes import is_gone, process_of, reap_detached, start_detached
from studio.settings import Settings
from studio.store import comparisons as queries
from studio.store.comparison_tables import ComparisonRecord
from studio.store.store import Store
from studio.store.tables import now

log = logging.getLogger(__name__)

LOST = (
    "The process that made its takes disappeared, perhaps because the machine was restarted or ran out of memory: resume it "
    "to make the rest."
)
_MODULE = "studio.evaluation.comparison.worker"


def tidy(settings: Settings, store: Store) -> None:
    """Settle comparisons whose process is gone, and start the next. Cheap where there is nothing to do.

    Raises:
        StudioError: the store cannot be written.
    """
    if not settings.store_file.exists():
        return
    reap_detached()
    with store.reading() as session:
        present, waiting = queries.in_states(session, PRESENT), queries.in_states(session, WAITING)
    lost = any(is_gone(record.pid, record.pid_started) for record in present)
    if not lost and (present or not waiting):
        return
    with store.writing() as session:
        for record in queries.in_states(session, PRESENT):
            if is_gone(record.pid, record.pid_started):
                settle(session, record, "stopped" if record.state == "stopping" else "lost", LOST)
        advance(settings, session)


def advance(settings: Settings, session: Session) -> None:
    """Start the next comparison where none is being made, within a transaction of the caller's."""
    if queries.in_states(session, PRESENT):
        return
    for record in queries.in_states(session, WAITING):
        if _start(settings, session, record):
            return


def settle(session: Session, record: ComparisonRecord, state: str, sentence: str) -> None:
    """Write down how one ended."""
    record.state, record.sentence, record.ended_at, record.pid, record.pid_started = state, sentence, now(), None, None
    queries.save(session, record)


def begin(session: Session, record: ComparisonRecord, pid: int) -> None:
    """Write down that a process makes its takes."""
    process = process_of(pid)
    record.state, record.sentence, record.started_at, record.ended_at = "running", "", now(), None
    record.pid, record.pid_started = pid, process.started if process else None
    queries.save(session, record)


def _start(settings: Settings, session: Session, record: ComparisonRecord) -> bool:
    folder = settings.comparisons_folder / record.id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        process = start_detached(_MODULE, record.id, home=settings.home, log=folder / "worker.log")
    except OSError as error:
        settle(
            session,
            record,
            "failed",
            f"It could not be started ({error.strerror}): free some space or memory, and resume it.",
        )
        return False
    try:
        begin(session, record, process.pid)
    except BaseException:
        process.kill()  # it waits for its record before it does anything
        raise
    log.info("comparison %s starts", record.id)
    return True

"""What is asked of the table of training runs."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, col, select

from studio.store.tables import JobRow


def jobs(session: Session, owner: str) -> list[JobRow]:
    """All runs of an owner, the newest first."""
    query = select(JobRow).where(JobRow.owner == owner)
    return list(session.exec(query.order_by(col(JobRow.created_at).desc(), col(JobRow.id))))


def job_by_id(session: Session, job_id: str, owner: str | None = None) -> JobRow | None:
    """The run, if it is the owner's; None asks for anybody's."""
    row = session.get(JobRow, job_id)
    return row if row is not None and owner in (None, row.owner) else None


def in_states(session: Session, states: Iterable[str], device: str | None = None) -> list[JobRow]:
    """Runs of everybody in one of these states, on one device or all, in the order of the queue."""
    query = select(JobRow).where(col(JobRow.state).in_(list(states)))
    if device is not None:
        query = query.where(JobRow.device == device)
    return list(session.exec(query.order_by(col(JobRow.queued_at), col(JobRow.created_at), col(JobRow.id))))


def known(session: Session, job_ids: Iterable[str]) -> set[str]:
    """Those of these ids that are runs, of whatever owner."""
    return set(session.exec(select(JobRow.id).where(col(JobRow.id).in_(list(job_ids)))))


def save(session: Session, row: JobRow) -> None:
    """Insert or change a row."""
    session.add(row)
    session.flush()


def delete(session: Session, row: JobRow) -> None:
    """Delete a row, and its adapters with it."""
    session.delete(row)
    session.flush()

"""What is asked of the table of training runs."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, col, select

from studio.store.tables import JobRecord


def jobs(session: Session, owner: str) -> list[JobRecord]:
    """All runs of an owner, the newest first."""
    query = select(JobRecord).where(JobRecord.owner == owner)
    return list(session.exec(query.order_by(col(JobRecord.created_at).desc(), col(JobRecord.id))))


def job_by_id(session: Session, job_id: str, owner: str | None = None) -> JobRecord | None:
    """The run, if it is the owner's; None asks for anybody's."""
    record = session.get(JobRecord, job_id)
    return record if record is not None and owner in (None, record.owner) else None


def in_states(session: Session, states: Iterable[str], device: str | None = None) -> list[JobRecord]:
    """Runs of everybody in one of these states, on one device or all, in the order of the queue."""
    query = select(JobRecord).where(col(JobRecord.state).in_(list(states)))
    if device is not None:
        query = query.where(JobRecord.device == device)
    return list(session.exec(query.order_by(col(JobRecord.queued_at), col(JobRecord.created_at), col(JobRecord.id))))


def known(session: Session, job_ids: Iterable[str]) -> set[str]:
    """Those of these ids that are runs, of whatever owner."""
    return set(session.exec(select(JobRecord.id).where(col(JobRecord.id).in_(list(job_ids)))))


def save(session: Session, record: JobRecord) -> None:
    """Insert or change a record."""
    session.add(record)
    session.flush()


def delete(session: Session, record: JobRecord) -> None:
    """Delete a record, and its adapters with it."""
    session.delete(record)
    session.flush()

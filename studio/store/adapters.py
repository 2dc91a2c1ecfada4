"""What is asked of the table of adapters."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from studio.store.tables import AdapterRecord


def adapters(session: Session, owner: str) -> list[AdapterRecord]:
    """All adapters of an owner: those of the newest run first, and of a run the last step first."""
    records = list(session.exec(select(AdapterRecord).where(AdapterRecord.owner == owner)))
    newest = {
        record.job_id: max(each.created_at for each in records if each.job_id == record.job_id) for record in records
    }
    return sorted(records, key=lambda record: (newest[record.job_id], record.job_id, record.step), reverse=True)


def adapter_by_id(session: Session, owner: str, adapter_id: str) -> AdapterRecord | None:
    """The adapter, if it is the owner's."""
    return session.exec(
        select(AdapterRecord).where(AdapterRecord.owner == owner, AdapterRecord.id == adapter_id)
    ).first()


def of_job(session: Session, job_id: str) -> list[AdapterRecord]:
    """The adapters of a run, the first step first."""
    return list(
        session.exec(select(AdapterRecord).where(AdapterRecord.job_id == job_id).order_by(col(AdapterRecord.step)))
    )


def mark_withdrawn(session: Session, owner: str, voice_id: str, when: datetime) -> None:
    """Write into the cards of adapters that learnt from a voice that its consent is withdrawn: its own record goes."""
    for record in adapters(session, owner):
        consent = record.card.get("consent") or ()
        if any(each.get("voice_id") == voice_id for each in consent):
            marked = [
                {**each, "withdrawn_at": when.isoformat()} if each.get("voice_id") == voice_id else each
                for each in consent
            ]
            record.card = {**record.card, "consent": marked}
            session.add(record)
    session.flush()


def save(session: Session, record: AdapterRecord) -> None:
    """Insert a record, or change that of the same run and step."""
    present = session.exec(
        select(AdapterRecord).where(AdapterRecord.job_id == record.job_id, AdapterRecord.step == record.step)
    ).first()
    if present is not None and present.id != record.id:
        present.name, present.folder, present.card = record.name, record.folder, record.card
        record = present
    session.add(record)
    session.flush()

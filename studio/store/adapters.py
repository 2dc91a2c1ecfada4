"""What is asked of the table of adapters."""

from __future__ import annotations

from sqlmodel import Session, col, select

from studio.store.tables import AdapterRow


def adapters(session: Session, owner: str) -> list[AdapterRow]:
    """All adapters of an owner: those of the newest run first, and of a run the last step first."""
    query = select(AdapterRow).where(AdapterRow.owner == owner)
    rows = list(session.exec(query))
    newest = {row.job_id: max(each.created_at for each in rows if each.job_id == row.job_id) for row in rows}
    return sorted(rows, key=lambda row: (newest[row.job_id], row.job_id, row.step), reverse=True)


def adapter_by_id(session: Session, owner: str, adapter_id: str) -> AdapterRow | None:
    """The adapter, if it is the owner's."""
    return session.exec(select(AdapterRow).where(AdapterRow.owner == owner, AdapterRow.id == adapter_id)).first()


def of_job(session: Session, job_id: str) -> list[AdapterRow]:
    """The adapters of a run, the first step first."""
    return list(session.exec(select(AdapterRow).where(AdapterRow.job_id == job_id).order_by(col(AdapterRow.step))))


def save(session: Session, row: AdapterRow) -> None:
    """Insert a row, or change that of the same run and step."""
    present = session.exec(
        select(AdapterRow).where(AdapterRow.job_id == row.job_id, AdapterRow.step == row.step)
    ).first()
    if present is not None and present.id != row.id:
        present.name, present.folder, present.card = row.name, row.folder, row.card
        row = present
    session.add(row)
    session.flush()

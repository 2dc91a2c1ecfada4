"""What is asked of the table of takes."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, func, select

from studio.store.tables import TakeRow


def takes(
    session: Session, owner: str, *, search: str = "", starred: bool = False, limit: int | None = None, offset: int = 0
) -> list[TakeRow]:
    """Takes of a library, the newest first; ``search`` is looked for in the text, whatever its capitals."""
    query = select(TakeRow).where(TakeRow.owner == owner)
    if starred:
        query = query.where(col(TakeRow.starred).is_(True))
    if search:
        query = query.where(col(TakeRow.text).icontains(search, autoescape=True))
    query = query.order_by(col(TakeRow.created_at).desc(), col(TakeRow.id)).offset(offset)
    return list(session.exec(query.limit(limit) if limit is not None else query))


def count(session: Session, owner: str) -> int:
    """How many takes a library has."""
    return session.exec(select(func.count()).select_from(TakeRow).where(TakeRow.owner == owner)).one()


def take_by_id(session: Session, owner: str, take_id: str) -> TakeRow | None:
    """The take, if it is in this library."""
    return session.exec(select(TakeRow).where(TakeRow.owner == owner, TakeRow.id == take_id)).first()


def save(session: Session, row: TakeRow) -> None:
    """Insert or change a row."""
    session.add(row)
    session.flush()


def delete(session: Session, row: TakeRow) -> None:
    """Delete a row."""
    session.delete(row)
    session.flush()


def mark_withdrawn(session: Session, owner: str, voice_id: str, when: datetime | None) -> int:
    """Mark every take in which a voice speaks (None takes the mark away); returns how many there are."""
    spoken = [row for row in takes(session, owner) if any(voice.get("id") == voice_id for voice in row.voices)]
    for row in spoken:
        row.consent_withdrawn_at = when
        session.add(row)
    session.flush()
    return len(spoken)

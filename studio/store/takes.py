"""What is asked of the table of takes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, func, select

from studio.store.adapters import adapters
from studio.store.tables import AdapterRecord, TakeRecord

_AT_ONCE = 500
"""SQLite takes no more than some thousands of values in one question."""


def takes(
    session: Session, owner: str, *, search: str = "", starred: bool = False, limit: int | None = None, offset: int = 0
) -> list[TakeRecord]:
    """Takes of a library, the newest first; ``search`` is looked for in text and names of voices, whatever its capitals."""
    query = select(TakeRecord).where(TakeRecord.owner == owner)
    if starred:
        query = query.where(col(TakeRecord.starred).is_(True))
    if search.strip():
        found = matching(session, owner, search, starred=starred)[offset : None if limit is None else offset + limit]
        records = {record.id: record for record in by_ids(session, owner, found)}
        return [records[take_id] for take_id in found]
    query = query.order_by(col(TakeRecord.created_at).desc(), col(TakeRecord.id)).offset(offset)
    return list(session.exec(query.limit(limit) if limit is not None else query))


def matching(session: Session, owner: str, search: str, *, starred: bool = False) -> list[str]:
    """Ids of the takes that have ``search``, the newest first."""
    query = select(TakeRecord.id, TakeRecord.text, TakeRecord.voices).where(TakeRecord.owner == owner)
    if starred:
        query = query.where(col(TakeRecord.starred).is_(True))
    query = query.order_by(col(TakeRecord.created_at).desc(), col(TakeRecord.id))
    wanted = _folded(search)
    # Compared here: SQLite knows capitals of ASCII only.
    return [
        take_id
        for take_id, text, voices in session.exec(query)
        if wanted in _folded(text) or any(wanted in _folded(str(voice.get("name", ""))) for voice in voices)
    ]


def by_ids(session: Session, owner: str, take_ids: Iterable[str]) -> list[TakeRecord]:
    """Those of these takes that are in this library, in no order."""
    ids, found = list(take_ids), []
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        found += session.exec(select(TakeRecord).where(TakeRecord.owner == owner, col(TakeRecord.id).in_(part)))
    return found


def count(session: Session, owner: str, *, starred: bool = False) -> int:
    """How many takes a library has."""
    query = select(func.count()).select_from(TakeRecord).where(TakeRecord.owner == owner)
    return session.exec(query.where(col(TakeRecord.starred).is_(True)) if starred else query).one()


def take_by_id(session: Session, owner: str, take_id: str) -> TakeRecord | None:
    """The take, if it is in this library."""
    return session.exec(select(TakeRecord).where(TakeRecord.owner == owner, TakeRecord.id == take_id)).first()


def older_than(session: Session, owner: str, when: datetime | None, *, starred: bool) -> list[TakeRecord]:
    """Takes of a library made before then (None: all); those with a star only where ``starred``."""
    query = select(TakeRecord).where(TakeRecord.owner == owner)
    if when is not None:
        query = query.where(col(TakeRecord.created_at) < when)
    return list(session.exec(query if starred else query.where(col(TakeRecord.starred).is_(False))))


def known(session: Session, take_ids: Iterable[str]) -> set[str]:
    """Those of these ids that are takes, of whatever library."""
    ids, found = list(take_ids), set[str]()
    for start in range(0, len(ids), _AT_ONCE):
        found |= set(session.exec(select(TakeRecord.id).where(col(TakeRecord.id).in_(ids[start : start + _AT_ONCE]))))
    return found


def save(session: Session, record: TakeRecord) -> None:
    """Insert or change a record."""
    session.add(record)
    session.flush()


def delete(session: Session, record: TakeRecord) -> None:
    """Delete a record."""
    session.delete(record)
    session.flush()


def mark_withdrawn(session: Session, owner: str, voice_id: str, when: datetime) -> int:
    """Mark every take in which a voice speaks, or an adapter that was trained on it; returns how many there are."""
    trained = {record.id for record in adapters(session, owner) if _is_trained_on(record, voice_id)}
    spoken = [
        record
        for record in takes(session, owner)
        if any(voice.get("id") == voice_id for voice in record.voices) or record.settings.get("adapter") in trained
    ]
    for record in spoken:
        record.consent_withdrawn_at = when
        session.add(record)
    session.flush()
    return len(spoken)


def _is_trained_on(record: AdapterRecord, voice_id: str) -> bool:
    return any(consent.get("voice_id") == voice_id for consent in record.card.get("consent") or ())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", " ".join(text.split())).casefold()


def any_with(session: Session, owner: str, voice_ids: set[str]) -> bool:
    """Whether one of these voices speaks in a take of the library."""
    spoken = session.exec(select(TakeRecord.voices).where(TakeRecord.owner == owner))
    return any(voice.get("id") in voice_ids for voices in spoken for voice in voices)

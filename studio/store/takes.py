"""What is asked of the table of takes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, func, select

from studio.store.adapters import adapters
from studio.store.tables import AdapterRow, TakeRow

_AT_ONCE = 500
"""SQLite takes no more than some thousands of values in one question."""


def takes(
    session: Session, owner: str, *, search: str = "", starred: bool = False, limit: int | None = None, offset: int = 0
) -> list[TakeRow]:
    """Takes of a library, the newest first; ``search`` is looked for in text and names of voices, whatever its capitals."""
    query = select(TakeRow).where(TakeRow.owner == owner)
    if starred:
        query = query.where(col(TakeRow.starred).is_(True))
    if search.strip():
        found = matching(session, owner, search, starred=starred)[offset : None if limit is None else offset + limit]
        rows = {row.id: row for row in by_ids(session, owner, found)}
        return [rows[take_id] for take_id in found]
    query = query.order_by(col(TakeRow.created_at).desc(), col(TakeRow.id)).offset(offset)
    return list(session.exec(query.limit(limit) if limit is not None else query))


def matching(session: Session, owner: str, search: str, *, starred: bool = False) -> list[str]:
    """Ids of the takes that have ``search``, the newest first."""
    query = select(TakeRow.id, TakeRow.text, TakeRow.voices).where(TakeRow.owner == owner)
    if starred:
        query = query.where(col(TakeRow.starred).is_(True))
    query = query.order_by(col(TakeRow.created_at).desc(), col(TakeRow.id))
    wanted = _folded(search)
    # Compared here: SQLite knows capitals of ASCII only.
    return [
        take_id
        for take_id, text, voices in session.exec(query)
        if wanted in _folded(text) or any(wanted in _folded(str(voice.get("name", ""))) for voice in voices)
    ]


def by_ids(session: Session, owner: str, take_ids: Iterable[str]) -> list[TakeRow]:
    """Those of these takes that are in this library, in no order."""
    ids, found = list(take_ids), []
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        found += session.exec(select(TakeRow).where(TakeRow.owner == owner, col(TakeRow.id).in_(part)))
    return found


def count(session: Session, owner: str, *, starred: bool = False) -> int:
    """How many takes a library has."""
    query = select(func.count()).select_from(TakeRow).where(TakeRow.owner == owner)
    return session.exec(query.where(col(TakeRow.starred).is_(True)) if starred else query).one()


def take_by_id(session: Session, owner: str, take_id: str) -> TakeRow | None:
    """The take, if it is in this library."""
    return session.exec(select(TakeRow).where(TakeRow.owner == owner, TakeRow.id == take_id)).first()


def older_than(session: Session, owner: str, when: datetime | None, *, starred: bool) -> list[TakeRow]:
    """Takes of a library made before then (None: all); those with a star only where ``starred``."""
    query = select(TakeRow).where(TakeRow.owner == owner)
    if when is not None:
        query = query.where(col(TakeRow.created_at) < when)
    return list(session.exec(query if starred else query.where(col(TakeRow.starred).is_(False))))


def known(session: Session, take_ids: Iterable[str]) -> set[str]:
    """Those of these ids that are takes, of whatever library."""
    ids, found = list(take_ids), set[str]()
    for start in range(0, len(ids), _AT_ONCE):
        found |= set(session.exec(select(TakeRow.id).where(col(TakeRow.id).in_(ids[start : start + _AT_ONCE]))))
    return found


def save(session: Session, row: TakeRow) -> None:
    """Insert or change a row."""
    session.add(row)
    session.flush()


def delete(session: Session, row: TakeRow) -> None:
    """Delete a row."""
    session.delete(row)
    session.flush()


def mark_withdrawn(session: Session, owner: str, voice_id: str, when: datetime) -> int:
    """Mark every take in which a voice speaks, or an adapter that was trained on it; returns how many there are."""
    trained = {row.id for row in adapters(session, owner) if _is_trained_on(row, voice_id)}
    spoken = [
        row
        for row in takes(session, owner)
        if any(voice.get("id") == voice_id for voice in row.voices) or row.settings.get("adapter") in trained
    ]
    for row in spoken:
        row.consent_withdrawn_at = when
        session.add(row)
    session.flush()
    return len(spoken)


def _is_trained_on(row: AdapterRow, voice_id: str) -> bool:
    return any(consent.get("voice_id") == voice_id for consent in row.card.get("consent") or ())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", " ".join(text.split())).casefold()


def any_with(session: Session, owner: str, voice_ids: set[str]) -> bool:
    """Whether one of these voices speaks in a take of the library."""
    spoken = session.exec(select(TakeRow.voices).where(TakeRow.owner == owner))
    return any(voice.get("id") in voice_ids for voices in spoken for voice in voices)

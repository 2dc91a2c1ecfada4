"""What is asked of the tables of sets: datasets, their speakers, recordings, utterances and edits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from sqlmodel import Session, SQLModel, col, func, or_, select

from studio.store.tables import DatasetRecord, EditRecord, RecordingRecord, SpeakerRecord, UtteranceRecord

_AT_ONCE = 500
"""SQLite takes no more than some thousands of values in one question."""
Order = Literal["position", "suspicion"]


def datasets(session: Session, owner: str) -> list[DatasetRecord]:
    """The sets of a library, the newest first."""
    query = select(DatasetRecord).where(DatasetRecord.owner == owner)
    return list(session.exec(query.order_by(col(DatasetRecord.created_at).desc(), col(DatasetRecord.id))))


def dataset_by_id(session: Session, owner: str, dataset_id: str) -> DatasetRecord | None:
    """The set, if it is in this library."""
    query = select(DatasetRecord).where(DatasetRecord.owner == owner, DatasetRecord.id == dataset_id)
    return session.exec(query).first()


def dataset_by_key(session: Session, owner: str, name_key: str) -> DatasetRecord | None:
    """The set of this name, if it is in this library."""
    query = select(DatasetRecord).where(DatasetRecord.owner == owner, DatasetRecord.name_key == name_key)
    return session.exec(query).first()


def states(session: Session) -> dict[str, str]:
    """The state of every set of whatever library, by its id."""
    return dict(session.exec(select(DatasetRecord.id, DatasetRecord.state)).all())


def totals(session: Session, dataset_id: str) -> list[tuple[str, str, int, float]]:
    """For each speaker and state: speaker, state, utterances, seconds."""
    query = select(
        UtteranceRecord.speaker,
        UtteranceRecord.state,
        func.count(),
        func.sum(col(UtteranceRecord.end) - col(UtteranceRecord.start)),
    )
    query = query.where(UtteranceRecord.dataset_id == dataset_id)
    return [
        (a, b, c, float(d or 0))
        for a, b, c, d in session.exec(query.group_by(UtteranceRecord.speaker, UtteranceRecord.state))
    ]


def synthetic_totals(session: Session, dataset_id: str) -> list[tuple[str, tuple[str, ...], int, float]]:
    """Of kept utterances that a model made: speaker, voices whose consent they need, how many, seconds."""
    length = func.sum(col(UtteranceRecord.end) - col(UtteranceRecord.start))
    query = select(UtteranceRecord.speaker, RecordingRecord.voices, func.count(), length)
    query = query.join(RecordingRecord, col(RecordingRecord.id) == col(UtteranceRecord.recording_id))
    query = query.where(
        UtteranceRecord.dataset_id == dataset_id,
        UtteranceRecord.state == "kept",
        col(RecordingRecord.synthetic).is_(True),
    )
    query = query.group_by(col(UtteranceRecord.speaker), col(RecordingRecord.voices))
    return [(a, tuple(b), c, float(d or 0)) for a, b, c, d in session.exec(query)]


def figures(session: Session, dataset_id: str) -> list[tuple[float, float | None, float | None, bool]]:
    """Of each kept utterance: seconds, characters a second, signal to noise in dB, and whether it was measured.

    Taken out of the figures here: a list of 20,000 voices is large.
    """
    kept = col(UtteranceRecord.measures)
    query = select(
        col(UtteranceRecord.end) - col(UtteranceRecord.start),
        func.json_extract(kept, "$.characters_per_second"),
        func.json_extract(kept, "$.snr_db"),
        func.json_type(kept, "$.speech_seconds"),
    ).where(UtteranceRecord.dataset_id == dataset_id, UtteranceRecord.state == "kept")
    return [(a, b, c, d is not None) for a, b, c, d in session.exec(query)]


def languages(session: Session, dataset_id: str) -> list[str]:
    """Languages that utterances say of themselves."""
    query = select(UtteranceRecord.language).where(UtteranceRecord.dataset_id == dataset_id).distinct()
    return sorted(found for found in session.exec(query) if found)


def speakers(session: Session, dataset_id: str) -> list[SpeakerRecord]:
    """Who speaks in a set, by name."""
    query = select(SpeakerRecord).where(SpeakerRecord.dataset_id == dataset_id)
    return list(session.exec(query.order_by(SpeakerRecord.name)))


def recordings(session: Session, dataset_id: str) -> list[RecordingRecord]:
    """The recordings of a set."""
    return list(session.exec(select(RecordingRecord).where(RecordingRecord.dataset_id == dataset_id)))


def recording_by_hash(session: Session, dataset_id: str, sha256: str) -> RecordingRecord | None:
    """The recording of this content, if the set has it."""
    query = select(RecordingRecord).where(RecordingRecord.dataset_id == dataset_id, RecordingRecord.sha256 == sha256)
    return session.exec(query).first()


def utterances(
    session: Session, dataset_id: str, *, states: Sequence[str] = ("kept",), speaker: str = "", kind: str = "",
    search: str = "", split: str = "", synthetic: bool = False, order: Order = "position", limit: int | None = None,
    offset: int = 0,
) -> list[UtteranceRecord]:  # fmt: skip
    """Utterances of a set.

    Args:
        synthetic: only those that a model made.
        kind: of a suspicion that they must have.
        search: looked for in text and name, whatever its capitals.
    """
    query = select(UtteranceRecord).where(UtteranceRecord.dataset_id == dataset_id)
    query = query.where(col(UtteranceRecord.state).in_(states))
    if speaker:
        query = query.where(UtteranceRecord.speaker == speaker)
    if split:
        query = query.where(UtteranceRecord.split == split)
    if synthetic:
        made = select(RecordingRecord.id).where(
            RecordingRecord.dataset_id == dataset_id, col(RecordingRecord.synthetic).is_(True)
        )
        query = query.where(col(UtteranceRecord.recording_id).in_(made))
    place = (col(UtteranceRecord.position), col(UtteranceRecord.id))
    query = (
        query.order_by(*place) if order == "position" else query.order_by(col(UtteranceRecord.suspicion).desc(), *place)
    )
    if not (search or kind):
        query = query.offset(offset)
        return list(session.exec(query.limit(limit) if limit is not None else query))
    # Compared here: SQLite knows capitals of ASCII only, and a list of suspicions is JSON.
    wanted = search.casefold()
    found = [
        record
        for record in session.exec(query)
        if (not kind or any(each["kind"] == kind for each in record.suspicions))
        and (wanted in record.text.casefold() or wanted in record.name.casefold())
    ]
    return found[offset : None if limit is None else offset + limit]


def utterances_by_ids(session: Session, dataset_id: str, ids: Iterable[str]) -> dict[str, UtteranceRecord]:
    """Those of these utterances that are in this set, by id."""
    wanted, found = list(ids), dict[str, UtteranceRecord]()
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(UtteranceRecord).where(
            UtteranceRecord.dataset_id == dataset_id, col(UtteranceRecord.id).in_(wanted[start : start + _AT_ONCE])
        )
        found |= {record.id: record for record in session.exec(query)}
    return found


def present(session: Session, dataset_id: str, place: str, sha256: str) -> UtteranceRecord | None:
    """An utterance, kept or dropped, that came from there or has this sound."""
    query = select(UtteranceRecord).where(
        UtteranceRecord.dataset_id == dataset_id,
        UtteranceRecord.state != "gone",
        or_(col(UtteranceRecord.place) == place, col(UtteranceRecord.sha256) == sha256),
    )
    return session.exec(query).first()


def places(session: Session, dataset_id: str) -> set[str]:
    """Where in its source every utterance of a set came from."""
    return set(session.exec(select(UtteranceRecord.place).where(UtteranceRecord.dataset_id == dataset_id)))


def last_position(session: Session, dataset_id: str) -> float:
    """Of the last utterance; 0 where there is none."""
    query = select(func.max(UtteranceRecord.position)).where(UtteranceRecord.dataset_id == dataset_id)
    return float(session.exec(query).one() or 0)


def following(session: Session, record: UtteranceRecord) -> UtteranceRecord | None:
    """The kept utterance after this one."""
    query = select(UtteranceRecord).where(
        UtteranceRecord.dataset_id == record.dataset_id,
        UtteranceRecord.state == "kept",
        UtteranceRecord.position > record.position,
    )
    return session.exec(query.order_by(col(UtteranceRecord.position)).limit(1)).first()


def last_edit(session: Session, dataset_id: str) -> EditRecord | None:
    """The last edit that was not undone."""
    query = select(EditRecord).where(EditRecord.dataset_id == dataset_id, col(EditRecord.undone_at).is_(None))
    return session.exec(query.order_by(col(EditRecord.id).desc()).limit(1)).first()


def save(session: Session, *records: SQLModel) -> None:
    """Insert or change records."""
    session.add_all(records)
    session.flush()


def delete(session: Session, record: Any) -> None:
    """Delete a record, and with a set all that belongs to it."""
    session.delete(record)
    session.flush()

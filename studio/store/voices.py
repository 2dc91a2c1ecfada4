"""What is asked of the tables of voices."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from studio.store.tables import ClipRecord, SpeakerRecord, VoiceRecord


def every_voice(session: Session, owner: str) -> list[VoiceRecord]:
    """All voices of a library with their clips, the newest first."""
    found = session.exec(
        select(VoiceRecord).where(VoiceRecord.owner == owner).order_by(col(VoiceRecord.created_at).desc())
    )
    return list(found)


def voice_by_id(session: Session, owner: str, voice_id: str) -> VoiceRecord | None:
    """The voice, if it is in this library."""
    return session.exec(select(VoiceRecord).where(VoiceRecord.owner == owner, VoiceRecord.id == voice_id)).first()


def voice_by_name(session: Session, owner: str, name_key: str) -> VoiceRecord | None:
    """The voice of this name (as compared), if it is in this library."""
    return session.exec(select(VoiceRecord).where(VoiceRecord.owner == owner, VoiceRecord.name_key == name_key)).first()


def save(session: Session, record: VoiceRecord | ClipRecord) -> bool:
    """Insert or change a record with what belongs to it; False where the name is taken."""
    session.add(record)
    try:
        session.flush()
    except IntegrityError as error:
        if "name_key" not in str(error.orig) and "uq_voice_owner_name" not in str(error.orig):
            raise
        session.rollback()
        return False
    return True


def delete(session: Session, record: VoiceRecord | ClipRecord) -> None:
    """Delete a record with what belongs to it."""
    session.delete(record)
    session.flush()


def withdrawn(session: Session, voice_ids: Iterable[str]) -> dict[str, datetime | None]:
    """For each of these voices that exists: when its consent was withdrawn, or None.

    Who speaks in a set is asked for as ``<set>/<speaker>``, the name that cards have for them.
    """
    wanted = list(voice_ids)
    records = session.exec(
        select(VoiceRecord.id, VoiceRecord.consent_withdrawn_at).where(col(VoiceRecord.id).in_(wanted))
    ).all()
    found: dict[str, datetime | None] = dict(records)  # type: ignore[arg-type]
    for voice_id in wanted:
        dataset_id, of_set, name = voice_id.partition("/")
        query = select(SpeakerRecord).where(SpeakerRecord.dataset_id == dataset_id, SpeakerRecord.name == name)
        if of_set and (speaker := session.exec(query).first()) is not None and speaker.consent_ground:
            found[voice_id] = speaker.consent_withdrawn_at
    return found


def clip_files(session: Session, voice_id: str) -> set[str] | None:
    """Names of the files that a voice has; None where there is no such voice, whoever's."""
    record = session.get(VoiceRecord, voice_id)
    return None if record is None else {clip.file for clip in record.clips}

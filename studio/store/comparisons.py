"""What is asked of the tables of comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel, col, func, or_, select

from studio.store.comparison_tables import (
    ComparedTakeRecord,
    ComparisonRecord,
    ListenerRecord,
    SystemRecord,
    TrialRecord,
    VoteRecord,
)


def comparisons(session: Session, owner: str) -> list[ComparisonRecord]:
    """All of an owner, the newest first."""
    query = select(ComparisonRecord).where(ComparisonRecord.owner == owner)
    return list(session.exec(query.order_by(col(ComparisonRecord.created_at).desc(), col(ComparisonRecord.id))))


def comparison_by_id(session: Session, comparison_id: str, owner: str | None = None) -> ComparisonRecord | None:
    """The comparison, if it is the owner's; None asks for anybody's."""
    record = session.get(ComparisonRecord, comparison_id)
    return record if record is not None and owner in (None, record.owner) else None


def comparison_by_link(session: Session, link: str) -> ComparisonRecord | None:
    """The one that a link leads to."""
    return session.exec(select(ComparisonRecord).where(ComparisonRecord.link == link)).first() if link else None


def in_states(session: Session, states: Iterable[str]) -> list[ComparisonRecord]:
    """Comparisons of everybody in one of these states, in the order of the queue."""
    query = select(ComparisonRecord).where(col(ComparisonRecord.state).in_(list(states)))
    return list(session.exec(query.order_by(col(ComparisonRecord.queued_at), col(ComparisonRecord.id))))


def state_of(session: Session, comparison_id: str) -> str:
    """Its state now; "" where it is gone."""
    query = select(ComparisonRecord.state).where(ComparisonRecord.id == comparison_id)
    return session.exec(query).first() or ""


def known(session: Session, comparison_ids: Iterable[str]) -> set[str]:
    """Those of these ids that are comparisons, of whatever owner."""
    return set(session.exec(select(ComparisonRecord.id).where(col(ComparisonRecord.id).in_(list(comparison_ids)))))


def systems(session: Session, comparison_id: str) -> list[SystemRecord]:
    """The systems of a comparison in their order."""
    query = select(SystemRecord).where(SystemRecord.comparison_id == comparison_id)
    return list(session.exec(query.order_by(col(SystemRecord.position))))


def takes(session: Session, comparison_id: str) -> list[ComparedTakeRecord]:
    """The takes of a comparison: by text, then seed, then system."""
    query = (
        select(ComparedTakeRecord)
        .join(SystemRecord, col(SystemRecord.id) == ComparedTakeRecord.system_id)
        .where(ComparedTakeRecord.comparison_id == comparison_id)
    )
    order = (col(ComparedTakeRecord.text), col(ComparedTakeRecord.seed), col(SystemRecord.position))
    return list(session.exec(query.order_by(*order)))


def take_by_id(session: Session, take_id: str) -> ComparedTakeRecord | None:
    """One take, of whatever comparison."""
    return session.get(ComparedTakeRecord, take_id)


def count_by_state(session: Session, comparison_id: str) -> dict[str, int]:
    """How many takes are in which state."""
    query = select(ComparedTakeRecord.state, func.count()).where(ComparedTakeRecord.comparison_id == comparison_id)
    return dict(session.exec(query.group_by(ComparedTakeRecord.state)).all())


def listeners(session: Session, comparison_id: str) -> list[ListenerRecord]:
    """Whoever listens to a comparison, in the order in which they came."""
    query = select(ListenerRecord).where(ListenerRecord.comparison_id == comparison_id)
    return list(session.exec(query.order_by(col(ListenerRecord.created_at), col(ListenerRecord.id))))


def listener_by_secret(session: Session, secret: str) -> ListenerRecord | None:
    """The listener whose secret has this hash."""
    return session.exec(select(ListenerRecord).where(ListenerRecord.secret == secret)).first() if secret else None


def trials(session: Session, listener_id: str) -> list[TrialRecord]:
    """What a listener was presented with, in that order."""
    query = select(TrialRecord).where(TrialRecord.listener_id == listener_id)
    return list(session.exec(query.order_by(col(TrialRecord.position))))


def trial_with_key(session: Session, listener_id: str, key: str) -> TrialRecord | None:
    """The trial of this listener in which a sound has this name."""
    query = select(TrialRecord).where(
        TrialRecord.listener_id == listener_id, or_(col(TrialRecord.left_key) == key, col(TrialRecord.right_key) == key)
    )
    return session.exec(query).first()


def votes_of(session: Session, listener_id: str) -> dict[str, VoteRecord]:
    """The votes of a listener by their trials."""
    query = (
        select(VoteRecord)
        .join(TrialRecord, col(TrialRecord.id) == VoteRecord.trial_id)
        .where(TrialRecord.listener_id == listener_id)
    )
    return {record.trial_id: record for record in session.exec(query)}


def votes(session: Session, comparison_id: str) -> list[tuple[VoteRecord, TrialRecord]]:
    """Every vote of a comparison with its trial, in the order in which they were cast."""
    query = (
        select(VoteRecord, TrialRecord)
        .join(TrialRecord, col(TrialRecord.id) == VoteRecord.trial_id)
        .join(ListenerRecord, col(ListenerRecord.id) == TrialRecord.listener_id)
        .where(ListenerRecord.comparison_id == comparison_id)
    )
    return list(session.exec(query.order_by(col(VoteRecord.made_at), col(VoteRecord.trial_id))).all())


def cast(session: Session, vote: VoteRecord) -> bool:
    """Keep a vote; False where its trial has one already."""
    if session.get(VoteRecord, vote.trial_id) is not None:
        return False
    session.add(vote)
    try:
        session.flush()
    except IntegrityError:
        session.rollback()
        return False
    return True


def mark_withdrawn(session: Session, owner: str, voice_id: str, when: datetime) -> int:
    """Mark every take in which a voice is heard, or an adapter that was trained on it; returns how many there are."""
    found = 0
    for comparison in comparisons(session, owner):
        for take in takes(session, comparison.id):
            if any(voice.get("id") == voice_id for voice in take.voices) and take.consent_withdrawn_at is None:
                take.consent_withdrawn_at = when
                session.add(take)
                found += 1
    session.flush()
    return found


def save(session: Session, *records: SQLModel) -> None:
    """Insert or change records."""
    session.add_all(records)
    session.flush()


def delete(session: Session, record: ComparisonRecord) -> None:
    """Delete a comparison with its takes, listeners and votes."""
    session.delete(record)
    session.flush()

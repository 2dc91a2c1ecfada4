"""Takes as the store keeps them."""

from __future__ import annotations

from pathlib import Path

from studio.store.tables import TakeRow
from studio.takes.casting import TakeVoice
from studio.takes.take import Take


def to_record(take: Take) -> TakeRow:
    """A take as it is stored; where its sound lies is told by its id."""
    return TakeRow(
        id=take.id,
        owner=take.owner,
        created_at=take.created_at,
        text=take.text,
        voices=[voice.as_json() for voice in take.voices],
        checkpoint=take.checkpoint,
        adapter=take.adapter,
        settings=take.settings,
        seed=take.seed,
        seconds=take.seconds,
        sample_rate=take.sample_rate,
        elapsed=take.elapsed,
        report=take.report,
        starred=take.starred,
        consent_withdrawn_at=take.consent_withdrawn_at,
    )


def from_record(record: TakeRow, path: Path) -> Take:
    """A stored take whose sound lies at ``path``."""
    return Take(
        id=record.id,
        owner=record.owner,
        created_at=record.created_at,
        text=record.text,
        voices=tuple(TakeVoice(voice["id"], voice["name"], voice.get("speaker")) for voice in record.voices),
        checkpoint=record.checkpoint,
        adapter=record.adapter,
        settings=record.settings,
        seed=record.seed,
        seconds=record.seconds,
        sample_rate=record.sample_rate,
        elapsed=record.elapsed,
        path=path,
        report=record.report,
        starred=record.starred,
        consent_withdrawn_at=record.consent_withdrawn_at,
    )

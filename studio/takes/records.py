"""Takes as the store keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.store.tables import TakeRecord
from studio.takes.casting import TakeVoice
from studio.takes.take import Take


def to_record(take: Take) -> TakeRecord:
    """A take as it is stored; where its sound lies is told by its id."""
    return TakeRecord(voices=[voice.as_json() for voice in take.voices], **_columns(take))


def from_record(record: TakeRecord, path: Path) -> Take:
    """A stored take whose sound lies at ``path``."""
    voices = tuple(TakeVoice(voice["id"], voice["name"], voice.get("speaker")) for voice in record.voices)
    return Take(voices=voices, path=path, **_columns(record))


def _columns(given: Take | TakeRecord) -> dict[str, Any]:
    """All but the voices, which are the same in both."""
    return {name: getattr(given, name) for name in TakeRecord.model_fields if name != "voices"}

"""What was trained and can be spoken with: the adapters of one owner, and why one may not be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from studio.adapters.adapter import TrainedAdapter, is_adapter, voices_in, withdrawn_in
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import adapters as queries
from studio.store import voices as voice_queries
from studio.store.store import Store
from studio.store.tables import AdapterRecord
from studio.voices.consent import is_of_set
from studio.voices.presets import preset_voices

MIN_ID_CHARS = 6
"""Shortest beginning of an id that is taken for it."""


class AdapterLibrary:
    """The adapters of one owner.

    Args:
        owner: whose; "" is whoever runs the studio. Another owner's adapters do not exist here.
    """

    def __init__(self, settings: Settings, store: Store, owner: str = "") -> None:
        self._settings, self._store, self.owner = settings, store, owner

    def adapters(self) -> list[TrainedAdapter]:
        """All of them: those of the newest run first, and of a run the last step first."""
        with self._store.reading() as session:
            records = queries.adapters(session, self.owner)
        return self._given_out(records)

    def adapter(self, wanted: str) -> TrainedAdapter:
        """One adapter by its id, how that begins (6 characters or more), or its name.

        Raises:
            StudioError: there is none, or more than one.
        """
        with self._store.reading() as session:
            record = queries.adapter_by_id(session, self.owner, wanted)
            records = [record] if record is not None else _matching(queries.adapters(session, self.owner), wanted)
        if not records:
            raise StudioError(
                f"There is no trained voice '{_short(wanted)}', or no longer: choose another, or none for the base alone."
            )
        if len(records) > 1:
            raise StudioError(
                f"{len(records)} trained voices fit '{_short(wanted)}': give the id, or more of its characters."
            )
        return self._given_out(records)[0]

    def at(self, folder: Path) -> TrainedAdapter | None:
        """The adapter that lies in this folder; None where the folder is that of none."""
        wanted = folder.resolve()
        return next((each for each in self.adapters() if each.folder.resolve() == wanted), None)

    def usable(self, wanted: str) -> TrainedAdapter:
        """As :meth:`adapter`, for use at once. Raises StudioError also where it may not or cannot be used."""
        adapter = self.adapter(wanted)
        if adapter.trouble:
            raise StudioError(adapter.trouble)
        return adapter

    # Inside

    def _given_out(self, records: Sequence[AdapterRecord]) -> list[TrainedAdapter]:
        """Whether its voices may be used is asked of the store each time: nobody remembers a consent."""
        presets = {preset.id for preset in preset_voices()}
        asked = {voice_id for record in records for voice_id, _ in voices_in(record.card)}
        with self._store.reading() as session:
            known = voice_queries.withdrawn(session, asked) if asked else {}
        return [
            TrainedAdapter(
                id=record.id,
                owner=record.owner,
                job_id=record.job_id,
                step=record.step,
                name=record.name,
                folder=(folder := self._settings.home / record.folder),
                created_at=record.created_at,
                card=record.card,
                trouble=_consent_trouble(record, known, presets) or _file_trouble(record, folder),
            )
            for record in records
        ]


def _matching(records: Sequence[AdapterRecord], wanted: str) -> list[AdapterRecord]:
    wanted = wanted.strip()
    if named := [record for record in records if record.name == wanted]:
        return named
    return [record for record in records if len(wanted) >= MIN_ID_CHARS and record.id.startswith(wanted.lower())]


def _consent_trouble(record: AdapterRecord, known: dict[str, datetime | None], presets: set[str]) -> str | None:
    for voice_id, name in voices_in(record.card):
        if voice_id in presets:
            continue
        if voice_id not in known and not is_of_set(voice_id):
            return f"{name}, whose voice {record.name} was trained on, was deleted from the library: choose another."
        if known.get(voice_id) is not None or (voice_id not in known and voice_id in withdrawn_in(record.card)):
            return f"The consent for {name}, whose voice {record.name} was trained on, was withdrawn: choose another."
    return None


def _file_trouble(record: AdapterRecord, folder: Path) -> str | None:
    if is_adapter(folder):
        return None
    return f"The files of {record.name} are gone from the disk: put its folder back, or choose another."


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= 40 else f"{line[:39]}…"

"""What was trained and can be spoken with: the adapters of one owner, and why one may not be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from studio.adapters.adapter import TrainedAdapter, is_adapter, voices_in
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import adapters as records
from studio.store import voices as voice_records
from studio.store.store import Store
from studio.store.tables import AdapterRow
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
            rows = records.adapters(session, self.owner)
        return self._given_out(rows)

    def adapter(self, wanted: str) -> TrainedAdapter:
        """One adapter by its id, how that begins (6 characters or more), or its name.

        Raises:
            StudioError: there is none, or more than one.
        """
        with self._store.reading() as session:
            row = records.adapter_by_id(session, self.owner, wanted)
            rows = [row] if row is not None else _matching(records.adapters(session, self.owner), wanted)
        if not rows:
            raise StudioError(
                f"There is no trained voice '{_short(wanted)}', or no longer: choose another, or none for the base alone."
            )
        if len(rows) > 1:
            raise StudioError(
                f"{len(rows)} trained voices fit '{_short(wanted)}': give the id, or more of its characters."
            )
        return self._given_out(rows)[0]

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

    def _given_out(self, rows: Sequence[AdapterRow]) -> list[TrainedAdapter]:
        """Whether its voices may be used is asked of the store each time: nobody remembers a consent."""
        presets = {preset.id for preset in preset_voices()}
        asked = {voice_id for row in rows for voice_id, _ in voices_in(row.card)}
        with self._store.reading() as session:
            known = voice_records.withdrawn(session, asked) if asked else {}
        return [
            TrainedAdapter(
                id=row.id,
                owner=row.owner,
                job_id=row.job_id,
                step=row.step,
                name=row.name,
                folder=(folder := self._settings.home / row.folder),
                created_at=row.created_at,
                card=row.card,
                trouble=_consent_trouble(row, known, presets) or _file_trouble(row, folder),
            )
            for row in rows
        ]


def _matching(rows: Sequence[AdapterRow], wanted: str) -> list[AdapterRow]:
    wanted = wanted.strip()
    if named := [row for row in rows if row.name == wanted]:
        return named
    return [row for row in rows if len(wanted) >= MIN_ID_CHARS and row.id.startswith(wanted.lower())]


def _consent_trouble(row: AdapterRow, known: dict[str, datetime | None], presets: set[str]) -> str | None:
    for voice_id, name in voices_in(row.card):
        if voice_id in presets:
            continue
        if voice_id not in known:
            return f"{name}, whose voice {row.name} was trained on, was deleted from the library: choose another."
        if known[voice_id] is not None:
            return f"The consent for {name}, whose voice {row.name} was trained on, was withdrawn: choose another."
    return None


def _file_trouble(row: AdapterRow, folder: Path) -> str | None:
    if is_adapter(folder):
        return None
    return f"The files of {row.name} are gone from the disk: put its folder back, or choose another."


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= 40 else f"{line[:39]}…"

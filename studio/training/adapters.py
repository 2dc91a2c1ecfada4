"""What was trained and can be spoken with: the adapters of one owner, and why one may not be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from studio.engine.adapter_files import CONFIG_FILE, WEIGHTS_FILE
from studio.engine.checkpoint import CheckpointFiles, is_hub_id, shown_name
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import adapters as records
from studio.store import voices as voice_records
from studio.store.store import Store
from studio.store.tables import AdapterRow
from studio.training.adapter_card import card_rows, facts_line, part_of
from studio.training.spec import CONSENT_NOT_RECORDED
from studio.voices.presets import preset_voices

MIN_ID_CHARS = 6
"""Shortest beginning of an id that is taken for it."""


@dataclass(frozen=True)
class TrainedAdapter:
    """A checkpoint of a run that can be spoken with, as the library gives it out.

    Attributes:
        step: of the run.
        folder: where it lies; for the server only, never for a browser.
        card: data, command, base, metrics, samples, consent and the comparison with the base.
        trouble: why it cannot be used, in a sentence; None where it can.
    """

    id: str
    owner: str
    job_id: str
    step: int
    name: str
    folder: Path
    created_at: datetime
    card: dict[str, Any] = field(default_factory=dict)
    trouble: str | None = None

    @property
    def is_there(self) -> bool:
        """Whether its files are still on the disk."""
        return _is_adapter(self.folder)

    @property
    def base_name(self) -> str:
        """The base it was trained on, as anybody may see it."""
        return shown_name(str(part_of(self.card, "base").get("name") or "an unknown base"))

    @property
    def comparison(self) -> str:
        """What came of speaking with it beside the base, in a sentence."""
        found = part_of(self.card, "comparison")
        return str(found.get("sentence") or found.get("error") or "It was not compared with the base.")

    @property
    def warning(self) -> str | None:
        """What the comparison found wrong with it; None for nothing. It can be used all the same."""
        return None if part_of(self.card, "comparison").get("ok") is True else self.comparison

    @property
    def consent_sentence(self) -> str:
        """By what right the voices in it are used."""
        return str(self.card.get("consent_sentence") or CONSENT_NOT_RECORDED)

    @property
    def voices(self) -> list[tuple[str, str]]:
        """The library voices whose clips it was trained on: id and name. It may be used as long as all of them may."""
        return _voices(self.card)

    @property
    def facts(self) -> str:
        """What it was trained on, on one short line."""
        return facts_line(self.card)

    def card_rows(self) -> list[tuple[str, str]]:
        """The whole card for people: labels and texts. The command has its folders for whoever runs the studio alone."""
        return card_rows(
            self.card,
            base=self.base_name,
            comparison=self.comparison,
            consent=self.consent_sentence,
            whole=not self.owner,
        )

    def as_json(self) -> dict[str, Any]:
        """The adapter as one JSON object; times in UTC."""
        return {
            "id": self.id,
            "job_id": self.job_id,
            "step": self.step,
            "name": self.name,
            "folder": str(self.folder),
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "missing": not self.is_there,
            "trouble": self.trouble,
            "card": self.card,
        }


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
        asked = {voice_id for row in rows for voice_id, _ in _voices(row.card)}
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


def require_fitting(adapter: TrainedAdapter, files: CheckpointFiles) -> None:
    """Raise StudioError if the loaded checkpoint is not the base that the adapter was trained on.

    The same folder is the same base. A hub id may lie in another cache, and a folder may have been moved together with
    the studio: then its name and the size of its weights have to be the same.
    """
    base = part_of(adapter.card, "base")
    folder = str(base.get("folder") or "")
    if folder and Path(folder).resolve() == files.folder.resolve():
        return
    same_name = adapter.base_name == files.shown_name
    may_have_moved = is_hub_id(str(base.get("checkpoint") or "")) or not Path(folder).is_dir()
    if same_name and may_have_moved and base.get("bytes") == files.size_bytes:
        return
    if same_name:
        raise StudioError(
            f"{adapter.name} was trained on another {adapter.base_name} than the one that is loaded: load that one, on the "
            "System tab or with --checkpoint, or choose another trained voice."
        )
    raise StudioError(
        f"{adapter.name} was trained on {adapter.base_name}, and {files.shown_name} is loaded: load {adapter.base_name}, on "
        "the System tab or with --checkpoint, or choose another trained voice."
    )


def _matching(rows: Sequence[AdapterRow], wanted: str) -> list[AdapterRow]:
    wanted = wanted.strip()
    if named := [row for row in rows if row.name == wanted]:
        return named
    return [row for row in rows if len(wanted) >= MIN_ID_CHARS and row.id.startswith(wanted.lower())]


def _voices(card: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (str(each["voice_id"]), str(each.get("name") or "a voice"))
        for each in card.get("consent") or ()
        if isinstance(each, dict) and each.get("voice_id")
    ]


def _consent_trouble(row: AdapterRow, known: dict[str, datetime | None], presets: set[str]) -> str | None:
    for voice_id, name in _voices(row.card):
        if voice_id in presets:
            continue
        if voice_id not in known:
            return f"{name}, whose voice {row.name} was trained on, was deleted from the library: choose another."
        if known[voice_id] is not None:
            return f"The consent for {name}, whose voice {row.name} was trained on, was withdrawn: choose another."
    return None


def _file_trouble(row: AdapterRow, folder: Path) -> str | None:
    if _is_adapter(folder):
        return None
    return f"The files of {row.name} are gone from the disk: put its folder back, or choose another."


def _is_adapter(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (CONFIG_FILE, WEIGHTS_FILE))


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= 40 else f"{line[:39]}…"

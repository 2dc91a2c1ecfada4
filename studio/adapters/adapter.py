"""A checkpoint of a run that can be spoken with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from studio.adapters.card import card_rows, facts_line, part_of
from studio.engine.checkpoints import CheckpointFiles, is_hub_id, shown_name
from studio.engine.model.adapter_files import CONFIG_FILE, WEIGHTS_FILE
from studio.errors import StudioError
from studio.voices.consent import CONSENT_NOT_RECORDED


@dataclass(frozen=True)
class TrainedAdapter:
    """As the library gives it out.

    Attributes:
        folder: for the server only, never for a browser.
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
        return is_adapter(self.folder)

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
        return voices_in(self.card)

    @property
    def facts(self) -> str:
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


def voices_in(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Library voices that were trained on, by a card: id and name."""
    return [
        (str(each["voice_id"]), str(each.get("name") or "a voice"))
        for each in card.get("consent") or ()
        if isinstance(each, dict) and each.get("voice_id")
    ]


def withdrawn_in(card: dict[str, Any]) -> set[str]:
    """Those of them whose consent had been withdrawn when what they spoke in was deleted."""
    return {
        str(each.get("voice_id"))
        for each in card.get("consent") or ()
        if isinstance(each, dict) and each.get("withdrawn_at")
    }


def is_adapter(folder: Path) -> bool:
    """Whether the files of an adapter lie there."""
    return all((folder / name).is_file() for name in (CONFIG_FILE, WEIGHTS_FILE))

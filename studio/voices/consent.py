"""By what right a voice is used: agreed to, recorded, withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from studio.engine.speech.reference import CONSENT_GROUNDS, Consent
from studio.errors import StudioError

CONSENT_WORDING: dict[str, str] = {
    "own": "I am the person who speaks in this recording, and I agree that my voice is cloned with this studio.",
    "permission": "The person who speaks in this recording agreed that their voice is cloned with this studio.",
    "licence": "This recording is under a licence that allows the voice in it to be cloned.",
}
"""What whoever saves a voice agrees to, by ground; kept word for word with the voice."""

_NOBODY: dict[str, str] = {"own": "the person who saved this voice", "permission": "", "licence": ""}


@dataclass(frozen=True)
class SpeakerConsent:
    """By what right a voice is used.

    Attributes:
        ground: "own", "permission" or "licence".
        wording: the sentence that was agreed to.
        statement: who gave the permission and when, or which licence.
        withdrawn_at: None while it holds.
    """

    who: str
    ground: str
    statement: str
    wording: str
    recorded_at: datetime
    withdrawn_at: datetime | None = None

    @classmethod
    def given(cls, ground: str | None, *, who: str = "", statement: str = "") -> SpeakerConsent:
        """A record made now. Raises StudioError without a known ground, or without a statement where one is needed."""
        if not ground:
            raise StudioError(
                "Say whose voice it is before it is saved: your own, with permission, or under a licence."
            )
        consent = Consent(ground, statement.strip())  # type: ignore[arg-type]  Consent refuses what is no ground
        return cls(
            who=" ".join(who.split()) or _NOBODY[ground] or statement.strip(),
            ground=ground,
            statement=consent.statement,
            wording=CONSENT_WORDING[ground],
            recorded_at=consent.recorded_at,
        )

    @property
    def shown_ground(self) -> str:
        return CONSENT_GROUNDS[self.ground]  # type: ignore[index]

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and cards."""
        return {
            "who": self.who,
            "ground": self.ground,
            "statement": self.statement,
            "wording": self.wording,
            "recorded_at": self.recorded_at.isoformat(timespec="seconds"),
            "withdrawn_at": self.withdrawn_at and self.withdrawn_at.isoformat(timespec="seconds"),
        }


class VoiceConsent(BaseModel):
    """The consent of a library voice whose clips are among the rows."""

    model_config = ConfigDict(frozen=True)

    voice_id: str
    name: str
    ground: str
    statement: str = ""
    recorded_at: str = ""


def speaker_id(dataset_id: str, speaker: str) -> str:
    """Who speaks in a set, as cards name them beside voices of the library."""
    return f"{dataset_id}/{speaker}"


def is_of_set(voice_id: str) -> bool:
    """Whether that is somebody who speaks in a set, see :func:`speaker_id`.

    A set may be deleted when a training is done with it, and what was trained stays: its card has the consent.
    """
    return "/" in voice_id


CONSENT_NOT_RECORDED = "consent not recorded"

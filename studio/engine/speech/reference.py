"""A reference: the clip whose voice is cloned, with what was said in it and by what right it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

from studio.errors import StudioError

if TYPE_CHECKING:
    from studio.audio.waveform import Waveform

ConsentGround = Literal["own", "permission", "licence"]
CONSENT_GROUNDS: dict[ConsentGround, str] = {
    "own": "my own voice",
    "permission": "the speaker gave permission",
    "licence": "a licence allows it",
}
"""Every ground on which a voice may be used, with its wording."""


@dataclass(frozen=True)
class Consent:
    """The record without which the engine takes no reference.

    Raises:
        StudioError: unknown ground, or (for permission and licence) no statement that says whose or which.
    """

    ground: ConsentGround
    statement: str = ""
    recorded_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if self.ground not in get_args(ConsentGround):
            raise StudioError(f"Unknown consent '{self.ground}': use own, permission or licence.")
        if self.ground != "own" and not self.statement.strip():
            what = "who gave the permission and when" if self.ground == "permission" else "which licence allows it"
            raise StudioError(f"The consent note is empty: say {what}.")


@dataclass(frozen=True)
class Reference:
    """One reference turn.

    Attributes:
        clip: at any rate (the engine resamples).
        transcript: what is said in it, word for word.
        speaker: the name used for this voice in a dialogue script; None in single-voice speech.
    """

    clip: Waveform
    transcript: str
    consent: Consent
    speaker: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.consent, Consent):
            raise StudioError("This voice has no consent record: say whose voice it is before speaking with it.")
        require_transcript(self.transcript)


def require_transcript(transcript: str) -> None:
    """Raise StudioError for an empty transcript: the model reads clip and transcript together."""
    if not transcript.strip():
        raise StudioError("The transcript of the reference clip is missing: type what is said in it, word for word.")

"""A voice as the library gives it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from studio.audio.waveform import Waveform
from studio.listening.transcript import Transcript, Word
from studio.voices.consent import SpeakerConsent


@dataclass(frozen=True)
class VoiceClip:
    """A reference clip of a saved voice.

    Attributes:
        path: where it lies; for the server only, never for a browser.
        needs_check: the clip was cut and its transcript could not be cut with it.
        report: what the coach said, as JSON.
        denoised_with: the method; "" for the recording as it was.
    """

    id: str
    path: Path
    seconds: float
    sample_rate: int
    transcript: Transcript
    needs_check: bool = False
    report: dict[str, Any] = field(default_factory=dict)
    denoised_with: str = ""

    @property
    def is_there(self) -> bool:
        return self.path.is_file()

    def as_json(self) -> dict[str, Any]:
        """For ``--json``; durations in seconds, rates in Hz."""
        return {
            "id": self.id,
            "seconds": round(self.seconds, 3),
            "sample_rate": self.sample_rate,
            "transcript": self.transcript.text,
            "transcript_model": self.transcript.model,
            "words": [[word.text, word.start, word.end] for word in self.transcript.words],
            "needs_check": self.needs_check,
            "denoised_with": self.denoised_with or None,
            "report": self.report,
            "missing": not self.is_there,
        }


@dataclass(frozen=True)
class Voice:
    """A voice that can be spoken with while its consent holds. A preset comes with the studio and cannot be changed.

    Attributes:
        adapter: id of the trained voice that it is spoken with; "" for none. It may be gone: see ``studio.takes.wearing``.
        adapter_strength: share of what was trained that is added to the base.
    """

    id: str
    name: str
    language: str
    notes: str
    clips: tuple[VoiceClip, ...]
    consent: SpeakerConsent
    created_at: datetime
    preset: bool = False
    adapter: str = ""
    adapter_strength: float = 1.0

    @property
    def seconds(self) -> float:
        return sum(clip.seconds for clip in self.clips)

    @property
    def trouble(self) -> str | None:
        """Why it cannot be spoken with, in a sentence; None where it can."""
        if self.consent.withdrawn_at is not None:
            return f"The consent for {self.name} was withdrawn: choose another voice."
        if not self.clips:
            return f"{self.name} has no clip: add one, or choose another voice."
        if gone := [clip for clip in self.clips if not clip.is_there]:
            return (
                f"{len(gone)} of {len(self.clips)} clips of {self.name} are gone from the disk: put the files back, "
                "remove these clips, or delete the voice and save it anew."
                if len(self.clips) > 1
                else f"The clip of {self.name} is gone from the disk: put it back, or delete the voice and save it again."
            )
        return None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "language": self.language or None,
            "notes": self.notes,
            "preset": self.preset,
            "seconds": round(self.seconds, 3),
            "usable": self.trouble is None,
            "trouble": self.trouble,
            "consent": self.consent.as_json(),
            "adapter_id": self.adapter or None,
            "adapter_strength": self.adapter_strength if self.adapter else None,
            "clips": [clip.as_json() for clip in self.clips],
            "created_at": self.created_at.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True)
class NewClip:
    """A clip about to be saved: already cut and, where wished, denoised."""

    waveform: Waveform
    transcript: Transcript
    needs_check: bool = False
    denoised_with: str = ""


def words_as_json(words: tuple[Word, ...]) -> list[list[Any]]:
    """Word times as they are stored."""
    return [[word.text, round(word.start, 3), round(word.end, 3)] for word in words]


def words_from_json(stored: list[Any]) -> tuple[Word, ...]:
    """The reverse of :func:`words_as_json`."""
    return tuple(Word(str(text), float(start), float(end)) for text, start, end in stored)

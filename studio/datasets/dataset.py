"""A named set of utterances, as its library gives it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from studio.datasets.exports.pairing import Pairing
from studio.formatting import duration
from studio.voices.consent import SpeakerConsent


@dataclass(frozen=True)
class Speaker:
    """Somebody who speaks in a set.

    Attributes:
        seconds: of kept utterances.
        consent: None where nobody said by what right the voice is used.
    """

    name: str
    num_utterances: int
    seconds: float
    consent: SpeakerConsent | None = None

    @property
    def trouble(self) -> str | None:
        """Why the set can be neither trained on nor exported, in a sentence; None where nothing is in the way."""
        shown = f"of {self.name}" if self.name else "of the speaker"
        if self.consent is None:
            return f"The consent {shown} is not recorded: record it on Dataset, or with `python -m studio dataset consent`."
        if self.consent.withdrawn_at is not None:
            return f"The consent {shown} was withdrawn: drop the utterances of this speaker."
        return None

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.name,
            "utterances": self.num_utterances,
            "seconds": round(self.seconds, 3),
            "consent": self.consent and self.consent.as_json(),
        }


@dataclass(frozen=True)
class Dataset:
    """A set, without its utterances.

    Attributes:
        language: ISO 639-1 code of what does not say its own; "" where nobody said.
        seconds: of kept utterances.
        source: what it was imported from: ``type``, ``name`` and options.
        report: what the import used and left out.
        pairing: how its rows get their reference turns.
        state: importing or ready.
        num_synthetic, synthetic_seconds: of kept utterances that a model made.
        voice_troubles: sentences about voices of the library that spoke some of these and may not be used any more.
    """

    id: str
    owner: str
    name: str
    language: str
    languages: tuple[str, ...]
    created_at: datetime
    state: str
    num_utterances: int
    num_dropped: int
    seconds: float
    speakers: tuple[Speaker, ...]
    num_synthetic: int = 0
    synthetic_seconds: float = 0.0
    voice_troubles: tuple[str, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    pairing: Pairing = field(default_factory=Pairing)

    @property
    def troubles(self) -> list[str]:
        """Why it can be neither trained on nor exported, a sentence for each speaker or voice in the way."""
        of_speakers = [speaker.trouble for speaker in self.speakers if speaker.num_utterances and speaker.trouble]
        return [*of_speakers, *self.voice_troubles]

    @property
    def synthetic(self) -> str:
        """How much of it a model made, in words; "" for nothing."""
        if not self.num_synthetic:
            return ""
        return f"{self.num_synthetic:,} of {self.num_utterances:,} utterances, {duration(self.synthetic_seconds)}"

    def as_json(self) -> dict[str, Any]:
        """For ``--json``; seconds of kept utterances."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "language": self.language or None,
            "languages": list(self.languages),
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "count": self.num_utterances,
            "dropped": self.num_dropped,
            "seconds": round(self.seconds, 3),
            "synthetic": {"count": self.num_synthetic, "seconds": round(self.synthetic_seconds, 3)},
            "speakers": [speaker.as_json() for speaker in self.speakers],
            "source": self.source,
            "report": self.report,
            "pairing": self.pairing.as_json(),
        }


@dataclass(frozen=True)
class Utterance:
    """A stretch of a recording with what is said in it.

    Attributes:
        place: where its source says so: file and line.
        name: its id in the source.
        recording: the sound file, mono FLAC; for the server only, never for a browser.
        start, end: seconds of the recording.
        recording_seconds: length of the recording.
        imported_text: as the source had it.
        state: kept, dropped or gone.
        split: "train", "validation" or "".
        sha256: of the samples of the stretch and their rate.
        revision: what an edit must name, so that it does not undo somebody else's unseen.
    """

    id: str
    dataset_id: str
    place: str
    name: str
    recording: Path
    recording_name: str
    recording_seconds: float
    start: float
    end: float
    text: str
    imported_text: str
    speaker: str
    language: str
    scene: str
    state: str
    split: str
    sha256: str
    synthetic: bool
    revision: int
    position: float
    measures: dict[str, Any] = field(default_factory=dict)
    suspicions: tuple[dict[str, Any], ...] = ()

    @property
    def seconds(self) -> float:
        """Its duration."""
        return self.end - self.start

    @property
    def heard(self) -> str:
        """What a recogniser wrote; "" where none was asked or it heard nothing."""
        return str(self.measures.get("heard") or "")

    def as_json(self) -> dict[str, Any]:
        """For ``--json``; times in seconds of the recording."""
        return {
            "id": self.id,
            "name": self.name,
            "place": self.place,
            "text": self.text,
            "start": round(self.start, 4),
            "end": round(self.end, 4),
            "seconds": round(self.seconds, 4),
            "recording": self.recording_name,
            "speaker": self.speaker or None,
            "language": self.language or None,
            "scene": self.scene or None,
            "state": self.state,
            "split": self.split or None,
            "synthetic": self.synthetic,
            "sha256": self.sha256,
            "suspicions": list(self.suspicions),
            "heard": self.measures.get("heard"),
            "revision": self.revision,
        }

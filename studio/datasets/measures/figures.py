"""What can be measured of one utterance. What cannot be had is None, never zero."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.audio.quality.clip_quality import measured
from studio.audio.waveform import Span, Waveform
from studio.datasets.measures.words import character_error_rate, compared, word_error_rate
from studio.listening.speakers import voice_vector
from studio.listening.transcriber import NothingHeard
from studio.listening.vad import find_speech

if TYPE_CHECKING:
    from studio.listening.transcriber import Transcriber

_EDGE_SECONDS = 0.03
_FLOOR_DB = -90.0


@dataclass(frozen=True)
class Measures:
    """Figures of an utterance.

    Attributes:
        seconds, speech_seconds, lead_seconds, trail_seconds: lengths, and the quiet at both ends.
        characters_per_second: letters and digits of the text for each second of speech.
        snr_db: speech over background.
        clipped: share (0–1) of samples on flat tops.
        lufs: loudness.
        bandwidth_hz: up to which frequency speech is heard.
        begins_db, ends_db: level of the first and last 30 ms against that of the speech: near 0 where a word was cut.
        heard: what a recogniser wrote; None where none was asked, "" where it heard nothing.
        heard_by: its name.
        wer, cer: word and character error rate of ``heard`` against the text.
        voice: unit vector of the speaker encoder, 256 numbers.
        differs, inside: what slicing found out, see :class:`studio.datasets.slicing.Slice`.
    """

    seconds: float
    speech_seconds: float
    lead_seconds: float
    trail_seconds: float
    characters_per_second: float | None = None
    snr_db: float | None = None
    clipped: float = 0.0
    lufs: float | None = None
    bandwidth_hz: float | None = None
    begins_db: float | None = None
    ends_db: float | None = None
    heard: str | None = None
    heard_by: str = ""
    wer: float | None = None
    cer: float | None = None
    voice: tuple[float, ...] | None = None
    differs: tuple[str, ...] = ()
    inside: bool = False

    def as_json(self) -> dict[str, Any]:
        """For the store; :meth:`from_json` gives the same back."""
        return asdict(self) | {"voice": list(self.voice) if self.voice else None, "differs": list(self.differs)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Measures | None:
        """What was stored; None where it was not measured (slicing alone leaves a few figures)."""
        if "speech_seconds" not in content:
            return None
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in content.items() if name in known}
        given |= {name: tuple(given[name]) for name in ("voice", "differs") if given.get(name) is not None}
        return cls(**given)


def measure(
    sound: Waveform, text: str, *, language: str = "", transcriber: Transcriber | None = None,
    before: dict[str, Any] | None = None,
) -> Measures:  # fmt: skip
    """Measure one utterance.

    Args:
        text: what is said in it; "" where nobody wrote it down.
        transcriber: writes down what it hears, for comparison.
        before: what was found out earlier: ``heard`` and ``heard_by`` are not asked again, ``differs`` and ``inside`` stay.
    """
    before = before or {}
    speech = find_speech(sound)
    figures = measured(sound, speech)
    letters = sum(map(len, compared(text, language)))
    vector = voice_vector(sound, speech)
    heard, heard_by = before.get("heard"), str(before.get("heard_by") or "")
    if transcriber is not None and (heard is None or heard_by != transcriber.name):
        heard, heard_by = _heard(sound, transcriber, language), transcriber.name
    begins, ends = _edges(sound, speech)
    return Measures(
        seconds=sound.duration,
        speech_seconds=figures.speech_seconds,
        lead_seconds=figures.lead_seconds,
        trail_seconds=figures.trail_seconds,
        characters_per_second=letters / figures.speech_seconds if letters and figures.speech_seconds > 0.1 else None,
        snr_db=figures.snr_db,
        clipped=figures.clipped,
        lufs=figures.lufs,
        bandwidth_hz=figures.bandwidth_hz,
        begins_db=begins,
        ends_db=ends,
        heard=heard,
        heard_by=heard_by,
        wer=word_error_rate(text, heard, language) if heard is not None and text else None,
        cer=character_error_rate(text, heard, language) if heard is not None and text else None,
        voice=tuple(round(float(each), 4) for each in vector) if vector is not None and np.any(vector) else None,
        differs=tuple(before.get("differs") or ()),
        inside=bool(before.get("inside")),
    )


def _heard(sound: Waveform, transcriber: Transcriber, language: str) -> str:
    try:
        return transcriber.transcribe(sound, language=language or None).text
    except NothingHeard:
        return ""


def _edges(sound: Waveform, speech: list[Span]) -> tuple[float | None, float | None]:
    """Level of both ends against that of the speech, in dB."""
    size = round(_EDGE_SECONDS * sound.sample_rate)
    if not speech or sound.num_samples < 4 * size:
        return None, None
    spoken = np.concatenate(
        [sound.samples[round(span.start * sound.sample_rate) : round(span.end * sound.sample_rate)] for span in speech]
    )
    level = _db(spoken)
    return _db(sound.samples[:size]) - level, _db(sound.samples[-size:]) - level


def _db(samples: np.ndarray) -> float:
    power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
    return max(_FLOOR_DB, 10 * float(np.log10(power + 1e-12)))

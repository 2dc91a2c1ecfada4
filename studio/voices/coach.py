"""The coach: is this clip a good reference for a voice, and if not, why, and which part of it is?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from studio.audio.span import Span
from studio.audio.waveform import Waveform

Grade = Literal["good", "warn", "bad"]
ITEMS = (
    "duration", "speech", "noise", "clipping", "loudness", "bandwidth", "echo", "silence", "speakers", "transcript",
)  # fmt: skip
"""Keys of everything that is judged, in the order of a report. ``transcript`` only where one was given."""


@dataclass(frozen=True)
class Verdict:
    """What the coach says about one property of a clip.

    Attributes:
        item: stable key, one of :data:`ITEMS`.
        label: what people call it ("Background noise").
        value: the figure in ``unit``; None where it could not be measured.
        unit: "s", "%", "dB", "LUFS", "Hz", "x" or "" for a count.
        shown: the figure as people read it ("31 dB").
        verdict: "good", "warn" (usable, but a better clip makes a better voice) or "bad" (not usable as it is).
        advice: exactly one sentence, for good ones too.
    """

    item: str
    label: str
    value: float | int | None
    unit: str
    shown: str
    verdict: Grade
    advice: str


@dataclass(frozen=True)
class ClipReport:
    """Everything the coach has to say about a clip.

    Attributes:
        duration: length of the clip in seconds.
        speech: where somebody speaks, in seconds, in order.
        verdicts: one for each item, in the order of :data:`ITEMS`.
        window: the best 5–15 s, from pause to pause; None where the whole clip does as well, or nothing is usable.
    """

    duration: float
    speech: tuple[Span, ...]
    verdicts: tuple[Verdict, ...]
    window: Span | None = None

    @property
    def ok(self) -> bool:
        """False if and only if the clip, as it is, cannot be used."""
        return all(verdict.verdict != "bad" for verdict in self.verdicts)

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        raise NotImplementedError

    def verdict(self, item: str) -> Verdict:
        """The verdict on one item.

        Raises:
            KeyError: there is none of that name (``transcript`` where none was given).
        """
        for verdict in self.verdicts:
            if verdict.item == item:
                return verdict
        raise KeyError(item)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types; times in seconds, rounded to milliseconds."""
        return {
            "ok": self.ok,
            "duration": round(self.duration, 3),
            "sentence": self.sentence,
            "verdicts": [
                {
                    "item": verdict.item,
                    "value": verdict.value,
                    "unit": verdict.unit,
                    "verdict": verdict.verdict,
                    "advice": verdict.advice,
                }
                for verdict in self.verdicts
            ],
            "window": {"start": round(self.window.start, 3), "end": round(self.window.end, 3)} if self.window else None,
            "speech": [[round(span.start, 3), round(span.end, 3)] for span in self.speech],
        }


def examine(
    waveform: Waveform, *, transcript: str | None = None, language: str | None = None, max_seconds: float = 60.0
) -> ClipReport:
    """Measure a clip and say what to do about it."""
    raise NotImplementedError

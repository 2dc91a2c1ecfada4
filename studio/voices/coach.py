"""The coach: is this clip a good reference for a voice, and if not, why, and which part of it is?"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from studio.audio.editing import trim
from studio.audio.quality.best_window import LONGEST, SHORTEST, best_windows, inside
from studio.audio.quality.clip_quality import measured
from studio.audio.waveform import Span, Waveform
from studio.listening.speakers import find_speakers
from studio.listening.vad import find_speech
from studio.voices.coach_rules import Grade, Verdict, judged

ITEMS = (
    "duration", "speech", "noise", "clipping", "loudness", "bandwidth", "echo", "silence", "speakers", "transcript",
)  # fmt: skip
"""Keys of everything that is judged, in the order of a report. ``transcript`` only where one was given."""
# What another part of the same recording can do better; a longer clip has no other room and no other microphone.
_CURED_BY_CUTTING = {"noise", "clipping", "silence", "speakers"}
_SHORTER_BY = 0.5  # A window that saves less is not worth a click, in seconds.

__all__ = ["ITEMS", "ClipReport", "Grade", "Verdict", "examine"]


@dataclass(frozen=True)
class ClipReport:
    """Everything the coach has to say about a clip.

    Attributes:
        duration: length of the clip in seconds.
        speech: where somebody speaks, in seconds, in order.
        verdicts: one for each item, in the order of :data:`ITEMS`.
        window: the best 5–15 s, from pause to pause; None where the whole clip does as well, or nothing is usable.
        window_ok: whether the window could be used, if there is one; a recording may be noisy from end to end.
    """

    duration: float
    speech: tuple[Span, ...]
    verdicts: tuple[Verdict, ...]
    window: Span | None = None
    window_ok: bool = True

    @property
    def ok(self) -> bool:
        """False if and only if the clip, as it is, cannot be used."""
        return all(verdict.verdict != "bad" for verdict in self.verdicts)

    @property
    def sentence(self) -> str:
        bad, warned = ([verdict for verdict in self.verdicts if verdict.verdict == grade] for grade in ("bad", "warn"))
        found = next(verdict for verdict in self.verdicts if verdict.item == "speech")
        if not self.speech:
            return "Nobody is heard speaking in this clip; record or choose 5–15 s of speech."
        part = f"take the part from {self.window.start:.1f} to {self.window.end:.1f} s" if self.window else ""
        if bad:
            again = "check its text" if {verdict.item for verdict in bad} == {"transcript"} else "record it again"
            cure = part if part and self.window_ok else f"{again} or choose another clip"
            return f"Not usable as it is ({_listed(bad)}); {cure}."
        offer = f", or {part}" if part else ""
        if warned:
            return f"Usable, but it could be better ({_listed(warned)}){offer}."
        return f"A good reference clip with {found.shown} of speech{offer}."

    def verdict(self, item: str) -> Verdict:
        """The verdict on one item. Raises KeyError where there is none (``transcript`` where none was given)."""
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
    """Measure a clip and say what to do about it.

    Any clip gets a report, silence and a few samples as well. 20 minutes take some seconds on one core.

    Args:
        transcript: what is said in it, to be compared with its length; blank counts as not known.
        language: ISO 639-1 code of the transcript; by default the one the script suggests.
        max_seconds: longest clip that can be a reference.

    Returns:
        Verdicts on everything, and the best window where the clip is longer than 15 s or a part of it does better
        than the whole.
    """
    speech = find_speech(waveform)
    speakers = find_speakers(waveform, speech)
    verdicts = judged(
        measured(waveform, speech), speakers, transcript=transcript, language=language, max_seconds=max_seconds
    )
    window, window_ok = None, True
    if waveform.duration > LONGEST or (waveform.duration > SHORTEST and _faults(verdicts, _CURED_BY_CUTTING) > (0, 0)):
        window, window_ok = _best_window(waveform, speech, speakers.groups if speakers else (), verdicts)
    return ClipReport(waveform.duration, tuple(speech), verdicts, window, window_ok)


def _best_window(
    waveform: Waveform, speech: list[Span], groups: tuple[tuple[Span, ...], ...], whole: tuple[Verdict, ...]
) -> tuple[Span | None, bool]:
    """The candidate with the fewest faults, and whether none of them is bad.

    From a clip that is no longer than a window, only one with fewer faults than the whole.
    """
    candidates, counted = best_windows(waveform, speech, groups=groups), ITEMS
    if waveform.duration <= LONGEST:
        candidates = [window for window in candidates if window.duration < waveform.duration - _SHORTER_BY]
        counted = _CURED_BY_CUTTING
    verdicts = [_window_verdicts(waveform, speech, window) for window in candidates]
    faults = [_faults(found, counted) for found in verdicts]
    # The first of equals: candidates come best first.
    best = min(range(len(candidates)), key=faults.__getitem__, default=None)
    if best is None or (waveform.duration <= LONGEST and faults[best] >= _faults(whole, counted)):
        return None, True
    return candidates[best], _faults(verdicts[best], ITEMS)[0] == 0


def _window_verdicts(waveform: Waveform, speech: list[Span], window: Span) -> tuple[Verdict, ...]:
    part, spans = trim(waveform, window.start, window.end), inside(window, speech)
    return judged(measured(part, spans), find_speakers(part, spans))


def _faults(verdicts: tuple[Verdict, ...], items: Container[str]) -> tuple[int, int]:
    """How many of these items are bad, and how many are not quite good."""
    grades = [verdict.verdict for verdict in verdicts if verdict.item in items]
    return grades.count("bad"), grades.count("warn")


def _listed(verdicts: list[Verdict]) -> str:
    """ "background noise and echo": labels inside a sentence."""
    names = [verdict.label.lower() for verdict in verdicts]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

"""A long recording becomes utterances: cut in silence, each transcribed after the cut and compared with the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from studio.audio.waveform import Span
from studio.datasets.slicing.cutting import Cut, cuts, with_room
from studio.datasets.slicing.overlaps import with_two_voices
from studio.datasets.slicing.scripts import Line, by_share, by_time, by_words, key, read_script, recognised_share, units
from studio.datasets.slicing.speech import WINDOW_SECONDS, seconds_without_speech, speech_in
from studio.datasets.stored_sound import waveform_of
from studio.engine.text.duration import expected_seconds
from studio.listening.transcriber import NothingHeard, Transcriber
from studio.listening.transcript import Word

_UNDERSTOOD = 0.3
"""Share of a script that has to be recognised before the recogniser says which words are in which slice."""
_OTHER_LENGTH = 2.5
"""A script that takes so many times as long as what is spoken, or as short, is another one's."""
Announce = Callable[[float, float], None]
"""Seconds of the recording that are done, and how many there are."""


@dataclass(frozen=True)
class Slice:
    """One utterance of a recording.

    Attributes:
        start, end: seconds of the recording.
        text: what is said in it; "" where nobody wrote it down.
        heard: what a recogniser wrote after the cut; "" where there is none.
        differs: words that the recogniser heard otherwise in the whole recording: one of them may be cut.
        inside: whether it was cut in the middle of speech, since no pause was long enough.
    """

    start: float
    end: float
    text: str = ""
    heard: str = ""
    differs: tuple[str, ...] = ()
    inside: bool = False


@dataclass(frozen=True)
class Sliced:
    """What became of a recording.

    Attributes:
        left_out: seconds that are in no slice, by reason.
        notes: sentences for whoever looks at it.
    """

    slices: tuple[Slice, ...]
    left_out: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def slice_recording(
    path: Path,
    seconds: float,
    *,
    transcriber: Transcriber | None = None,
    script: Sequence[Line] | None = None,
    language: str | None = None,
    announce: Announce = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Sliced:
    """Cut a stored recording into utterances of 2 to 15 s.

    Cuts lie in pauses that voice activity detection found, never at a recogniser's times. Memory does not grow with length.

    Args:
        path: mono FLAC, see :mod:`studio.datasets.stored_sound`.
        seconds: its length.
        transcriber: writes what is said, after the cut and again in the whole; None leaves texts empty.
        script: what is said, which is then believed instead.
    """
    spans = list(speech_in(path, seconds, lambda done: announce(done, seconds), stopped))
    found = cuts(spans)
    roomy = with_room(found, seconds)
    heard = [""] * len(roomy)
    differs: list[tuple[str, ...]] = [()] * len(roomy)
    if transcriber is not None:
        words = _heard_in_whole(path, roomy, transcriber, language, stopped)
        for index, cut in enumerate(roomy):
            if stopped():
                break
            heard[index] = _heard(path, cut.start, cut.end, transcriber, language)[0]
            inside = [word.text for word in words if cut.start <= (word.start + word.end) / 2 < cut.end]
            differs[index] = _differing(heard[index], inside)
            announce(cut.end, seconds)
    texts, notes = _texts(script, roomy, heard, transcriber is not None)
    slices = tuple(
        Slice(cut.start, cut.end, text, said, words, cut.inside)
        for cut, text, said, words in zip(roomy, texts, heard, differs, strict=True)
    )
    crowded = with_two_voices(path, roomy, [span for span, _ in spans], stopped)
    left_out = _left_out(path, seconds, slices, spans)
    if crowded:
        left_out["more than one voice"] = sum(slices[index].end - slices[index].start for index in crowded)
    return Sliced(tuple(each for index, each in enumerate(slices) if index not in crowded), left_out, notes)


def _texts(
    script: Sequence[Line] | None, found: Sequence[Cut], heard: list[str], recognised: bool
) -> tuple[list[str], tuple[str, ...]]:  # fmt: skip
    """What is said in each slice, and what there is to know about it."""
    if script is None:
        return heard, ()
    stretches = [(cut.start, cut.end) for cut in found]
    if all(line.start is not None for line in script):
        return by_time(script, stretches), ()
    if recognised and recognised_share(script, heard) >= _UNDERSTOOD:
        return by_words(script, heard), ()
    nobody = "the recogniser understood too little of it" if recognised else "no recogniser is here"
    if len(script) == len(found):
        note = f"The script was laid beside the slices line by line, since {nobody}: check it."
        return [line.text for line in script], (note,)
    spoken = sum(end - start for start, end in stretches)
    expected = sum(expected_seconds(line.text) for line in script)
    if not spoken or not 1 / _OTHER_LENGTH < expected / spoken < _OTHER_LENGTH:
        note = (
            f"The script would take {expected:.0f} s and {spoken:.0f} s are spoken, and {nobody}: the texts stay empty. "
            "Give the script of this recording, or one with times (.srt)."
        )
        return [""] * len(found), (note,)
    note = f"The script was parted among the slices by how long its lines take, since {nobody}: check it."
    return by_share(script, stretches), (note,)


def _heard(
    path: Path, start: float, end: float, transcriber: Transcriber, language: str | None
) -> tuple[str, tuple[Word, ...]]:  # fmt: skip
    try:
        said = transcriber.transcribe(waveform_of(path, start, end), language=language)
    except NothingHeard:
        return "", ()
    return said.text, said.words


def _heard_in_whole(
    path: Path, found: Sequence[Cut], transcriber: Transcriber, language: str | None, stopped: Callable[[], bool]
) -> list[Word]:  # fmt: skip
    """Words with their times in the recording, heard in stretches of about two minutes that begin where a slice does."""
    words: list[Word] = []
    index = 0
    while index < len(found) and not stopped():
        start = found[index].start
        last = index
        while last + 1 < len(found) and found[last + 1].end - start <= WINDOW_SECONDS:
            last += 1
        end = found[last].end
        said = _heard(path, start, end, transcriber, language)[1]
        words += [Word(word.text, word.start + start, word.end + start) for word in said]
        index = last + 1
    return words


def _differing(heard: str, inside: Sequence[str]) -> tuple[str, ...]:
    """Words at either end that were heard otherwise in the whole: where a word was cut, it shows there."""
    alone, whole = [key(unit) for unit in units(heard)], [key(unit) for word in inside for unit in units(word)]
    changed = []
    for kind, a, b, c, d in SequenceMatcher(None, alone, whole, autojunk=False).get_opcodes():
        if kind != "equal" and (a == 0 or b == len(alone)):
            changed += alone[a:b] + whole[c:d]
    return tuple(dict.fromkeys(word for word in changed if word))


def _left_out(
    path: Path, seconds: float, slices: Sequence[Slice], spans: Sequence[tuple[Span, float]]
) -> dict[str, float]:  # fmt: skip
    """Seconds in no slice: silence, noise or music, and speech too short to stand alone."""
    gaps: list[Span] = []
    at = 0.0
    for each in slices:
        if each.start > at:
            gaps.append(Span(at, each.start))
        at = max(at, each.end)
    if seconds > at:
        gaps.append(Span(at, seconds))
    short = 0.0
    silent: list[Span] = []
    for gap in gaps:
        at = gap.start
        for span, _ in spans:
            if span.start < gap.end and span.end > gap.start:
                start, end = max(span.start, gap.start), min(span.end, gap.end)
                short += end - start
                silent.append(Span(at, start))
                at = end
        silent.append(Span(at, gap.end))
    found = seconds_without_speech(path, [each for each in silent if each.duration > 0])
    return {**found, **({"too short": short} if short > 1e-6 else {})}


__all__ = ["Line", "Slice", "Sliced", "read_script", "slice_recording"]

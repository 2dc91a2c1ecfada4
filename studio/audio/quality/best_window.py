"""The part of a recording that would serve best as a reference: 5–15 s from pause to pause."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from studio.audio.quality.clipping import flat_samples
from studio.audio.quality.frames import FRAME_SECONDS, frame_powers
from studio.audio.quality.noise import signal_to_noise_db
from studio.audio.waveform import Span, Waveform, total_seconds

SHORTEST, LONGEST = 5.0, 15.0
_IDEAL_SECONDS = 10.0
_AIR_SECONDS = 0.15  # Silence kept at each end, so that soft onsets and tails survive.
_WIDE_PAUSE = 0.3
_LONGEST_PHRASE = 10.0  # Who does not pause for longer is cut at the quietest moment.
_EDGE_OF_PHRASE = 2.0
_ENOUGH_DB = 35.0  # More signal-to-noise than this makes no difference.


class _Phrase(NamedTuple):
    """Speech with the pauses around it, in seconds."""

    span: Span
    before: float
    after: float


def best_windows(
    waveform: Waveform,
    speech: Sequence[Span],
    *,
    groups: Sequence[Sequence[Span]] = (),
    most: int = 6,
) -> list[Span]:
    """Return the windows most worth a closer look, best first, none overlapping another by half.

    A window begins and ends in pauses and lasts 5–15 s. It is ranked by speech share, signal-to-noise ratio, length
    (10 s is best), width of the pauses at its ends; one that is clipped or in which two groups speak comes last.

    Args:
        speech: where somebody speaks, in seconds, in order.
        groups: moments of which the speaker is known, one sequence for each speaker.

    Returns:
        Empty only where nobody speaks. Where no pauses are 5–15 s apart (a few words in a long silence), one window
        around the most speech that fits.
    """
    if not speech:
        return []
    powers = frame_powers(waveform)
    phrases = _phrases(speech, powers, waveform.duration)
    clipped = flat_samples(waveform) / waveform.sample_rate
    ranked: list[tuple[float, Span]] = []
    for first, begin in enumerate(phrases):
        for last in range(first, len(phrases)):
            end = phrases[last]
            window = Span(begin.span.start - begin.before, end.span.end + end.after)
            if window.duration > LONGEST:
                break
            if window.duration >= SHORTEST:
                inside = [phrase.span for phrase in phrases[first : last + 1]]
                ranked.append((_score(window, inside, powers, clipped, groups), window))
    if not ranked:
        return [_around_most_speech(phrases, waveform.duration)]
    ranked.sort(reverse=True)
    chosen: list[Span] = []
    for _, window in ranked:
        if all(_overlap(window, other) < 0.5 * min(window.duration, other.duration) for other in chosen):
            chosen.append(window)
        if len(chosen) == most:
            break
    return chosen


def inside(window: Span, spans: Sequence[Span]) -> list[Span]:
    """The parts of ``spans`` in the window, in seconds from its beginning."""
    return [
        Span(max(span.start, window.start) - window.start, min(span.end, window.end) - window.start)
        for span in spans
        if _overlap(window, span) > 0.0
    ]


def _score(
    window: Span, phrases: list[Span], powers: np.ndarray, clipped: np.ndarray, groups: Sequence[Sequence[Span]]
) -> float:
    low, high = (round(time / FRAME_SECONDS) for time in window)
    local = [Span(span.start - window.start, span.end - window.start) for span in phrases]
    snr = signal_to_noise_db(local, powers[low:high])
    score = min(snr if snr is not None else 0.0, _ENOUGH_DB) / _ENOUGH_DB
    # Speech with its natural pauses fills about 0.8; more is no gain.
    score += min(total_seconds(phrases) / window.duration, 0.8)
    score -= abs(window.duration - _IDEAL_SECONDS) / 30.0
    edges = (phrases[0].start - window.start, window.end - phrases[-1].end)
    score += sum(min(edge, _AIR_SECONDS) / _AIR_SECONDS for edge in edges) / 10.0
    first, last = np.searchsorted(clipped, window)
    score -= 1.0 if last > first else 0.0
    heard = sum(any(_overlap(window, moment) > moment.duration / 2 for moment in group) for group in groups)
    return score - (1.0 if heard > 1 else 0.0)


def _phrases(speech: Sequence[Span], powers: np.ndarray, duration: float) -> list[_Phrase]:
    """The spans, long ones divided, each with at most 0.15 s of the pause on either side."""
    spans = [part for span in speech for part in _divided(span, powers)]
    # Half of a narrow pause belongs to each side, so that windows never begin in the end of another word.
    gaps = [later.start - earlier.end for earlier, later in pairwise(spans)]
    before = [spans[0].start, *(gap / 2 for gap in gaps)]
    after = [*(gap / 2 for gap in gaps), max(duration - spans[-1].end, 0.0)]
    return [
        _Phrase(span, max(min(left, _AIR_SECONDS), 0.0), max(min(right, _AIR_SECONDS), 0.0))
        for span, left, right in zip(spans, before, after, strict=True)
    ]


def _divided(span: Span, powers: np.ndarray) -> list[Span]:
    """The span in parts of at most 10 s, cut where 0.1 s are quietest."""
    if span.duration <= _LONGEST_PHRASE:
        return [span]
    low, high = (round(time / FRAME_SECONDS) for time in (span.start + _EDGE_OF_PHRASE, span.end - _EDGE_OF_PHRASE))
    smooth = np.convolve(powers[low:high], np.ones(5) / 5, "same")
    middle = (low + int(np.argmin(smooth)) + 0.5) * FRAME_SECONDS
    return _divided(Span(span.start, middle), powers) + _divided(Span(middle, span.end), powers)


def _around_most_speech(phrases: list[_Phrase], duration: float) -> Span:
    """The phrases within 15 s that hold most speech, widened to 5 s where the clip is that long."""

    def reach(first: int) -> list[Span]:
        start = phrases[first].span.start
        return [phrase.span for phrase in phrases[first:] if phrase.span.end - start <= LONGEST - 2 * _AIR_SECONDS]

    taken = max((reach(first) for first in range(len(phrases))), key=total_seconds)
    start, end = max(taken[0].start - _AIR_SECONDS, 0.0), min(taken[-1].end + _AIR_SECONDS, duration)
    missing = min(SHORTEST, duration) - (end - start)
    if missing > 0.0:
        start = min(max(start - missing / 2, 0.0), duration - min(SHORTEST, duration))
        end = max(end, start + min(SHORTEST, duration))
    return Span(start, end)


def _overlap(one: Span, other: Span) -> float:
    return max(0.0, min(one.end, other.end) - max(one.start, other.start))

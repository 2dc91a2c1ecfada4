"""Spans of speech to slices: where to cut, and how much room to leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studio.audio.waveform import Span

MIN_SECONDS, MAX_SECONDS = 2.0, 15.0
"""Of a slice, without its room."""
MAX_ROOM_SECONDS = 0.2
"""Before and after the speech, where the recording has it: at most half of the pause."""
LONELY_SECONDS = 0.6
"""Speech that is shorter and belongs to nothing is left out."""
_FAR_SECONDS = 3.0
"""A pause that nothing is joined over."""
_LIKED_SECONDS = 4.0
_TYPICAL_PAUSE_SECONDS = 0.15


@dataclass(frozen=True)
class Cut:
    """Speech that belongs together.

    Attributes:
        inside: whether it was cut in the middle of speech, since no pause was long enough.
    """

    start: float
    end: float
    inside: bool = False


def cuts(spans: Sequence[tuple[Span, float]]) -> list[Cut]:
    """Group spans of speech into slices of 2 to 15 s, cut at the longest pauses.

    The grouping with the least cost is found by dynamic programming: cutting a pause of *g* seconds costs exp(−g / 0.15), a
    slice of *L* seconds costs ((L − 4) / 6)², and one of less than 2 s ten times what it lacks.

    Args:
        spans: each with its quietest moment, at which one that is longer than 15 s is cut.
    """
    parts = [part for span, quiet in spans for part in _short_enough(span, quiet)]
    found: list[Cut] = []
    block: list[Cut] = []
    for part in parts:
        if block and part.start - block[-1].end > _FAR_SECONDS:
            found += _grouped(block)
            block = []
        block.append(part)
    return found + _grouped(block)


def with_room(found: Sequence[Cut], seconds: float) -> list[Cut]:
    """The same with room at both ends, never into the speech beside it."""
    roomy = []
    for index, cut in enumerate(found):
        before = found[index - 1].end if index else 0.0
        after = found[index + 1].start if index + 1 < len(found) else seconds
        lead = min(MAX_ROOM_SECONDS, (cut.start - before) / (2 if index else 1))
        trail = min(MAX_ROOM_SECONDS, (after - cut.end) / (2 if index + 1 < len(found) else 1))
        roomy.append(Cut(cut.start - max(0.0, lead), cut.end + max(0.0, trail), cut.inside))
    return roomy


def _short_enough(span: Span, quiet: float) -> list[Cut]:
    """A span in parts of at most 15 s, cut at its quietest moment first and then in halves."""
    if span.duration <= MAX_SECONDS:
        return [Cut(span.start, span.end)]
    middle = quiet if span.start + MIN_SECONDS <= quiet <= span.end - MIN_SECONDS else (span.start + span.end) / 2
    halves = []
    for part in (Span(span.start, middle), Span(middle, span.end)):
        halves += [Cut(each.start, each.end, True) for each in _short_enough(part, (part.start + part.end) / 2)]
    return halves


def _grouped(parts: Sequence[Cut]) -> list[Cut]:
    """The cheapest grouping of neighbours; what stays shorter than 0.6 s is left out."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(parts) + 1):
        options = []
        for start in range(end - 1, -1, -1):
            length = parts[end - 1].end - parts[start].start
            if length > MAX_SECONDS and start < end - 1:
                break
            pause = parts[start].start - parts[start - 1].end if start else _FAR_SECONDS
            lacking = 10 * max(0.0, MIN_SECONDS - length)
            cost = math.exp(-max(0.0, pause) / _TYPICAL_PAUSE_SECONDS) + ((length - _LIKED_SECONDS) / 6) ** 2 + lacking
            options.append((best[start][0] + cost, start))
        best.append(min(options))
    groups: list[Cut] = []
    end = len(parts)
    while end:
        start = best[end][1]
        groups.insert(0, Cut(parts[start].start, parts[end - 1].end, any(each.inside for each in parts[start:end])))
        end = start
    return [group for group in groups if group.end - group.start >= LONELY_SECONDS]

"""A stretch of time in a recording."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """From ``start`` to ``end``, both in seconds from the beginning of the recording."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start


def total_seconds(spans: Iterable[Span]) -> float:
    """The sum of the lengths, in seconds."""
    return sum(span.duration for span in spans)

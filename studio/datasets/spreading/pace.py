"""How long something will still take, by how fast it went lately."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from studio.formatting import estimate

_WINDOW_SECONDS = 60.0
"""What was longer ago says little: a machine is shared, and recordings differ."""
_LEAST_SECONDS, _LEAST_MARKS = 3.0, 3
_APART_SECONDS = 0.25


class Pace:
    """Told by whoever works how far it is, asked by whoever tells people.

    It says nothing until it can: where the total is unknown, and in the first seconds. What costs nothing (figures that are
    kept already, utterances of before an interruption) and the first step, which loads models, do not count.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total: float | None = None
        self._free = 0.0
        self._marks: deque[tuple[float, float]] = deque()

    def begin(self, total: float | None, free: float = 0.0) -> None:
        """Work begins: of ``total``, in whatever unit, the first ``free`` cost nothing; None where nobody knows how much."""
        self._total, self._free = total, free
        self._marks.clear()

    def reach(self, done: float) -> None:
        """So much of the total is done."""
        if done <= self._free:
            return
        marks, moment = self._marks, self._clock()
        if len(marks) > 1 and moment - marks[-2][0] < _APART_SECONDS:
            marks.pop()
        marks.append((moment, done))
        while len(marks) > _LEAST_MARKS and moment - marks[1][0] > _WINDOW_SECONDS:
            marks.popleft()

    @property
    def left_seconds(self) -> float | None:
        """Seconds until all is done; None where that cannot be said."""
        if self._total is None or len(self._marks) < _LEAST_MARKS:
            return None
        (first, before), (_, done) = self._marks[0], self._marks[-1]
        # Up to now, not up to the last step: where nothing moves, the time left grows.
        passed = self._clock() - first
        if passed < _LEAST_SECONDS or done <= before:
            return None
        return max(0.0, self._total - done) * passed / (done - before)

    @property
    def words(self) -> str:
        """``", about 12 min left"``; "" where that cannot be said."""
        left = self.left_seconds
        return "" if left is None else f", about {estimate(max(left, 1))} left"

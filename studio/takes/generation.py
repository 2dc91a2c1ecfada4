"""A generation: a request on its way to a take, as it can be watched, followed and stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from studio.errors import StudioError
from studio.store.tables import new_id, now
from studio.takes.request import SpeakRequest
from studio.takes.stream import TakeStream
from studio.takes.take import Take

State = Literal["queued", "speaking", "done", "failed", "stopped"]

STOPPED_SPEAKING = "Stopped; nothing was kept."
STOPPED_WAITING = "Stopped before it began; nothing was kept."


class Generation:
    """What becomes of one request. Safe to read from any thread; only :class:`GenerationQueue` makes and moves one.

    Attributes:
        number, of: it is variation ``number`` of ``of``.
        state: "speaking" from the moment it has its turn, also while the model is still being loaded.
        sentence: why it failed or was stopped; None otherwise.
        take: what was kept; None unless it is done.
        sample_rate: of its pieces, in Hz; 0 until the model is ready.
        expected_seconds: duration to expect at a normal pace; 0 until the model is ready.
    """

    def __init__(
        self,
        request: SpeakRequest,
        *,
        owner: str,
        tab: str,
        number: int = 1,
        of: int = 1,
        ahead: Callable[[Generation], int] = lambda generation: 0,
    ) -> None:
        self.id, self.created_at = new_id(), now()
        self.request, self.owner, self.tab, self.number, self.of = request, owner, tab, number, of
        self.cancel = threading.Event()
        self.state: State = "queued"
        self.sentence: str | None = None
        self.take: Take | None = None
        self.sample_rate, self.expected_seconds = 0, 0.0
        self.ended_at: float | None = None
        """``time.monotonic()`` when it ended."""
        self._changed = threading.Condition()
        self._pieces: list[np.ndarray] = []
        self._dropped = False
        self._began_at: float | None = None
        self._generated = 0.0
        self._keeping = False
        self._unkept: Callable[[], Take] | None = None
        self._ahead = ahead

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "stopped")

    @property
    def ahead(self) -> int:
        """How many have their turn before it, the one being spoken included."""
        return self._ahead(self) if self.state == "queued" else 0

    @property
    def generated_seconds(self) -> float:
        return self._generated

    @property
    def elapsed(self) -> float:
        """Seconds since its turn began, until it ended; 0 while it waits."""
        return 0.0 if self._began_at is None else (self.ended_at or time.monotonic()) - self._began_at

    # Following

    def next_pieces(self, start: int = 0, timeout: float | None = None) -> tuple[list[np.ndarray], bool]:
        """The pieces from number ``start`` on, as soon as there is one.

        Args:
            timeout: seconds after which an empty list is given out; None waits until there is something.

        Returns:
            Float32 pieces of shape (num_samples,), and whether these were the last. Those of a generation that was
            stopped, or ended more than a minute ago, are gone; its take has the sound.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.ended or len(self._pieces) > start, timeout)
            return self._pieces[start:], self.ended

    def stop(self) -> bool:
        """Stop it, waiting or speaking; nothing is kept. False where it has already ended, or is just being kept."""
        with self._changed:
            if self.ended or self._keeping:
                return False
            self.cancel.set()
            self._end("stopped", STOPPED_WAITING if self.state == "queued" else STOPPED_SPEAKING)
            self._drop()
        return True

    def keep_again(self) -> Take:
        """Keep what was spoken but could not be kept, now that there is room: it is then done.

        Raises:
            StudioError: it still cannot be kept, or there is nothing to keep.
        """
        with self._changed:
            keep = self._unkept
            if keep is None or self._keeping:
                raise StudioError("There is nothing to keep here any more: speak it again.")
            self._keeping = True
        try:
            take = keep()
        finally:
            with self._changed:
                self._keeping = False
        with self._changed:
            self.take, self.sentence, self.state, self._unkept = take, None, "done", None
            self._changed.notify_all()
        return take

    @property
    def can_keep_again(self) -> bool:
        """Whether :meth:`keep_again` has something to keep: it was spoken to the end, and only saving it failed."""
        return self._unkept is not None

    # What the worker does

    def begin(self) -> bool:
        """It is its turn; False where it was stopped before."""
        with self._changed:
            if self.ended:
                return False
            self.state, self._began_at = "speaking", time.monotonic()
            self._changed.notify_all()
            return True

    def follow(self, stream: TakeStream) -> None:
        """Take the pieces of a stream in, until it ends."""
        self.sample_rate, self.expected_seconds = stream.sample_rate, stream.expected_seconds
        for piece in stream:
            with self._changed:
                if not self.ended:
                    self._pieces.append(piece)
                    self._generated += len(piece) / stream.sample_rate
                    self._changed.notify_all()

    def begin_keeping(self) -> bool:
        """From now on it is too late to stop it; False where it was stopped."""
        with self._changed:
            self._keeping = not self.ended
            return self._keeping

    def finish(self, take: Take) -> None:
        """It was kept."""
        with self._changed:
            if not self.ended:
                self.take = take
                self._end("done", None)

    def fail(self, sentence: str, keep: Callable[[], Take] | None = None) -> None:
        """It ends without a take; where it was stopped, it stays stopped.

        Args:
            keep: tries again to keep it, where only that failed.
        """
        with self._changed:
            if not self.ended:
                self._unkept = keep
                self._end("failed", sentence)
            self._keeping = False

    def drop_pieces(self) -> None:
        """Let go of the pieces in memory; for one that has ended."""
        with self._changed:
            self._drop()

    def drop_unkept(self) -> None:
        with self._changed:
            self._unkept = None

    @property
    def holds_pieces(self) -> bool:
        return self.ended and not self._dropped

    def _drop(self) -> None:
        self._pieces, self._dropped = [], True

    def _end(self, state: State, sentence: str | None) -> None:
        self.state, self.sentence, self.ended_at = state, sentence, time.monotonic()
        self._changed.notify_all()

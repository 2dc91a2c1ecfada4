"""Everything that is being spoken for the page: in a thread of its own, whatever becomes of the browser."""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from studio.engine.model.sampling import MAX_SEED
from studio.errors import StudioError
from studio.takes.generation import Generation
from studio.takes.precedence import first
from studio.takes.request import SpeakRequest
from studio.takes.service import TakeService
from studio.takes.stream import TakeStream
from studio.takes.take import Take

log = logging.getLogger(__name__)

MAX_VARIATIONS = 8
MAX_WAITING_OF_OWNER = 8
MAX_WAITING = 64
PIECES_SECONDS = 60.0
"""How long the pieces of a generation that ended stay in memory, for followers that lag behind."""
MAX_WITH_PIECES = 8
MAX_UNKEPT = 4
"""How many that could not be saved are held in memory until they can."""
REMEMBERED_SECONDS = 3600.0
"""How long a generation that ended is remembered, for a page that was reloaded meanwhile."""
MAX_REMEMBERED_OF_OWNER = 32
MAX_REMEMBERED = 512
_EXIT_SECONDS = 3.0
_UNEXPECTED = "Something went wrong inside the studio, and its log has the details: try again, or change the text."


class GenerationQueue:
    """Speaks one request after the other and keeps what was spoken as takes of whoever asked.

    A browser that goes away stops nothing: what it asked for is in its library when it comes back. The thread starts with
    the first request and ends with the process.
    """

    def __init__(self, service: TakeService) -> None:
        self._service = service
        self._changed = threading.Condition()
        self._waiting: deque[Generation] = deque()
        self._speaking: Generation | None = None
        self._ended: deque[Generation] = deque()
        self._worker: threading.Thread | None = None

    def submit(self, request: SpeakRequest, *, owner: str, tab: str, variations: int = 1) -> list[Generation]:
        """Put a request in the queue, and return at once.

        Args:
            owner: whose voices speak and whose library keeps the takes.
            tab: the one that asks, so that it finds its generations again after a reload.
            variations: how many takes, 1 to 8; the first has the request's seed, the others have new ones.

        Raises:
            StudioError: what :meth:`TakeService.check` refuses, a number of variations that cannot be, or too many
                waiting already. Then nothing was put in the queue.
        """
        if not 1 <= variations <= MAX_VARIATIONS:
            raise StudioError(f"{variations} variations cannot be made at once: choose 1 to {MAX_VARIATIONS}.")
        if variations > 1 and request.sampling.temperature == 0:
            raise StudioError("At temperature 0 every variation would be the same: raise it, or make one take.")
        self._service.check(request, owner=owner)
        asked = [
            Generation(each, owner=owner, tab=tab, number=number, of=variations, ahead=self._ahead)
            for number, each in enumerate(_varied(request, variations), 1)
        ]
        with self._changed:
            self._forget_stopped()
            own = sum(generation.owner == owner for generation in self._waiting)
            if own + variations > MAX_WAITING_OF_OWNER:
                raise StudioError(
                    f"{own} of yours are waiting already, and at most {MAX_WAITING_OF_OWNER} may: wait for one to end, or "
                    "stop one."
                )
            if len(self._waiting) + variations > MAX_WAITING:
                raise StudioError("Too many people are waiting for the model: try again in a few minutes.")
            self._waiting.extend(asked)
            self._start_worker()
            self._changed.notify_all()
        return asked

    def of(self, owner: str, tab: str) -> list[Generation]:
        """The generations of a tab: those that wait, that speak, and that ended in the last hour; the newest first."""
        return [generation for generation in self._all(owner) if generation.tab == tab]

    def find(self, owner: str, generation_id: str) -> Generation | None:
        """None where there is none of that id, or no longer."""
        return next((generation for generation in self._all(owner) if generation.id == generation_id), None)

    @property
    def speaking(self) -> bool:
        return self._speaking is not None

    # Inside

    def _all(self, owner: str) -> list[Generation]:
        with self._changed:
            self._forget_stopped()
            self._tidy()
            present = [self._speaking] if self._speaking is not None else []
            found = [each for each in (*self._ended, *present, *self._waiting) if each.owner == owner]
        return sorted(found, key=lambda each: (each.created_at, each.number), reverse=True)

    def _ahead(self, generation: Generation) -> int:
        with self._changed:
            before = 0 if self._speaking is None else 1
            for other in self._waiting:
                if other is generation:
                    return before
                before += not other.ended
            return 0

    def _start_worker(self) -> None:
        if self._worker is None or not self._worker.is_alive():
            if self._worker is None:
                atexit.register(self._stop_for_exit)
            self._worker = threading.Thread(target=self._work, name="generations", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._tidy()
                while not self._waiting:
                    # Woken now and then while there is sound in memory to let go of.
                    holding = any(generation.holds_pieces for generation in self._ended)
                    self._changed.wait(PIECES_SECONDS if holding else None)
                    self._tidy()
                generation = self._waiting.popleft()
                self._speaking = generation
            try:
                self._speak(generation)
            finally:
                generation.fail(_UNEXPECTED)  # without effect unless it has not ended
                with self._changed:
                    self._speaking = None
                    self._ended.append(generation)
            del generation  # the thread that waits must not keep what is forgotten

    def _speak(self, generation: Generation) -> None:
        if not generation.begin():
            return
        request, owner, stream = generation.request, generation.owner, None
        library = self._service.takes(owner)
        try:
            library.refuse_unkeepable()  # before minutes of work, not after
            with first(self._service.settings.leases_folder):
                stream = self._service.stream(request, owner=owner, cancel=generation.cancel)
                generation.follow(stream)
            if generation.begin_keeping():
                self._keep(generation, partial(library.keep, stream.spoken), stream)
        except StudioError as error:
            generation.fail(str(error))
        except Exception:
            log.exception("a generation ended unexpectedly")
            generation.fail(_UNEXPECTED)
        finally:
            if stream is not None:
                stream.close()

    def _keep(self, generation: Generation, keep: Callable[[], Take], stream: TakeStream) -> None:
        try:
            generation.finish(keep())
        except StudioError as error:
            # Minutes of work are not thrown away because a disk is full; but what may not be heard is.
            generation.fail(str(error), keep if stream.may_speak() else None)

    def _forget_stopped(self) -> None:
        """Those that were stopped while they waited no longer wait."""
        for generation in [waiting for waiting in self._waiting if waiting.ended]:
            self._waiting.remove(generation)
            self._ended.append(generation)

    def _tidy(self) -> None:
        """Let go of what is too old or too much."""
        at = time.monotonic()
        with_pieces = [generation for generation in self._ended if generation.holds_pieces]
        for index, generation in enumerate(reversed(with_pieces)):
            if index >= MAX_WITH_PIECES or _age(generation, at) >= PIECES_SECONDS:
                generation.drop_pieces()
        for generation in [each for each in reversed(self._ended) if each.can_keep_again][MAX_UNKEPT:]:
            generation.drop_unkept()
        kept: deque[Generation] = deque()
        owned: dict[str, int] = {}
        for generation in reversed(self._ended):
            owned[generation.owner] = owned.get(generation.owner, 0) + 1
            if (
                _age(generation, at) < REMEMBERED_SECONDS
                and owned[generation.owner] <= MAX_REMEMBERED_OF_OWNER
                and len(kept) < MAX_REMEMBERED
            ):
                kept.appendleft(generation)
        self._ended = kept

    def _stop_for_exit(self) -> None:
        """A thread that computes while the interpreter goes down can crash it: let it end its frame."""
        with self._changed:
            present = [*self._waiting, *([self._speaking] if self._speaking is not None else [])]
            self._waiting.clear()
        for generation in present:
            generation.stop()
        deadline = time.monotonic() + _EXIT_SECONDS
        while self._speaking is not None and time.monotonic() < deadline:
            time.sleep(0.02)


def _age(generation: Generation, at: float) -> float:
    return at - generation.ended_at if generation.ended_at is not None else 0.0


def _varied(request: SpeakRequest, variations: int) -> list[SpeakRequest]:
    """The request with its own seed, and others with new ones; without a seed each draws one when it is spoken."""
    if request.seed is None:
        return [request] * variations
    return [request, *(replace(request, seed=secrets.randbelow(MAX_SEED + 1)) for _ in range(variations - 1))]

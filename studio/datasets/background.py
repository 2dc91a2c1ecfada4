"""Imports and measurements that go on without a page: one at a time for each owner, told and stopped from anywhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from studio.errors import StudioError

log = logging.getLogger(__name__)


@dataclass
class Work:
    """Something that is being done to a set.

    Attributes:
        name: of the set.
        sentence: how far it is.
        outcome: how it ended, a sentence; "" while it goes on.
        failed: whether it ended with an error.
    """

    name: str
    sentence: str = ""
    outcome: str = ""
    failed: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End it soon; an import leaves nothing then, a measurement what it has."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether somebody wanted it to end."""
        return self._stop.is_set()

    def announce(self, sentence: str) -> None:
        """Tell how far it is."""
        self.sentence = sentence


class Works:
    """What is being done in this process, by owner."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._lock = threading.Lock()

    def start(self, owner: str, name: str, do: Callable[[Work], str]) -> Work:
        """Begin; ``do`` gives back how it ended, in a sentence.

        Raises:
            StudioError: something is being done for this owner already.
        """
        with self._lock:
            present = self._works.get(owner)
            if present is not None and not present.outcome:
                raise StudioError(f"{present.name} is being worked on: wait until that is done, or stop it.")
            work = self._works[owner] = Work(name)

        def run() -> None:
            try:
                work.outcome = do(work)
            except StudioError as error:
                work.failed, work.outcome = True, str(error)
            except Exception:  # a bug: the log has it
                log.exception("work on the dataset %s failed", name)
                work.failed = True
                work.outcome = "Something went wrong inside the studio, and its log has the details: try again."

        threading.Thread(target=run, daemon=True, name=f"dataset {name}").start()
        return work

    def of(self, owner: str) -> Work | None:
        """What is, or was last, being done for an owner."""
        return self._works.get(owner)

"""Imports and measurements that go on without a page: one at a time for each owner, told and stopped from anywhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from studio.datasets.spreading.pace import Pace
from studio.errors import StudioError

if TYPE_CHECKING:
    from studio.datasets.dataset import Dataset
    from studio.datasets.library import DatasetLibrary
    from studio.datasets.measures import Grade

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
            self.refuse_second(owner)
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

    def refuse_second(self, owner: str) -> None:
        """Raise StudioError where something is being done for this owner."""
        if (name := self.busy_with(owner)) is not None:
            raise StudioError(f"{name} is being worked on: wait until that is done, or stop it.")

    def busy_with(self, owner: str) -> str | None:
        """The name of the set that something is being done to for this owner; None where there is none."""
        present = self._works.get(owner)
        return present.name if present is not None and not present.outcome else None

    def of(self, owner: str) -> Work | None:
        """What is, or was last, being done for an owner."""
        return self._works.get(owner)


def measured(work: Work, library: DatasetLibrary, dataset: Dataset, *, asr_model: str = "") -> Grade:
    """Measure a set, telling how far it is and how long it will take. Raises StudioError as measuring does."""
    from studio.datasets.measures.measuring import measure_dataset

    pace = Pace()
    return measure_dataset(
        library, dataset, asr_model=asr_model, stopped=lambda: work.stopped, pace=pace,
        announce=lambda done, total: work.announce(
            f"{dataset.name}: {done:,} of {total:,} utterances are measured{pace.words} …"
        ),
    )  # fmt: skip


def imported(work: Work, library: DatasetLibrary, run: Callable[..., Dataset]) -> str:
    """Import a set with ``run`` and measure it, telling how far it is; returns how it ended, in a sentence.

    Args:
        run: takes ``announce``, ``stopped`` and ``pace`` as :func:`studio.datasets.imports.importer.go_on` does.

    Raises:
        StudioError: as the import and the measurement.
    """
    pace = Pace()
    dataset = run(
        stopped=lambda: work.stopped, pace=pace,
        announce=lambda done, what: work.announce(f"{work.name}: {done:,} utterances, {what}{pace.words} …"),
    )  # fmt: skip
    measured(work, library, dataset)
    left_out = sum(dataset.report["left_out"].values())
    more = f"; {left_out:,} cannot be used, and the set says why" if left_out else ""
    return f"{dataset.name} has {dataset.num_utterances:,} utterances{more}."

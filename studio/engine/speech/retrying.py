"""Parts of a text that came out badly are spoken again: what is found wrong, what was tried, and which attempt is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from studio.audio.waveform import Waveform
from studio.engine.speech.chunk import SpokenChunk

MAX_RETRIES = 10
DEFAULT_RETRIES = 2
"""How often a part is spoken again at most, where nobody says how often."""
_SILENT_DBFS = -60.0
"""RMS below which there is nothing to hear, as for a trainer's samples."""
_SHORTEST, _LEAST_SECONDS = 0.4, 1.0
"""A part that takes so much less of its expected time has lost words: the quickest of 350 recorded utterances (see
``engine/text/duration.py``) takes more than half. Of a shorter part the time says nothing."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a part.

    Attributes:
        kind: budget, silent, short, words or voice.
        told: what it is, a clause for people.
        weight: how bad: attempts are compared by the sum of theirs.
    """

    kind: str
    told: str
    weight: float


@dataclass(frozen=True)
class Attempt:
    """One of the times that a part was spoken.

    Attributes:
        seed: with it alone the attempt can be told from others; the first one goes on from what came before it.
        kept: this one is heard in the take.
    """

    seed: int
    faults: tuple[Fault, ...]
    kept: bool = False

    @property
    def weight(self) -> float:
        return sum(fault.weight for fault in self.faults)

    def as_json(self) -> dict[str, Any]:
        """As a take keeps it."""
        told = [{"kind": fault.kind, "told": fault.told} for fault in self.faults]
        return {"seed": self.seed, "kept": self.kept, "faults": told}


class Judge(Protocol):
    """Somebody who hears a part that was spoken."""

    name: str
    """Who hears, with version; kept with the take."""

    def faults(self, chunk: SpokenChunk, sound: Waveform) -> list[Fault]:
        """What is wrong with it besides what needs no ears. Never raises where it cannot tell."""
        ...

    def keep(self, chunk: SpokenChunk, sound: Waveform) -> None:
        """This attempt is the one that is kept: later parts may be held against it."""
        ...


@dataclass(frozen=True)
class Retrying:
    """How parts are spoken again.

    Attributes:
        times: at most so often; 0 never.
        judge: None leaves it to the rules that need no ears.
        long_only: only where the text has more than one part.
    """

    times: int = DEFAULT_RETRIES
    judge: Judge | None = None
    long_only: bool = False

    def times_for(self, num_chunks: int) -> int:
        """How often, for a text of so many parts."""
        return 0 if self.long_only and num_chunks < 2 else self.times


def faults_by_rule(chunk: SpokenChunk, sound: Waveform, *, ended: bool) -> list[Fault]:
    """What is wrong with a part as far as no ears are needed: it did not end, nothing is heard, or it is far too short."""
    found = []
    if not ended:
        found.append(Fault("budget", "it did not end by itself", 2.0))
    level = float(np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64)))) if sound.num_samples else 0.0
    if level < 10 ** (_SILENT_DBFS / 20):
        found.append(Fault("silent", "nothing is heard in it", 4.0))
    elif chunk.expected_seconds >= _LEAST_SECONDS and sound.duration < _SHORTEST * chunk.expected_seconds:
        told = f"it takes {sound.duration:.1f} s where about {chunk.expected_seconds:.1f} s are expected"
        found.append(Fault("short", told, 3.0))
    return found


def best_of(attempts: Sequence[Attempt]) -> int:
    """Number of the attempt with the least wrong; of equals the earlier."""
    return min(range(len(attempts)), key=lambda number: attempts[number].weight)


def seed_of(seed: int, attempt: int, max_seed: int) -> int:
    """The seed of an attempt: the take's own, and then those after it."""
    return (seed + attempt) % (max_seed + 1)

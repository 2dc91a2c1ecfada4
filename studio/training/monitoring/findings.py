"""A finding about a run, and the words that findings share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["diverging", "silent", "no_effect", "stop_not_learnt", "memorising", "too_early", "fine"]
Tone = Literal["good", "info", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing to know about a run.

    Attributes:
        title: a few words.
        evidence: sentences with the numbers and steps that say so.
    """

    kind: Kind
    tone: Tone
    title: str
    evidence: str
    advice: str


def figure(value: float) -> str:
    """A number as people read it."""
    if math.isnan(value):
        return "not a number"
    return "infinite" if math.isinf(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def dbfs(value: float) -> str:
    """Loudness."""
    return f"{value:.0f} dBFS".replace("-", "−")


def step_range(steps: tuple[int, int]) -> str:
    """The first and the last step."""
    return f"{steps[0]} to {steps[1]}"


def counted(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count} {noun}{'s' if count != 1 else ''}"


def share(count: int, total: int, noun: str) -> str:
    """So many of all."""
    return f"{count} of {counted(total, noun)}"


def are(count: int) -> str:
    """The verb for so many."""
    return "is" if count == 1 else "are"

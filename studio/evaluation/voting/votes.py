"""A vote of a listener about two takes of one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from studio.errors import StudioError

Choice = Literal["left", "right", "tie", "both_bad"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
CONFIDENCE = 0.95
"""How sure everything that is said of votes is to be."""


@dataclass(frozen=True)
class Vote:
    """One vote.

    Attributes:
        trial: its id; votes are in the order in which they were cast.
        sentence: what was spoken, or any name of it: votes about one sentence have it in common.
        left, right: the systems that spoke, in the order in which they were presented.
        repeat_of: the trial that came again with its sides swapped; "" for a pair that was heard for the first time.
    """

    trial: str
    listener: str
    sentence: str
    left: str
    right: str
    choice: Choice
    repeat_of: str = ""

    @property
    def winner(self) -> str:
        """The system that was preferred; "" for none."""
        return {"left": self.left, "right": self.right}.get(self.choice, "")

    @property
    def counts(self) -> bool:
        """Whether it says something of a preference: a pair that comes again tells of the listener only."""
        return not self.repeat_of and self.choice != "both_bad"


def known_choice(choice: str) -> Choice:
    """The choice, checked. Raises StudioError for what is none."""
    if choice not in CHOICES:
        raise StudioError(f"'{choice[:20]}' is no vote: choose left, right, tie or both_bad.")
    return choice  # type: ignore[return-value]  it is one of them

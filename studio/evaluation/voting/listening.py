"""What votes tell of whoever cast them: do they agree with themselves, and do they listen at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from studio.evaluation.voting.confidence import ANYTHING, is_refuted
from studio.evaluation.voting.votes import Vote

SIDE_ALPHA = 0.01
"""Probability of saying of a listener who has no favourite side that there is one, however often it is looked at."""


@dataclass(frozen=True)
class ListenerHabits:
    """What is known of a listener.

    Attributes:
        lefts, rights: how often each side was preferred in pairs heard for the first time. Which system is on which side is
            drawn for each of them, so a listener who goes by the sound picks both equally often.
        favourite_side: the side that is picked too often for that; None where nothing is known.
        repeats: pairs that came again with their sides swapped and were voted on both times.
        agreements: how many of them got the same answer.
    """

    listener: str
    num_votes: int
    lefts: int
    rights: int
    favourite_side: Literal["left", "right"] | None
    repeats: int
    agreements: int

    @property
    def consistency(self) -> float | None:
        """Share of the pairs that came again and got the same answer; None where none came again."""
        return self.agreements / self.repeats if self.repeats else None

    @property
    def warning(self) -> str | None:
        """What should be known before this listener is relied on, in a sentence."""
        if self.favourite_side is None:
            return None
        picked = self.lefts if self.favourite_side == "left" else self.rights
        return (
            f"The {self.favourite_side} side was picked in {picked} of {self.lefts + self.rights} pairs, whatever was on it: "
            "these votes say little of the voices."
        )

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``--json``."""
        return {**vars(self), "consistency": self.consistency, "warning": self.warning}


def habits_of(listener: str, votes: Sequence[Vote]) -> ListenerHabits:
    """What the votes of one listener tell of them; others' votes are left out."""
    own = [vote for vote in votes if vote.listener == listener]
    first = {vote.trial: vote for vote in own if not vote.repeat_of}
    lefts, rights = (sum(vote.choice == side for vote in first.values()) for side in ("left", "right"))
    favourite: Literal["left", "right"] | None = None
    # Of pairs that come again the side is known from before: only what was drawn can be tested.
    if is_refuted(0.5, lefts, 0, rights, alpha=SIDE_ALPHA, expecting=ANYTHING):
        favourite = "left" if lefts > rights else "right"
    again = [(first[vote.repeat_of], vote) for vote in own if vote.repeat_of in first]
    agreements = sum((one.winner or one.choice) == (two.winner or two.choice) for one, two in again)
    return ListenerHabits(listener, len(own), lefts, rights, favourite, len(again), agreements)

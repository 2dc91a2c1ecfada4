"""All that the votes of a comparison say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from studio.evaluation.voting.confidence import Share, preference_share
from studio.evaluation.voting.listening import ListenerHabits, habits_of
from studio.evaluation.voting.ranking import Ranked, rank
from studio.evaluation.voting.votes import CONFIDENCE, Vote


@dataclass(frozen=True)
class PairTally:
    """Two systems beside each other.

    Attributes:
        share: of the first; its confidence is such that all intervals of a comparison hold together.
        both_bad: votes that both were bad, which say nothing of a preference.
    """

    first: str
    second: str
    share: Share
    both_bad: int

    @property
    def preferred(self) -> str | None:
        """The system that is preferred; None while that is not decided."""
        return {"first": self.first, "second": self.second}.get(self.share.decided or "")

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``--json``."""
        return {
            "first": self.first, "second": self.second, "preferred": self.preferred, "both_bad": self.both_bad,
            **self.share.as_json(),
        }  # fmt: skip


@dataclass(frozen=True)
class Tally:
    """What the votes say.

    Attributes:
        systems: in their own order.
        pairs: every two of them; with two systems it is one.
        ranking: the best first; empty for two systems, or without votes.
        left_out: votes that are not counted, because a voice that was heard in them may no longer be.
    """

    systems: tuple[str, ...]
    pairs: tuple[PairTally, ...]
    ranking: tuple[Ranked, ...]
    listeners: tuple[ListenerHabits, ...]
    num_votes: int
    left_out: int = 0

    @property
    def of_one(self) -> bool:
        """Whether one person cast all votes: they are then told as "your preference", not as what people prefer."""
        return len(self.listeners) == 1

    @property
    def preferred(self) -> str | None:
        """The one system that is preferred to every other; None while that is not decided."""
        for system in self.systems:
            with_it = [pair for pair in self.pairs if system in (pair.first, pair.second)]
            if with_it and all(pair.preferred == system for pair in with_it):
                return system
        return None

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``--json``."""
        return {
            "num_votes": self.num_votes,
            "left_out": self.left_out,
            "of_one": self.of_one,
            "preferred": self.preferred,
            "pairs": [pair.as_json() for pair in self.pairs],
            "ranking": [ranked.as_json() for ranked in self.ranking],
            "listeners": [habits.as_json() for habits in self.listeners],
        }


def tally_of(systems: Sequence[str], votes: Sequence[Vote], *, seed: int = 0, left_out: int = 0) -> Tally:
    """Count votes, in whatever order.

    Args:
        seed: of the samples that the ranking draws.
        left_out: how many there are besides, see :class:`Tally`.
    """
    pairs = list(combinations(systems, 2))
    # By Bonferroni: with ten pairs one false winner in twenty comparisons, not one in two.
    confidence = 1 - (1 - CONFIDENCE) / max(len(pairs), 1)
    first_time = [vote for vote in votes if not vote.repeat_of]
    names = dict.fromkeys(vote.listener for vote in votes)
    return Tally(
        tuple(systems),
        tuple(_pair(one, two, first_time, confidence) for one, two in pairs),
        tuple(rank(systems, votes, seed=seed)) if len(systems) > 2 and any(vote.counts for vote in votes) else (),
        tuple(habits_of(name, votes) for name in names),
        len(first_time),
        left_out,
    )


def _pair(one: str, two: str, votes: Sequence[Vote], confidence: float) -> PairTally:
    about = [vote for vote in votes if {vote.left, vote.right} == {one, two}]
    wins, losses = (sum(vote.winner == system for vote in about) for system in (one, two))
    ties = sum(vote.choice == "tie" for vote in about)
    share = preference_share(wins, ties, losses, confidence=confidence)
    return PairTally(one, two, share, sum(vote.choice == "both_bad" for vote in about))


def sentence_of(pair: PairTally, first: str, second: str, *, of_one: bool) -> str:
    """What is known of two systems, in words for people.

    Args:
        first, second: what they are called.
        of_one: see :attr:`Tally.of_one`.
    """
    share = pair.share
    if share.share is None:
        bad = f": both were bad in all {pair.both_bad}" if pair.both_bad else ""
        return f"{first} and {second}: no votes that tell yet{bad}."
    whose = "Your preference: " if of_one else ""
    seen = (
        f"{share.share:.0%} for {first} against {second} ({share.low:.0%} to {share.high:.0%}, {share.num_votes} votes)"
    )
    if share.decided:
        better = first if share.decided == "first" else second
        return f"{whose}{better} is preferred; {seen}."
    more = "" if share.more_votes is None else f"; about {share.more_votes} more votes like these would decide it"
    return f"{whose or 'Preference: '}not decided yet; {seen}{more}."

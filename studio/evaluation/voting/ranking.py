"""Three or more systems in an order: Bradley–Terry with ties, and how far listeners and sentences could have moved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.evaluation.voting.votes import CONFIDENCE, Vote

RESAMPLES = 400
_PRIOR = 0.5
"""Weight of a tie that every pair gets beforehand: a system that was never beaten would else be infinitely strong."""


@dataclass(frozen=True)
class Ranked:
    """A system and its place.

    Attributes:
        strength: natural logarithm of its Bradley–Terry score, where the mean of all systems is 0: the odds of A against B
            are exp(strength of A − strength of B). A tie is half a win for both.
        low, high: where ``strength`` lies in 95 of 100 samples of other listeners and sentences. Unlike a preference share
            this holds for one look.
    """

    system: str
    strength: float
    low: float
    high: float
    num_votes: int

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``--json``."""
        return dict(vars(self))


def rank(systems: Sequence[str], votes: Sequence[Vote], *, seed: int = 0, resamples: int = RESAMPLES) -> list[Ranked]:
    """The systems by the lower bounds of their strengths, the best first.

    Votes of one listener are alike, and so are votes about one sentence. Both are drawn anew, with replacement, and a vote
    counts as often as its listener times its sentence was drawn (the pigeonhole bootstrap: Owen, Annals of Applied
    Statistics 1, 2007). Where only one listener voted, only sentences are drawn.

    Args:
        seed: the same one draws the same samples.
    """
    counted = [vote for vote in votes if vote.counts and vote.left in systems and vote.right in systems]
    if len(systems) < 2:
        return []
    place = {system: number for number, system in enumerate(systems)}
    outcomes = np.array([_outcome(vote, place) for vote in counted], dtype=int).reshape(-1, 3)
    listeners, sentences = (
        _numbered([vote.listener for vote in counted]),
        _numbered([vote.sentence for vote in counted]),
    )
    strength = _strengths(len(systems), outcomes, np.ones(len(counted)))
    random = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(systems)))
    for number in range(resamples):
        weights = _drawn(random, sentences) * (_drawn(random, listeners) if listeners.max(initial=0) else 1.0)
        drawn[number] = _strengths(len(systems), outcomes, weights)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0) if len(counted) else (strength - np.inf, strength + np.inf)
    found = [
        Ranked(
            system, round(float(strength[at]), 4), float(low[at]), float(high[at]),
            sum(system in (vote.left, vote.right) for vote in counted),
        )
        for system, at in place.items()
    ]  # fmt: skip
    return sorted(found, key=lambda ranked: (-ranked.low, -ranked.strength))


def _outcome(vote: Vote, place: dict[str, int]) -> tuple[int, int, int]:
    """The two systems and the winner as evalica numbers it: 0 for a tie, 1 for the first, 2 for the second."""
    return place[vote.left], place[vote.right], {"left": 1, "right": 2}.get(vote.choice, 0)


def _numbered(names: Sequence[str]) -> np.ndarray:
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1].reshape(-1)


def _drawn(random: np.random.Generator, clusters: np.ndarray) -> np.ndarray:
    """How often the cluster of each vote comes when as many are drawn as there are."""
    count = int(clusters.max(initial=-1)) + 1
    if not count:
        return np.ones(0)
    return np.bincount(random.integers(count, size=count), minlength=count)[clusters].astype(float)


def _strengths(count: int, outcomes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    import evalica

    # Votes of the same outcome are added up first: a sample is then as quick as the number of pairs, not of votes.
    codes = (outcomes[:, 0] * count + outcomes[:, 1]) * 3 + outcomes[:, 2]
    summed = np.bincount(codes, weights=weights, minlength=count * count * 3)
    pairs = [(one, two) for one in range(count) for two in range(one + 1, count)]
    for one, two in pairs:
        summed[(one * count + two) * 3] += _PRIOR
    present = np.flatnonzero(summed)
    xs, ys = present // 3 // count, present // 3 % count
    result = evalica.bradley_terry(
        xs.tolist(), ys.tolist(), [evalica.WINNERS[each] for each in present % 3], weights=summed[present].tolist(),
        tie_weight=0.5, tolerance=1e-8, limit=1000,
    )  # fmt: skip
    strength = np.log(np.maximum(result.scores.reindex(range(count)).to_numpy(dtype=float), 1e-12))
    return strength - strength.mean()

"""How sure a preference is, however often somebody looks.

An ordinary test that is looked at after every vote finds a winner among equals sooner or later. Here a gambler bets against
the claim that the mean vote is ``m`` (a vote is 1 for the first system, 0 for the second, a tie a half). While the claim is
true, no bet makes money on average, so that by Ville's inequality the gambler's capital reaches ``1/α`` at any time at all
with a probability of at most ``α``. The claims against which the capital is below ``1/α`` are a confidence sequence
(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024, arXiv:2010.09686).

The gambler divides the first capital among fixed bets, so it depends on the counts alone and not on the order of the votes.
Without ties the bets are those of Robbins' beta-binomial mixture (Annals of Mathematical Statistics 41, 1970).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from studio.evaluation.voting.votes import CONFIDENCE

_BETS = (np.arange(199) + 1) / 200
"""Each bets as if the mean were this. Any division of the capital holds the promise; a finer one would change no figure."""
MODERATE = 5.0
"""Exponent of the division that expects moderate preferences (:func:`log_capital`): 65 % is found with the fewest votes."""
ANYTHING = 1.0
"""That which expects anything: a listener who always picks one side is found soonest."""
_CLAIMS = np.arange(1, 1000) / 1000
_MAX_VOTES = 100_000


@dataclass(frozen=True)
class Share:
    """How often the first of two is preferred.

    Attributes:
        share: mean of the votes, a tie counted as a half; None without votes.
        low, high: the confidence sequence, 0 and 1 without votes.
        decided: which of the two is preferred; None while the interval has a half in it.
        more_votes: how many votes it would still take if the coming ones were as these; 0 where it is decided, None where
            nothing can be said, because there are no votes or they are even, or it would take more than 100,000.
    """

    wins: int
    ties: int
    losses: int
    confidence: float
    share: float | None
    low: float
    high: float
    decided: Literal["first", "second"] | None
    more_votes: int | None

    @property
    def num_votes(self) -> int:
        return self.wins + self.ties + self.losses

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``--json``."""
        return {**vars(self), "num_votes": self.num_votes}


def log_capital(claim: Any, wins: Any, ties: Any, losses: Any, expecting: float = MODERATE) -> np.ndarray:
    """Logarithm of what a capital of 1 has become by betting against a mean of ``claim``.

    The bet on a mean of q multiplies by ``1 + (q − m)(x − m) / (m (1 − m))`` at a vote x: by q/m at a win, by (1 − q)/(1 − m)
    at a loss. The capital is divided by the weights of Beta(``expecting``, ``expecting``) at q.

    Args:
        claim: above 0 and below 1.
        wins, ties, losses: counts; arrays are broadcast with each other and with the claim.
    """
    claim, wins, ties, losses = (
        each[..., None] for each in np.broadcast_arrays(*map(np.asarray, (claim, wins, ties, losses)))
    )
    claim = claim.astype(float)
    weights = (expecting - 1) * (np.log(_BETS) + np.log1p(-_BETS))
    weights = weights - np.log(np.exp(weights).sum())
    at_tie = np.log1p((_BETS - claim) * (0.5 - claim) / (claim * (1 - claim)))
    logs = weights + wins * np.log(_BETS / claim) + losses * np.log((1 - _BETS) / (1 - claim)) + ties * at_tie
    largest = logs.max(axis=-1)
    return largest + np.log(np.exp(logs - largest[..., None]).sum(axis=-1))


def is_refuted(claim: float, wins: int, ties: int, losses: int, *, alpha: float, expecting: float = MODERATE) -> bool:
    """Whether the votes speak against a mean of ``claim``; wrongly with a probability of ``alpha`` over all looks."""
    return bool(log_capital(claim, wins, ties, losses, expecting) >= -math.log(alpha))


def preference_share(wins: int, ties: int, losses: int, *, confidence: float = CONFIDENCE) -> Share:
    """What the votes about two systems say so far. It holds however often it is asked for."""
    total, alpha = wins + ties + losses, 1 - confidence
    if not total:
        return Share(0, 0, 0, confidence, None, 0.0, 1.0, None, None)
    held = _CLAIMS[log_capital(_CLAIMS, wins, ties, losses) < -math.log(alpha)]
    share = (wins + ties / 2) / total
    # To the next claim that was refuted; a mean outside all claims is as near as they get.
    low = float(max(held.min() - 0.001, 0)) if len(held) else share
    high = float(min(held.max() + 0.001, 1)) if len(held) else share
    decided: Literal["first", "second"] | None = None
    if is_refuted(0.5, wins, ties, losses, alpha=alpha):
        decided = "first" if share > 0.5 else "second"
        low, high = (max(low, 0.5), high) if decided == "first" else (low, min(high, 0.5))
    more = 0 if decided else _more_votes(wins, ties, losses, alpha)
    return Share(wins, ties, losses, confidence, share, low, high, decided, more)


def _more_votes(wins: int, ties: int, losses: int, alpha: float) -> int | None:
    """The fewest further votes of the same mixture that would refute a half."""
    total = wins + ties + losses
    if wins == losses:
        return None

    def decides(num_votes: int) -> bool:
        of = num_votes / total
        return bool(log_capital(0.5, wins * of, ties * of, losses * of) >= -math.log(alpha))

    if not decides(_MAX_VOTES):
        return None
    low, high = total, _MAX_VOTES  # undecided, decided
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high - total

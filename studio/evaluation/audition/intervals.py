"""Figures over texts: a mean with its interval, and whether one system is clearly worse than another on the same texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
"""Of the test whether one is worse, one-sided."""
_ALL_SIGNS = 12
"""Up to so many texts every pattern of signs is tried; of more, as many as that has are drawn."""


@dataclass(frozen=True)
class Interval:
    """A mean over texts.

    Attributes:
        low, high: of 95 %; None with a single text, which tells nothing of others.
        texts: that it is over.
    """

    mean: float
    low: float | None
    high: float | None
    texts: int

    @property
    def lower(self) -> float:
        """The lower bound; without one the mean."""
        return self.mean if self.low is None else self.low

    def as_json(self) -> dict[str, Any]:
        """For ``--json``, to the fourth digit."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in (("mean", self.mean), ("low", self.low), ("high", self.high), ("texts", self.texts))
        }


def mean_interval(by_text: Mapping[int, float], *, least: float, most: float) -> Interval | None:
    """Student's interval of a mean over texts, within what the figure can be. None without a text.

    Args:
        by_text: the mean of each text over its seeds.
    """
    values = np.array(list(by_text.values()), dtype=np.float64)
    if not len(values):
        return None
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, None, None, 1)
    from scipy.stats import t

    half = float(t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(mean, max(least, mean - half), min(most, mean + half), len(values))


def share_interval(by_text: Mapping[int, float]) -> Interval | None:
    """Wilson's interval of a share, 0 to 1, with as many trials as there are texts: seeds of one text are alike."""
    if not by_text:
        return None
    from scipy.stats import norm

    num, share = len(by_text), math.fsum(by_text.values()) / len(by_text)
    z = float(norm.ppf(0.5 + CONFIDENCE / 2))
    middle = (share + z * z / (2 * num)) / (1 + z * z / num)
    half = z / (1 + z * z / num) * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)), num)


def mean_difference(one: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """By how much the first is above the second, on the texts that both have; None without one."""
    differences = _differences(one, other)
    return math.fsum(differences) / len(differences) if differences else None


def is_clearly_above(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    """Whether the first figure is above the second on the same texts, by Fisher's exact test of signs.

    If the two were alike, each difference could as well have the other sign: it is asked how many patterns of signs give a
    sum as large (Fisher 1935, The Design of Experiments, section 21). With under five texts nothing is clear to it.
    """
    differences = np.array(_differences(one, other), dtype=np.float64)
    if not differences.any():
        return False
    signs = _signs(len(differences))
    sums = signs @ np.abs(differences)
    reached = np.count_nonzero(sums >= float(differences.sum()) - 1e-12)
    if len(differences) > _ALL_SIGNS:  # what was found is one of the patterns, too
        return bool((reached + 1) / (len(signs) + 1) <= SIGNIFICANCE)
    return bool(reached / len(signs) <= SIGNIFICANCE)


def _differences(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    return [one[text] - other[text] for text in sorted(one.keys() & other.keys())]


def _signs(num: int) -> np.ndarray:
    """Patterns of signs, shape (num_patterns, num)."""
    if num <= _ALL_SIGNS:
        return np.array(list(product((-1.0, 1.0), repeat=num)))
    return np.random.default_rng(0).choice((-1.0, 1.0), size=(2**_ALL_SIGNS, num))


def means_by_text(values: Sequence[tuple[int, float]]) -> dict[int, float]:
    """The mean for each text of figures with their texts."""
    found: dict[int, list[float]] = {}
    for text, value in values:
        found.setdefault(text, []).append(value)
    return {text: math.fsum(each) / len(each) for text, each in found.items()}

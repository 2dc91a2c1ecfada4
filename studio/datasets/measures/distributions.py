"""How the figures of a set spread: histograms of its kept utterances, and minutes for each speaker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.datasets.dataset import Dataset
from studio.datasets.library import DatasetLibrary
from studio.store import datasets as queries

MAX_BINS = 30
MAX_SPEAKERS = 12
"""Speakers with a bar of their own: those who speak most."""
_FEW_BINS = 8
_TAIL, _MANY = 0.005, 200
"""Of many utterances, this share at each end may lie outside of what is drawn: one slip would squeeze all others."""


@dataclass(frozen=True)
class Histogram:
    """How many utterances lie where.

    Attributes:
        edges: of the bins, one more than counts, in the unit of the figure; a value on an edge is in the upper bin.
        counts: utterances of each bin.
        below, above: utterances under the first and over the last edge.
        median: of all; None where there is none.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    below: int = 0
    above: int = 0
    median: float | None = None

    @property
    def count(self) -> int:
        """All utterances that have the figure."""
        return sum(self.counts) + self.below + self.above

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "edges": list(self.edges),
            "counts": list(self.counts),
            "below": self.below,
            "above": self.above,
            "median": None if self.median is None else round(self.median, 4),
        }


@dataclass(frozen=True)
class Distributions:
    """The figures of a set.

    Attributes:
        durations: seconds of each utterance.
        rates: characters for each second of speech; of measured utterances with a text.
        snrs: signal to noise in dB; of measured utterances.
        minutes: speakers with the minutes that are kept of them, those who speak most first.
        other_speakers, other_minutes: those who have no bar of their own.
        utterances, measured: how many are kept, and how many of them were measured.
    """

    durations: Histogram
    rates: Histogram
    snrs: Histogram
    minutes: tuple[tuple[str, float], ...]
    other_speakers: int
    other_minutes: float
    utterances: int
    measured: int

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "seconds": self.durations.as_json(),
            "characters_per_second": self.rates.as_json(),
            "snr_db": self.snrs.as_json(),
            "measured": self.measured,
        }


def distributions(library: DatasetLibrary, dataset: Dataset) -> Distributions:
    """Of what is kept of a set, by what measuring kept; nothing is measured here. Raises StudioError where it is gone."""
    with library.store.reading() as session:
        found = queries.figures(session, library.record(session, dataset.id).id)
    speakers = sorted(
        ((each.name, each.seconds / 60) for each in dataset.speakers if each.num_utterances),
        key=lambda each: (-each[1], each[0]),
    )
    own, others = speakers[:MAX_SPEAKERS], speakers[MAX_SPEAKERS:]
    return Distributions(
        histogram([seconds for seconds, *_ in found], least=0.1),
        histogram([rate for _, rate, _, _ in found if rate is not None], least=0.5),
        histogram([snr for _, _, snr, _ in found if snr is not None], least=1.0),
        tuple(own),
        len(others),
        sum(minutes for _, minutes in others),
        len(found),
        sum(is_measured for *_, is_measured in found),
    )


def histogram(values: Sequence[float], *, least: float = 0.0) -> Histogram:
    """Bins of a width that people count in (1, 2 or 5 times a power of ten), more of them where there are more values.

    Args:
        least: width of a bin below which differences say nothing.
    """
    array = np.array(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    if not len(array):
        return Histogram((), ())
    low, high = float(array.min()), float(array.max())
    if len(array) >= _MANY:
        low, high = (float(each) for each in np.quantile(array, (_TAIL, 1 - _TAIL)))
    wanted = min(MAX_BINS, max(_FEW_BINS, round(2 * len(array) ** (1 / 3))))
    width = _nice(max(least, (high - low) / wanted) or abs(high) / _FEW_BINS or 1.0)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    # By number, not by adding: 0.1 + 0.2 is no edge that a value of 0.3 lies on.
    edges = np.array([round(number * width, 9) for number in range(first, last + 1)])
    bins = np.searchsorted(edges, array, side="right") - 1
    counts = np.bincount(bins[(bins >= 0) & (bins < len(edges) - 1)], minlength=len(edges) - 1)
    return Histogram(
        tuple(edges.tolist()), tuple(counts.tolist()), int((bins < 0).sum()), int((bins >= len(edges) - 1).sum()),
        float(np.median(array)),
    )  # fmt: skip


def _nice(width: float) -> float:
    """The next larger 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * (1 - 1e-9))

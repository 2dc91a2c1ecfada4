"""Curves for plots: thinned and smoothed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NEGLIGIBLE = 1e-17


def thinned(
    steps: NDArray[Any], values: NDArray[np.float64], max_points: int
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """At most ``max_points`` points of a curve that look like all of it.

    The first and the last, and the lowest and the highest of each stretch of equally many points; where values are not
    finite, one such point of each stretch, so that the gap stays to be seen.

    Args:
        steps: shape (N,).
        values: shape (N,).
        max_points: at least 2.
    """
    num = len(values)
    if num <= max_points:
        return steps, values
    finite = np.isfinite(values)
    kept_of_each = 2 if finite.all() else 3
    num_stretches = max(0, max_points - 2) // kept_of_each
    kept = [np.array([0, num - 1])]
    if num_stretches:
        length = -(-num // num_stretches)
        shape, padding = (num_stretches, length), num_stretches * length - num
        padded = np.pad(values, (0, padding), constant_values=np.nan).reshape(shape)
        drawn = np.pad(finite, (0, padding)).reshape(shape)
        begins = np.arange(num_stretches) * length
        some = drawn.any(axis=1)
        kept += [
            (begins + np.where(drawn, padded, np.inf).argmin(axis=1))[some],
            (begins + np.where(drawn, padded, -np.inf).argmax(axis=1))[some],
        ]
        missing = np.pad(~finite, (0, padding)).reshape(shape)
        kept.append((begins + missing.argmax(axis=1))[missing.any(axis=1)])
    index = np.unique(np.concatenate(kept))
    return steps[index], values[index]


def smoothed(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential moving average, corrected at its beginning as in TensorBoard (arXiv:1412.6980, section 3).

    Args:
        values: shape (N,). NaN and infinity stay where they are, as NaN, and do not count.
        weight: of the past; 0 changes nothing, 1 is the mean of everything so far.

    Returns:
        shape (N,).
    """
    weight = min(1.0, max(0.0, weight))
    finite = np.isfinite(values)
    known = values[finite]
    count = np.arange(1, len(known) + 1)
    if weight == 1.0:
        means = np.cumsum(known) / count
    else:
        means = known * (1.0 - weight)
        # After each round a value holds the sum of twice as many before it; what weighs less than a rounding is left out.
        shift = 1
        while shift < len(means) and weight**shift > _NEGLIGIBLE:
            means[shift:] = means[shift:] + weight**shift * means[:-shift]
            shift *= 2
        means /= 1.0 - weight**count
    result = np.full(len(values), np.nan)
    result[finite] = means
    return result

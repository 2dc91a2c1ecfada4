"""Overdriven recordings: waves with their tops cut off."""

from __future__ import annotations

import numpy as np

from studio.audio.waveform import Waveform

# Samples this close to the extreme count as one level: less than a step of 16 bits for a clip that peaks at −30 dBFS.
_SAME_LEVEL = 1e-3
# A quieter clip has so few levels that many samples share the highest by chance.
_QUIETEST_PEAK = 0.003
_BLOCK_SAMPLES = 1 << 22


def clipped_share(waveform: Waveform) -> float:
    """Return the share of samples (0–1) that lie on a flat top.

    A flat top is a run of samples within 0.1 % of the clip's highest (or lowest) value: two samples below 32 kHz,
    three above, where the round top of a low note alone can hold two. Full scale plays no part in this, so clipping at
    0.99 or clipping that was turned down afterwards counts as well. Each side is measured for itself, since a constant
    offset makes only one side clip.
    Tops that were cut and then resampled or coded as MP3 ripple, and are found only in part.
    """
    if waveform.peak < _QUIETEST_PEAK:
        return 0.0
    return float(len(flat_samples(waveform)) / waveform.num_samples)


def flat_samples(waveform: Waveform) -> np.ndarray:
    """Return the indices of the samples on flat tops, rising, int64; see :func:`clipped_share`."""
    samples = waveform.samples
    if waveform.peak < _QUIETEST_PEAK:
        return np.empty(0, dtype=np.int64)
    shortest = 2 if waveform.sample_rate < 32000 else 3
    found = []
    for side in (1.0, -1.0):
        extreme = float(samples.max() if side > 0 else -samples.min())
        if extreme < _QUIETEST_PEAK:
            continue
        level = extreme * (1.0 - _SAME_LEVEL)
        # In blocks: a comparison over 20 minutes at once would need more memory than the clip.
        at_level = np.concatenate(
            [
                first + np.flatnonzero(side * samples[first : first + _BLOCK_SAMPLES] >= level)
                for first in range(0, len(samples), _BLOCK_SAMPLES)
            ]
        )
        runs = np.split(at_level, np.flatnonzero(np.diff(at_level) > 1) + 1)
        found += [run for run in runs if len(run) >= shortest]
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

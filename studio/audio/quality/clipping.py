"""Overdriven recordings: waves with their tops cut off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from studio.audio.waveform import Waveform

# Samples this close to the extreme count as one level: about a step of 16 bits for a clip that peaks at −30 dBFS.
_SAME_LEVEL = 1e-3
# A quieter clip has so few levels that many samples share the highest by chance.
_QUIETEST_PEAK = 0.003
_BLOCK_SAMPLES = 1 << 22  # Comparing 20 minutes at once would need more memory than the clip.
_BINS = 40
# Twice as many samples just under the ceiling as a tenth below it. 350 clean clips reach 1.3, clips driven to twice
# the ceiling and then resampled or coded as MP3 1.9–3.9 (docs/coach.md).
_PILE = 1.6
_FEW_SAMPLES = 10.0
_FINE_BINS = 4000
_LOWEST = 0.02  # Of the extreme; what lies below is no ceiling.
_OVERSHOOT = 1e-4  # A filter makes a few samples of a cut top higher than the ceiling; so many are left aside.


def clipped_share(waveform: Waveform) -> float:
    """Return the share of samples (0–1) whose tops were cut off.

    The larger of two readings. *Flat tops* (:func:`flat_samples`) are exact, but only while nothing was done to the
    samples since. *Piled-up tops* survive resampling and lossy codecs, which turn flat tops into ripples: in speech a
    level is the rarer the higher it is, so a level in the upper half that is more frequent than one a tenth of full
    scale below it is a ceiling, and what reaches it was cut off. Light clipping (under 0.2 % or so) that was coded
    afterwards is not seen.
    """
    if not waveform.num_samples:
        return 0.0
    return max(len(flat_samples(waveform)) / waveform.num_samples, _piled_up_share(waveform))


def flat_samples(waveform: Waveform) -> np.ndarray:
    """Return the indices of the samples on flat tops, rising, int64.

    A flat top is a run of samples within 0.1 % of the clip's highest (or lowest) value: two samples below 32 kHz,
    three above, where the round top of a low note alone can hold two. Full scale plays no part in this, so clipping at
    0.99 or clipping that was turned down afterwards counts as well. Each side is measured for itself, since a constant
    offset makes only one side clip.
    """
    shortest = 2 if waveform.sample_rate < 32000 else 3
    found = []
    for side, extreme in _sides(waveform):
        level = extreme * (1.0 - _SAME_LEVEL)
        at_level = np.concatenate(
            [first + np.flatnonzero(side * block >= level) for first, block in _blocks(waveform.samples)]
        )
        runs = np.split(at_level, np.flatnonzero(np.diff(at_level) > 1) + 1)
        found += [run for run in runs if len(run) >= shortest]
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def _piled_up_share(waveform: Waveform) -> float:
    """Share of samples (0–1) above the level at which they pile up; 0.0 where they do not."""
    share = 0.0
    for side, extreme in _sides(waveform):
        fine = np.zeros(_FINE_BINS + 1)
        for _, block in _blocks(waveform.samples):
            # Few samples are high, and only they are sorted into bins: all of 20 minutes would take seconds.
            high = side * block[side * block > _LOWEST * extreme]
            fine += np.bincount((high * (_FINE_BINS / extreme)).astype(np.int64), minlength=_FINE_BINS + 1)[
                : _FINE_BINS + 1
            ]
        above = np.cumsum(fine[::-1])[::-1]
        top = int(np.count_nonzero(above > _OVERSHOOT * waveform.num_samples))
        if top < _FINE_BINS / 10:
            continue  # A click is more than ten times as high as the voice, which is then too coarsely measured.
        edges = np.arange(_BINS + 1) * -(-top // _BINS)  # Bins of one width: another width would look like a pile.
        counts = np.diff(np.append(0.0, np.cumsum(fine))[np.minimum(edges, _FINE_BINS + 1)])
        places = np.arange(_BINS // 2, _BINS - 1)
        here, below = counts[places] + counts[places + 1], counts[places - 4] + counts[places - 3]
        piles = here / (below + _FEW_SAMPLES)
        highest = int(np.argmax(piles))
        if piles[highest] > _PILE:
            share += float(above[edges[places[highest]]]) / waveform.num_samples
    return share


def _sides(waveform: Waveform) -> Iterator[tuple[float, float]]:
    """+1 and −1 with the largest value on that side, where it is large enough to judge."""
    if not waveform.num_samples:
        return
    for side, extreme in ((1.0, float(waveform.samples.max())), (-1.0, -float(waveform.samples.min()))):
        if extreme >= _QUIETEST_PEAK:
            yield side, extreme


def _blocks(samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for first in range(0, len(samples), _BLOCK_SAMPLES):
        yield first, samples[first : first + _BLOCK_SAMPLES]

"""How high the sound of a voice reaches: effective bandwidth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from studio.audio.quality.frames import cut, spread
from studio.audio.waveform import Span, Waveform

BAND_HZ = 250.0
_WINDOW_SECONDS = 0.03
_MOST_SECONDS = 60.0
# The "s" of 38 clean recordings reaches their own limit within 50 dB of the loudest band of a vowel (docs/coach.md);
# what a filter took away is further down. A wider range would follow the slope of a gentle filter too far.
_RANGE_DB = 50.0
# Speech comes and goes in a band; noise that was added after the band was cut stays, within about 4 dB.
_MOTION_DB = 9.0


class Bandwidth(NamedTuple):
    """Up to which frequency in Hz speech is heard, and whether steady noise hides what may be above."""

    hz: float
    masked: bool


def effective_bandwidth(waveform: Waveform, speech: Sequence[Span]) -> Bandwidth | None:
    """Return the frequency in Hz up to which the clip carries speech, in steps of 250 Hz.

    The rate of a file says nothing: a telephone call in a file of 48 kHz ends at 3.4 kHz. Speech is divided into
    bands of 250 Hz and windows of 30 ms. A band counts when its loud moments (95th percentile) are within 50 dB of
    those of the strongest band, and at least 9 dB over its own quiet moments (10th percentile), which steady noise is
    not. The bandwidth is the upper edge of the highest band that counts, with most of those below it.

    Returns:
        Hz, at most half the rate, and ``masked`` where most bands above it are loud enough but never change; None with
        less than 0.3 s of speech, or where no band counts.
    """
    levels = band_levels(waveform, speech)
    if levels is None or levels.shape[0] < 20:
        return None
    loud, quiet = np.percentile(levels, (95.0, 10.0), axis=0)
    strong = loud > loud.max() - _RANGE_DB
    counts = strong & (loud - quiet > _MOTION_DB)
    # One lone band high up may be a whistle of the power supply.
    share = np.cumsum(counts) / np.arange(1, len(counts) + 1)
    highest = np.flatnonzero(counts & (share >= 0.7))
    if not len(highest):
        return None
    above = strong[highest[-1] + 1 :]
    masked = bool(len(above) and np.mean(above) > 0.5)
    return Bandwidth(float(min((highest[-1] + 1) * BAND_HZ, waveform.sample_rate / 2)), masked)


def band_levels(waveform: Waveform, speech: Sequence[Span]) -> np.ndarray | None:
    """Levels in dB of the bands of 250 Hz from 0 Hz on, shape ``(num_windows, num_bands)``; None without a window."""
    rate = waveform.sample_rate
    size = round(_WINDOW_SECONDS * rate)
    window = np.hanning(size).astype(np.float32)
    frequencies = np.fft.rfftfreq(size, 1.0 / rate)
    edges = np.searchsorted(frequencies, np.arange(0.0, rate / 2, BAND_HZ))
    levels = []
    for samples in cut(waveform, spread(speech, _MOST_SECONDS)):
        count = len(samples) // (size // 2) - 1
        if count < 1:
            continue
        frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
        spectrum = np.square(np.abs(np.fft.rfft(frames * window, axis=1)))
        widths = np.diff(np.append(edges, spectrum.shape[1]))
        levels.append(10.0 * np.log10(np.add.reduceat(spectrum, edges, axis=1) / widths + 1e-20))
    return np.concatenate(levels) if levels else None

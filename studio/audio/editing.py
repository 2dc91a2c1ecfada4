"""Cutting a clip: by seconds, or by the silence at its edges."""

import math

import numpy as np

from studio.audio.waveform import Waveform
from studio.errors import StudioError

_BLOCK_SECONDS = 0.02
# A page shows an end time rounded to hundredths; sending it back must not be an error.
_ROUNDING_SECONDS = 0.01


def trim(waveform: Waveform, start: float | None, end: float | None) -> Waveform:
    """Return the part from ``start`` to ``end``, both in seconds from the beginning; None means the clip's own edge.

    An ``end`` up to 0.01 s beyond the clip counts as its end.

    Raises:
        StudioError: a time is not a number, negative or beyond the clip, the end is not after the start, or the part
            is shorter than one sample.
    """
    duration = waveform.duration
    first = 0.0 if start is None else float(start)
    last = duration if end is None else float(end)
    if not (math.isfinite(first) and math.isfinite(last)):
        raise StudioError("The start and end of the cut must be numbers of seconds.")
    if first < 0.0 or last < 0.0:
        raise StudioError("The start and end of the cut cannot be before the beginning of the clip (0 s).")
    # Two decimals here, where the caller's own figures are repeated: a cut at 0.13 s must not read "0.1 s".
    if first >= duration or last > duration + _ROUNDING_SECONDS:
        time = f"starts at {first:.2f} s" if first >= duration else f"ends at {last:.2f} s"
        raise StudioError(f"The cut {time}, but the clip is {duration:.2f} s long; choose a time inside it.")
    if last <= first:
        raise StudioError(f"The cut ends at {last:.2f} s, not after its start at {first:.2f} s; choose a later end.")
    low, high = (round(time * waveform.sample_rate) for time in (first, min(last, duration)))
    if high <= low:
        raise StudioError(f"Nothing is left between {first:.4f} s and {last:.4f} s; choose a longer part.")
    # A copy: a short cut must not keep a long recording in memory.
    return Waveform(waveform.samples[low:high].copy(), waveform.sample_rate)


def trim_edges(waveform: Waveform, *, threshold_db: float = -45.0, keep_seconds: float = 0.1) -> Waveform:
    """Return the clip without the silence before and after its sound; pauses inside stay.

    The clip is measured in blocks of 20 ms. A block is sound when its RMS is above ``threshold_db`` relative to the
    loudest block, so the result does not depend on the recording's level.

    Args:
        threshold_db: limit in dB relative to the loudest block, below 0.
        keep_seconds: silence kept on each side, in seconds, so that soft onsets and tails survive.

    Returns:
        At least one block; a clip that is digital silence all through comes back as it is.
    """
    if waveform.num_samples == 0:
        return waveform
    size = max(round(_BLOCK_SECONDS * waveform.sample_rate), 1)
    edges = np.arange(0, waveform.num_samples, size)
    # The last block may be shorter and is averaged over its own length.
    lengths = np.diff(np.append(edges, waveform.num_samples))
    power = np.add.reduceat(np.square(waveform.samples, dtype=np.float64), edges) / lengths
    if power.max() <= 0.0:
        return waveform
    # ``>=`` with a limit of at most the maximum itself, so that at least the loudest block remains.
    loud = np.flatnonzero(power >= power.max() * 10.0 ** (min(threshold_db, 0.0) / 10.0))
    keep = round(max(keep_seconds, 0.0) * waveform.sample_rate)
    low = max(int(edges[loud[0]]) - keep, 0)
    high = min(int(edges[loud[-1]] + lengths[loud[-1]]) + keep, waveform.num_samples)
    if low == 0 and high == waveform.num_samples:
        return waveform
    return Waveform(waveform.samples[low:high].copy(), waveform.sample_rate)

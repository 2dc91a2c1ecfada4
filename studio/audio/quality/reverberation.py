"""How long a room answers: reverberation time, heard from the speech alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studio.audio.quality.frames import cut, spread
from studio.audio.waveform import Span, Waveform

_RATE = 16000
_WINDOW_SECONDS, _HOP_SECONDS = 0.032, 0.008
_SLOPE_SECONDS = 0.2
_EDGES_HZ = np.array([250, 400, 600, 800, 1000, 1300, 1600, 2000, 2500, 3200, 4000])
_MOST_SECONDS = 60.0
_TAIL_SECONDS = 0.4
_PERCENTILE = 3.0
# Mean square. Less than 16 bits can hold is digital silence: a cut or a gate, which falls faster than any room.
_DIGITAL_SILENCE = 1e-10
# What planted rooms of 0.3–1.2 s read, see `python -m tools.coach_figures`: dry speech itself falls no faster than
# an offset of 0.2 s allows, and the fluctuation of a tail makes some stretches steeper than the room.
_OFFSET_SECONDS, _SCALE = 0.20, 1.6


def reverberation_seconds(waveform: Waveform, speech: Sequence[Span]) -> float | None:
    """Estimate RT60, the time in seconds in which sound dies down by 60 dB, without knowing the room.

    After the idea of Wen, Habets and Naylor (2008, doi:10.1109/ICASSP.2008.4517613): a voice can stop at once, but in
    a room no sound falls faster than the room lets it. So the *steepest* falls in a recording tell the room. In ten
    bands from 250 to 4000 Hz the level in dB is fitted with a line over 0.2 s at every moment; the 3rd percentile of
    the slopes, as the median of the bands, gives a time, which a line fitted to planted rooms turns into RT60.

    It is an estimate: about ±0.15 s between 0.3 and 1.2 s with as much reverberation as direct sound; a room that is
    heard less reads shorter, and background noise, which also keeps the level from falling, reads longer.

    Returns:
        Seconds, 0.0 or more; None with less than about 1 s of speech, or where nothing falls.
    """
    slopes = _slopes(waveform, speech)
    if len(slopes) * _HOP_SECONDS < 1.0:
        return None
    steepest = float(np.median(np.percentile(slopes, _PERCENTILE, axis=0)))
    if steepest >= 0.0:
        return None
    return max(0.0, (-60.0 / steepest - _OFFSET_SECONDS) * _SCALE)


def _slopes(waveform: Waveform, speech: Sequence[Span]) -> np.ndarray:
    """Slopes in dB/s, shape ``(num_moments, num_bands)``, over speech and the 0.4 s after it."""
    size, hop = round(_WINDOW_SECONDS * _RATE), round(_HOP_SECONDS * _RATE)
    window = np.hanning(size).astype(np.float32)
    edges = np.searchsorted(np.fft.rfftfreq(size, 1.0 / _RATE), _EDGES_HZ)
    length = round(_SLOPE_SECONDS / _HOP_SECONDS) + 1
    times = (np.arange(length) - (length - 1) / 2) * _HOP_SECONDS
    # The least-squares slope of equally spaced points is a correlation with their centred times.
    fit = (times / np.sum(np.square(times)))[::-1]
    slopes = [np.empty((0, len(edges) - 1))]
    for samples in cut(waveform, _with_tails(spread(speech, _MOST_SECONDS), waveform.duration)):
        piece = Waveform(np.ascontiguousarray(samples), waveform.sample_rate).resampled(_RATE).samples
        if len(piece) < size + hop * length:
            continue
        frames = np.lib.stride_tricks.sliding_window_view(piece, size)[::hop]
        spectrum = np.square(np.abs(np.fft.rfft(frames * window, axis=1)))
        levels = 10.0 * np.log10(np.add.reduceat(spectrum, edges, axis=1)[:, :-1] + 1e-12)
        cut_off = np.mean(np.square(frames), axis=1) < _DIGITAL_SILENCE
        whole = np.convolve(cut_off, np.ones(length), "valid") < 0.5
        slopes.append(np.stack([np.convolve(band, fit, "valid")[whole] for band in levels.T], axis=1))
    return np.concatenate(slopes)


def _with_tails(spans: Sequence[Span], duration: float) -> list[Span]:
    """The spans with what rings after them; those that then touch become one."""
    joined: list[Span] = []
    for span in spans:
        start, end = max(span.start - 0.05, 0.0), min(span.end + _TAIL_SECONDS, duration)
        if joined and start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, end))
        else:
            joined.append(Span(start, end))
    return joined

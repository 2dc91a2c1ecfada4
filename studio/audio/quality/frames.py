"""A recording cut into short frames: the common ground of the quality measures, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from studio.audio.waveform import Span, Waveform

FRAME_SECONDS = 0.02  # Long enough for two periods of a low voice, short enough for the closure of a "p".
_BLOCK_FRAMES = 4096  # Frames taken at once: 82 s, 31 MB in float64 at 48 kHz.


def frame_powers(waveform: Waveform) -> np.ndarray:
    """Mean power of each frame of 20 ms, full scale 1.0, without its mean: a constant offset is no sound.

    Returns:
        float64, shape ``(num_frames,)``; a rest shorter than a frame at the end is left out.
    """
    length = FRAME_SECONDS * waveform.sample_rate
    size = max(int(length), 1)
    count = int(waveform.num_samples / length)
    # Each frame starts at its own time: where 20 ms are no whole number of samples, 20 minutes must not drift by seconds.
    starts = np.round(np.arange(count) * length).astype(np.int64)
    starts = np.minimum(starts, waveform.num_samples - size)
    powers = np.empty(count)
    for first in range(0, count, _BLOCK_FRAMES):
        frames = waveform.samples[starts[first : first + _BLOCK_FRAMES, np.newaxis] + np.arange(size)]
        powers[first : first + _BLOCK_FRAMES] = np.var(frames, axis=1, dtype=np.float64)
    return powers


def frames_in(spans: Iterable[Span], count: int, *, grow: float = 0.0) -> np.ndarray:
    """Which of ``count`` frames of 20 ms have their middle inside a span: bool, shape ``(count,)``.

    ``grow`` is added to both ends of each span, in seconds; a negative one shrinks it.
    """
    middles = (np.arange(count) + 0.5) * FRAME_SECONDS
    inside = np.zeros(count, dtype=bool)
    for span in spans:
        first, last = np.searchsorted(middles, (span.start - grow, span.end + grow))
        inside[first : max(last, first)] = True
    return inside


def spread(spans: Sequence[Span], most: float, *, piece: float = 5.0) -> list[Span]:
    """At most ``most`` seconds of the spans, in pieces taken evenly from all of them.

    What needs many samples but not all looks at these, so that 20 minutes cost no more than one.
    """
    total = sum(span.duration for span in spans)
    if total <= most:
        return list(spans)
    pieces = [
        Span(start, min(start + piece, span.end))
        for span in spans
        for start in np.arange(span.start, span.end, piece).tolist()
    ]
    every = np.linspace(0, len(pieces) - 1, max(round(len(pieces) * most / total), 1)).round().astype(int)
    return [pieces[index] for index in np.unique(every)]


def cut(waveform: Waveform, spans: Iterable[Span]) -> Iterator[np.ndarray]:
    """The samples of each span, as views, float32."""
    for span in spans:
        first, last = (round(time * waveform.sample_rate) for time in span)
        yield waveform.samples[max(first, 0) : max(last, 0)]

"""Which slices of a recording hold two voices, at once or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from studio.audio.waveform import Span
from studio.datasets.slicing.cutting import Cut
from studio.datasets.stored_sound import waveform_of
from studio.listening.overlapped_speech import MOST_WINDOWS, hears_two, voices_apart
from studio.listening.speakers import embedded_windows

_HEARD_FOR_VOICES = 200
"""Slices that the voices of a recording are learnt from, spread over all of it."""


def with_two_voices(
    path: Path, found: Sequence[Cut], spans: Sequence[Span], stopped: Callable[[], bool]
) -> set[int]:  # fmt: skip
    """Numbers of the slices with two voices.

    The voices are learnt first, from a part of a long recording; where there is but one, as in most, no more is heard. Memory
    does not grow with length.

    Args:
        path: mono FLAC, see :mod:`studio.datasets.stored_sound`.
        found: slices, in seconds of the recording.
        spans: where somebody speaks.
    """
    some = np.unique(np.linspace(0, len(found) - 1, min(len(found), _HEARD_FOR_VOICES)).astype(int)) if found else []
    heard = [_embeddings(path, found[index], spans) for index in some if not stopped()]
    windows = np.concatenate(heard) if heard else np.empty((0, 0), np.float32)
    if len(windows) > MOST_WINDOWS:
        windows = windows[np.linspace(0, len(windows) - 1, MOST_WINDOWS).astype(int)]
    voices = voices_apart(windows)
    if len(voices) < 2:
        return set()
    return {
        index
        for index, cut in enumerate(found)
        if not stopped() and hears_two(_embeddings(path, cut, spans), voices).any()
    }


def _embeddings(path: Path, cut: Cut, spans: Sequence[Span]) -> np.ndarray:
    """Embeddings of the speech in a slice, shape ``(num_windows, 256)``: a window in 0.4 s."""
    inside = [
        Span(max(span.start, cut.start) - cut.start, min(span.end, cut.end) - cut.start)
        for span in spans
        if span.end > cut.start and span.start < cut.end
    ]
    return embedded_windows(waveform_of(path, cut.start, cut.end), inside)[1]

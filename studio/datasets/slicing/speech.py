"""Where somebody speaks in a recording of any length, heard window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from studio.audio.waveform import Span, Waveform
from studio.datasets.stored_sound import waveform_of
from studio.listening.vad import find_speech

WINDOW_SECONDS = 120.0
_OVERLAP_SECONDS = 2.0
_FRAME_SECONDS = 0.02
QUIET_DBFS = -50.0
"""Below this a stretch without speech is silence, above it noise or music."""


def speech_in(
    path: Path, seconds: float, announce: Callable[[float], None], stopped: Callable[[], bool]
) -> Iterator[tuple[Span, float]]:  # fmt: skip
    """Spans of speech in seconds of the recording, in order, each with its quietest moment.

    A span that reaches into the end of a window is heard again in the next one, so that a window's end parts none.

    Args:
        announce: gets the seconds that were heard.
        stopped: ends it early.
    """
    start = 0.0
    while start < seconds and not stopped():
        end = min(seconds, start + WINDOW_SECONDS)
        sound = waveform_of(path, start, end)
        spans = find_speech(sound)
        following = end
        if end < seconds and spans and spans[-1].end > sound.duration - _OVERLAP_SECONDS:
            last = spans[-1]
            if last.start > _OVERLAP_SECONDS:  # else it is one long span, and is parted here
                spans = spans[:-1]
                following = start + last.start - 0.2
        for span in spans:
            yield Span(start + span.start, start + span.end), start + quietest(sound, span)
        start = following
        announce(end)


def quietest(sound: Waveform, span: Span) -> float:
    """The middle of the quietest 60 ms in the middle half of a span, in seconds of the sound."""
    frame = max(1, round(_FRAME_SECONDS * sound.sample_rate))
    first = round((span.start + span.duration / 4) * sound.sample_rate)
    last = round((span.end - span.duration / 4) * sound.sample_rate)
    part = sound.samples[first:last]
    count = len(part) // frame
    if count < 3:
        return (span.start + span.end) / 2
    powers = np.square(part[: count * frame].reshape(count, frame)).mean(axis=1)
    smooth = np.convolve(powers, np.ones(3) / 3, mode="valid")
    return (first + (int(np.argmin(smooth)) + 1.5) * frame) / sound.sample_rate


def seconds_without_speech(path: Path, stretches: list[Span]) -> dict[str, float]:
    """Seconds of stretches without speech, by what is heard in them: silence, or noise and music."""
    found = {"silence": 0.0, "noise or music": 0.0}
    for stretch in stretches:
        start = stretch.start
        while start < stretch.end:
            end = min(stretch.end, start + WINDOW_SECONDS)
            sound = waveform_of(path, start, end)
            size = max(1, sound.sample_rate // 10)
            blocks = [sound.samples[at : at + size] for at in range(0, sound.num_samples, size)]
            for block in blocks:
                level = 10 * np.log10(float(np.square(block).mean()) + 1e-12)
                found["silence" if level < QUIET_DBFS else "noise or music"] += len(block) / sound.sample_rate
            start = end
    return {reason: seconds for reason, seconds in found.items() if seconds > 0}

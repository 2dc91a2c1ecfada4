"""Does one person speak, or more? And do two clips sound like the same person?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from studio.audio.waveform import Span, Waveform, total_seconds
from studio.listening.speaker_encoder import (
    EMBEDDING_SIZE,
    LEVEL,
    RATE,
    WINDOW_FRAMES,
    WINDOW_SECONDS,
    embed,
    mel_frames,
)

LEAST_SECONDS = 3.0
"""Less speech than this is too few windows to tell two voices from one that changes its tone."""
_HOP_SECONDS = 0.4
_MOST_WINDOWS = 300
_BATCH = 64
# Likeness of the two groups, see `python -m tools.coach_figures`. Parts of one voice are 0.8–0.95 alike, two voices
# 0.45–0.75. Two groups of few windows differ by what is said, so less speech needs a clearer difference.
TWO_BELOW, TWO_BELOW_BRIEF = 0.77, 0.72
_BRIEF_WINDOWS = 6
_FEWEST_WINDOWS = 2  # A group of one window may be a laugh.


@dataclass(frozen=True)
class Speakers:
    """How many voices are heard.

    Attributes:
        more_than_one: whether the speech divides into two voices.
        likeness: cosine of the mean embeddings of the two groups it divides into, 0–1.
        groups: the moments that belong to each group, in seconds, the larger group first; one group with all of them
            where only one person speaks.
    """

    more_than_one: bool
    likeness: float
    groups: tuple[tuple[Span, ...], ...]


def find_speakers(waveform: Waveform, speech: Sequence[Span]) -> Speakers | None:
    """Tell whether more than one person speaks.

    Windows of 1.6 s become embeddings of the voice (:mod:`studio.listening.speaker_encoder`). Ward's method
    divides them in the two groups that differ most; two voices are two groups whose means are less alike than two
    halves of one person's speech ever are. Of a long recording 300 windows are heard, spread evenly.

    Returns:
        None where it cannot be told: under 3 s of speech.
    """
    if total_seconds(speech) < LEAST_SECONDS:
        return None
    moments, embeddings = embedded_windows(waveform, speech)
    if len(moments) < 2 * _FEWEST_WINDOWS:
        return None
    from scipy.cluster.hierarchy import fcluster, linkage

    labels = fcluster(linkage(embeddings, "ward"), 2, "maxclust")
    groups = [np.flatnonzero(labels == label) for label in (1, 2)]
    groups.sort(key=len, reverse=True)
    if len(groups[1]) == 0:
        return Speakers(False, 1.0, (tuple(moments),))
    likeness = _cosine(embeddings[groups[0]].mean(axis=0), embeddings[groups[1]].mean(axis=0))
    limit = TWO_BELOW if len(moments) > _BRIEF_WINDOWS else TWO_BELOW_BRIEF
    if likeness >= limit or len(groups[1]) < _FEWEST_WINDOWS:
        return Speakers(False, likeness, (tuple(moments),))
    return Speakers(True, likeness, tuple(tuple(moments[index] for index in group) for group in groups))


def voice_likeness(
    one: Waveform, other: Waveform, speech_of_one: Sequence[Span], speech_of_other: Sequence[Span]
) -> float | None:
    """How alike two voices are: cosine of their mean embeddings, 0–1; one voice mostly reads over 0.8.

    None where one of them has under 1.6 s of speech.
    """
    first, second = voice_vector(one, speech_of_one), voice_vector(other, speech_of_other)
    return None if first is None or second is None else _cosine(first, second)


def voice_vector(waveform: Waveform, speech: Sequence[Span]) -> np.ndarray | None:
    """A voice as the mean of its embeddings, float32 of shape ``(256,)``; None where there is under 1.6 s of speech."""
    return voice_vectors([(waveform, speech)])[0]


def voice_vectors(
    sounds: Sequence[tuple[Waveform, Sequence[Span]]], *, least_seconds: float = WINDOW_SECONDS
) -> list[np.ndarray | None]:
    """The same for many sounds, whose windows go through the encoder together.

    Args:
        least_seconds: of speech. What has less than a window of 1.6 s is repeated to fill one.
    """
    mels: list[np.ndarray] = []
    counts: list[int] = []
    for waveform, speech in sounds:
        if least_seconds <= total_seconds(speech) < WINDOW_SECONDS:
            speech = [*speech] * math.ceil(WINDOW_SECONDS / total_seconds(speech))
        found = [mel for _, mel in _window_mels(waveform, speech)]
        mels += found
        counts.append(len(found))
    parts = np.split(_embedded(mels), np.cumsum(counts)[:-1]) if counts else []
    return [part.mean(axis=0) if len(part) else None for part in parts]


def embedded_windows(waveform: Waveform, speech: Sequence[Span]) -> tuple[list[Span], np.ndarray]:
    """Windows of speech as moments of the clip, and their embeddings, shape ``(num_windows, 256)``."""
    found = list(_window_mels(waveform, speech))
    return [moment for moment, _ in found], _embedded([mel for _, mel in found])


def _window_mels(waveform: Waveform, speech: Sequence[Span]) -> Iterator[tuple[Span, np.ndarray]]:
    """What the encoder reads of each window, with the moment of the clip that it is."""
    gains: dict[int, float] = {}
    for parts in _windows(speech):
        for index, _ in parts:
            if index not in gains:
                gains[index] = _gain(waveform, speech[index])
        samples = np.concatenate([_at_rate(waveform, part) * gains[index] for index, part in parts])
        yield Span(parts[0][1].start, parts[-1][1].end), mel_frames(samples.astype(np.float32))[:WINDOW_FRAMES]


def _embedded(mels: list[np.ndarray]) -> np.ndarray:
    """Embeddings of windows, shape ``(num_windows, 256)``."""
    batches = [embed(np.stack(mels[first : first + _BATCH])) for first in range(0, len(mels), _BATCH)]
    return np.concatenate([np.empty((0, EMBEDDING_SIZE), dtype=np.float32), *batches])


def _gain(waveform: Waveform, span: Span) -> float:
    """What brings a stretch of speech to the encoder's level: a quiet answer must not look like another person's."""
    first, last = (round(time * waveform.sample_rate) for time in span)
    part = waveform.samples[first:last]
    level = float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))) if len(part) else 0.0
    return LEVEL / level if level > 0.0 else 0.0


def _windows(speech: Sequence[Span]) -> list[list[tuple[int, Span]]]:
    """Windows of 1.6 s of speech each, every 0.4 s, without the pauses: stretches, each with the index of its span."""
    starts = np.cumsum([0.0, *(span.duration for span in speech)])
    total = float(starts[-1])
    count = int((total - WINDOW_SECONDS) / _HOP_SECONDS) + 1
    if total < WINDOW_SECONDS:
        return []
    places = np.arange(count) * _HOP_SECONDS
    if count > _MOST_WINDOWS:
        places = places[np.linspace(0, count - 1, _MOST_WINDOWS).astype(int)]
    windows = []
    for place in places.tolist():
        parts, index = [], int(np.searchsorted(starts, place, side="right")) - 1
        missing, offset = WINDOW_SECONDS, place - float(starts[index])
        while missing > 1e-6 and index < len(speech):
            start = speech[index].start + offset
            end = min(start + missing, speech[index].end)
            parts.append((index, Span(start, end)))
            missing, offset, index = missing - (end - start), 0.0, index + 1
        windows.append(parts)
    return windows


def _at_rate(waveform: Waveform, span: Span) -> np.ndarray:
    first, last = (round(time * waveform.sample_rate) for time in span)
    return Waveform(np.ascontiguousarray(waveform.samples[first:last]), waveform.sample_rate).resampled(RATE).samples


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.dot(one, other)) / size if size > 0.0 else 1.0

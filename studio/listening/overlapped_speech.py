"""Where two people speak at once, told from what the voices of a recording sound like alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from studio.listening.speakers import TWO_BELOW

MOST_WINDOWS = 600
"""Windows that are grouped: their number squared is what grouping takes."""
_GROUPED_BELOW = 0.35
"""Cosine distance, mean over pairs of windows, up to which groups are joined."""
_SHARE, _FEWEST = 0.08, 5
"""Windows that make a voice: this share of all, and no fewer than so many."""
_MIXTURE = 0.8
"""Likeness to the middle of two voices of what is both of them; a third person's is below 0.77, theirs 0.84 to 0.93."""
_BETWEEN = 0.15
"""How far from the middle between two voices both are heard; at 0.5 one of them is alone."""
# Tried on 40 conversations of two and three of six LibriSpeech speakers (`python -m benchmarks.overlapped_speech`).


def voices_apart(embeddings: np.ndarray) -> np.ndarray:
    """What the voices of a recording sound like, each alone.

    Windows are grouped by average linkage. Small groups are nobody's, nor are those that sound like two others mixed; groups
    that are more alike than two people are (:data:`~studio.listening.speakers.TWO_BELOW`) become one. What a voice sounds
    like is then taken from the quarter of its windows that is least like any other, since the rest may hold two.

    Args:
        embeddings: windows of speech from all over the recording, at most :data:`MOST_WINDOWS`, shape ``(num_windows, 256)``.

    Returns:
        Unit vectors, shape ``(num_voices, 256)``: one voice where nobody else is heard, none without windows.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(embeddings) < 2 * _FEWEST:
        return _unit(embeddings.mean(axis=0, keepdims=True)) if len(embeddings) else embeddings
    labels = fcluster(linkage(embeddings, "average", "cosine"), _GROUPED_BELOW, "distance")
    least = max(_FEWEST, _SHARE * len(embeddings))
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups = [group for group in groups if len(group) >= least] or [np.arange(len(embeddings))]
    groups = _without_mixtures(embeddings, groups)
    while len(groups) > 1:
        centres = _centres(embeddings, groups)
        alike = np.tril(centres @ centres.T, -1)
        later, earlier = np.unravel_index(int(alike.argmax()), alike.shape)
        if alike[later, earlier] < TWO_BELOW:
            break
        groups[earlier] = np.concatenate([groups[earlier], groups.pop(later)])
    centres = _centres(embeddings, groups)
    if len(groups) == 1:
        return centres
    alone = []
    for number, group in enumerate(groups):
        near = embeddings[group] @ centres.T
        margin = near[:, number] - np.delete(near, number, axis=1).max(axis=1)
        alone.append(group[np.argsort(-margin)[: max(_FEWEST, len(group) // 4)]])
    return _centres(embeddings, alone)


def hears_two(embeddings: np.ndarray, voices: np.ndarray) -> np.ndarray:
    """Which windows lie between two voices: both speak in them, at once or one after the other.

    Args:
        embeddings: shape ``(num_windows, 256)``.
        voices: as :func:`voices_apart` gives them back.

    Returns:
        bool, shape ``(num_windows,)``.
    """
    if len(voices) < 2 or not len(embeddings):
        return np.zeros(len(embeddings), bool)
    near = embeddings @ voices.T
    first, second = np.argsort(-near, axis=1)[:, :2].T
    windows = np.arange(len(embeddings))
    margin = near[windows, first] - near[windows, second]
    # From one voice alone to the other alone the margin falls from this to 0 and rises again.
    apart = 1 - np.einsum("ij,ij->i", voices[first], voices[second])
    return margin < 2 * _BETWEEN * apart


def _without_mixtures(embeddings: np.ndarray, groups: list[np.ndarray]) -> list[np.ndarray]:
    """Groups but for those between two that are different people."""
    centres = _centres(embeddings, groups)
    alike = centres @ centres.T
    mixed = set()
    for one, other in combinations(range(len(groups)), 2):
        if alike[one, other] >= TWO_BELOW:
            continue
        middle = centres @ _unit(centres[[one]] + centres[[other]])[0]
        between = (middle >= _MIXTURE) & (np.minimum(alike[one], alike[other]) > alike[one, other])
        mixed |= set(np.flatnonzero(between).tolist()) - {one, other}
    return [group for number, group in enumerate(groups) if number not in mixed]


def _centres(embeddings: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    return _unit(np.stack([embeddings[group].mean(axis=0) for group in groups]))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

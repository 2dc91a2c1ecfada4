"""What is trained on and evaluated as well: such rows look learnt however badly a voice does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from studio.audio.reading import read_audio
from studio.datasets.rows.clip_durations import clip_seconds
from studio.datasets.rows.report import MeasuredRow
from studio.datasets.splitting import text_key
from studio.engine.rows import TrainingRow

_ROUNDING_SECONDS = 0.002
"""Two files of one sound may differ by so much, by what their headers say."""


def same_sounds(trained: Sequence[MeasuredRow], held_out: Sequence[MeasuredRow]) -> list[tuple[int, int]]:
    """Numbers of a trained and of a held-out row that learn or judge the same sound, by its samples, whatever file it is in.

    Raises:
        StudioError: a clip went away meanwhile.
    """
    by_length: dict[int, list[tuple[int, Path]]] = {}
    for number, clip in _trained_clips(trained):
        by_length.setdefault(_slot(clip_seconds(clip)), []).append((number, clip))
    hashes: dict[Path, str] = {}

    def content(clip: Path) -> str:
        if clip not in hashes:
            sound = read_audio(clip)
            digest = hashlib.sha256(f"{sound.sample_rate}\n".encode())
            digest.update((sound.samples * 32768).round().astype("<i4").tobytes())
            hashes[clip] = digest.hexdigest()
        return hashes[clip]

    found: list[tuple[int, int]] = []
    for number, clip in _trained_clips(held_out):
        slot = _slot(clip_seconds(clip))
        # Only what lasts as long is decoded.
        alike = [pair for near in (slot - 1, slot, slot + 1) for pair in by_length.get(near, ())]
        found += [(other, number) for other, path in alike if path == clip or content(path) == content(clip)]
    return found


def same_texts(trained: Sequence[MeasuredRow], held_out: Sequence[MeasuredRow]) -> list[tuple[int, int]]:
    """Numbers of a trained and of a held-out row that say the same words, capitals and signs apart."""
    said: dict[str, int] = {}
    for each in trained:
        for text in _trained_texts(each.row):
            said.setdefault(text, each.number)
    return [
        (said[text], each.number)
        for each in held_out
        for text in dict.fromkeys(_trained_texts(each.row))
        if text in said
    ]


def _slot(seconds: float) -> int:
    return round(seconds / _ROUNDING_SECONDS)


def _trained_clips(rows: Sequence[MeasuredRow]) -> Iterator[tuple[int, Path]]:
    for each in rows:
        for turn in each.row.turns:
            if turn.trained and turn.clip is not None:
                yield each.number, turn.clip


def _trained_texts(row: TrainingRow) -> list[str]:
    """What the trained clips say: the turn before each."""
    turns = row.turns
    texts = [
        before.text
        for before, turn in pairwise(turns)
        if turn.trained and turn.clip is not None
    ]  # fmt: skip
    return [key for key in map(text_key, texts) if key]

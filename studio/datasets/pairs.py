"""Reference turns: which other utterance of the same speaker a row is spoken after."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from studio.datasets.dataset import Utterance
from studio.datasets.splitting import text_key

MIN_REFERENCE_SECONDS, MAX_REFERENCE_SECONDS = 2.0, 15.0
"""Shorter ones tell little of a voice; longer ones cost memory with every step."""


def references(
    targets: Sequence[Utterance], *, seed: int = 42, without: float = 0.1, epoch: int = 0
) -> dict[str, Utterance | None]:
    """For each target, by id, the utterance that is heard before it; None for a share ``without``, and where there is none.

    Never the target itself, nor its text or its sound. What is held out is nobody's reference in training, and hears what was
    trained on. Depends on nothing but seed, epoch and content.

    Args:
        epoch: another number chooses others.
    """
    pools: dict[str, list[Utterance]] = defaultdict(list)
    for each in targets:
        if each.split != "validation" and MIN_REFERENCE_SECONDS <= each.seconds <= MAX_REFERENCE_SECONDS:
            pools[each.speaker].append(each)
    found: dict[str, Utterance | None] = {}
    for target in targets:
        pool, number = pools[target.speaker], _number(seed, epoch, target.sha256)
        found[target.id] = None
        if (number >> 32) % 10_000 < without * 10_000:
            continue
        for step in range(len(pool)):
            other = pool[(number + step) % len(pool)]
            if other.sha256 != target.sha256 and text_key(other.text) != text_key(target.text):
                found[target.id] = other
                break
    return found


def _number(seed: int, epoch: int, content: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{epoch}|{content}".encode()).digest()[:8], "big")

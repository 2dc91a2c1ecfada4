"""Reference turns: which other utterance of the same speaker a row is spoken after."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from studio.datasets.dataset import Utterance
from studio.datasets.exports.pairing import Pairing
from studio.datasets.splitting import text_key

_AS_BORN = Pairing()

MIN_REFERENCE_SECONDS, MAX_REFERENCE_SECONDS = 2.0, 15.0
"""Shorter ones tell little of a voice; longer ones cost memory with every step."""


def references(
    targets: Sequence[Utterance], pairing: Pairing = _AS_BORN, *, variant: int = 0
) -> dict[str, Utterance | None]:
    """For each target, by id, the utterance that is heard before it; None for a share of them, and where there is none.

    Never the target itself, nor its text or its sound. What is held out is nobody's reference in training, and hears what was
    trained on. Depends on nothing but seed, variant and content.

    Args:
        variant: below ``pairing.variants``; each chooses others, as long as the speaker has others.
    """
    pools: dict[str, list[Utterance]] = defaultdict(list)
    for each in targets:
        if each.split != "validation" and MIN_REFERENCE_SECONDS <= each.seconds <= MAX_REFERENCE_SECONDS:
            pools[each.speaker].append(each)
    keys = {each.id: text_key(each.text) for each in targets}
    found: dict[str, Utterance | None] = {}
    for target in targets:
        found[target.id] = None
        if _number(pairing.seed, f"{variant}|{target.sha256}") % 10_000 < pairing.without * 10_000:
            continue
        # One after the other from a place of its own, so that no two variants hear the same while there are others.
        others: list[Utterance] = []
        first, pool = _number(pairing.seed, target.sha256), pools[target.speaker]
        for step in range(len(pool)):
            other = pool[(first + step) % len(pool)]
            if other.sha256 != target.sha256 and keys[other.id] != keys[target.id]:
                others.append(other)
            if len(others) > variant:
                break
        if others:
            found[target.id] = others[variant % len(others)]
    return found


def _number(seed: int, content: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{content}".encode()).digest()[:8], "big")

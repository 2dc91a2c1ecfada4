"""Which pair a listener hears next, and on which side: drawn from seeds, so that it can be drawn again."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

REPEAT_EVERY = 5
"""Of so many pairs that were voted on one comes again."""
MAX_REPEATS = 10
_APART = 3
"""Trials between a pair and its repetition, where there are as many."""


@dataclass(frozen=True)
class Heard:
    """A take that can be heard."""

    take: str
    system: str
    text: int
    seed: int


@dataclass(frozen=True)
class Presented:
    """A pair as it is presented.

    Attributes:
        repeat_of: the trial that comes again with its sides swapped; "" for none.
    """

    left: str
    right: str
    repeat_of: str = ""


@dataclass(frozen=True)
class Past:
    """A trial that a listener voted on."""

    trial: str
    left: str
    right: str
    repeat_of: str = ""


def pairs_of(takes: Iterable[Heard]) -> list[tuple[Heard, Heard]]:
    """Every two takes of one text by two systems: of one seed, or a recording (one for each text) with each seed."""
    by_text: dict[int, list[Heard]] = {}
    for take in takes:
        by_text.setdefault(take.text, []).append(take)
    found = []
    for text in sorted(by_text):
        seeds = Counter(take.system for take in by_text[text])
        for one, two in combinations(by_text[text], 2):
            alone = 1 in (seeds[one.system], seeds[two.system])
            if one.system != two.system and (one.seed == two.seed or alone):
                found.append((one, two))
    return found


def num_trials(num_pairs: int) -> int:
    """How many trials so many pairs make for a listener, those that come again included."""
    return num_pairs + max(min(num_pairs // REPEAT_EVERY, MAX_REPEATS), int(num_pairs > 1))


def next_trial(takes: Sequence[Heard], past: Sequence[Past], *, seed: int, listener: str) -> Presented | None:
    """What comes next; None where this listener has heard every pair.

    Of the pairs that were not heard yet: first of those two systems that this listener compared least often, then of the text
    heard least often, then as drawn from the seed, the listener and the pair. A repetition is due after every fifth pair.

    Args:
        takes: all that can be heard now; there may be more the next time.
        past: what this listener voted on, in order.
        seed: of the comparison.
    """
    known = {take.take: take for take in takes}
    done = {frozenset((each.left, each.right)) for each in past}
    left = [pair for pair in pairs_of(takes) if frozenset((pair[0].take, pair[1].take)) not in done]
    again = _due(past, known, nothing_else=not left, seed=seed, listener=listener)
    if again is not None:
        return again
    if not left:
        return None
    systems, texts = Counter[frozenset[str]](), Counter[int]()
    for each in past:
        if not each.repeat_of and each.left in known and each.right in known:
            systems[frozenset((known[each.left].system, known[each.right].system))] += 1
            texts[known[each.left].text] += 1
    one, two = min(
        left,
        key=lambda pair: (
            systems[frozenset((pair[0].system, pair[1].system))], texts[pair[0].text],
            _drawn(seed, listener, pair[0].take, pair[1].take),
        ),
    )  # fmt: skip
    if random.Random(f"{seed}/{listener}/{len(past)}").random() < 0.5:  # noqa: S311  no secret: it is to be drawn again
        one, two = two, one
    return Presented(one.take, two.take)


def _due(
    past: Sequence[Past], known: dict[str, Heard], *, nothing_else: bool, seed: int, listener: str
) -> Presented | None:
    """A pair that comes again now, if one is to."""
    repeated = {each.repeat_of for each in past if each.repeat_of}
    first = [each for each in past if not each.repeat_of]
    wanted = min(len(first) // REPEAT_EVERY, MAX_REPEATS)
    if nothing_else and len(first) > 1:
        wanted = max(wanted, 1)  # of a small comparison one comes again, too
    if len(repeated) >= wanted:
        return None
    old = past if nothing_else else past[:-_APART]
    can = [each for each in old
           if not each.repeat_of and each.trial not in repeated and each.left in known and each.right in known]  # fmt: skip
    if not can:
        return None
    chosen = min(can, key=lambda each: _drawn(seed, listener, "again", each.trial))
    return Presented(chosen.right, chosen.left, chosen.trial)


def _drawn(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()

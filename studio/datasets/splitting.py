"""What is held out for validation: by utterance or by speaker, seeded, and never the same text or sound on both sides."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from studio.datasets.dataset import Utterance
from studio.errors import StudioError

By = Literal["utterance", "speaker"]


def text_key(text: str) -> str:
    """A text as it is compared: letters and digits alone, whatever their capitals and width."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in plain if character.isalnum())


def splits(
    utterances: Sequence[Utterance], *, ratio: float = 0.05, seed: int = 42, by: By = "utterance"
) -> dict[str, str]:
    """The split of each utterance by its id: "train" or "validation".

    Utterances of one text or one sound are a group that stays together, so that nothing which is judged was trained on. By
    utterance, every speaker with two groups or more gives about ``ratio`` of its own; by speaker, whole ones are held out.
    Groups are ordered by a hash of seed and content: a set that grows keeps what it held out, as far as its share allows.

    Args:
        ratio: the share that is held out, between 0 and 1.

    Raises:
        StudioError: a ratio outside, or too little to hold anything out.
    """
    if not 0 < ratio < 1:
        raise StudioError("The share that is held out must lie between 0 and 1: give one such as 0.05.")
    if by == "speaker":
        return _by_speaker(utterances, ratio, seed)
    groups = _groups(utterances)
    of_speaker: dict[str, list[list[Utterance]]] = defaultdict(list)
    for group in groups:
        of_speaker[min(each.speaker for each in group)].append(group)
    held: set[str] = set()
    for theirs in of_speaker.values():
        if len(theirs) < 2:
            continue
        wanted = max(1, round(ratio * sum(len(group) for group in theirs)))
        for group in sorted(theirs, key=lambda group: _number(seed, min(each.sha256 for each in group)))[:-1]:
            if wanted <= 0:
                break
            held.update(each.id for each in group)
            wanted -= len(group)
    if not held:
        raise StudioError("There are too few different utterances to hold some out: add recordings.")
    return {each.id: "validation" if each.id in held else "train" for each in utterances}


def _by_speaker(utterances: Sequence[Utterance], ratio: float, seed: int) -> dict[str, str]:
    counts: dict[str, int] = defaultdict(int)
    for each in utterances:
        counts[each.speaker] += 1
    if len(counts) < 2:
        raise StudioError("There is one speaker alone: split by utterance, or add speakers.")
    held: set[str] = set()
    for speaker in sorted(counts, key=lambda name: _number(seed, name))[:-1]:
        if held and sum(counts[name] for name in held) >= ratio * len(utterances):
            break
        held.add(speaker)
    return {each.id: "validation" if each.speaker in held else "train" for each in utterances}


def leaks(utterances: Sequence[Utterance]) -> list[str]:
    """What lies on both sides of the split of these utterances: a sentence for each text or sound."""
    found = []
    for group in _groups(utterances):
        if len({each.split for each in group if each.split}) > 1:
            names = ", ".join(each.name or each.place for each in group[:4])
            found.append(f"{names}: the same text or sound is trained on and held out.")
    return found


def _groups(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """Utterances that share a text or a sound, together."""
    of_key: dict[str, int] = {}
    parent = list(range(len(utterances)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index, each in enumerate(utterances):
        text = text_key(each.text)
        for key in (f"sound {each.sha256}", *([f"text {text}"] if text else [])):
            parent[root(index)] = root(of_key.setdefault(key, index))
    groups: Mapping[int, list[Utterance]] = defaultdict(list)
    for index, each in enumerate(utterances):
        groups[root(index)].append(each)
    return list(groups.values())


def _number(seed: int, content: str) -> int:
    """The same on every machine and in every version."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{content}".encode()).digest()[:8], "big")

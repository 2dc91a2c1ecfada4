"""Every problem of a set, each with its place; what is in the way of a training, and what only deserves a look."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from studio.datasets.dataset import Dataset
from studio.datasets.editing import MAX_TEXT_CHARS
from studio.datasets.keeping import MAX_SECONDS
from studio.datasets.library import DatasetLibrary
from studio.datasets.splitting import leaks, text_key
from studio.datasets.stored_sound import samples_of
from studio.engine.text import prepare_text
from studio.errors import StudioError


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        place: the utterance, speaker or set.
        serious: whether it is in the way of a training.
    """

    place: str
    sentence: str
    serious: bool

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def problems_of(library: DatasetLibrary, dataset: Dataset) -> list[Problem]:
    """All problems of the kept utterances, those in the way of a training first."""
    found = [Problem(dataset.name, trouble, True) for trouble in dataset.troubles]
    if dataset.state != "ready":
        found.append(Problem(dataset.name, "Its import did not end: import it again, and it goes on.", True))
    if dataset.synthetic:
        told = f"{dataset.synthetic} were made by a model: a voice learns their faults, too, so listen to them."
        found.append(Problem(dataset.name, told, False))
    utterances = library.utterances(dataset.id)
    if not utterances:
        found.append(Problem(dataset.name, "No utterance is kept: import some, or keep some that were dropped.", True))
    texts = Counter(text_key(each.text) for each in utterances if each.text)
    sounds = Counter(each.sha256 for each in utterances)
    for each in utterances:
        place = each.name or each.place
        if not each.text:
            found.append(Problem(place, "It has no transcript: type one, or drop it.", True))
        else:
            try:
                prepare_text(each.text, max_chars=MAX_TEXT_CHARS)
            except StudioError as error:
                found.append(Problem(place, str(error), True))
        try:
            samples, _ = samples_of(each.recording, each.start, each.end)
            if not samples.any():
                found.append(Problem(place, "It is silent: drop it.", True))
        except StudioError as error:
            found.append(Problem(place, str(error), True))
        if each.seconds > MAX_SECONDS:
            found.append(Problem(place, f"It lasts {each.seconds:.1f} s: split it, or `dataset slice` the set.", True))
        if sounds[each.sha256] > 1:
            found.append(Problem(place, f"Its sound is there {sounds[each.sha256]} times: keep one.", False))
        elif each.text and texts[text_key(each.text)] > 1:
            found.append(Problem(place, f"Its text is said {texts[text_key(each.text)]} times.", False))
    found += [Problem(dataset.name, leak, True) for leak in leaks(utterances)]
    return sorted(found, key=lambda problem: not problem.serious)

"""What looks wrong with an utterance, by how far it lies outside of what its own set is like.

A weight of 1 is three robust deviations from the median: (x − median) / (1.4826 · MAD), with a least deviation for each, so
that a set whose utterances are much alike does not suspect the ordinary.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from studio.datasets.measures.figures import Measures
from studio.datasets.measures.words import compared

WRONG, CUT, NOISY, CLIPPED = "likely wrong transcript", "cut word", "noisy", "clipped"
SHORT, LONG, OTHER, DUPLICATE = "too short", "too long", "another speaker", "duplicate"
KINDS = (WRONG, CUT, NOISY, CLIPPED, SHORT, LONG, OTHER, DUPLICATE)

_DEVIATIONS = 3.0
_MAX_WEIGHT = 10.0
_CUT_DB = -20.0
"""Sound that begins or ends above this, against the level of speech, is no fading: half of a word may be gone."""
_ABOVE_NOISE_DB = 6.0
"""What begins at the level of the background was not cut: it is noise."""
_SHORT_SECONDS, _LONG_SECONDS = 1.0, 15.0
_CLIPPED_SHARE = 0.0005
_ENOUGH_VOICES = 4


@dataclass(frozen=True)
class Measured:
    """An utterance with its figures.

    Attributes:
        sha256: of its samples.
        synthetic: a model made it.
    """

    id: str
    speaker: str
    text: str
    sha256: str
    measures: Measures
    language: str = ""
    synthetic: bool = False


@dataclass(frozen=True)
class Suspicion:
    """One reason to look at an utterance.

    Attributes:
        evidence: a sentence with the figures.
        weight: 1 is worth a look, more is worse; the order of the review.
    """

    kind: str
    evidence: str
    weight: float

    def as_json(self) -> dict[str, Any]:
        """For the store and ``--json``."""
        return asdict(self)


def suspicions(utterances: Sequence[Measured]) -> dict[str, tuple[Suspicion, ...]]:
    """For each utterance, by id, what looks wrong with it, the worst first; many have nothing."""
    found: dict[str, list[Suspicion]] = {each.id: [] for each in utterances}
    for add in (_transcripts, _cuts, _noise, _lengths, _speakers, _duplicates):
        for utterance_id, suspicion in add(utterances):
            found[utterance_id].append(suspicion)
    return {name: tuple(sorted(each, key=lambda one: -one.weight)) for name, each in found.items()}


Told = Iterable[tuple[str, Suspicion]]


def _outside(
    utterances: Sequence[Measured], figure: Callable[[Measures], float | None], least: float
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """For each utterance that has the figure: deviations from the median, and the median."""
    values = {each.id: value for each in utterances if (value := figure(each.measures)) is not None}
    if not values:
        return {}
    every = np.array(list(values.values()))
    median = float(np.median(every))
    deviation = max(1.4826 * float(np.median(np.abs(every - median))), least)
    return {name: ((value - median) / deviation, median) for name, value in values.items()}


def _weight(deviations: float) -> float:
    return _at_most(abs(deviations) / _DEVIATIONS)


def _at_most(weight: float) -> float:
    return round(min(_MAX_WEIGHT, weight), 3)


def _transcripts(utterances: Sequence[Measured]) -> Told:
    """By what a recogniser heard, else by how fast the text would have been read."""
    errors = _outside(utterances, lambda m: m.cer, 0.05)
    rates = _outside(
        utterances, lambda m: float(np.log(m.characters_per_second)) if m.characters_per_second else None, 0.12
    )
    for each in utterances:
        measures = each.measures
        if each.id in errors and errors[each.id][0] > _DEVIATIONS and (measures.cer or 0) > 0.15:
            heard = f"“{measures.heard}”" if measures.heard else "nothing"
            differ, usual = 100 * (measures.cer or 0), 100 * errors[each.id][1]
            sentence = (
                f"A recogniser heard {heard}: {differ:.0f} % of the characters differ; {usual:.0f} % are usual here."
            )
            yield each.id, Suspicion(WRONG, sentence, _weight(errors[each.id][0]))
        elif each.id in rates and abs(rates[each.id][0]) > _DEVIATIONS:
            rate, usual = measures.characters_per_second or 0, float(np.exp(rates[each.id][1]))
            many = "more" if rate > usual else "less"
            sentence = f"The text has {rate:.0f} characters for a second of speech, {many} than the usual {usual:.0f}."
            yield each.id, Suspicion(WRONG, sentence, _weight(rates[each.id][0]))
        elif each.text and measures.speech_seconds < 0.1:
            yield each.id, Suspicion(WRONG, "There is a text, and nobody is heard to speak.", 5.0)


def _cuts(utterances: Sequence[Measured]) -> Told:
    for each in utterances:
        measures = each.measures
        parts, weight = [], 0.0
        for level, where in ((measures.begins_db, "begins"), (measures.ends_db, "ends")):
            if level is not None and level > max(_CUT_DB, _ABOVE_NOISE_DB - (measures.snr_db or 100)):
                parts.append(f"{where} at {level:+.0f} dB of the level of its speech")
                weight = max(weight, 1 + (level - _CUT_DB) / 10)
        if measures.inside:
            parts.append("was cut in the middle of speech")
            weight = max(weight, 1.5)
        if parts:
            heard = (
                f"; {', '.join(measures.differs[:4])} were heard otherwise in the whole recording"
                if measures.differs
                else ""
            )
            yield (
                each.id,
                Suspicion(CUT, f"The sound {' and '.join(parts)}{heard}.", _at_most(weight)),
            )
        elif measures.differs and len(measures.differs) <= 4:
            words = ", ".join(measures.differs)
            yield each.id, Suspicion(CUT, f"{words} at its ends were heard otherwise in the whole recording.", 1.0)


def _noise(utterances: Sequence[Measured]) -> Told:
    below = _outside(utterances, lambda m: m.snr_db, 2.5)
    for each in utterances:
        if each.id in below and below[each.id][0] < -_DEVIATIONS:
            ratio, usual = each.measures.snr_db, below[each.id][1]
            sentence = f"Speech is {ratio:.0f} dB above the background; {usual:.0f} dB are usual here."
            yield each.id, Suspicion(NOISY, sentence, _weight(below[each.id][0]))
        if each.measures.clipped > _CLIPPED_SHARE:
            share = 100 * each.measures.clipped
            weight = _at_most(1 + float(np.log10(each.measures.clipped / _CLIPPED_SHARE)))
            yield each.id, Suspicion(CLIPPED, f"{share:.2f} % of the samples are on flat tops.", weight)


def _lengths(utterances: Sequence[Measured]) -> Told:
    for each in utterances:
        seconds = each.measures.seconds
        if seconds < _SHORT_SECONDS:
            yield each.id, Suspicion(SHORT, f"It lasts {seconds:.2f} s.", _at_most(_SHORT_SECONDS / max(seconds, 0.1)))
        elif seconds > _LONG_SECONDS + 0.5:
            yield each.id, Suspicion(LONG, f"It lasts {seconds:.1f} s.", _at_most(seconds / _LONG_SECONDS))


def _speakers(utterances: Sequence[Measured]) -> Told:
    """By the likeness to the rest of the speaker, itself left out."""
    groups: dict[str, list[Measured]] = defaultdict(list)
    for each in utterances:
        if each.measures.voice is not None:
            groups[each.speaker].append(each)
    for theirs in groups.values():
        if len(theirs) < _ENOUGH_VOICES:
            continue
        vectors = np.array([each.measures.voice for each in theirs])
        centre = np.median(vectors, axis=0)  # a stranger among them hardly moves it
        likeness = vectors @ centre / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(centre) + 1e-9)
        median = float(np.median(likeness))
        # One-sided: how far those below the median usually lie below it. Short ones vary more.
        spread = 1.4826 * float(np.median(median - likeness[likeness <= median]))
        for each, like in zip(theirs, likeness, strict=True):
            least = 0.04 if each.measures.speech_seconds >= 1.6 else 0.08
            deviations = (median - float(like)) / max(spread, least)
            if deviations > _DEVIATIONS:
                sentence = f"Its likeness to the rest of its speaker is {like:.2f}; {median:.2f} is usual here."
                yield each.id, Suspicion(OTHER, sentence, _weight(deviations))


def _duplicates(utterances: Sequence[Measured]) -> Told:
    sounds: dict[str, list[Measured]] = defaultdict(list)
    texts: dict[str, list[Measured]] = defaultdict(list)
    for each in utterances:
        sounds[each.sha256].append(each)
        if words := "".join(compared(each.text, each.language)):
            texts[f"{each.speaker} {words}"].append(each)
    for same in sounds.values():
        for each in same if len(same) > 1 else ():
            yield each.id, Suspicion(DUPLICATE, f"The same sound is there {len(same)} times.", 3.0)
    for same in texts.values():
        if len(same) > 1 and len({each.sha256 for each in same}) > 1:
            for each in same:
                yield each.id, Suspicion(DUPLICATE, f"The same text is said {len(same)} times by this speaker.", 1.2)

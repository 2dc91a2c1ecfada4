"""A grade for a whole set, and what would raise it most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from studio.datasets.measures.suspecting import KINDS, Measured, Suspicion

_LETTERS = "ABCDE"
_MINUTES = (30.0, 15.0, 8.0, 3.0)
"""Minutes of speech for A, B, C and D: what guides for fine-tuning a voice ask for at least and recommend."""
_SHARES = (0.02, 0.05, 0.12, 0.25)
"""Share of suspicious utterances that A, B, C and D may have."""
_SERIOUS = 1.5


@dataclass(frozen=True)
class Grade:
    """What a set is worth for training.

    Attributes:
        letter: A to E: the worse of that for its length and that for what looks wrong.
        minutes: of speech.
        counts: suspicious utterances by kind.
        advice: what would raise it most, the first first.
        synthetic_minutes: of the minutes, what a model spoke.
    """

    letter: str
    minutes: float
    counts: Mapping[str, int]
    advice: tuple[str, ...]
    synthetic_minutes: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self) | {"counts": dict(self.counts), "advice": list(self.advice)}


def grade(utterances: Sequence[Measured], found: Mapping[str, Sequence[Suspicion]]) -> Grade:
    """Grade a set by minutes of speech and by the share of utterances with a serious suspicion (weight 1.5 or more)."""
    minutes = sum(each.measures.speech_seconds for each in utterances) / 60
    serious = [each.id for each in utterances if any(one.weight >= _SERIOUS for one in found.get(each.id, ()))]
    share = len(serious) / len(utterances) if utterances else 1.0
    by_minutes = next((place for place, least in enumerate(_MINUTES) if minutes >= least), 4)
    by_share = next((place for place, most in enumerate(_SHARES) if share <= most), 4)
    counted = Counter(one.kind for each in found.values() for one in each)
    counts = {kind: counted[kind] for kind in KINDS if counted[kind]}
    advice = []
    if serious and by_share:
        kinds = Counter(
            max(found[name], key=lambda one: one.weight).kind for name in serious
        ).most_common(1)[0]  # fmt: skip
        advice.append(
            f"Look at the {len(serious)} most suspicious utterances, and fix or drop them ({kinds[1]} {kinds[0]})."
        )
    if by_minutes:
        more = _MINUTES[by_minutes - 1] - minutes
        advice.append(f"Add {more:.0f} minutes of speech.")
    if by_minutes > by_share:
        advice.reverse()
    empty = sum(not each.text for each in utterances)
    if empty:
        advice.insert(0, f"Type the {empty} transcripts that are missing.")
    made = sum(each.measures.speech_seconds for each in utterances if each.synthetic) / 60
    return Grade(_LETTERS[max(by_minutes, by_share)], round(minutes, 2), counts, tuple(advice), round(made, 2))

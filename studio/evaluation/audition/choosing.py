"""Which checkpoint is proposed, by a rule that is told, and why, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.evaluation.audition.intervals import is_clearly_above, mean_difference
from studio.evaluation.audition.table import AuditionTable, SystemFigures

SMALLEST = 0.02
"""A difference of fewer points in error rate or end-rate is none, however sure it is."""
LARGEST = 0.20
"""So many points are worse even where there are too few texts to be sure."""
TIE = 0.005
"""Lower bounds of similarity that are so close are equal."""

_MOSTLY_WRONG = 0.5

RULE = (
    "Left out is whoever gets words wrong, or does not end by itself, in clearly more of the texts than the best system: by "
    f"{100 * LARGEST:.0f} points, or by {100 * SMALLEST:.0f} points and surely (exact test of signs on the same texts, 5 %); "
    "and whoever could not make a take that others made. Of the rest the highest lower bound of similarity wins; of equals "
    f"(within {TIE:g}) the earlier step, then the lower strength. It is proposed only if it is more similar than the base, "
    "or the base is left out itself."
)


@dataclass(frozen=True)
class Proposal:
    """What the figures say.

    Attributes:
        winner: id of the system that is proposed; None where no checkpoint is.
        sentence: why, or why there is none.
        pair: ids of the two that are worth a blind vote; empty where there are not two.
        left_out: id → why it is no candidate.
    """

    winner: str | None
    sentence: str
    pair: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "winner": self.winner, "sentence": self.sentence, "pair": list(self.pair), "left_out": dict(self.left_out),
            "rule": RULE,
        }  # fmt: skip


def proposal_of(table: AuditionTable) -> Proposal:
    """What is proposed of a table that is complete."""
    base, checkpoints = table.base, table.checkpoints
    if not checkpoints:
        return Proposal(None, "There is no checkpoint left that may be heard.")
    measured = [each for each in table.systems if each.figures["similarity"] is not None]
    if not any(not each.is_base for each in measured):
        why = next(iter(checkpoints)).absent.get("similarity", "")
        pair = _pair([*_by_step(checkpoints), *([base] if base else [])])
        return Proposal(None, f"No proposal, since similarity could not be measured: {why}", pair)
    left_out = _left_out(table)
    left = [each for each in measured if each.id not in left_out]
    ranked = _ranked([each for each in left if not each.is_base])
    base_is_left = base is not None and any(each is base for each in left)
    if not ranked:
        pair = _pair([*([base] if base else []), *_ranked([each for each in measured if not each.is_base])])
        told = "; ".join(f"{each.name}: {left_out[each.id]}" for each in checkpoints[:3] if each.id in left_out)
        return Proposal(None, f"No checkpoint is better than the base. {told}.", pair, left_out)
    best = ranked[0]
    rest = _ranked([each for each in left if each is not best], with_base=True)
    pair = _pair([best, *rest, *([base] if base else [])])
    gain = _gain(best, base) if base is not None else None
    if base is not None and base_is_left and (gain is None or gain <= 0):
        sentence = (
            f"No checkpoint is better than the base: the most similar, {best.name}, has {_similarity(best)} and the base "
            f"{_similarity(base)}."
        )
        return Proposal(None, sentence + _unheard(table), pair, left_out)
    return Proposal(best.id, _sentence(table, best, base, left_out), pair, left_out)


def _left_out(table: AuditionTable) -> dict[str, str]:
    """Who is no candidate, and why."""
    found: dict[str, str] = {}
    for each in table.systems:
        if each.failed and any(not other.failed for other in table.systems):
            found[each.id] = f"{each.failed} of its takes could not be made"
    whole = [each for each in table.systems if each.id not in found]
    with_words = [each for each in whole if each.mean("wer") is not None]
    with_ends = [each for each in whole if each.mean("end_rate") is not None]
    if with_words:
        best = min(with_words, key=lambda each: each.mean("wer") or 0.0)
        for each in with_words:
            if _is_worse(each.by_text["wer"], best.by_text["wer"]):
                found[each.id] = (
                    f"gets more words wrong (WER {_percent(each, 'wer')}, {best.name} {_percent(best, 'wer')})"
                )
    if with_ends:
        best = max(with_ends, key=lambda each: each.mean("end_rate") or 0.0)
        for each in with_ends:
            if each.id not in found and _is_worse(best.by_text["end_rate"], each.by_text["end_rate"]):
                found[each.id] = f"ends by itself in {_percent(each, 'end_rate')} only"
    return found


def _is_worse(high: Mapping[int, float], low: Mapping[int, float]) -> bool:
    """Whether the first lies so far above the second that it counts."""
    difference = mean_difference(high, low) or 0.0
    return difference >= LARGEST or (difference >= SMALLEST and is_clearly_above(high, low))


def _ranked(systems: Sequence[SystemFigures], *, with_base: bool = False) -> list[SystemFigures]:
    """The best first, of those with a similarity; ties are by step, then strength."""
    left = [each for each in systems if with_base or not each.is_base]
    ranked: list[SystemFigures] = []
    while left:
        highest = max(_lower(each) for each in left)
        chosen = min((each for each in left if _lower(each) >= highest - TIE), key=_early)
        ranked.append(chosen)
        left = [each for each in left if each is not chosen]
    return ranked


def _early(system: SystemFigures) -> tuple[float, float]:
    return (-1 if system.step is None else system.step, system.strength or 0.0)


def _by_step(systems: Sequence[SystemFigures]) -> list[SystemFigures]:
    return sorted(systems, key=_early)


def _lower(system: SystemFigures) -> float:
    found = system.figures["similarity"]
    return float("-inf") if found is None else found.lower


def _gain(best: SystemFigures, base: SystemFigures) -> float | None:
    return mean_difference(best.by_text["similarity"], base.by_text["similarity"])


def _pair(systems: Sequence[SystemFigures]) -> tuple[str, ...]:
    """The first two, each once."""
    ids = list(dict.fromkeys(each.id for each in systems))
    return tuple(ids[:2]) if len(ids) > 1 else ()


def _sentence(
    table: AuditionTable, best: SystemFigures, base: SystemFigures | None, left_out: Mapping[str, str]
) -> str:  # fmt: skip
    parts = [f"similarity {_similarity(best)}"]
    if base is not None and base.figures["similarity"] is not None:
        parts[0] += f" (base {_similarity(base)})"
        sure = is_clearly_above(best.by_text["similarity"], base.by_text["similarity"])
        if not sure:
            parts.append("which so few texts cannot tell from the base's for sure")
    if base is not None and base.id in left_out:
        parts.append(f"the base {left_out[base.id]}")
    elif best.mean("wer") is not None:
        than = "the base's" if base is not None and base.mean("wer") is not None else "the best's"
        how = "right" if (best.mean("wer") or 0.0) < _MOSTLY_WRONG else "wrong"
        parts.append(f"words as {how} as {than} (WER {_percent(best, 'wer')}{_beside(base, 'wer')})")
    if best.mean("end_rate") is not None:
        parts.append(f"ends by itself in {_percent(best, 'end_rate')}")
    sentence = f"{best.name.capitalize()}: {', '.join(parts)}"
    return f"{sentence}; {_of_loss(table, best, left_out)}." + _unheard(table) + _beyond(table)


def _of_loss(table: AuditionTable, best: SystemFigures, left_out: Mapping[str, str]) -> str:
    """What became of the checkpoint with the lowest loss."""
    lowest = table.lowest_loss()
    if lowest is None:
        return "no loss was logged for every step"
    name, system = lowest
    told = "the lowest loss on held-out rows" if name.startswith("eval_") else "the lowest training loss"
    if system.step == best.step:
        return f"{told} is the same step's"
    theirs = [each for each in table.checkpoints if each.step == system.step]
    if all(each.id in left_out for each in theirs):
        return f"{told} is step {system.step}, which {left_out[system.id]}"
    rival = next(each for each in _ranked(theirs) if each.id not in left_out)
    if rival.figures["similarity"] is None:
        return f"{told} is step {system.step}, whose similarity could not be measured"
    return f"{told} is step {system.step}, whose similarity is {_similarity(rival)}"


def _unheard(table: AuditionTable) -> str:
    """That words did not count, where nobody could hear them."""
    if any(each.mean("wer") is not None for each in table.systems):
        return ""
    why = next((each.absent["wer"] for each in table.systems if "wer" in each.absent), "")
    return f" Whether the words are right is not known: {why}"


def _beyond(table: AuditionTable) -> str:
    """That nobody says these words, where that is so."""
    known = [wer for each in table.systems if (wer := each.mean("wer")) is not None]
    if not known or min(known) < _MOSTLY_WRONG:
        return ""
    return " Most words are wrong with every system: the texts may be beyond the base, so do listen before it is used."


def _similarity(system: SystemFigures) -> str:
    found = system.figures["similarity"]
    return "none" if found is None else f"{found.mean:.2f}"


def _percent(system: SystemFigures, figure: str) -> str:
    value = system.mean(figure)
    return "unknown" if value is None else f"{100 * value:.0f} %"


def _beside(base: SystemFigures | None, figure: str) -> str:
    value = base.mean(figure) if base is not None else None
    return f" against {100 * value:.0f} %" if value is not None else ""

"""The table of an audition: what was measured of each system, over the texts, beside the losses at its step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.errors import StudioError
from studio.evaluation.audition.intervals import Interval, mean_interval, means_by_text, share_interval
from studio.evaluation.comparison.comparison import ComparedSystem, ComparedTake, Comparison
from studio.evaluation.measures import Figures, common_model

FIGURES = {
    "similarity": "similarity",
    "wer": "WER",
    "end_rate": "ended",
    "ovrl": "DNSMOS",
}
"""Figures of the table, in its order, and how they are called for people."""
_OF_TAKE = {"end_rate": "ended"}
"""What a figure of the table is called where it is one of a take."""
_RANGES = {"similarity": (-1.0, 1.0), "wer": (0.0, math.inf), "ovrl": (1.0, 5.0)}
_ABSENT = {"ovrl": "dnsmos", "end_rate": "ended"}
_LOSSES = ("eval_audio_loss", "eval_loss", "audio_loss", "loss")
"""By which a lowest one is found: that of held-out rows first."""


@dataclass(frozen=True)
class SystemFigures:
    """What was measured of one system.

    Attributes:
        step: of the checkpoint; None for the base.
        strength: share of what was trained; None for the base.
        made, failed: its takes; what cannot be made has no figures.
        figures: by their names in :data:`FIGURES`; None is absent, and ``absent`` says why.
        losses: what was logged at the step.
        by_text: figure → text → mean over its seeds.
    """

    system: ComparedSystem
    step: int | None
    strength: float | None
    made: int
    failed: int
    figures: Mapping[str, Interval | None]
    absent: Mapping[str, str]
    losses: Mapping[str, float]
    by_text: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.system.id

    @property
    def is_base(self) -> bool:
        return self.step is None

    @property
    def name(self) -> str:
        """In a sentence."""
        if self.step is None:
            return "the base"
        return f"step {self.step}" + (f" at {self.strength:g}" if self.strength not in (None, 1.0) else "")

    def mean(self, figure: str) -> float | None:
        found = self.figures.get(figure)
        return None if found is None else found.mean

    def as_json(self) -> dict[str, Any]:
        """For ``--json``; nothing of one whose voice was withdrawn."""
        if self.system.withheld:
            return self.system.as_json()
        shown = {name: found and found.as_json() for name, found in self.figures.items()}
        return {
            "system": self.id, "label": self.system.label, "step": self.step, "strength": self.strength,
            "gone": self.system.gone, "n": self.made, "failed": self.failed, **shown, "absent": dict(self.absent),
            "losses": dict(self.losses),
        }  # fmt: skip


@dataclass(frozen=True)
class AuditionTable:
    """All systems, the base first, then by step and strength.

    Attributes:
        models: who measured which figure.
    """

    systems: tuple[SystemFigures, ...]
    models: Mapping[str, str]

    @property
    def base(self) -> SystemFigures | None:
        return next((each for each in self.systems if each.is_base), None)

    @property
    def checkpoints(self) -> tuple[SystemFigures, ...]:
        return tuple(each for each in self.systems if not each.is_base)

    def lowest_loss(self) -> tuple[str, SystemFigures] | None:
        """The checkpoint of the lowest loss, and which loss that is: of held-out rows where these were evaluated."""
        for name in _LOSSES:
            known = [each for each in self.checkpoints if _is_finite(each.losses.get(name))]
            if known and len(known) == len(self.checkpoints):
                return name, min(known, key=lambda each: (each.losses[name], each.step or 0, -(each.strength or 0)))
        return None


def table_of(comparison: Comparison, takes: Sequence[ComparedTake]) -> AuditionTable:
    """The table of an audition as far as its takes were measured. What is withheld is not in it."""
    shown = [system for system in comparison.systems if not system.withheld]
    theirs = {system.id: [take for take in takes if take.system_id == system.id] for system in shown}
    measured = {
        system: [(take.text, Figures.from_json(take.figures)) for take in given if take.figures and not take.withheld]
        for system, given in theirs.items()
    }
    every = [figures for given in measured.values() for _, figures in given]
    models, mixed = dict[str, str](), dict[str, str]()
    for figure in FIGURES:
        try:
            models[figure] = common_model(_OF_TAKE.get(figure, figure), every)
        except StudioError as error:
            mixed[figure] = str(error)
    found = [_system_of(system, theirs[system.id], measured[system.id], mixed) for system in shown]
    found.sort(key=lambda each: (-1 if each.step is None else each.step, -(each.strength or 0.0)))
    return AuditionTable(tuple(found), {figure: model for figure, model in models.items() if model})


def _system_of(
    system: ComparedSystem, takes: Sequence[ComparedTake], measured: Sequence[tuple[int, Figures]],
    mixed: Mapping[str, str],
) -> SystemFigures:  # fmt: skip
    step, strength = system.settings.get("step"), system.settings.get("strength")
    intervals, absent, by_text = dict[str, Interval | None](), dict[str, str](), dict[str, Mapping[int, float]]()
    for figure in FIGURES:
        values = [(text, float(value)) for text, each in measured if (value := _value(each, figure)) is not None]
        by_text[figure] = {} if figure in mixed else means_by_text(values)
        intervals[figure] = _interval(figure, by_text[figure])
        if intervals[figure] is None:
            absent[figure] = mixed.get(figure) or _why_absent(figure, measured)
    made = sum(take.state == "made" for take in takes)
    return SystemFigures(
        system, step, strength if step is not None else None, made, sum(take.state == "failed" for take in takes),
        intervals, absent, system.settings.get("losses") or {}, by_text,
    )  # fmt: skip


def _value(figures: Figures, figure: str) -> float | bool | None:
    return getattr(figures, _OF_TAKE.get(figure, figure))


def _interval(figure: str, by_text: Mapping[int, float]) -> Interval | None:
    if figure == "end_rate":
        return share_interval(by_text)
    least, most = _RANGES[figure]
    return mean_interval(by_text, least=least, most=most)


def _why_absent(figure: str, measured: Sequence[tuple[int, Figures]]) -> str:
    """The reason that most of its takes give."""
    name = _ABSENT.get(figure, figure)
    reasons = [each.absent[name] for _, each in measured if name in each.absent]
    if not reasons:
        return "Its takes were not measured yet."
    return max(dict.fromkeys(reasons), key=reasons.count)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""A comparison as the library gives it out: its systems, its takes, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from studio.evaluation.comparison.plan import ComparisonPlan
from studio.evaluation.comparison.systems import KINDS
from studio.store.comparison_tables import ComparedTakeRecord, ComparisonRecord, SystemRecord

State = Literal["queued", "running", "stopping", "completed", "stopped", "failed", "lost"]
WAITING: tuple[State, ...] = ("queued",)
PRESENT: tuple[State, ...] = ("running", "stopping")
"""States in which a process makes its takes."""
WITHHELD_LABEL = "a system whose voice was withdrawn"


@dataclass(frozen=True)
class ComparedSystem:
    """One of the systems.

    Attributes:
        kind: a key of :data:`KINDS`.
        settings: everything it spoke with, as it was called then.
        gone: why it could not speak again, in a sentence; None where it could. What it said stays.
        withheld: the consent of a voice in it was withdrawn: it is not shown, and nothing of it is heard.
    """

    id: str
    label: str
    kind: str
    settings: dict[str, Any]
    gone: str | None = None
    withheld: bool = False

    @property
    def shown_label(self) -> str:
        return WITHHELD_LABEL if self.withheld else self.label

    def as_json(self) -> dict[str, Any]:
        """All that may be told of it."""
        if self.withheld:
            return {"id": self.id, "label": WITHHELD_LABEL, "withheld": True}
        return {**vars(self), "kind_shown": KINDS.get(self.kind, self.kind)}


@dataclass(frozen=True)
class ComparedTake:
    """What a system made of a text from a seed.

    Attributes:
        text: number of the text, from 0.
        state: waiting, made or failed.
        failure: why it could not be made; "" for nothing.
        path: 16-bit FLAC; for the server only, never for a browser.
        request: what was asked of the engine.
        report: seconds, sample_rate, elapsed, rtf, frames, ended, shortcomings, lufs.
        figures: what was measured of it, by whatever measures.
        synthetic: a model spoke it; False for a real recording.
        withheld: the consent of a voice in it was withdrawn.
    """

    id: str
    system_id: str
    text: int
    seed: int
    state: str
    failure: str
    path: Path
    sha256: str
    synthetic: bool
    made_at: datetime | None
    request: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    withheld: bool = False

    @property
    def can_play(self) -> bool:
        """Whether there is something that may be heard."""
        return self.state == "made" and not self.withheld and self.path.is_file()

    def as_json(self) -> dict[str, Any]:
        """All that may be told of it; times in UTC."""
        told = {"id": self.id, "system": self.system_id, "text": self.text, "seed": self.seed}
        if self.withheld:
            return {**told, "withheld": True}
        return {
            **told, "state": self.state, "failure": self.failure, "sha256": self.sha256, "synthetic": self.synthetic,
            "made_at": self.made_at and self.made_at.isoformat(timespec="seconds"), "request": self.request,
            "report": self.report, "figures": self.figures, "missing": self.state == "made" and not self.path.is_file(),
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Systems that speak the same texts from the same seeds.

    Attributes:
        sentence: why it failed or was lost, or what else there is to know; "" for nothing.
        seed: of the order in which listeners hear what.
        link: lets others vote; "" where nobody else may.
        counts: takes by their state.
        seconds_left: how long making the rest may take, as the takes so far went; None where nothing is known or left.
        ahead: comparisons that come before it, the present one included.
        unmeasured: takes that were made, may be heard and have no figures.
    """

    id: str
    owner: str
    name: str
    created_at: datetime
    state: State
    sentence: str
    plan: ComparisonPlan
    seed: int
    link: str
    systems: tuple[ComparedSystem, ...]
    counts: dict[str, int]
    started_at: datetime | None
    ended_at: datetime | None
    ahead: int = 0
    seconds_left: float | None = None
    unmeasured: int = 0

    @property
    def texts(self) -> tuple[str, ...]:
        return self.plan.texts

    @property
    def active(self) -> bool:
        return self.state in (*WAITING, *PRESENT)

    @property
    def num_takes(self) -> int:
        return sum(self.counts.values())

    @property
    def num_done(self) -> int:
        """Takes that wait no longer: made, or given up."""
        return self.num_takes - self.counts.get("waiting", 0)

    @property
    def can_resume(self) -> bool:
        """Whether it ended and left takes that were not made, or not measured where they should be."""
        left = self.counts.get("made", 0) < self.num_takes or (self.plan.measured and self.unmeasured > 0)
        return not self.active and left

    @property
    def heard_systems(self) -> tuple[ComparedSystem, ...]:
        """Those that listeners hear."""
        return tuple(self.systems[number] for number in self.plan.heard) if self.plan.heard else self.systems

    def system(self, system_id: str) -> ComparedSystem:
        return next(system for system in self.systems if system.id == system_id)

    def as_json(self) -> dict[str, Any]:
        """All that may be told of it; times in UTC."""
        return {
            "id": self.id,
            "name": self.name,
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "state": self.state,
            "sentence": self.sentence,
            "seed": self.seed,
            "shared": bool(self.link),
            "texts": list(self.texts),
            "seeds": list(self.plan.seeds),
            "systems": [system.as_json() for system in self.systems],
            "takes": self.num_takes,
            "made": self.counts.get("made", 0),
            "failed": self.counts.get("failed", 0),
            "measured": self.counts.get("made", 0) - self.unmeasured if self.plan.measured else None,
            "audition_of": self.plan.audition and {"run": self.plan.audition.run, "name": self.plan.audition.name},
            "heard": [system.id for system in self.heard_systems],
            "ahead": self.ahead,
            "seconds_left": self.seconds_left,
            "started_at": self.started_at and self.started_at.isoformat(timespec="seconds"),
            "ended_at": self.ended_at and self.ended_at.isoformat(timespec="seconds"),
        }


def comparison_of(
    record: ComparisonRecord, systems: Sequence[ComparedSystem], counts: dict[str, int], *, ahead: int = 0,
    seconds_left: float | None = None, unmeasured: int = 0,
) -> Comparison:  # fmt: skip
    """A stored comparison."""
    state: Any = record.state
    return Comparison(
        record.id, record.owner, record.name, record.created_at, state, record.sentence,
        ComparisonPlan.model_validate(record.plan), record.seed, record.link, tuple(systems), counts, record.started_at,
        record.ended_at, ahead, seconds_left, unmeasured,
    )  # fmt: skip


def system_of(record: SystemRecord, *, gone: str | None = None, withheld: bool = False) -> ComparedSystem:
    """A stored system."""
    return ComparedSystem(record.id, record.label, record.kind, record.settings, gone, withheld)


def take_of(record: ComparedTakeRecord, folder: Path, *, withheld: bool = False) -> ComparedTake:
    """A stored take whose sound lies in ``folder``."""
    return ComparedTake(
        record.id, record.system_id, record.text, record.seed, record.state, record.failure,
        sound_file(folder, record.id), record.sha256, record.synthetic, record.made_at, record.request, record.report,
        record.figures, withheld,
    )  # fmt: skip


def sound_file(folder: Path, take_id: str) -> Path:
    """Where the sound of a take lies in the folder of its comparison."""
    return folder / f"{take_id}.flac"

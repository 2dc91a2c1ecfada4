"""The tables of comparisons, and of whoever listens to them. How they came to be is in ``migrations``."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, UniqueConstraint
from sqlmodel import Field, SQLModel

from studio.store.tables import UtcDateTime, new_id, now


class ComparisonRecord(SQLModel, table=True):
    """Systems that speak the same texts from the same seeds.

    Attributes:
        owner: whose; "" is whoever runs the studio.
        state: queued, running, stopping, completed, stopped, failed or lost.
        queued_at: its place in the queue.
        pid, pid_started: of the process that makes its takes, and when that process began.
        sentence: why it failed or was lost, or what else there is to know; "" for nothing.
        plan: what was asked for, see ``studio.evaluation.comparison.plan``.
        seed: decides in which order every listener hears what, and on which side.
        link: with this whoever has it may listen and vote; "" where nobody else may.
    """

    __tablename__ = "comparison"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    owner: str = Field(index=True)
    name: str
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    state: str = Field(default="queued", index=True)
    queued_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pid: int | None = None
    pid_started: float | None = None
    sentence: str = ""
    plan: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    seed: int
    link: str = Field(default="", index=True)


class SystemRecord(SQLModel, table=True):
    """One of the systems of a comparison.

    Attributes:
        kind: base, adapter, sampling, voice, checkpoint, precision or recording: what tells it from the others.
        settings: everything it speaks with, as it was called then.
        voices: ``{"id", "name"}`` of library voices whose consent it needs.
    """

    __tablename__ = "comparison_system"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    comparison_id: str = Field(foreign_key="comparison.id", index=True, ondelete="CASCADE")
    position: int
    label: str
    kind: str
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    voices: list[Any] = Field(default_factory=list, sa_type=JSON)


class ComparedTakeRecord(SQLModel, table=True):
    """What one system makes of one text from one seed; its sound lies under its id.

    Attributes:
        text: number of the text in the plan.
        state: waiting, made or failed.
        failure: why it could not be made.
        request: what was asked of the engine.
        report: seconds, elapsed, frames, ended, shortcomings and the like.
        figures: what was measured of it afterwards, by whatever measures.
        voices: ``{"id", "name"}`` of whoever was heard when it was made, those that an adapter was trained on included.
        sha256: of its samples and their rate.
        synthetic: a model spoke it.
        consent_withdrawn_at: when the consent of one of its voices was withdrawn.
    """

    __tablename__ = "comparison_take"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("system_id", "text", "seed", name="uq_comparison_take"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    comparison_id: str = Field(foreign_key="comparison.id", index=True, ondelete="CASCADE")
    system_id: str = Field(foreign_key="comparison_system.id", index=True, ondelete="CASCADE")
    text: int
    seed: int
    state: str = "waiting"
    failure: str = ""
    request: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    report: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    figures: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    voices: list[Any] = Field(default_factory=list, sa_type=JSON)
    sha256: str = ""
    synthetic: bool = True
    made_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    consent_withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ListenerRecord(SQLModel, table=True):
    """Somebody who listens to a comparison.

    Attributes:
        name: as they call themselves; "" where they did not.
        secret: hash of what lets them go on; "" for the owner, who is known without.
        revealed_at: when they saw which system is which: votes end there.
    """

    __tablename__ = "listener"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    comparison_id: str = Field(foreign_key="comparison.id", index=True, ondelete="CASCADE")
    name: str = ""
    secret: str = Field(default="", index=True)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    revealed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TrialRecord(SQLModel, table=True):
    """A pair of takes as it was presented to a listener, written down before anything of it was shown.

    Attributes:
        position: how many this listener had before.
        left_take, right_take: the takes, in the order of presentation.
        left_key, right_key: under which names their sounds are given out; new for each trial, so that they tell nothing.
        repeat_of: the trial that comes again with its sides swapped; "" for none.
    """

    __tablename__ = "trial"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("listener_id", "position", name="uq_trial_listener_position"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    listener_id: str = Field(foreign_key="listener.id", index=True, ondelete="CASCADE")
    position: int
    left_take: str = Field(foreign_key="comparison_take.id", index=True, ondelete="CASCADE")
    right_take: str = Field(foreign_key="comparison_take.id", index=True, ondelete="CASCADE")
    left_key: str = Field(default_factory=new_id, index=True)
    right_key: str = Field(default_factory=new_id, index=True)
    repeat_of: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class VoteRecord(SQLModel, table=True):
    """What a listener said of a trial: once, whatever a browser sends again."""

    __tablename__ = "vote"  # pyright: ignore[reportAssignmentType]

    trial_id: str = Field(foreign_key="trial.id", primary_key=True, ondelete="CASCADE")
    choice: str
    reason: str = ""
    made_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)

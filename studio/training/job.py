"""A job as the library gives it out, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from studio.store.tables import JobRecord
from studio.training.folder import JobFolder
from studio.training.spec import TrainingSpec

State = Literal["queued", "running", "stopping", "completed", "stopped", "failed", "lost"]
WAITING: tuple[State, ...] = ("queued",)
PRESENT: tuple[State, ...] = ("running", "stopping")
"""States in which a supervisor has the job."""


@dataclass(frozen=True)
class Job:
    """A training run.

    Attributes:
        exit_code: of the trainer; None before it has ended.
        sentence: why it failed or was lost, or what else there is to know; "" for nothing.
        runs: how often it was started.
        ahead: jobs that come before it on its device, the present one included.
    """

    id: str
    owner: str
    name: str
    created_at: datetime
    device: str
    state: State
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    sentence: str
    spec: TrainingSpec
    folder: JobFolder
    runs: int
    retry_of: str
    ahead: int = 0

    @property
    def active(self) -> bool:
        return self.state in (*WAITING, *PRESENT)

    @property
    def ended(self) -> bool:
        return not self.active

    @property
    def can_stop(self) -> bool:
        """Whether :meth:`JobLibrary.stop` does something that was not done before."""
        return self.state in ("queued", "running")

    @property
    def can_resume(self) -> bool:
        """Whether it ended early and left a checkpoint to go on from."""
        return self.state in ("stopped", "failed", "lost") and bool(self.folder.checkpoints())

    @property
    def can_retry(self) -> bool:
        """Whether it can be run again from its beginning, as a new job."""
        return self.ended

    @property
    def can_delete(self) -> bool:
        """Whether nothing runs in its folder."""
        return self.ended

    @property
    def command(self) -> list[str]:
        """The exact command with which it began."""
        return self.spec.command(self.folder)


def job_of(record: JobRecord, jobs_folder: Path, *, ahead: int = 0) -> Job:
    """A stored job."""
    state: Any = record.state
    return Job(
        id=record.id,
        owner=record.owner,
        name=record.name,
        created_at=record.created_at,
        device=record.device,
        state=state,
        queued_at=record.queued_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
        exit_code=record.exit_code,
        sentence=record.sentence,
        spec=TrainingSpec.model_validate(record.spec),
        folder=JobFolder(jobs_folder / record.id),
        runs=record.runs,
        retry_of=record.retry_of,
        ahead=ahead,
    )

"""How far a run is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from studio.files import read_json
from studio.store.tables import now
from studio.training.folder import JobFolder
from studio.training.job import PRESENT, WAITING, Job
from studio.training.monitoring.run_log import read_log

Stage = Literal["queued", "waiting", "loading", "training", "comparing", "ended"]


@dataclass(frozen=True)
class Progress:
    """How far a job is. What is not known is None.

    Attributes:
        step, max_steps: optimizer steps done, and in all.
        elapsed_seconds: since it was started the last time, until it ended.
        memory_bytes, peak_memory_bytes: of the GPU where it trains on one, of its processes otherwise.
        audio_seconds_per_second: trained audio for each second of computing.
    """

    stage: Stage
    step: int
    max_steps: int
    epoch: float | None = None
    seconds_per_step: float | None = None
    eta_seconds: float | None = None
    elapsed_seconds: float | None = None
    memory_bytes: int | None = None
    peak_memory_bytes: int | None = None
    audio_seconds_per_second: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As one JSON object; durations in seconds, memory in bytes."""
        return dict(vars(self))


def progress_of(job: Job) -> Progress:
    """How far a job is at this moment."""
    log, status = read_log(job.folder.metrics_file), status_of(job.folder)
    max_steps, pace = log.max_steps or job.spec.num_steps, log.seconds_per_step
    training = job.state in PRESENT and status.get("stage") == "training"
    memory = log.last("memory(GiB)")  # ms-swift logs it on GPUs
    began, ended = job.started_at, job.ended_at
    return Progress(
        stage=_stage(job, status),
        step=log.step,
        max_steps=max_steps,
        epoch=log.epoch,
        seconds_per_step=pace,
        eta_seconds=(max_steps - log.step) * pace if training and pace is not None else None,
        elapsed_seconds=((ended or now()) - began).total_seconds() if began else None,
        memory_bytes=int(memory * 2**30) if memory else (status.get("memory_bytes") if job.active else None),
        peak_memory_bytes=int(memory * 2**30) if memory else status.get("peak_memory_bytes"),
        audio_seconds_per_second=_throughput(job, pace),
    )


def status_of(folder: JobFolder) -> dict[str, Any]:
    """What the supervisor last wrote down; {} where that cannot be read."""
    try:
        return read_json(folder.status_file)
    except (OSError, ValueError, TypeError):
        return {}


def _stage(job: Job, status: dict[str, Any]) -> Stage:
    if job.state in WAITING:
        return "queued"
    stage = status.get("stage", "waiting")
    return stage if job.state in PRESENT and stage in ("waiting", "loading", "training", "comparing") else "ended"


def _throughput(job: Job, pace: float | None) -> float | None:
    rows = job.spec.rows
    if not pace or not rows.count:
        return None
    batch = 1.0
    for name in ("per_device_train_batch_size", "gradient_accumulation_steps"):
        try:
            batch *= float(job.spec.arguments.get(name, ["1"])[0])
        except ValueError:
            return None
    return rows.seconds / rows.count * batch / pace

"""Jobs for tests: a small real trainer in place of ms-swift, and waiting for what becomes of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.datasets.rows.report import RowsSummary
from studio.processes import Process, with_variable
from studio.settings import Settings
from studio.store import jobs as records
from studio.store.store import Store
from studio.store.tables import JobRecord
from studio.training.execution.local import JOB_VARIABLE
from studio.training.job import Job
from studio.training.library import JobLibrary
from studio.training.preflight.report import Preflight
from studio.training.spec import TrainingSpec

TRAINER = Path(__file__).with_name("small_trainer.py")


def spec(*options: str, device: str = "cpu") -> TrainingSpec:
    return TrainingSpec(
        preset="quick",
        base="none",
        base_shown="none",
        base_folder="none",
        base_bytes=0,
        device=device,
        arguments={},
        rows=RowsSummary(source="rows.jsonl", count=1, seconds=1.0, sha256=""),
        num_steps=20,
        program=[sys.executable, str(TRAINER), *options],
    )


def checked(*options: str, device: str = "cpu") -> Preflight:
    """What a preflight finds of a run of the small trainer, where nothing stands in the way."""
    return Preflight(spec(*options, device=device), [], [], (), (), ())


def until(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
    return found


def of_jobs(ids: set[str]) -> list[Process]:
    """Every process on this machine that belongs to one of these jobs."""
    return [process for job_id in ids for process in with_variable(JOB_VARIABLE, job_id)]


def stored(settings: Settings, job_id: str) -> JobRecord:
    """What the store says, without anybody looking after the queue."""
    with Store(settings.store_file).reading() as session:
        record = records.job_by_id(session, job_id)
    assert record is not None
    return record


def supervisor_of(settings: Settings, job_id: str) -> Process:
    record = stored(settings, job_id)
    assert record.pid is not None
    assert record.pid_started is not None
    return Process(record.pid, record.pid_started)


def ended(jobs: JobLibrary, job: Job, seconds: float = 30.0) -> Job:
    return until(lambda: (now := jobs.job(job.id)).ended and now, seconds)


def status(job: Job) -> dict[str, Any]:
    return json.loads(job.folder.status_file.read_text())

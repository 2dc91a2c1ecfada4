"""How far a run is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from studio.files import read_json
from studio.training.folder import JobFolder
from studio.training.job import PRESENT, WAITING, Job
from studio.training.monitoring.run_log import RunLog

Stage = Literal["queued", "waiting", "loading", "training", "comparing", "ended"]
_MAX_LOGS = 32


@dataclass(frozen=True)
class Progress:
    """How far a job is. What is not known is None.

    Attributes:
        stage: what it does at this moment.
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


class _Logs:
    """Logs that were read, so that each line is parsed once in a process."""

    def __init__(self) -> None:
        self._logs: OrderedDict[Path, RunLog] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> RunLog:
        with self._lock:
            log = self._logs.get(path) or RunLog(path)
            self._logs[path] = log
            self._logs.move_to_end(path)
            while len(self._logs) > _MAX_LOGS:
                self._logs.popitem(last=False)
            return log


_LOGS = _Logs()


def _status(folder: JobFolder) -> dict[str, Any]:
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

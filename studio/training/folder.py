"""The folder of a job: where everything of it lies, and which of its checkpoints are whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from studio.files import read_json

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class JobFolder:
    """Paths within ``root``, which is ``jobs/<id>/``; nothing is made by looking."""

    root: Path

    @property
    def spec_file(self) -> Path:
        """What the job was started with, for people: the store has the same."""
        return self.root / "job.json"

    @property
    def rows_file(self) -> Path:
        """The rows as they were when it started, in the native form with absolute paths."""
        return self.root / "rows.jsonl"

    @property
    def validation_file(self) -> Path:
        """The rows that are evaluated, where they are a file of their own."""
        return self.root / "validation.jsonl"

    @property
    def sample_plan(self) -> Path:
        """What the trainer speaks at its checkpoints."""
        return self.root / "sample_plan.json"

    @property
    def samples(self) -> Path:
        """What it spoke: ``samples.jsonl`` and the sound."""
        return self.root / "samples"

    @property
    def log_file(self) -> Path:
        """Everything that the trainer printed."""
        return self.root / "train.log"

    @property
    def output(self) -> Path:
        """ms-swift's output folder."""
        return self.root / "run"

    @property
    def metrics_file(self) -> Path:
        """What ms-swift logged, a JSON object a line."""
        return self.output / "logging.jsonl"

    @property
    def status_file(self) -> Path:
        """What the supervisor last saw: stage, memory, the trainer's process."""
        return self.root / "status.json"

    @property
    def outcome_file(self) -> Path:
        """How the last run of it ended; absent while it runs."""
        return self.root / "outcome.json"

    @property
    def stop_file(self) -> Path:
        """There when the run is asked to stop; holds "now" where it should not save first."""
        return self.root / "stop"

    def checkpoints(self) -> dict[int, Path]:
        """The whole checkpoints by their step, in order. One that was cut off while it was written is not among them."""
        found = {}
        for path in self.output.glob("checkpoint-*") if self.output.is_dir() else ():
            match = _CHECKPOINT.fullmatch(path.name)
            if match and path.is_dir() and is_whole(path):
                found[int(match[1])] = path
        return dict(sorted(found.items()))

    def broken_checkpoints(self) -> list[Path]:
        whole = set(self.checkpoints().values())
        return [path for path in self.output.glob("checkpoint-*") if path.is_dir() and path not in whole]


def rows_files(jobs: Path) -> list[Path]:
    """The rows of every job in a folder of jobs."""
    return [JobFolder(root).rows_file for root in jobs.iterdir()] if jobs.is_dir() else []


def is_whole(checkpoint: Path) -> bool:
    """Whether everything of a checkpoint was written: the trainer writes ``trainer_state.json`` last."""
    try:
        read_json(checkpoint / "trainer_state.json")
    except (OSError, ValueError, TypeError):
        return False
    return any(checkpoint.glob("*.safetensors"))

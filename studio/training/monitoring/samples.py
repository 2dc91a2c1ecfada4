"""What the trainer spoke at its checkpoints, as it lies in the folder of a run."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.engine.speech.spoken_sentence import QUIETEST_DBFS, SILENT_DBFS

__all__ = ["SILENT_DBFS", "Sample", "StepSamples", "read_samples"]

LOG_FILE = "samples.jsonl"


@dataclass(frozen=True)
class Sample:
    """One sentence, as the model spoke it at a step.

    Attributes:
        path: a WAV file.
        ended: the model ended it by itself; False where it ran into its budget.
        loudness_dbfs: RMS in decibels of full scale; -120 for digital silence.
        same_as_base: its codes are those that the untrained model gave for the same seed.
    """

    text: str
    path: Path
    seconds: float
    ended: bool
    budget_seconds: float
    loudness_dbfs: float
    same_as_base: bool

    @property
    def silent(self) -> bool:
        return self.loudness_dbfs < SILENT_DBFS


@dataclass(frozen=True)
class StepSamples:
    """What was spoken at one step; step 0 is the base before training.

    Attributes:
        error: why nothing could be spoken; "" where it was.
    """

    step: int
    samples: tuple[Sample, ...]
    error: str = ""


def read_samples(folder: Path) -> list[StepSamples]:
    """What was spoken, the first step first. Where a step was spoken twice, the later time counts.

    Args:
        folder: of the samples; it may be missing. Lines of its log that cannot be read are left out: the trainer may be
            writing one at this moment, or may have been killed while it did.
    """
    try:
        lines = (folder / LOG_FILE).read_bytes().split(b"\n")
    except OSError:
        return []
    found: dict[int, StepSamples] = {}
    for line in lines:
        with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            step = _step_samples(json.loads(line), folder)
            found[step.step] = step
    return [found[step] for step in sorted(found)]


def _step_samples(entry: dict[str, Any], folder: Path) -> StepSamples:
    samples = tuple(_sample(each, folder) for each in entry["samples"])
    return StepSamples(int(entry["step"]), samples, str(entry.get("error", "")))


def _sample(entry: dict[str, Any], folder: Path) -> Sample:
    loudness = float(entry["loudness_dbfs"])
    return Sample(
        text=str(entry["text"]),
        path=folder / Path(entry["file"]).name,
        seconds=float(entry["seconds"]),
        ended=bool(entry["ended"]),
        budget_seconds=float(entry["budget_seconds"]),
        loudness_dbfs=loudness if math.isfinite(loudness) else QUIETEST_DBFS,
        same_as_base=bool(entry["same_as_base"]),
    )

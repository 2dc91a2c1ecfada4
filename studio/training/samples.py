"""What the trainer spoke at its checkpoints, as it lies in the folder of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One sentence, as the model spoke it at a step.

    Attributes:
        path: the sound, a WAV file.
        seconds: duration.
        ended: the model ended it by itself; False where it ran into its budget.
        budget_seconds: duration of the budget.
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
        """Whether there is nothing to hear."""
        return self.loudness_dbfs < SILENT_DBFS


SILENT_DBFS = -60.0
"""RMS below which a sample counts as silent: the quietest room that a voice is recorded in is louder."""


@dataclass(frozen=True)
class StepSamples:
    """What was spoken at one step; step 0 is the base before training.

    Attributes:
        error: why nothing could be spoken; "" where it was.
    """

    step: int
    samples: tuple[Sample, ...]
    error: str = ""

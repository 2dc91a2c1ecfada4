"""What a job was started with, as it is stored with it: enough to run it, to repeat it, and to say what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from studio.datasets.rows.report import RowsSummary
from studio.training import trainer
from studio.training.folder import JobFolder
from studio.voices.consent import CONSENT_NOT_RECORDED, VoiceConsent


class TrainingSpec(BaseModel):
    """Everything that decides a run.

    Attributes:
        base: as it was asked for, a folder or a hub id; for whoever runs the studio alone.
        base_shown: its name for anybody.
        base_bytes: size of its weights.
        arguments: ms-swift's arguments by name, in order; model, dataset and folders come in :meth:`command`.
        overrides: those of them that the user set.
        validation: rows that are evaluated and not trained; None where a share of the rows is, or none.
        full_parameter: whether all weights are trained instead of an adapter.
        consent: of library voices among the rows.
        unrecorded: number of clips whose consent nobody recorded.
        estimate: what the preflight expected: memory_bytes, disk_bytes, seconds (each may be absent).
        num_steps: optimizer steps that the preflight expected.
    """

    model_config = ConfigDict(frozen=True)

    preset: str
    base: str
    base_shown: str
    base_folder: str
    base_bytes: int
    device: str
    arguments: dict[str, list[str]]
    overrides: dict[str, list[str]] = Field(default_factory=dict)
    full_parameter: bool = False
    rows: RowsSummary
    validation: RowsSummary | None = None
    consent: list[VoiceConsent] = Field(default_factory=list)
    unrecorded: int = 0
    estimate: dict[str, Any] = Field(default_factory=dict)
    num_steps: int = 0
    program: list[str] = Field(default_factory=list)
    """The program in place of the launcher and its arguments; [] for the launcher."""

    @property
    def consent_sentence(self) -> str:
        """By what right the voices in the rows are used, on one line."""
        told = (
            f"{each.name}: {each.ground}{f' ({each.statement})' if each.statement else ''}" for each in self.consent
        )
        parts = list(dict.fromkeys(told))  # a voice and who it is in a set say the same
        if self.unrecorded or not parts:
            parts.append(
                CONSENT_NOT_RECORDED if not parts else f"{self.unrecorded} other clips: {CONSENT_NOT_RECORDED}"
            )
        return "; ".join(parts)

    def command(self, folder: JobFolder, *, resume_from: Path | None = None) -> list[str]:
        """The exact command of the run, as a list for a process."""
        if self.program:
            return [*self.program, *(["--resume_from_checkpoint", str(resume_from)] if resume_from else [])]
        given = {
            "model": [self.base_folder],
            "dataset": [str(folder.rows_file)],
            **self.arguments,
            **({"val_dataset": [str(folder.validation_file)]} if self.validation else {}),
            "output_dir": [str(folder.output)],
            "add_version": ["false"],
            "sample_plan": [str(folder.sample_plan)],
        }
        if resume_from is not None:
            given["resume_from_checkpoint"] = [str(resume_from)]
        return trainer.command("sft", given)

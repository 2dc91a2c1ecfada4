"""A checkpoint of a job as a folder that is complete by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from studio.engine.model.adapter_files import CONFIG_FILE, WEIGHTS_FILE
from studio.errors import StudioError
from studio.files import write_advice
from studio.settings import PROJECT
from studio.training import trainer
from studio.training.job import Job

CARD_FILE = "studio_adapter.json"
"""The adapter's card, beside its weights."""


def export_checkpoint(job: Job, checkpoint: Path, target: Path, *, merge: bool, card: dict[str, Any] | None) -> Path:
    """Write a checkpoint to a new folder, whole or not at all.

    An adapter alone is its two files and its card. Merged, or of a run that trained all weights, it is a whole checkpoint
    that transformers and the studio load.

    Raises:
        StudioError: the target exists or cannot be written, or the export failed.
    """
    target = target.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StudioError(f"{target.name} already exists: choose a new folder for the export.")
    if merge or job.spec.full_parameter:
        _run_export(job, checkpoint, target)
    else:
        _copy_adapter(checkpoint, target, card)
    return target


def _copy_adapter(checkpoint: Path, target: Path, card: dict[str, Any] | None) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
        try:
            for name in (CONFIG_FILE, WEIGHTS_FILE):
                shutil.copyfile(checkpoint / name, building / name)
            if card is not None:
                (building / CARD_FILE).write_text(json.dumps(card, ensure_ascii=False, indent=1), encoding="utf-8")
            building.chmod(0o755)  # mkdtemp makes it for the owner alone
            building.replace(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise StudioError(f"{target.name} cannot be written {write_advice(error)}") from error


def _run_export(job: Job, checkpoint: Path, target: Path) -> None:
    """ms-swift merges and copies in a process of its own: it needs gigabytes, and changes what it imports."""
    given = {"output_dir": [str(target)]}
    if job.spec.full_parameter:
        given |= {"model": [str(checkpoint)]}
    else:
        given |= {"adapters": [str(checkpoint)], "model": [job.spec.base_folder], "merge_lora": ["true"]}
    done = subprocess.run(
        trainer.command("export", given), cwd=PROJECT, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        last = trainer.last_line(done.stderr) or "it said nothing"
        raise StudioError(trainer.reason(done.stderr) or f"The export failed ({last[:200]}): try again.")

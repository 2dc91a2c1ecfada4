"""A run that has ended, with checkpoints, without a training: random adapters, and rows as a run keeps them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.datasets.rows.report import RowsSummary
from studio.engine.checkpoints import find_checkpoint
from studio.engine.rows import parse_row
from studio.settings import Settings
from studio.store import jobs
from studio.store.store import Store
from studio.store.tables import JobRecord, new_id
from studio.training.folder import JobFolder
from studio.training.sample_sentences import sample_plan
from tests.jobs import spec
from tests.trained import register

TRAINED, HELD_OUT = "Good morning to you all.", ("The ferry leaves at nine.", "Nobody has seen the captain.")


def row(reference: Path | None, said: str, text: str, target: Path, speaker: str = "Kathleen") -> dict[str, Any]:
    """A training row after a reference, or without one."""
    before = [{"role": "user", "content": said}, {"role": "assistant", "content": "<audio>", "loss": False}]
    asked = [{"role": "user", "content": text}, {"role": "assistant", "content": "<audio>"}]
    clips = [str(target)] if reference is None else [str(reference), str(target)]
    return {"messages": [*(before if reference else []), *asked], "audios": clips, "speaker": speaker}


def ended_run(
    settings: Settings, store: Store, base: Path, rows: Sequence[dict[str, Any]], validation: Sequence[dict[str, Any]],
    adapters: Sequence[Path], *, owner: str = "", state: str = "completed", consent: list[dict[str, Any]] | None = None,
) -> str:  # fmt: skip
    """The id of a run whose checkpoints, at steps 10, 20, …, are these adapters."""
    told = spec().model_copy(
        update={
            "base": str(base), "base_shown": base.name, "base_folder": str(find_checkpoint(str(base)).folder), "program": [],
            "validation": RowsSummary(source="val.jsonl", count=len(validation), seconds=1.0, sha256="")
            if validation else None,
        }
    )  # fmt: skip
    job = JobRecord(id=new_id(), owner=owner, name="Demo", device="cpu", state=state, spec=told.model_dump(mode="json"))
    folder = JobFolder(settings.jobs_folder / job.id)
    folder.root.mkdir(parents=True)
    folder.rows_file.write_text("".join(f"{json.dumps(each)}\n" for each in rows), encoding="utf-8")
    folder.validation_file.write_text("".join(f"{json.dumps(each)}\n" for each in validation), encoding="utf-8")
    sample_plan([parse_row(each, folder=Path()) for each in rows], folder).write(folder.sample_plan)
    with store.writing() as session:
        jobs.save(session, job)
    for number, adapter in enumerate(adapters, 1):
        register(settings, store, adapter, base, owner=owner, step=10 * number, job_id=job.id, consent=consent)
    return job.id

"""The jobs of one owner: started, looked at, stopped, resumed, repeated, exported, deleted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlmodel import Session

from studio.engine.rows import TrainingRow
from studio.engine.speech.sample_plan import SamplePlan
from studio.errors import StudioError
from studio.files import atomic_write_bytes, write_advice
from studio.settings import Settings
from studio.store import adapters as adapter_queries
from studio.store import jobs as queries
from studio.store.store import Store
from studio.store.tables import JobRecord, now
from studio.training.execution.local import request_stop
from studio.training.execution.queue import folder_of, tidy
from studio.training.export import export_checkpoint
from studio.training.job import PRESENT, WAITING, Job, job_of
from studio.training.monitoring.diagnosis import diagnose
from studio.training.monitoring.findings import Finding
from studio.training.monitoring.log_tail import log_tail
from studio.training.monitoring.progress import Progress, progress_of
from studio.training.monitoring.run_log import RunLog, read_log
from studio.training.monitoring.samples import StepSamples, read_samples
from studio.training.preflight.report import Preflight
from studio.training.sample_sentences import sample_plan

MAX_NAME_CHARS = 80
_YOUNG_SECONDS = 3600.0


class JobLibrary:
    """The jobs of one owner.

    Args:
        owner: whose; "" is whoever runs the studio. Another owner's jobs do not exist here.
    """

    def __init__(self, settings: Settings, store: Store, owner: str = "") -> None:
        self._settings, self._store, self.owner = settings, store, owner

    # Looking

    def jobs(self) -> list[Job]:
        """The newest first, as they are at this moment."""
        tidy(self._settings, self._store)
        with self._store.reading() as session:
            return [self._job(session, record) for record in queries.jobs(session, self.owner)]

    def job(self, job_id: str) -> Job:
        """One job as it is at this moment. Raises StudioError where there is none of that id."""
        tidy(self._settings, self._store)
        with self._store.reading() as session:
            return self._job(session, self._record(session, job_id))

    def progress(self, job: Job) -> Progress:
        return progress_of(job)

    def run_log(self, job: Job) -> RunLog:
        """What the run logged, up to this moment; the same object for the same job, so that only news is read."""
        return read_log(job.folder.metrics_file)

    def samples(self, job: Job) -> list[StepSamples]:
        """What was spoken at its checkpoints, in the order of their steps."""
        return read_samples(job.folder.samples)

    def comparisons(self, job: Job) -> dict[int, dict[str, Any]]:
        """For each registered checkpoint how it compares with the base, by step."""
        with self._store.reading() as session:
            records = adapter_queries.of_job(session, job.id)
        return {record.step: record.card.get("comparison") or {} for record in records}

    def adapter_ids(self, job: Job) -> dict[int, str]:
        """The adapters that its checkpoints were registered as, by step."""
        with self._store.reading() as session:
            return {record.step: record.id for record in adapter_queries.of_job(session, job.id)}

    def findings(self, job: Job) -> list[Finding]:
        return diagnose(self.run_log(job), self.samples(job), self.comparisons(job))

    def log_tail(self, job: Job, max_bytes: int = 16_384) -> str:
        """The end of what the trainer printed, without colours and progress bars."""
        return log_tail(job.folder.log_file, max_bytes)

    # Changing

    def start(self, checked: Preflight, name: str = "") -> Job:
        """Put what a preflight found into the queue; it starts at once where its device is free.

        Args:
            name: what lists call it; "" makes one of the file's name.

        Raises:
            StudioError: the first refusal of the preflight, or the folder of the job cannot be made.
        """
        if checked.refusals:
            raise StudioError(checked.refusals[0])
        spec, rows = checked.spec, checked.rows
        record = JobRecord(
            owner=self.owner, name=_name(name, spec.rows.source, spec.preset), device=spec.device,
            spec=spec.model_dump(mode="json"),
        )  # fmt: skip
        plan = sample_plan(rows, folder_of(self._settings, record))
        return self._enqueue(record, _lines(rows), plan, _lines(checked.validation))

    def stop(self, job_id: str, *, now: bool = False) -> Job:
        """Stop a job: one that waits never starts, one that runs saves a checkpoint and ends. Again changes nothing.

        Args:
            now: end it at once, without saving.

        Raises:
            StudioError: it has ended already.
        """
        with self._store.writing() as session:
            record = self._record(session, job_id)
            if record.state in WAITING:
                record.state, record.ended_at, record.sentence = "stopped", _now(), "Stopped before it began."
            elif record.state in PRESENT:
                folder = folder_of(self._settings, record)
                if now or not folder.stop_file.exists():
                    request_stop(folder, immediately=now)
                record.state = "stopping"
            else:
                raise StudioError(f"{record.name} has ended already ({record.state}): there is nothing to stop.")
            queries.save(session, record)
        return self.job(job_id)

    def resume(self, job_id: str) -> Job:
        """Go on with a job from its last checkpoint: the same run, its curves continue.

        Raises:
            StudioError: it has not ended, is completed, or has no checkpoint.
        """
        tidy(self._settings, self._store)
        with self._store.writing() as session:
            record = self._record(session, job_id)
            job = self._job(session, record)
            if job.active:
                raise StudioError(f"{job.name} has not ended ({job.state}): there is nothing to resume.")
            if job.state == "completed":
                raise StudioError(f"{job.name} is completed: retry it with more epochs to train longer.")
            if not job.can_resume:
                raise StudioError(f"{job.name} has no checkpoint to go on from: retry it to begin anew.")
            record.state, record.queued_at, record.ended_at, record.sentence = "queued", _now(), None, ""
            queries.save(session, record)
        return self.job(job_id)

    def retry(self, job_id: str) -> Job:
        """Run a job again from its beginning, as a new job with the same rows and settings.

        Raises:
            StudioError: it has not ended, or its rows are gone.
        """
        before = self.job(job_id)
        if before.active:
            raise StudioError(f"{before.name} has not ended ({before.state}): stop it first.")
        record = JobRecord(
            owner=self.owner, name=before.name, device=before.device, retry_of=before.id,
            spec=before.spec.model_dump(mode="json"),
        )  # fmt: skip
        samples = folder_of(self._settings, record).samples
        try:
            rows = before.folder.rows_file.read_text(encoding="utf-8")
            held_out = before.folder.validation_file.read_text(encoding="utf-8") if before.spec.validation else ""
            plan = replace(SamplePlan.read(before.folder.sample_plan), folder=samples)
        except (OSError, ValueError, StudioError):
            raise StudioError(f"The rows of {before.name} are gone from its folder: start it anew.") from None
        return self._enqueue(record, rows, plan, held_out)

    def delete(self, job_id: str) -> Job:
        """Delete a job with everything in its folder: checkpoints, samples, log.

        Raises:
            StudioError: it has not ended.
        """
        tidy(self._settings, self._store)
        with self._store.writing() as session:
            record = self._record(session, job_id)
            job = self._job(session, record)
            if job.active:
                raise StudioError(f"{job.name} has not ended ({job.state}): stop it first.")
            queries.delete(session, record)
        shutil.rmtree(job.folder.root, ignore_errors=True)
        return job

    def export(self, job_id: str, step: int | None, target: Path, *, merge: bool = False) -> Path:
        """Copy a checkpoint out of a job, complete by itself.

        Args:
            step: None: the last one.
            merge: the adapter becomes part of its base, and the folder a whole checkpoint.

        Raises:
            StudioError: no such checkpoint, or the target exists or cannot be written.
        """
        job = self.job(job_id)
        checkpoints = job.folder.checkpoints()
        if not checkpoints:
            raise StudioError(f"{job.name} has no checkpoint yet: wait for the first one.")
        step = max(checkpoints) if step is None else step
        if step not in checkpoints:
            there = ", ".join(map(str, checkpoints))
            raise StudioError(f"{job.name} has no checkpoint of step {step}: there are {there}.")
        with self._store.reading() as session:
            card = next(
                (record.card for record in adapter_queries.of_job(session, job.id) if record.step == step), None
            )
        return export_checkpoint(job, checkpoints[step], target, merge=merge, card=card)

    # Inside

    def _enqueue(self, record: JobRecord, rows: str, plan: SamplePlan, validation: str) -> Job:
        """Write the folder, then the record: a record never names a folder that is not whole."""
        job = job_of(record, self._settings.jobs_folder)
        folder, spec = job.folder, {"id": record.id, "name": record.name, "command": job.command, **record.spec}
        try:
            folder.root.mkdir(parents=True)
            atomic_write_bytes(folder.rows_file, rows.encode())
            if validation:
                atomic_write_bytes(folder.validation_file, validation.encode())
            atomic_write_bytes(folder.spec_file, json.dumps(spec, ensure_ascii=False, indent=1).encode())
            plan.write(folder.sample_plan)
            with self._store.writing() as session:
                record.queued_at = _now()
                queries.save(session, record)
        except BaseException as error:
            shutil.rmtree(folder.root, ignore_errors=True)
            if isinstance(error, OSError):
                raise StudioError(f"The folder of the job cannot be made {write_advice(error)}") from error
            raise
        return self.job(record.id)

    def _record(self, session: Session, job_id: str) -> JobRecord:
        record = queries.job_by_id(session, job_id, self.owner)
        if record is None:
            raise StudioError("There is no such job, or no longer: look at the list of jobs.")
        return record

    def _job(self, session: Session, record: JobRecord) -> Job:
        ahead = 0
        if record.state in WAITING:
            before = queries.in_states(session, (*PRESENT, *WAITING), record.device)
            ahead = [each.id for each in before if each.state in PRESENT or each.queued_at <= record.queued_at].index(
                record.id
            )
        return job_of(record, self._settings.jobs_folder, ahead=ahead)


_now = now
"""For where an argument is called ``now``."""


def clear_remains(settings: Settings, store: Store) -> int:
    """Remove folders of jobs that no record names, left behind by killed processes; returns how many went."""
    folder = settings.jobs_folder
    old = [
        path for path in folder.iterdir() if path.is_dir() and time.time() - path.stat().st_mtime > _YOUNG_SECONDS
    ] if folder.is_dir() else []  # fmt: skip
    with store.reading() as session:
        known = queries.known(session, [path.name for path in old])
    gone = [path for path in old if path.name not in known]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _lines(rows: Sequence[TrainingRow]) -> str:
    """Rows in the native form, one on a line."""
    return "".join(f"{json.dumps(each.as_row(), ensure_ascii=False)}\n" for each in rows)


def _name(given: str, source: str, preset: str) -> str:
    name = " ".join(given.split()) or f"{Path(source).stem}, {preset}"
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 1].rstrip()}…"

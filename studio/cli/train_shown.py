"""Jobs in words and as documents."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from studio import formatting
from studio.cli.output import short_id, shortened

if TYPE_CHECKING:
    from studio.training.job import Job
    from studio.training.library import JobLibrary
    from studio.training.monitoring.progress import Progress

_SHOWN = ("loss", "text_loss", "audio_loss", "grad_norm", "learning_rate", "audio_learning_rate")


def job_document(library: JobLibrary, job: Job) -> dict[str, Any]:
    """A job as one JSON object; durations in seconds, times in UTC."""
    progress, log = library.progress(job), library.run_log(job)
    comparisons, adapters = library.comparisons(job), library.adapter_ids(job)
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "sentence": job.sentence,
        **progress.as_json(),
        "device": job.device,
        "ahead": job.ahead,
        "dir": str(job.folder.root),
        "checkpoints": [
            {"step": step, "dir": str(path), "adapter": adapters.get(step), "comparison": comparisons.get(step)}
            for step, path in job.folder.checkpoints().items()
        ],
        "metrics": {name: log.last(name) for name in _SHOWN if log.last(name) is not None},
        "eval": {name: log.last(name, "eval") for name in log.names("eval")},
        "findings": [
            {"kind": each.kind, "title": each.title, "evidence": each.evidence, "advice": each.advice}
            for each in library.findings(job)
        ],
        "samples": [
            {"step": each.step, "error": each.error, "files": [str(sample.path) for sample in each.samples]}
            for each in library.samples(job)
        ],
        "exit_code": job.exit_code,
        "created_at": job.created_at.isoformat(timespec="seconds"),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
        "runs": job.runs,
        "retry_of": job.retry_of or None,
        "preset": job.spec.preset,
        "base": job.spec.base,
        "rows": job.spec.rows.model_dump(),
        "consent": job.spec.consent_sentence,
        "command": job.command,
        "log": str(job.folder.log_file),
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")


def job_line(job: Job, progress: Progress) -> list[str]:
    """A job in a list."""
    steps = f"{progress.step}/{progress.max_steps}" if progress.max_steps else ""
    left = f"{formatting.duration(progress.eta_seconds)} left" if progress.eta_seconds is not None else ""
    waits = f"behind {job.ahead}" if job.state == "queued" and job.ahead else ""
    made = f"{job.created_at.astimezone():%Y-%m-%d %H:%M}"
    return [
        short_id(job.id),
        job.state,
        f"step {steps}" if steps else "",
        left or waits,
        job.device,
        made,
        shortened(job.name, 40),
    ]


def described(library: JobLibrary, job: Job) -> Iterator[str]:
    """Everything about a job, a line each."""
    progress, log, spec = library.progress(job), library.run_log(job), job.spec
    yield f"job: {job.id}"
    yield f"name: {job.name}"
    yield f"state: {job.state}" + (f", {progress.stage}" if job.active else "")
    if job.sentence:
        yield f"note: {job.sentence}"
    yield f"step: {progress.step} of {progress.max_steps}"
    if progress.eta_seconds is not None:
        yield f"left: {formatting.duration(progress.eta_seconds)}"
    if progress.elapsed_seconds is not None:
        yield f"elapsed: {formatting.duration(progress.elapsed_seconds)}"
    if progress.peak_memory_bytes:
        yield f"memory: {progress.peak_memory_bytes / 2**30:.2f} GiB at most, on {job.device}"
    figures = [f"{name} {value:.4g}" for name in _SHOWN if (value := log.last(name)) is not None]
    if figures:
        yield f"figures: {', '.join(figures)}"
    for finding in library.findings(job):
        yield f"finding: {finding.title}. {finding.evidence} {finding.advice}".rstrip()
    comparisons, adapters = library.comparisons(job), library.adapter_ids(job)
    for step, path in job.folder.checkpoints().items():
        said = comparisons.get(step) or {}
        yield f"checkpoint {step}: {path}" + (f" – {said.get('sentence') or said.get('error')}" if said else "")
        if step in adapters:
            yield f"  to speak with it: --adapter {short_id(adapters[step])}"
    minutes = spec.rows.seconds / 60
    yield f"rows: {spec.rows.count} of {spec.rows.source}, {minutes:.1f} min, sha256 {spec.rows.sha256[:12]}"
    yield f"consent: {spec.consent_sentence}"
    yield f"base: {spec.base}"
    yield f"folder: {job.folder.root}"
    yield f"command: {shlex.join(job.command)}"

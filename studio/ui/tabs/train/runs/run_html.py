"""What a run is and how far it is, in words: headline, line in the list, findings, samples. Nothing here asks anybody."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from studio import formatting
from studio.settings import Settings
from studio.training.job import Job
from studio.training.monitoring.findings import Finding
from studio.training.monitoring.progress import Progress
from studio.training.monitoring.samples import Sample, StepSamples
from studio.ui.html import Tone

_STATES: dict[str, tuple[str, Tone]] = {
    "queued": ("Waiting", "info"),
    "running": ("Training", "info"),
    "stopping": ("Stopping", "warn"),
    "completed": ("Completed", "good"),
    "stopped": ("Stopped", "warn"),
    "failed": ("Failed", "bad"),
    "lost": ("Lost", "bad"),
}
_STAGES = {
    "waiting": ("Waiting", "until its device has room"),
    "loading": ("Preparing", "the base is loaded and every row is checked"),
    "comparing": ("Comparing", "its checkpoints speak beside the base"),
}
_MARKS: dict[str, str] = {"good": "✓", "info": "i", "warn": "!", "bad": "✕"}


def state_words(job: Job, progress: Progress) -> tuple[str, str, Tone]:
    """The state in a word, what there is to know beside it, and its colour."""
    word, tone = _STATES[job.state]
    if job.state == "queued":
        ahead = f"{job.ahead} {'run' if job.ahead == 1 else 'runs'} before it" if job.ahead else "it begins in a moment"
        return word, ahead, tone
    if job.state == "stopping":
        return word, "it saves a checkpoint first", tone
    if job.state == "running":
        word, said = _STAGES.get(progress.stage, (word, ""))
        return word, said, tone
    return word, job.sentence, tone


def headline(job: Job, progress: Progress) -> str:
    """State, bar and figures of a run. Only the state stands in the live region: a screen reader must not count along."""
    word, said, tone = state_words(job, progress)
    done, of = progress.step, progress.max_steps
    steps = f"step {done:,} of {of:,}" if of else ""
    bar = ""
    if of and (job.active or 0 < done < of):
        bar = f'<progress max="{of}" value="{min(done, of)}" aria-label="Steps done"></progress>'
    epoch = f"epoch {progress.epoch:.2f}" if progress.epoch is not None else ""
    detail = " · ".join(part for part in (steps, epoch) if part and job.state != "queued")
    facts = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in _figures(job, progress))
    return (
        f'<section class="run-head {tone}" data-state="{job.state}" data-stage="{progress.stage}">'
        f'<h3 class="run-name" dir="auto">{escape(job.name)}</h3>'
        f'<p class="run-state"><strong role="status">{word}</strong> <span class="run-steps">{escape(detail)}</span></p>'
        + (f'<p class="run-said" dir="auto">{escape(_sentence(said))}</p>' if said else "")
        + f'{bar}<dl class="run-figures">{facts}</dl></section>'
    )


def _figures(job: Job, progress: Progress) -> list[tuple[str, str]]:
    pace, audio = progress.seconds_per_step, progress.audio_seconds_per_second
    memory, peak = progress.memory_bytes, progress.peak_memory_bytes
    shown: list[tuple[str, str | None]] = [
        ("Left", _left(progress.eta_seconds) if job.state == "running" else None),
        ("Running for" if job.active else "Ran for", _known(progress.elapsed_seconds)),
        ("Pace", f"{pace:.2f} s a step" if pace else None),
        ("Throughput", f"{audio:.1f} × real time" if audio else None),
        ("Memory", _memory(memory, peak)),
        ("Device", job.device),
        ("Base", job.spec.base_shown),
        ("Rows", f"{job.spec.rows.count:,} ({formatting.duration(job.spec.rows.seconds)} of speech)"),
        ("Preset", job.spec.preset),
    ]
    return [(name, value) for name, value in shown if value]


def _memory(present: int | None, peak: int | None) -> str | None:
    if present and peak and peak > present:
        return f"{formatting.size(present)}, {formatting.size(peak)} at most"
    return formatting.size(present or peak or 0) if present or peak else None


def job_line(job: Job, progress: Progress, *, at: datetime | None = None) -> str:
    """A run in the list: its name, and below it what there is to know at a glance."""
    word, _, _ = state_words(job, progress)
    steps = f"step {progress.step:,} of {progress.max_steps:,}" if progress.max_steps and job.state != "queued" else ""
    again = "again" if job.retry_of else ""
    parts = (word, steps, job.spec.preset, again, formatting.ago(job.created_at, at or datetime.now(UTC)))
    return f"{job.name}\n{' · '.join(part for part in parts if part)}"


def _left(seconds: float | None) -> str | None:
    return None if seconds is None else f"about {formatting.estimate(max(seconds, 1))}"


def _known(seconds: float | None) -> str | None:
    return None if seconds is None else formatting.duration(seconds)


def findings_html(findings: Sequence[Finding]) -> str:
    """What curves and samples say: a headline, what it is seen by, and what to do."""
    lines = "".join(
        f'<li class="{escape(each.tone)}" data-kind="{escape(each.kind)}">'
        f'<span class="mark" aria-hidden="true">{_MARKS.get(each.tone, "i")}</span>'
        f'<div><strong>{escape(each.title)}</strong><p class="evidence">{escape(each.evidence)}</p>'
        f'<p class="advice">{escape(each.advice)}</p></div></li>'
        for each in findings
    )
    return f'<ul class="findings" aria-label="Diagnosis">{lines}</ul>' if lines else ""


def sample_html(sample: Sample) -> str:
    """The text of a sample and how it ended."""
    marks = sample_marks(sample)
    chips = "".join(f'<span class="mark-chip {tone}">{escape(words)}</span>' for words, tone in marks)
    return f'<p class="sample-text" dir="auto">{escape(sample.text)}</p><p class="sample-marks">{chips}</p>'


def sample_marks(sample: Sample) -> list[tuple[str, Tone]]:
    """What there is to know of a sample, each with its colour."""
    ended: tuple[str, Tone] = ("ended by itself", "good") if sample.ended else ("ran to its budget", "warn")
    marks: list[tuple[str, Tone]] = [(f"{sample.seconds:.1f} s", "info"), ended]
    if sample.silent:
        marks.append(("silent", "bad"))
    if sample.same_as_base:
        marks.append(("same as the base", "warn"))
    return marks


def step_choices(samples: Sequence[StepSamples], registered: Sequence[int]) -> list[tuple[str, int]]:
    """The steps that can be heard or spoken with: label and value, in order."""
    steps = sorted({each.step for each in samples} | set(registered))
    return [("Before training" if step == 0 else f"Step {step:,}", step) for step in steps]


def chosen_step(samples: Sequence[StepSamples], registered: Sequence[int], wanted: object) -> int | None:
    """The step that is heard: the wanted one where it is there, else the last at which something was spoken."""
    steps = [value for _, value in step_choices(samples, registered)]
    if wanted in steps:
        return next(step for step in steps if step == wanted)
    spoken = [each.step for each in samples if each.samples]
    return max(spoken or steps, default=None)


def shown_command(argv: Sequence[str], settings: Settings, *, base_folder: str, base_shown: str, whole: bool) -> str:
    """A command, an argument a line, so that a shell takes it as it is.

    Args:
        whole: with the server's paths; else the home is named by its variable, and base and program without folders.
    """
    if not whole:
        home = str(settings.home)
        argv = [base_shown if part == base_folder else part.replace(home, "$STUDIO_HOME") for part in argv]
        argv = [Path(argv[0]).name, *argv[1:]] if argv else argv
    lines: list[list[str]] = [[]]
    for part in argv:
        if part.startswith("--"):
            lines.append([])
        lines[-1].append(part)
    return " \\\n  ".join(" ".join(map(_quoted, line)) for line in lines if line)


def _quoted(part: str) -> str:
    """For a shell; the variable stays one."""
    return f'"{part}"' if part.startswith("$STUDIO_HOME/") else shlex.quote(part)


def _sentence(words: str) -> str:
    """With a capital and a full stop."""
    words = words.strip()
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}"

"""``python -m studio train …``: fine-tuning as jobs that go on without a terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.output import Json, agreed, by_beginning, columns, notice, print_result, say, short_id
from studio.cli.train_shown import described, job_document, job_line
from studio.errors import StudioError
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.datasets.exports.training_files import TrainingFiles
    from studio.training.job import Job
    from studio.training.library import JobLibrary
    from studio.training.preflight.report import Preflight

train_app = typer.Typer(
    name="python -m studio",
    help="Fine-tuning: check rows, start a job, look at it, stop, resume, retry, export and delete one.",
    no_args_is_help=True,
)

JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of the job, or how it begins (6 characters or more).")]
Rows = Annotated[
    Path | None, typer.Argument(metavar="[ROWS.jsonl]", help="Training rows; see docs/training.md for the formats.")
]
Named = Annotated[str, typer.Option("--dataset", help="A named dataset instead of a file of rows.")]
Validation = Annotated[Path | None, typer.Option(help="A file of rows that are evaluated and never trained.")]
ValidationSet = Annotated[
    str, typer.Option("--validation-dataset", help="The same, a named dataset: all that it keeps.")
]
Preset = Annotated[str, typer.Option(help="quick, standard or thorough.")]
Base = Annotated[str | None, typer.Option("--checkpoint", help="Base to train: local folder or hub id.")]
Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda, or cuda:N for one of several.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="NAME=VALUE for any argument of ms-swift or the plugin; stands above the preset. May be repeated."
    ),
]
Measure = Annotated[bool, typer.Option(help="On a CPU, measure memory and pace before the start.")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until it has ended.")]

_LOOK_SECONDS = 1.0


def _library() -> JobLibrary:
    return Services(get_settings()).jobs()


def _found(library: JobLibrary, wanted: str) -> Job:
    return by_beginning(library.jobs(), wanted, kind="job", listed_by="train list")


def _files(services: Services, dataset: str) -> TrainingFiles:
    from studio.datasets.exports.training_files import training_files

    library = services.datasets()
    return training_files(library, library.dataset(dataset))


def _given(
    services: Services, rows: Path | None, dataset: str, validation: Path | None, validation_dataset: str
) -> tuple[Path, Path | None]:  # fmt: skip
    """The file of rows, and the one for validation."""
    if (rows is None) == (not dataset):
        raise StudioError("Give either a file of rows or --dataset NAME.")
    if validation is not None and validation_dataset:
        raise StudioError("Give either --validation or --validation-dataset.")
    held = _files(services, validation_dataset).whole if validation_dataset else validation
    if rows is not None:
        return rows.expanduser(), held and held.expanduser()
    files = _files(services, dataset)
    return files.rows, held.expanduser() if held else files.validation


def _checked(
    services: Services, given: tuple[Path, Path | None], preset: str, checkpoint: str | None, device: str,
    settings: list[str] | None, *, measure: bool,
) -> Preflight:  # fmt: skip
    from studio.training.config.request import TrainRequest, parse_overrides
    from studio.training.preflight.report import preflight

    rows, validation = given
    request = TrainRequest(
        rows,
        validation,
        preset=preset,  # type: ignore[arg-type]  TrainRequest refuses what is no preset
        checkpoint=checkpoint,
        device=device,
        overrides=parse_overrides(settings or ()),
    )
    return preflight(request, services.settings, services.store, measure=measure, announce=say)


@train_app.command()
def check(
    rows: Rows = None,
    dataset: Named = "",
    validation: Validation = None,
    validation_dataset: ValidationSet = "",
    preset: Preset = "quick",
    checkpoint: Base = None,
    device: Device = "auto",
    settings: Set = None,
    measure: Measure = True,
    as_json: Json = False,
) -> None:
    """Say what a training would be: rows, steps, memory, disk, time, the exact command; exit code 1 if it cannot work."""
    services = Services(get_settings())
    given = _given(services, rows, dataset, validation, validation_dataset)
    checked = _checked(services, given, preset, checkpoint, device, settings, measure=measure)
    width = max((len(label) for label, _ in checked.facts), default=0)
    lines = [f"{label.ljust(width)}  {sentence}" for label, sentence in checked.facts]
    lines += [f"Please note: {sentence}" for sentence in checked.warnings]
    print_result(checked.as_json(), as_json, "\n".join(lines))
    if checked.refusals:
        raise StudioError(" ".join(checked.refusals))


@train_app.command()
def start(
    rows: Rows = None,
    dataset: Named = "",
    validation: Validation = None,
    validation_dataset: ValidationSet = "",
    preset: Preset = "quick",
    checkpoint: Base = None,
    settings: Set = None,
    device: Device = "auto",
    name: Annotated[str, typer.Option(help="What lists call it.")] = "",
    measure: Measure = True,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended; exit code 1 if it failed.")] = False,
    as_json: Json = False,
) -> None:
    """Start a fine-tune, or queue it behind those that run on its device. It goes on when this terminal closes."""
    services = Services(get_settings())
    library = services.jobs()
    given = _given(services, rows, dataset, validation, validation_dataset)
    checked = _checked(services, given, preset, checkpoint, device, settings, measure=measure)
    job = library.start(checked, name)
    if not wait:
        _tell(library, job, as_json)
        return
    say(f"Job {short_id(job.id)} goes on if this command is interrupted.")
    job = _waited(library, job)
    _tell(library, job, as_json)
    if job.state != "completed":
        raise StudioError(job.sentence or f"The job ended as {job.state}.")


def _waited(library: JobLibrary, job: Job) -> Job:
    shown = ""
    while job.active:
        time.sleep(_LOOK_SECONDS)
        job = library.job(job.id)
        if (line := "  ".join(job_line(job, library.progress(job))[1:4])) != shown:
            shown = line
            say(line)
    return job


@train_app.command("list")
def list_jobs(as_json: Json = False) -> None:
    """List the jobs, the newest first."""
    library = _library()
    jobs = library.jobs()
    text = columns(job_line(job, library.progress(job)) for job in jobs) if jobs else "No jobs yet."
    print_result({"jobs": [job_document(library, job) for job in jobs]}, as_json, text)


@train_app.command()
def show(job: JobId, as_json: Json = False) -> None:
    """Show everything that is known of a job: state, figures, findings, checkpoints, command."""
    library = _library()
    found = _found(library, job)
    print_result(job_document(library, found), as_json, "\n".join(described(library, found)))


@train_app.command()
def logs(
    job: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is added, until the job ends.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print what the trainer printed."""
    from studio.training.monitoring.log_tail import followed

    library = _library()
    found = _found(library, job)

    def running() -> bool:
        return follow and library.job(found.id).active

    lines = followed(found.folder.log_file, running)
    if as_json:
        print_result({"id": found.id, "lines": list(lines)}, as_json, "")
        return
    for line in lines:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@train_app.command()
def stop(
    job: JobId,
    now: Annotated[bool, typer.Option("--now", help="End it at once, without saving.")] = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Stop a job: it finishes its step, saves a checkpoint and ends."""
    library = _library()
    stopped = library.stop(_found(library, job).id, now=now)
    _tell(library, _waited(library, stopped) if wait else stopped, as_json)


@train_app.command()
def resume(job: JobId, wait: Wait = False, as_json: Json = False) -> None:
    """Go on with a job that was stopped, failed or was lost, from its last checkpoint."""
    library = _library()
    resumed = library.resume(_found(library, job).id)
    _tell(library, _waited(library, resumed) if wait else resumed, as_json)


@train_app.command()
def retry(job: JobId, as_json: Json = False) -> None:
    """Run a job again from its beginning, as a new job."""
    library = _library()
    _tell(library, library.retry(_found(library, job).id), as_json)


@train_app.command()
def delete(
    job: JobId, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: Json = False
) -> None:
    """Delete a job with its checkpoints, samples and log."""
    library = _library()
    found = _found(library, job)
    if not yes and sys.stdin.isatty() and not agreed(f"Delete {found.name} with its checkpoints?"):
        raise StudioError(f"{found.name} was not deleted.")
    library.delete(found.id)
    document = {"deleted": True, "id": found.id, "name": found.name}
    print_result(document, as_json, f"{found.name} was deleted.")


@train_app.command()
def export(
    job: JobId,
    out: Annotated[Path | None, typer.Option(help="New folder.")] = None,
    checkpoint: Annotated[int | None, typer.Option(help="Step of the checkpoint; without it the last one.")] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Make the adapter part of its base: a whole checkpoint.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy a checkpoint out of a job. Of a run that trained all weights it is always a whole checkpoint."""
    if out is None:
        raise StudioError("Say where the checkpoint should go: --out FOLDER.")
    library = _library()
    found = _found(library, job)
    path = library.export(found.id, checkpoint, out, merge=merge)
    step = max(found.folder.checkpoints()) if checkpoint is None else checkpoint
    kind = "checkpoint" if merge or found.spec.full_parameter else "adapter"
    document: dict[str, Any] = {"path": str(path), "kind": kind, "id": found.id, "checkpoint": step}
    print_result(document, as_json, f"{path}: {kind} of step {step} of {found.name}")


def _tell(library: JobLibrary, job: Job, as_json: bool) -> None:
    if job.sentence:
        notice(job.sentence)
    text = "  ".join(part for part in job_line(job, library.progress(job)) if part.strip())
    print_result(job_document(library, job), as_json, text)

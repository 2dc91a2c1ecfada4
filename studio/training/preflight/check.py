"""Looks at everything that decides whether a training can work, and says nothing of it: ``report.py`` does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from studio.datasets.rows.overlap import same_sounds, same_texts
from studio.datasets.rows.report import MeasuredRow, RowsReport, report_rows
from studio.engine.checkpoints import (
    CheckpointFiles,
    default_checkpoint,
    find_checkpoint,
    own_checkpoint,
    shown_name,
    weight_names,
)
from studio.engine.devices import return_memory
from studio.errors import StudioError
from studio.settings import Settings
from studio.store.store import Store
from studio.training.config.presets import arguments_for
from studio.training.config.request import TrainRequest
from studio.training.config.run_arguments import RunArguments, RunPlan
from studio.training.config.swift_arguments import argument_problems
from studio.training.preflight import duration, memory
from studio.training.preflight.memory import FRAME_RATE, BaseShape, Memory
from studio.training.preflight.probe import probe, rows_needed
from studio.training.preflight.target import Target, target_for
from studio.training.spec import TrainingSpec


@dataclass(frozen=True)
class Found:
    """What decides whether a run can work.

    Attributes:
        validation: rows that are evaluated and not trained, where a file of them was given.
        leaked: numbers of a trained and of a held-out row of the same sound.
        repeated: the same, of the same text.
        validation_too_long: as ``too_long``, of the rows for validation.
        argument_problems: sentences about settings that no trainer takes.
        problems: why there is no target, or no base.
        shape: of the base, where there are rows to train it on.
        too_long: rows of more tokens than ``max_length``: tokens and number.
    """

    request: TrainRequest
    rows: RowsReport
    validation: RowsReport | None
    arguments: RunArguments
    plan: RunPlan
    argument_problems: tuple[str, ...]
    target: Target | None
    base: CheckpointFiles | None
    problems: tuple[str, ...]
    has_text_head: bool
    shape: BaseShape | None
    too_long: tuple[tuple[int, int], ...]
    leaked: tuple[tuple[int, int], ...] = ()
    repeated: tuple[tuple[int, int], ...] = ()
    validation_too_long: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Costs:
    """What a run takes.

    Attributes:
        memory_bytes: measured, else computed.
        measured: whether two steps were made.
        problem: why two steps could not be made; "" where they were, or were not tried.
        fitting: settings, as NAME=VALUE, with which a run that does not fit would; () for none.
        seconds: of the whole run; None where nobody knows.
    """

    memory_bytes: int
    computed: Memory
    measured: bool
    problem: str
    fitting: tuple[str, ...]
    disk_bytes: int
    free_disk_bytes: int
    seconds: float | None


def check(
    request: TrainRequest,
    settings: Settings,
    store: Store,
    *,
    owner: str,
    allowed: Sequence[Path] | None,
    announce: Callable[[str], None],
) -> Found:
    """Look at rows, settings, target and base. Raises StudioError where the file of rows, or the store, cannot be read."""
    rows = report_rows(request.rows, settings=settings, store=store, allowed=allowed, owner=owner)
    validation = (
        report_rows(request.validation, settings=settings, store=store, allowed=allowed, owner=owner)
        if request.validation is not None
        else None
    )
    target: Target | None = None
    base: CheckpointFiles | None = None
    problems: list[str] = []
    try:
        target = target_for(request.device, settings, store)
    except StudioError as error:
        problems.append(str(error))
    try:
        base = _base(request.checkpoint, settings, target, announce)
    except StudioError as error:
        problems.append(str(error))
    arguments = arguments_for(
        request.preset,
        num_rows=len(rows.measured),
        seconds=rows.seconds,
        repeats=rows.repeats,
        device=target.device if target else "cpu",
        base_bytes=base.size_bytes if base else 0,
        overrides=request.settings,
    )
    shape = memory.base_shape(base.folder) if base and rows.measured else None
    return Found(
        request=request,
        rows=rows,
        validation=validation,
        arguments=arguments,
        plan=arguments.plan(len(rows.measured)),
        argument_problems=tuple(argument_problems(request.overrides)),
        target=target,
        base=base,
        problems=tuple(problems),
        has_text_head=base is not None and "text_lm_head.weight" in weight_names(base.folder),
        shape=shape,
        too_long=_too_long(rows.measured, arguments, base, shape) if base and shape else (),
        leaked=tuple(same_sounds(rows.measured, validation.measured)) if validation else (),
        repeated=tuple(same_texts(rows.measured, validation.measured)) if validation else (),
        validation_too_long=_too_long(validation.measured, arguments, base, shape)
        if validation and base and shape
        else (),
    )


def costs_of(
    found: Found, settings: Settings, announce: Callable[[str], None], *, measure: bool, refused: bool
) -> Costs | None:
    """Memory, disk and time; None where there is no row, base or target to tell them by.

    Args:
        measure: on a CPU, make two steps to measure memory and pace; otherwise they are computed.
        refused: something stands in the way already, so that nothing slow is done.
    """
    base, shape, target, arguments = found.base, found.shape, found.target, found.arguments
    if base is None or shape is None or target is None:
        return None
    longest = found.rows.longest()
    mean_tokens = _mean_tokens(longest)
    computed = memory.row_memory(shape, arguments, longest[0], target.device)
    needed, measured, problem = computed.total, False, ""
    seconds: float | None = None
    hopeless = computed.weights * 1.05 > target.free_bytes and not target.shared
    if target.device == "cpu" and measure and not refused and not hopeless:
        try:
            seen = probe(base, arguments, longest, settings=settings, announce=announce)
        except StudioError as error:
            problem = str(error)
        else:
            needed, measured = seen.peak_bytes, True
            pace = seen.seconds_per_step * mean_tokens / _mean_tokens(longest[: rows_needed(arguments)])
            seconds = seen.start_seconds + found.plan.num_steps * pace * 1.1
    if seconds is None and not refused and not problem:
        announce("The rate of the device is measured …")
        # No room for two matrices on the device: whoever has it now is said by the target.
        with suppress(RuntimeError):
            pace = duration.seconds_per_step(shape, arguments, tokens=mean_tokens, device=target.device)
            seconds = duration.total_seconds(pace, found.plan.num_steps, sum(each.seconds for each in longest))
        return_memory()
    fits = needed <= target.room_bytes
    return Costs(
        memory_bytes=needed,
        computed=computed,
        measured=measured,
        problem=problem,
        # What was measured above the formula stays.
        fitting=()
        if fits
        else memory.fitting_settings(
            shape, arguments, longest[0], target.device, target.room_bytes - (needed - computed.total)
        ),
        disk_bytes=memory.disk_bytes(
            shape, arguments, num_checkpoints=found.plan.num_checkpoints, base_bytes=base.size_bytes
        ),
        free_disk_bytes=_free_disk_bytes(settings.home),
        seconds=seconds,
    )


def spec_of(found: Found, costs: Costs | None) -> TrainingSpec:
    """What the run would be started with."""
    request, rows, base = found.request, found.rows, found.base
    asked = base.name if base else request.checkpoint or ""
    estimate: dict[str, float] = {}
    if costs is not None:
        estimate = {"memory_bytes": costs.memory_bytes, "disk_bytes": costs.disk_bytes}
        estimate |= {"seconds": costs.seconds} if costs.seconds is not None else {}
    return TrainingSpec(
        preset=request.preset,
        base=asked,
        base_shown=base.shown_name if base else shown_name(asked),
        base_folder=str(base.folder) if base else "",
        base_bytes=base.size_bytes if base else 0,
        device=found.target.device if found.target else request.device,
        arguments={
            name: list(value)
            for name, value in found.arguments.values.items()
            if not (name == "val_dataset" and found.validation)  # a job has a copy of its own
        },
        overrides={name: list(value) for name, value in request.overrides.items()},
        full_parameter=found.arguments.is_full,
        rows=rows.summary,
        validation=found.validation.summary if found.validation else None,
        consent=list(rows.consent),
        unrecorded=rows.unrecorded,
        estimate=estimate,
        num_steps=found.plan.num_steps,
    )


def _base(
    wanted: str | None, settings: Settings, target: Target | None, announce: Callable[[str], None]
) -> CheckpointFiles:
    """What is asked for; else what the studio speaks with; else its default on this target."""
    name, folder = wanted or settings.checkpoint, settings.checkpoints_folder
    if name:
        return own_checkpoint(name, folder, announce) or find_checkpoint(name)
    gpu = target if target is not None and target.device.startswith("cuda") else None
    # What the studio's own model takes there now is given back before a run.
    gpu_bytes = gpu and (gpu.total_bytes if gpu.held else gpu.free_bytes)
    return default_checkpoint(announce, gpu_bytes=gpu_bytes)[0]


def _too_long(
    rows: Sequence[MeasuredRow], arguments: RunArguments, base: CheckpointFiles, shape: BaseShape
) -> tuple[tuple[int, int], ...]:
    """Tokens and number of rows that are longer than ``max_length``; only those that might be are counted exactly."""
    try:
        limit = int(arguments.text("max_length"))
    except ValueError:
        return ()
    suspects = [each for each in rows if each.max_tokens(FRAME_RATE) > limit]
    if not suspects:
        return ()
    from tokenizers import Tokenizer

    from studio.engine.prompt import render

    tokenizer = Tokenizer.from_file(str(base.folder / "tokenizer.json"))
    lengths: list[tuple[int, int]] = []
    for each in suspects:
        text = render(each.row.conversation(), generation_prompt=False)
        written = len(tokenizer.encode(text, add_special_tokens=False).ids)
        sound = int(each.seconds * FRAME_RATE) + each.num_clips * (shape.codebooks + 1)
        lengths.append((written + sound, each.number))
    return tuple(each for each in lengths if each[0] > limit)


def _mean_tokens(rows: Sequence[MeasuredRow]) -> float:
    return sum(each.likely_tokens(FRAME_RATE) for each in rows) / max(len(rows), 1)


def _free_disk_bytes(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free

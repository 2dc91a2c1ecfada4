"""What can be told before a training starts: what it will be, what it will take, and why it cannot work where it cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio import formatting
from studio.datasets.report import MeasuredRow, RowsReport, RowsSummary, report_rows
from studio.engine.checkpoints import (
    TINY_FOLDER,
    CheckpointFiles,
    default_checkpoint,
    find_checkpoint,
    shown_name,
    tiny_checkpoint,
    weight_names,
)
from studio.engine.devices import return_memory
from studio.engine.rows import TrainingRow
from studio.errors import StudioError
from studio.settings import Settings
from studio.store.store import Store
from studio.training.config.presets import MIN_ROWS_HELD_OUT, arguments_for
from studio.training.config.request import TrainRequest
from studio.training.config.run_arguments import RunArguments
from studio.training.config.swift_arguments import argument_problems
from studio.training.preflight import duration, memory
from studio.training.preflight.memory import BaseShape
from studio.training.preflight.probe import probe, rows_needed
from studio.training.preflight.target import Target, target_for
from studio.training.spec import TrainingSpec

TINY_WARNING = (
    "The base is the tiny test checkpoint: its weights are random, so what is trained on it makes noise, not speech. For a "
    "voice, choose the 3B with --checkpoint."
)
NAMED_ROWS = 5
"""Bad rows that a refusal names one by one."""
_FRAME_RATE = 25.0
"""Of every base there is, in Hz; only a row near the limit is counted with the tokenizer."""
_ALTERNATIVES: tuple[tuple[str, str], ...] = (
    ("tuner_type", "lora"),
    ("gradient_checkpointing", "true"),
    ("per_device_train_batch_size", "1"),
    ("torch_dtype", "bfloat16"),
    ("lora_rank", "8"),
)
"""Settings that take less memory, in the order in which they are proposed."""


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        spec: complete where there are no refusals.
        rows: those that can be used.
        refusals: why it cannot work, and the setting that would.
        facts: label and sentence, for people.
    """

    spec: TrainingSpec
    rows: list[TrainingRow]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def ok(self) -> bool:
        """Whether it can start."""
        return not self.refusals

    def as_json(self) -> dict[str, Any]:
        """As one JSON object; bytes and seconds are in the estimate of the spec."""
        return {
            "ok": self.ok,
            "refusals": list(self.refusals),
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            "spec": self.spec.model_dump(mode="json"),
        }


@dataclass
class _Found:
    """What is gathered on the way."""

    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    estimate: dict[str, Any] = field(default_factory=dict)


def preflight(
    request: TrainRequest,
    settings: Settings,
    store: Store,
    *,
    owner: str = "",
    measure: bool = True,
    allowed: Sequence[Path] | None = None,
    announce: Callable[[str], None] = lambda sentence: None,
) -> Preflight:
    """Look at everything that decides whether a run can work.

    Args:
        owner: whose library voices may be used.
        measure: on a CPU, make two steps to measure memory and pace; otherwise they are computed.
        allowed: folders in which the clips of the rows must lie; None: anywhere.
        announce: called with a sentence before something slow begins.

    Raises:
        StudioError: the file of rows cannot be read, or the store.
    """
    found = _Found()
    report = report_rows(request.rows, settings=settings, store=store, allowed=allowed, owner=owner)
    found.refusals += argument_problems(request.overrides)
    _tell_rows(report, request, found)
    target: Target | None = None
    files: CheckpointFiles | None = None
    try:
        target = target_for(request.device, settings, store)
    except StudioError as error:
        found.refusals.append(str(error))
    try:
        files = _base(request.checkpoint, settings, target, announce)
        _tell_base(files, found)
    except StudioError as error:
        found.refusals.append(str(error))
    arguments = arguments_for(
        request.preset,
        num_rows=len(report.measured),
        seconds=report.seconds,
        device=target.device if target else "cpu",
        base_bytes=files.size_bytes if files else 0,
        overrides=request.overrides,
    )
    _tell_steps(arguments, report, found)
    if files is not None:
        found.refusals += _too_long(report.measured, arguments, files)
    if files is not None and target is not None and report.measured:
        found.facts.append(("Device", target.sentence))
        _tell_costs(files, target, arguments, report, found, settings, announce, measure=measure)
    spec = _spec(request, report, arguments, files, target, found)
    found.facts.append(("Voices", spec.consent_sentence))
    return Preflight(spec, report.rows, tuple(found.refusals), tuple(found.warnings), tuple(found.facts))


def _base(
    wanted: str | None, settings: Settings, target: Target | None, announce: Callable[[str], None]
) -> CheckpointFiles:
    """What is asked for; else what the studio speaks with; else its default on this target."""
    name, folder = wanted or settings.checkpoint, settings.checkpoints_folder
    if name == TINY_FOLDER:
        return tiny_checkpoint(folder, announce)
    if name:
        return find_checkpoint(name)
    gpu = target if target is not None and target.device.startswith("cuda") else None
    # What the studio's own model takes there now is given back before a run.
    gpu_bytes = gpu and (gpu.total_bytes if gpu.held else gpu.free_bytes)
    return default_checkpoint(folder, announce, gpu_bytes=gpu_bytes)[0]


def _spec(
    request: TrainRequest,
    report: RowsReport,
    arguments: RunArguments,
    files: CheckpointFiles | None,
    target: Target | None,
    found: _Found,
) -> TrainingSpec:
    asked = files.name if files else request.checkpoint or ""
    return TrainingSpec(
        preset=request.preset,
        base=asked,
        base_shown=files.shown_name if files else shown_name(asked),
        base_folder=str(files.folder) if files else "",
        base_bytes=files.size_bytes if files else 0,
        device=target.device if target else request.device,
        arguments={name: list(value) for name, value in arguments.values.items()},
        overrides={name: list(value) for name, value in request.overrides.items()},
        full_parameter=arguments.is_full,
        rows=RowsSummary(
            source=report.source,
            count=len(report.measured),
            seconds=report.seconds,
            speakers=list(report.speakers),
            sha256=report.sha256,
        ),
        consent=list(report.consent),
        unrecorded=report.unrecorded,
        estimate=found.estimate,
        num_steps=arguments.plan(len(report.measured)).num_steps,
    )


def _tell_rows(report: RowsReport, request: TrainRequest, found: _Found) -> None:
    asked = RunArguments(request.overrides)
    skip = asked.flag("skip_bad_rows") or ("strict" in asked.values and not asked.flag("strict"))
    good, bad = len(report.measured), len(report.bad)
    named = " ".join(f"Row {number}: {sentence}" for number, sentence in report.bad[:NAMED_ROWS])
    more = f" And {bad - NAMED_ROWS} more." if bad > NAMED_ROWS else ""
    if not good:
        found.refusals.append(f"{report.source} holds no row that can be used. {named}{more}")
    elif bad and skip:
        found.warnings.append(f"{_rows(bad)} of {good + bad} {'is' if bad == 1 else 'are'} left out. {named}{more}")
    elif bad:
        found.refusals.append(
            f"{_rows(bad)} of {good + bad} cannot be used: mend them, or leave them out with --set skip_bad_rows=true. "
            f"{named}{more}"
        )
    found.refusals += report.refusals
    found.warnings += report.warnings
    speakers = report.speakers
    by = (
        f" by {', '.join(speakers[:4])}{f' and {len(speakers) - 4} others' if len(speakers) > 4 else ''}"
        if speakers
        else ""
    )
    left_out = f"; {bad} left out" if bad and skip else f"; {bad} cannot be used" if bad else ""
    found.facts.append(
        ("Rows", f"{_rows(good)} of {report.source}, {formatting.estimate(report.seconds)} of speech{by}{left_out}")
    )


def _tell_base(files: CheckpointFiles, found: _Found) -> None:
    if "text_lm_head.weight" not in weight_names(files.folder):
        raise StudioError(
            f"{files.shown_name} has no text head, which training needs: choose a base that has one with --checkpoint."
        )
    if files.kind == "tiny":
        found.warnings.append(TINY_WARNING)
    found.facts.append(("Base", f"{files.shown_name}, {formatting.memory(files.size_bytes)} of weights"))


def _tell_steps(arguments: RunArguments, report: RowsReport, found: _Found) -> None:
    rows = len(report.measured)
    plan, own = arguments.plan(rows), arguments.evaluates_other_rows
    held_out, ratio = plan.num_held_out, arguments.text("split_dataset_ratio")
    if rows and held_out >= rows:
        found.refusals.append(
            f"With split_dataset_ratio {ratio} all {_rows(rows)} would be held out and none trained: use --set "
            "split_dataset_ratio=0, or more rows."
        )
    elif ratio.startswith("-"):
        found.refusals.append("split_dataset_ratio is below 0: use --set split_dataset_ratio=0 to hold out no rows.")
    for path in arguments.values.get("val_dataset", ()):
        if not Path(path).expanduser().is_absolute():  # the trainer runs in another folder
            found.refusals.append(f"val_dataset must be a whole path: --set val_dataset={Path(path).absolute()}.")
    if not held_out and not own and 0 < rows < MIN_ROWS_HELD_OUT:
        found.warnings.append(f"{_rows(rows)} are too few to hold some out: nothing tells when it learns by heart.")
    batch, accumulated = map(arguments.text, ("per_device_train_batch_size", "gradient_accumulation_steps"))
    limit = arguments.text("max_steps", "-1")
    length = f"{arguments.text('num_train_epochs')} epochs" if limit.startswith("-") else f"max_steps {limit}"
    evaluated = (
        f"{_rows(held_out)} held out to evaluate"
        if held_out
        else "evaluated on rows of their own"
        if own
        else "no rows held out"
    )
    found.facts.append(
        (
            "Steps",
            f"{plan.num_steps} ({length}, {batch} × {accumulated} rows a step), {plan.num_checkpoints} "
            f"checkpoint{'s' * (plan.num_checkpoints != 1)}, {evaluated}",
        )
    )


def _too_long(rows: Sequence[MeasuredRow], arguments: RunArguments, files: CheckpointFiles) -> list[str]:
    """A refusal where rows are longer than ``max_length``; only those that might be are counted exactly."""
    try:
        limit = int(arguments.text("max_length"))
    except ValueError:
        return []
    suspects = [each for each in rows if each.max_tokens(_FRAME_RATE) > limit]
    if not suspects:
        return []
    from tokenizers import Tokenizer

    from studio.engine.prompt import render

    tokenizer = Tokenizer.from_file(str(files.folder / "tokenizer.json"))
    shape = memory.base_shape(files.folder)
    lengths: list[tuple[int, int]] = []
    for each in suspects:
        text = render(each.row.conversation(), generation_prompt=False)
        written = len(tokenizer.encode(text, add_special_tokens=False).ids)
        sound = int(each.seconds * _FRAME_RATE) + each.num_clips * (shape.codebooks + 1)
        if written + sound > limit:
            lengths.append((written + sound, each.number))
    if not lengths:
        return []
    longest, number = max(lengths)
    return [
        f"{_rows(len(lengths))} {'is' if len(lengths) == 1 else 'are'} longer than max_length {limit}, the longest row "
        f"{number} with about {longest} tokens: use --set max_length={-(-longest // 256) * 256}, or shorter clips."
    ]


def _tell_costs(
    files: CheckpointFiles,
    target: Target,
    arguments: RunArguments,
    report: RowsReport,
    found: _Found,
    settings: Settings,
    announce: Callable[[str], None],
    *,
    measure: bool,
) -> None:
    """Memory, disk and time."""
    shape = memory.base_shape(files.folder)
    longest = report.longest()
    computed = _memory(shape, arguments, longest[0], target.device)
    plan = arguments.plan(len(report.measured))
    mean_tokens = _mean_tokens(longest)
    on_cpu = target.device == "cpu"
    weights = computed.parts[0][0]
    impossible = weights * 1.05 > target.free_bytes and not target.shared
    needed, how = computed.total, f"computed: {computed.sentence}"
    seconds: float | None = None
    if on_cpu and measure and not found.refusals and not impossible:
        try:
            measured = probe(files, arguments, longest, settings=settings, announce=announce)
        except StudioError as error:
            found.refusals.append(str(error))
        else:
            needed, how = measured.peak_bytes, "measured in two steps over the longest rows"
            pace = measured.seconds_per_step * mean_tokens / _mean_tokens(longest[: rows_needed(arguments)])
            seconds = measured.start_seconds + plan.num_steps * pace * 1.1
    if seconds is None and not found.refusals:
        announce("The rate of the device is measured …")
        with suppress(RuntimeError):  # the device has no room for two matrices: whoever has it now is said above
            pace = duration.seconds_per_step(shape, arguments, tokens=mean_tokens, device=target.device)
            seconds = duration.total_seconds(pace, plan.num_steps, sum(each.seconds for each in report.measured))
        return_memory()
    found.estimate["memory_bytes"] = needed
    found.facts.append(
        (
            "Memory",
            f"about {formatting.memory(needed)} of {formatting.memory(target.free_bytes)} free on {target.device} ({how})",
        )
    )
    _weigh(shape, arguments, longest[0], target, needed, found)
    disk = memory.disk_bytes(shape, arguments, num_checkpoints=plan.num_checkpoints, base_bytes=files.size_bytes)
    _tell_disk(disk, settings, found)
    if seconds is not None:
        found.estimate["seconds"] = seconds
        found.facts.append(
            ("Time", f"about {formatting.estimate(seconds)}{target.waits}, samples at the checkpoints not counted")
        )


def _weigh(
    shape: BaseShape, arguments: RunArguments, longest: MeasuredRow, target: Target, needed: int, found: _Found
) -> None:
    """Refuse what cannot fit, and name what would."""
    room = target.total_bytes if target.shared else target.free_bytes
    if needed <= target.free_bytes:
        return
    if needed <= room:
        found.warnings.append(
            f"{formatting.memory(target.free_bytes)} are free on {target.device} now, less than the "
            f"{formatting.memory(needed)} that are needed: it waits until the studio or the job before it has given back "
            "its own."
        )
        return
    excess = (
        needed - _memory(shape, arguments, longest, target.device).total
    )  # what was measured above the formula stays
    changed, proposed = arguments, []
    for name, value in _ALTERNATIVES:
        if changed.values.get(name) == (value,) or (name == "lora_rank" and changed.is_full):
            continue
        smaller = changed.replaced(name, value)
        if (
            _memory(shape, smaller, longest, target.device).total
            >= _memory(shape, changed, longest, target.device).total
        ):
            continue
        changed = smaller
        proposed.append(f"--set {name}={value}")
        if _memory(shape, changed, longest, target.device).total + excess <= room:
            found.refusals.append(_too_large(needed, room, target.device) + f"use {' '.join(proposed)}.")
            return
    found.refusals.append(
        _too_large(needed, room, target.device) + "use a smaller base, shorter rows, or another device."
    )


def _too_large(needed: int, room: int, device: str) -> str:
    return (
        f"It needs about {formatting.memory(needed)} of memory on {device} and {formatting.memory(room)} can be had: "
    )


def _tell_disk(disk: int, settings: Settings, found: _Found) -> None:
    folder = settings.home
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found.estimate["disk_bytes"] = disk
    found.facts.append(("Disk", f"about {formatting.memory(disk)} of {formatting.memory(free)} free"))
    if disk > free:
        found.refusals.append(
            f"Its checkpoints need about {formatting.memory(disk)} on the disk and {formatting.memory(free)} are free: "
            "use --set save_total_limit=1 or --set save_only_model=true, or make room."
        )


def _memory(shape: BaseShape, arguments: RunArguments, row: MeasuredRow, device: str) -> memory.Memory:
    labels = int(row.trained_seconds * _FRAME_RATE) + 16
    return memory.memory(shape, arguments, tokens=row.likely_tokens(_FRAME_RATE), labels=labels, device=device)


def _mean_tokens(rows: Sequence[MeasuredRow]) -> float:
    return sum(each.likely_tokens(_FRAME_RATE) for each in rows) / max(len(rows), 1)


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"

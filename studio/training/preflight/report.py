"""What can be told before a training starts: what it will be, what it will take, and why it cannot work where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.datasets.rows.report import RowsReport
from studio.engine.rows import TrainingRow
from studio.formatting import estimate, memory
from studio.settings import Settings
from studio.store.store import Store
from studio.training.config.presets import MIN_ROWS_HELD_OUT
from studio.training.config.request import TrainRequest
from studio.training.config.run_arguments import RunArguments
from studio.training.preflight.check import Costs, Found, check, costs_of, spec_of
from studio.training.preflight.target import Target
from studio.training.spec import TrainingSpec

NAMED_ROWS = 5
"""Bad rows that a refusal names one by one."""
TINY_WARNING = (
    "The base is the tiny test checkpoint: its weights are random, so what is trained on it makes noise, not speech. For a "
    "voice, choose the 3B with --checkpoint."
)


@dataclass(frozen=True)
class Preflight:
    """What was found before a start.

    Attributes:
        spec: complete where there are no refusals.
        rows: those that can be used.
        validation: those that are evaluated, where they are a file of their own.
        refusals: why it cannot work, and the setting that would.
        facts: label and sentence, for people.
    """

    spec: TrainingSpec
    rows: list[TrainingRow]
    validation: list[TrainingRow]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def ok(self) -> bool:
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
        owner: whose voices of the library may be used.
        measure: on a CPU, make two steps to measure memory and pace; otherwise they are computed.
        allowed: folders in which the clips of the rows must lie; None: anywhere.
        announce: called with a sentence before something slow begins.

    Raises:
        StudioError: the file of rows cannot be read, or the store.
    """
    found = check(request, settings, store, owner=owner, allowed=allowed, announce=announce)
    refusals = list(_refusals(found))
    warnings, facts = list(_warnings(found)), list(_facts(found))
    costs = costs_of(found, settings, announce, measure=measure, refused=bool(refusals))
    if costs is not None and found.target is not None:
        refusals += _cost_refusals(costs, found.target)
        warnings += _cost_warnings(costs, found.target)
        facts += _cost_facts(costs, found.target)
    spec = spec_of(found, costs)
    facts.append(("Voices", spec.consent_sentence))
    held_out = found.validation.rows if found.validation else []
    return Preflight(spec, found.rows.rows, held_out, tuple(refusals), tuple(warnings), tuple(facts))


def _refusals(found: Found) -> Iterator[str]:
    yield from found.argument_problems
    rows = found.rows
    good, bad = len(rows.measured), len(rows.bad)
    if not good:
        yield f"{rows.source} holds no row that can be used. {_named(rows)}"
    elif bad and not _skips_bad_rows(found):
        yield (
            f"{_rows(bad)} of {good + bad} cannot be used: mend them, or leave them out with --set skip_bad_rows=true. "
            f"{_named(rows)}"
        )
    yield from rows.refusals
    if found.validation:
        yield from _validation_refusals(found, found.validation)
    yield from found.problems
    if found.base and not found.has_text_head:
        yield (
            f"{found.base.shown_name} has no text head, which training needs: choose a base that has one with --checkpoint."
        )
    ratio = found.arguments.text("split_dataset_ratio")
    if good and found.plan.num_held_out >= good:
        yield (
            f"With split_dataset_ratio {ratio} all {_rows(good)} would be held out and none trained: use --set "
            "split_dataset_ratio=0, or more rows."
        )
    elif ratio.startswith("-"):
        yield "split_dataset_ratio is below 0: use --set split_dataset_ratio=0 to hold out no rows."
    for path in found.request.overrides.get("val_dataset", ()):
        if not Path(path).expanduser().is_absolute():  # the trainer runs in another folder
            yield f"val_dataset must be a whole path: --set val_dataset={Path(path).absolute()}."
    for too_long, which in ((found.too_long, ""), (found.validation_too_long, " for validation")):
        if too_long:
            longest, number = max(too_long)
            yield (
                f"{_rows(len(too_long))}{which} {'is' if len(too_long) == 1 else 'are'} longer than max_length "
                f"{int(found.arguments.text('max_length'))}, the longest row {number} with about {longest} tokens: use --set "
                f"max_length={-(-longest // 256) * 256}, or shorter clips."
            )


def _validation_refusals(found: Found, rows: RowsReport) -> Iterator[str]:
    """Why these rows cannot tell how well others are learnt."""
    good, bad = len(rows.measured), len(rows.bad)
    if not good:
        yield f"{rows.source}, for validation, holds no row that can be used. {_named(rows)}"
    elif bad and not _skips_bad_rows(found):
        yield f"{_rows(bad)} of {good + bad} in {rows.source}, for validation, cannot be used: mend them. {_named(rows)}"
    yield from (sentence for sentence in rows.refusals if sentence not in found.rows.refusals)
    if found.leaked:
        trained, held = found.leaked[0]
        yield (
            f"{_rows(len({number for _, number in found.leaked}))} of {rows.source} would be trained on as well, row {held} "
            f"being the sound of row {trained} in {found.rows.source}: take the same recordings out of one of the two files."
        )


def _warnings(found: Found) -> Iterator[str]:
    good, bad = len(found.rows.measured), len(found.rows.bad)
    if good and bad and _skips_bad_rows(found):
        yield f"{_rows(bad)} of {good + bad} {'is' if bad == 1 else 'are'} left out. {_named(found.rows)}"
    yield from found.rows.warnings
    if found.repeated and not found.leaked:
        trained, held = found.repeated[0]
        yield (
            f"{_rows(len(found.repeated))} for validation say what is trained on, row {held} what row {trained} says: "
            "they are judged more mildly than new sentences."
        )
    if found.base and found.has_text_head and found.base.kind == "tiny":
        yield TINY_WARNING
    if not found.plan.num_held_out and not found.arguments.evaluates_other_rows and 0 < good < MIN_ROWS_HELD_OUT:
        yield f"{_rows(good)} are too few to hold some out: nothing tells when it learns by heart."


def _facts(found: Found) -> Iterator[tuple[str, str]]:
    rows, bad, speakers = found.rows, len(found.rows.bad), found.rows.speakers
    others = f" and {len(speakers) - 4} others" if len(speakers) > 4 else ""
    by = f" by {', '.join(speakers[:4])}{others}" if speakers else ""
    left_out = f"; {bad} {'left out' if _skips_bad_rows(found) else 'cannot be used'}" if bad else ""
    several = f", each clip in about {rows.repeats:.2g} of them" if rows.repeats > 1 else ""
    made = (
        f", {estimate(rows.synthetic_seconds / rows.repeats)} of it made by a model" if rows.synthetic_seconds else ""
    )
    speech = f"{estimate(rows.seconds / rows.repeats)} of speech{made}{by}"
    yield "Rows", f"{_rows(len(rows.measured))} of {rows.source}{several}, {speech}{left_out}"
    if found.base and found.has_text_head:
        yield "Base", f"{found.base.shown_name}, {memory(found.base.size_bytes)} of weights"
    arguments, plan = found.arguments, found.plan
    batch, accumulated = map(arguments.text, ("per_device_train_batch_size", "gradient_accumulation_steps"))
    limit = arguments.text("max_steps", "-1")
    length = f"{arguments.text('num_train_epochs')} epochs" if limit.startswith("-") else f"max_steps {limit}"
    evaluated = (
        f"{_rows(plan.num_held_out)} held out to evaluate"
        if plan.num_held_out
        else f"evaluated on {_rows(len(found.validation.measured))} of {found.validation.source}"
        if found.validation
        else "evaluated on rows of their own"
        if arguments.evaluates_other_rows
        else "no rows held out"
    )
    yield (
        "Steps",
        f"{plan.num_steps} ({length}, {batch} × {accumulated} rows a step), {plan.num_checkpoints} "
        f"checkpoint{'s' * (plan.num_checkpoints != 1)}, {evaluated}",
    )


def _cost_refusals(costs: Costs, target: Target) -> Iterator[str]:
    if costs.problem:
        yield costs.problem
    needed, room = costs.memory_bytes, target.room_bytes
    if needed > room:
        use = " ".join(f"--set {setting}" for setting in costs.fitting)
        yield (
            f"It needs about {memory(needed)} of memory on {target.device} and {memory(room)} can be had: use "
            f"{use or 'a smaller base, shorter rows, or another device'}."
        )
    if costs.disk_bytes > costs.free_disk_bytes:
        yield (
            f"Its checkpoints need about {memory(costs.disk_bytes)} on the disk and {memory(costs.free_disk_bytes)} are "
            "free: use --set save_total_limit=1 or --set save_only_model=true, or make room."
        )


def _cost_warnings(costs: Costs, target: Target) -> Iterator[str]:
    if target.free_bytes < costs.memory_bytes <= target.room_bytes:
        yield (
            f"{memory(target.free_bytes)} are free on {target.device} now, less than the {memory(costs.memory_bytes)} that "
            "are needed: it waits until the studio or the job before it has given back its own."
        )


def _cost_facts(costs: Costs, target: Target) -> Iterator[tuple[str, str]]:
    how = "measured in two steps over the longest rows" if costs.measured else f"computed: {costs.computed.sentence}"
    free = f"{memory(target.free_bytes)} free on {target.device}"
    yield "Device", target.sentence
    yield "Memory", f"about {memory(costs.memory_bytes)} of {free} ({how})"
    yield "Disk", f"about {memory(costs.disk_bytes)} of {memory(costs.free_disk_bytes)} free"
    if costs.seconds is not None:
        yield "Time", f"about {estimate(costs.seconds)}{target.waits}, samples at the checkpoints not counted"


def _skips_bad_rows(found: Found) -> bool:
    asked = RunArguments(found.request.overrides)
    return asked.flag("skip_bad_rows") or ("strict" in asked.values and not asked.flag("strict"))


def _named(rows: RowsReport) -> str:
    """What is wrong with the first bad rows."""
    bad = rows.bad
    more = f" And {len(bad) - NAMED_ROWS} more." if len(bad) > NAMED_ROWS else ""
    return " ".join(f"Row {number}: {sentence}" for number, sentence in bad[:NAMED_ROWS]) + more


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"

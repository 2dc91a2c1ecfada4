"""Presets: what ms-swift is told for a fine-tune of these rows, and the fields in which a user changes it.

What a user sets stands above the preset and is never changed; what depends on it follows (``save_steps`` on the batch size,
``lora_alpha`` on the rank, nothing of an evaluation where no rows are held out).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from studio.training.config.hyperparameters import FIELDS, Field
from studio.training.config.request import PresetName

__all__ = ["FIELDS", "PRESETS", "Field", "Preset", "num_held_out", "num_points", "num_steps", "values_for"]

Values = dict[str, tuple[str, ...]]

MIN_ROWS_HELD_OUT = 8
"""With fewer rows none is held out: one of them would be missed in training, and would say little."""
MIN_POINTS = 5
LARGE_BASE_BYTES = 2 * 2**30
"""A base from this size on is trained in bfloat16 with checkpointed activations on a CPU, too."""
_MAX_EFFECTIVE_BATCH = 8
_SHORT_RUN_STEPS = 1_000
"""Up to here every step is logged."""

TRUE, FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")
"""Flags as ms-swift reads them."""


@dataclass(frozen=True)
class Preset:
    """What sets a preset apart.

    Attributes:
        epochs: for little, some and much data (below 10 minutes, below 60, more).
        points: how often it saves and evaluates.
    """

    label: str
    help: str
    rank: int
    learning_rate: float
    epochs: tuple[int, int, int]
    points: int
    warmup_ratio: float


PRESETS: dict[PresetName, Preset] = {
    "quick": Preset("Quick", "A first impression: few epochs, a small adapter.", 16, 5e-5, (5, 4, 3), 5, 0.05),
    "standard": Preset("Standard", "For a voice that is to be used.", 32, 4e-5, (8, 6, 4), 6, 0.05),
    "thorough": Preset(
        "Thorough", "More epochs, a larger adapter, a gentler learning rate.", 64, 2e-5, (10, 8, 6), 8, 0.1
    ),
}
_LITTLE_SECONDS, _SOME_SECONDS = 10 * 60, 60 * 60


def values_for(
    preset: PresetName,
    *,
    num_rows: int,
    seconds: float,
    device: str,
    base_bytes: int,
    overrides: Mapping[str, tuple[str, ...]],
) -> Values:
    """The arguments of a run.

    Args:
        seconds: duration of the trained clips together.
        device: "cpu", "mps" or "cuda:N".
        base_bytes: size of the base's weights.
        overrides: what the user set; it comes back unchanged.
    """
    chosen = PRESETS[preset]
    on_gpu, large = device.startswith("cuda"), base_bytes >= LARGE_BASE_BYTES
    values: dict[str, str] = {"tuner_type": "lora"}
    if _one(overrides, "tuner_type", "lora") == "lora":
        values |= {
            "lora_rank": str(chosen.rank),
            "lora_alpha": _alpha(overrides, chosen.rank),
            "lora_dropout": "0.05",
        }
    batch, accumulation = _batch(num_rows, overrides, small=large and not on_gpu)
    values |= {
        "learning_rate": f"{chosen.learning_rate:g}",
        "audio_lr_ratio": "2",
        "lr_scheduler_type": "cosine",
        "warmup_ratio": f"{chosen.warmup_ratio:g}",
        "num_train_epochs": str(chosen.epochs[(seconds >= _LITTLE_SECONDS) + (seconds >= _SOME_SECONDS)]),
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "weight_decay": "0.01",
        "max_grad_norm": "1",
        "max_length": "4096",
        "torch_dtype": "bfloat16" if on_gpu or large else "float32",
        "gradient_checkpointing": "true" if on_gpu or large else "false",
        "split_dataset_ratio": "0.1" if num_rows >= MIN_ROWS_HELD_OUT and not _has_own_held_out(overrides) else "0",
    }
    values |= {
        name: " ".join(value) for name, value in overrides.items() if name in values
    }  # what follows looks at them
    values |= _schedule(values, num_rows, chosen.points, overrides)
    values |= {
        "logging_first_step": "true",
        "save_only_model": "false",  # with its optimizer a run can be resumed
        "seed": "42",
        "data_seed": _one(overrides, "seed", "42"),
        "report_to": "tensorboard",
    }
    if _one(overrides, "warmup_steps", ""):
        values.pop("warmup_ratio", None)
    return {name: (value,) for name, value in values.items() if name not in overrides} | {
        name: tuple(value) for name, value in overrides.items()
    }


def num_steps(values: Mapping[str, tuple[str, ...]], num_rows: int) -> int:
    """Optimizer steps of a run, as transformers' ``Trainer.set_initial_training_values`` counts them for one process.

    ms-swift holds out ``max(int(rows * ratio), 1)`` rows where the ratio is above 0.
    """
    given = _number(values, "max_steps", -1)
    if given > 0:
        return int(given)
    train = num_rows - num_held_out(values, num_rows)
    batch, accumulation = (
        max(int(_number(values, name, 1)), 1) for name in ("per_device_train_batch_size", "gradient_accumulation_steps")
    )
    batches = train // batch if is_true(values, "dataloader_drop_last") else math.ceil(train / batch)
    return math.ceil(_number(values, "num_train_epochs", 3) * max(math.ceil(batches / accumulation), 1))


def num_held_out(values: Mapping[str, tuple[str, ...]], num_rows: int) -> int:
    """Rows of the file that are not trained but evaluated."""
    ratio = _number(values, "split_dataset_ratio", 0)
    return max(int(num_rows * ratio), 1) if ratio > 0 and not _has_own_held_out(values) else 0


def num_points(values: Mapping[str, tuple[str, ...]], num_rows: int) -> int:
    """Checkpoints that a run leaves on the disk."""
    steps, strategy = num_steps(values, num_rows), _one(values, "save_strategy", "steps")
    if strategy == "no":
        return 0
    if strategy == "epoch":
        count = math.ceil(_number(values, "num_train_epochs", 3))
    else:
        every = _number(values, "save_steps", 500)
        every = every if every >= 1 else max(steps * every, 1)  # below 1 it is a part of the run
        count = math.ceil(steps / every)
    limit = int(_number(values, "save_total_limit", 0))
    return min(count, limit) if limit > 0 else count


def is_true(values: Mapping[str, tuple[str, ...]], name: str) -> bool:
    """Whether a flag is given and not with "false"."""
    return name in values and (_one(values, name, "true") or "true").lower() not in FALSE


def _alpha(overrides: Mapping[str, tuple[str, ...]], rank: int) -> str:
    return str(int(2 * _number(overrides, "lora_rank", rank)))


def _batch(num_rows: int, overrides: Mapping[str, tuple[str, ...]], *, small: bool) -> tuple[str, str]:
    """Rows at a time, and how often before a step: few rows make small steps, so that there are enough of them."""
    effective = min(max(num_rows // 8, 1), _MAX_EFFECTIVE_BATCH)
    batch = int(_number(overrides, "per_device_train_batch_size", 1 if small else min(effective, 2)))
    return str(batch), str(max(effective // max(batch, 1), 1))


def _schedule(
    values: Mapping[str, str], num_rows: int, points: int, overrides: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """When it saves, evaluates and logs."""
    known = {name: tuple(value.split()) for name, value in values.items()} | dict(overrides)
    steps = num_steps(known, num_rows)
    save = _one(overrides, "save_strategy", "steps")
    schedule = {"save_strategy": save}
    if save == "steps":
        schedule["save_steps"] = str(max(steps // points, 1))
    if _has_own_held_out(overrides) or num_held_out(known, num_rows):
        evaluate = _one(overrides, "eval_strategy", save if save != "no" else "steps")
        schedule["eval_strategy"] = evaluate
        if evaluate == "steps":
            schedule["eval_steps"] = _one(overrides, "save_steps", str(max(steps // points, 1)))
    else:
        schedule["eval_strategy"] = "no"
    schedule["logging_steps"] = str(max(math.ceil(steps / _SHORT_RUN_STEPS), 1))
    return schedule


def _has_own_held_out(values: Mapping[str, tuple[str, ...]]) -> bool:
    return bool(values.get("val_dataset"))


def _one(values: Mapping[str, tuple[str, ...]], name: str, default: str) -> str:
    return next(iter(values.get(name, ())), default)


def _number(values: Mapping[str, tuple[str, ...]], name: str, default: float) -> float:
    """A number among the values; the default where none is given, or no number, which the trainer then says."""
    try:
        number = float(_one(values, name, str(default)))
    except ValueError:
        return default
    return number if math.isfinite(number) else default

"""Presets: what ms-swift is told for a fine-tune of these rows.

What a user sets stands above the preset and is never changed; what depends on it follows (``save_steps`` on the batch size,
``lora_alpha`` on the rank, nothing of an evaluation where no rows are held out).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from studio.training.config.request import PresetName
from studio.training.config.run_arguments import RunArguments

MIN_ROWS_HELD_OUT = 8
"""With fewer rows none is held out: one of them would be missed in training, and would say little."""
LARGE_BASE_BYTES = 2 * 2**30
"""A base from this size on is trained in bfloat16 with checkpointed activations on a CPU, too."""
_MAX_EFFECTIVE_BATCH = 8
_SHORT_RUN_STEPS = 1_000
"""Up to here every step is logged."""


@dataclass(frozen=True)
class Preset:
    """What sets a preset apart.

    Attributes:
        epochs: for little, some and much data (below 10 minutes, below 60, more).
        checkpoints: how often it saves and evaluates.
    """

    label: str
    help: str
    rank: int
    learning_rate: float
    epochs: tuple[int, int, int]
    checkpoints: int
    warmup_ratio: float


PRESETS: dict[PresetName, Preset] = {
    "quick": Preset("Quick", "A first impression: few epochs, a small adapter.", 16, 5e-5, (5, 4, 3), 5, 0.05),
    "standard": Preset("Standard", "For a voice that is to be used.", 32, 4e-5, (8, 6, 4), 6, 0.05),
    "thorough": Preset(
        "Thorough", "More epochs, a larger adapter, a gentler learning rate.", 64, 2e-5, (10, 8, 6), 8, 0.1
    ),
}
_LITTLE_SECONDS, _SOME_SECONDS = 10 * 60, 60 * 60


def arguments_for(
    preset: PresetName,
    *,
    num_rows: int,
    seconds: float,
    device: str,
    base_bytes: int,
    overrides: Mapping[str, tuple[str, ...]],
    repeats: float = 1.0,
) -> RunArguments:
    """What the preset comes to for these rows.

    Args:
        seconds: duration of the trained clips together.
        device: "cpu", "mps" or "cuda:N".
        base_bytes: size of the base's weights.
        overrides: what the user set; it comes back unchanged.
        repeats: how many rows a trained clip stands in: a pass over the rows hears it so often, so fewer passes are made.
    """
    chosen, asked = PRESETS[preset], RunArguments(overrides)
    on_gpu, large = device.startswith("cuda"), base_bytes >= LARGE_BASE_BYTES
    values: dict[str, str] = {"tuner_type": "lora"}
    if asked.text("tuner_type", "lora") == "lora":
        values |= {
            "lora_rank": str(chosen.rank),
            "lora_alpha": str(int(2 * asked.number("lora_rank", chosen.rank))),
            "lora_dropout": "0.05",
        }
    batch, accumulation = _batch(num_rows, asked, small=large and not on_gpu)
    values |= {
        "learning_rate": f"{chosen.learning_rate:g}",
        "audio_lr_ratio": "2",
        "lr_scheduler_type": "cosine",
        "warmup_ratio": f"{chosen.warmup_ratio:g}",
        "num_train_epochs": f"{_epochs(chosen, seconds / repeats) / repeats:g}",
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "weight_decay": "0.01",
        "max_grad_norm": "1",
        "max_length": "4096",
        "torch_dtype": "bfloat16" if on_gpu or large else "float32",
        "gradient_checkpointing": "true" if on_gpu or large else "false",
        "split_dataset_ratio": "0.1" if num_rows >= MIN_ROWS_HELD_OUT and not asked.evaluates_other_rows else "0",
    }
    # What follows looks at them.
    values |= {name: " ".join(value) for name, value in overrides.items() if name in values}
    values |= _schedule(values, num_rows, chosen.checkpoints, asked)
    values |= {
        "logging_first_step": "true",
        "save_only_model": "false",  # with its optimizer a run can be resumed
        "seed": "42",
        "data_seed": asked.text("seed", "42"),
        "report_to": "tensorboard",
    }
    if asked.text("warmup_steps"):
        values.pop("warmup_ratio", None)
    return RunArguments({name: (value,) for name, value in values.items() if name not in overrides} | dict(overrides))


def _epochs(preset: Preset, seconds: float) -> int:
    """How often each clip is heard."""
    return preset.epochs[(seconds >= _LITTLE_SECONDS) + (seconds >= _SOME_SECONDS)]


def _batch(num_rows: int, asked: RunArguments, *, small: bool) -> tuple[str, str]:
    """Rows at a time, and how often before a step: few rows make small steps, so that there are enough of them."""
    effective = min(max(num_rows // 8, 1), _MAX_EFFECTIVE_BATCH)
    batch = asked.whole("per_device_train_batch_size", 1 if small else min(effective, 2))
    return str(batch), str(max(effective // max(batch, 1), 1))


def _schedule(values: Mapping[str, str], num_rows: int, checkpoints: int, asked: RunArguments) -> dict[str, str]:
    """When it saves, evaluates and logs."""
    plan = RunArguments({name: tuple(value.split()) for name, value in values.items()} | dict(asked.values)).plan(
        num_rows
    )
    every = str(max(plan.num_steps // checkpoints, 1))
    save = asked.text("save_strategy", "steps")
    schedule = {"save_strategy": save}
    if save == "steps":
        schedule["save_steps"] = every
    if asked.evaluates_other_rows or plan.num_held_out:
        evaluate = asked.text("eval_strategy", save if save != "no" else "steps")
        schedule["eval_strategy"] = evaluate
        if evaluate == "steps":
            schedule["eval_steps"] = asked.text("save_steps", every)
    else:
        schedule["eval_strategy"] = "no"
    schedule["logging_steps"] = str(max(math.ceil(plan.num_steps / _SHORT_RUN_STEPS), 1))
    return schedule

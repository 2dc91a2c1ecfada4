"""What a preset makes of rows and of what a user sets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from studio.training.config.hyperparameters import HYPERPARAMETERS
from studio.training.config.presets import arguments_for
from studio.training.config.request import PRESET_NAMES, PresetName
from studio.training.config.run_arguments import RunArguments, RunPlan
from studio.training.config.swift_arguments import argument_problems, known_arguments

MINUTE = 60.0
ROWS = (4, 8, 12, 40, 200, 3000)


def values(
    preset: PresetName = "quick",
    *,
    rows: int = 40,
    seconds: float = 5 * MINUTE,
    device: str = "cpu",
    base: int = 7_000_000,
    **overrides: str,
) -> Mapping[str, tuple[str, ...]]:
    given = {name: tuple(value.split()) for name, value in overrides.items()}
    return arguments_for(preset, num_rows=rows, seconds=seconds, device=device, base_bytes=base, overrides=given).values


def plan(found: Mapping[str, tuple[str, ...]], rows: int) -> RunPlan:
    return RunArguments(found).plan(rows)


def number(found: Mapping[str, tuple[str, ...]], name: str) -> float:
    return float(found[name][0])


@pytest.mark.parametrize("preset", PRESET_NAMES)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"num_train_epochs": "3"},
        {"max_steps": "7"},
        {"max_steps": "1000"},
        {"per_device_train_batch_size": "1"},
        {"gradient_accumulation_steps": "2"},
        {"split_dataset_ratio": "0.2"},
    ],
    ids=str,
)
def test_every_run_has_at_least_five_checkpoints_and_evaluations(
    preset: PresetName, rows: int, overrides: dict[str, str]
) -> None:
    found = values(preset, rows=rows, seconds=rows * 4.0, **overrides)
    steps = plan(found, rows).num_steps
    assert steps // int(number(found, "save_steps")) >= min(5, steps)
    assert steps >= 5
    if plan(found, rows).num_held_out:
        assert found["eval_strategy"] == ("steps",)
        assert steps // int(number(found, "eval_steps")) >= 5


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_rates_ranks_and_epochs_are_those_that_work_for_this_model(preset: PresetName) -> None:
    for minutes in (1, 15, 300):
        found = values(preset, seconds=minutes * MINUTE)
        assert 16 <= number(found, "lora_rank") <= 64
        assert number(found, "lora_alpha") == 2 * number(found, "lora_rank")
        assert 2e-5 <= number(found, "learning_rate") <= 5e-5
        assert number(found, "audio_lr_ratio") == 2
        assert 3 <= number(found, "num_train_epochs") <= 10
        assert number(found, "warmup_ratio") > 0


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_less_sound_is_seen_more_often(preset: PresetName) -> None:
    epochs = [number(values(preset, seconds=minutes * MINUTE), "num_train_epochs") for minutes in (2, 30, 200)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[-1]


def test_what_the_user_sets_is_never_changed() -> None:
    unusual = {
        "lora_rank": "256",
        "learning_rate": "1",
        "num_train_epochs": "0.01",
        "save_steps": "100000",
        "target_modules": "audio_ffn text_ffn",
        "lora_alpha": "3",
        "warmup_ratio": "0.9",
        "seed": "7",
        "torch_dtype": "float16",
        "report_to": "none",
        "eval_strategy": "no",
        "neftune_noise_alpha": "5",
    }
    found = values(**unusual)
    assert {name: " ".join(found[name]) for name in unusual} == unusual
    assert list(argument_problems({name: tuple(value.split()) for name, value in unusual.items()})) == []


def test_what_depends_on_a_set_value_follows_it() -> None:
    assert values(lora_rank="8")["lora_alpha"] == ("16",)
    assert values(seed="7")["data_seed"] == ("7",)
    assert not [name for name in values(tuner_type="full") if name.startswith("lora")]
    assert values(save_steps="3")["eval_steps"] == ("3",)
    assert "warmup_ratio" not in values(warmup_steps="3")
    assert values(skip_bad_rows="true")["skip_bad_rows"] == ("true",)


def test_the_held_out_part_can_be_switched_off() -> None:
    found = values(split_dataset_ratio="0")
    assert found["eval_strategy"] == ("no",)
    assert "eval_steps" not in found
    assert plan(found, 40).num_held_out == 0


def test_rows_of_their_own_are_evaluated_in_place_of_held_out_ones() -> None:
    found = values(val_dataset="/somewhere/val.jsonl")
    assert found["split_dataset_ratio"] == ("0",)
    assert found["eval_strategy"] == ("steps",)
    assert plan(found, 40).num_held_out == 0


def test_of_few_rows_none_is_held_out() -> None:
    assert number(values(rows=7), "split_dataset_ratio") == 0
    assert number(values(rows=8), "split_dataset_ratio") > 0


@pytest.mark.parametrize(
    ("device", "base", "dtype", "checkpointing"),
    [
        ("cpu", 7_000_000, "float32", "false"),
        ("cpu", 11_500_000_000, "bfloat16", "true"),
        ("cuda:0", 7_000_000, "bfloat16", "true"),
    ],
)
def test_precision_and_memory_fit_device_and_base(device: str, base: int, dtype: str, checkpointing: str) -> None:
    found = values(device=device, base=base)
    assert found["torch_dtype"] == (dtype,)
    assert found["gradient_checkpointing"] == (checkpointing,)


def test_steps_are_counted_as_the_trainer_counts_them() -> None:
    """By transformers itself, on a loader of as many batches."""
    from types import SimpleNamespace

    from transformers import Trainer

    for rows in (1, 3, 17, 40, 101):
        for batch, accumulation, epochs in ((1, 1, 3), (2, 4, 5), (4, 3, 2.5), (8, 8, 1)):
            found = values(
                rows=rows,
                per_device_train_batch_size=str(batch),
                gradient_accumulation_steps=str(accumulation),
                num_train_epochs=str(epochs),
                split_dataset_ratio="0",
            )
            arguments = SimpleNamespace(
                max_steps=-1,
                num_train_epochs=epochs,
                gradient_accumulation_steps=accumulation,
                per_device_train_batch_size=batch,
                train_batch_size=batch,
                include_num_input_tokens_seen="no",
            )
            trainer: Any = SimpleNamespace(
                args=arguments,
                get_total_train_batch_size=lambda args: 1,
                get_sp_size=lambda: 1,
                num_examples=lambda loader: 1,
            )
            told = Trainer.set_initial_training_values(trainer, arguments, range(math.ceil(rows / batch)))  # type: ignore[arg-type]
            assert told[-1] == plan(found, rows).num_steps


def test_checkpoints_on_the_disk_are_counted() -> None:
    assert plan(values(max_steps="10", save_steps="4"), 40).num_checkpoints == 3  # 4, 8 and the last one
    assert plan(values(max_steps="10", save_steps="4", save_total_limit="2"), 40).num_checkpoints == 2
    assert plan(values(save_strategy="no"), 40).num_checkpoints == 0
    assert plan(values(save_strategy="epoch", num_train_epochs="4"), 40).num_checkpoints == 4


def test_long_runs_are_logged_more_coarsely() -> None:
    assert values()["logging_steps"] == ("1",)
    assert number(values(max_steps="50000"), "logging_steps") == 50


def test_each_field_is_an_argument_that_exists_with_a_line_of_help() -> None:
    assert {field.name for field in HYPERPARAMETERS} <= known_arguments()
    assert all(field.help.endswith((".", ":")) and "\n" not in field.help and field.label for field in HYPERPARAMETERS)
    assert len({field.name for field in HYPERPARAMETERS}) == len(HYPERPARAMETERS) >= 20


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lerning_rate", ("1",), "learning_rate"),
        ("audio_lr", ("1",), "audio_lr_ratio"),
        ("zzzzzz", ("1",), "not known"),
        ("lora_rank", ("big",), "whole number"),
        ("learning_rate", ("fast",), "number"),
        ("target_modules", ("audio_ffn", "--external_plugins", "/tmp/evil.py"), "--external_plugins"),
        ("target_modules", ("audio_ffn", "--external_plugins=/tmp/evil.py"), "--external_plugins"),
    ],
)
def test_an_argument_that_no_trainer_takes_is_told(name: str, value: tuple[str, ...], said: str) -> None:
    problems = list(argument_problems({name: value}))
    assert len(problems) == 1
    assert said in problems[0]


@pytest.mark.parametrize(("rows", "ratio", "held_out"), [(3, "0.1", 1), (40, "0.1", 4), (19, "0.1", 1), (5, "0", 0)])
def test_rows_are_held_out_as_ms_swift_does(rows: int, ratio: str, held_out: int) -> None:
    found = values(rows=rows, split_dataset_ratio=ratio)
    assert plan(found, rows).num_held_out == held_out

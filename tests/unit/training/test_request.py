"""What the command line's ``--set`` and the page's free text make of a setting."""

from pathlib import Path

import pytest

from studio.training.config.request import TrainRequest, parse_overrides
from tests.refusals import refusal


def test_a_setting_is_taken_by_its_own_name_with_all_its_values() -> None:
    assert parse_overrides(
        ["learning_rate=2e-5", "--lora-rank=64", "target_modules=audio_ffn text_ffn", 'run_name="two words"', "optim="]
    ) == {
        "learning_rate": ("2e-5",),
        "lora_rank": ("64",),
        "target_modules": ("audio_ffn", "text_ffn"),
        "run_name": ("two words",),
        "optim": ("",),
    }


def test_a_setting_in_json_is_one_value() -> None:
    assert parse_overrides(['lr_scheduler_kwargs={"num_cycles": 2, "x": 1}'])["lr_scheduler_kwargs"] == (
        '{"num_cycles": 2, "x": 1}',
    )


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("learning_rate", "is not of the form NAME=VALUE"),
        ("=3", "is not of the form NAME=VALUE"),
        ("rm -rf=3", "is not of the form NAME=VALUE"),
        ("output_dir=/tmp/x", "output_dir cannot be set: a job writes to its own folder"),
        ("model=other", "choose the base with --checkpoint"),
        ("hub_token=abc", "a job writes down its settings"),
        ('run_name="half', "quotation mark without its other half"),
    ],
)
def test_what_cannot_be_set_says_why(entry: str, says: str) -> None:
    sentence = refusal(lambda: parse_overrides([entry]))
    assert says in sentence
    assert "abc" not in sentence


def test_an_unknown_preset_names_those_there_are() -> None:
    sentence = refusal(lambda: TrainRequest(Path("rows.jsonl"), preset="fast"))  # type: ignore[arg-type]
    assert "quick, standard, thorough" in sentence

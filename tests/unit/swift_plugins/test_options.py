"""Options of the plugin, as they reach each process of a run: in its environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swift_plugins.options import OPTION_NAMES, Options
from tests.refusals import refusal


def test_without_a_word_weights_are_one_and_the_audio_rate_is_twice_the_other() -> None:
    options = Options.from_environment({})
    assert options == Options()
    assert (options.text_loss_weight, options.audio_loss_weight, options.audio_lr_ratio) == (1, 1, 2)
    assert (options.codebook_loss_weights, options.auxiliary_loss_weight) == ((), 0)
    assert (options.skip_bad_rows, options.code_cache, options.sample_plan) == (False, None, None)


def test_every_option_is_read_from_its_variable(tmp_path: Path) -> None:
    given = {
        "TEXT_LOSS_WEIGHT": "0.5",
        "AUDIO_LOSS_WEIGHT": "0",
        "CODEBOOK_LOSS_WEIGHTS": "2 1 0",
        "AUXILIARY_LOSS_WEIGHT": "1e-4",
        "AUDIO_LR_RATIO": "10",
        "SKIP_BAD_ROWS": "true",
        "CODE_CACHE": str(tmp_path),
        "SAMPLE_PLAN": str(tmp_path / "plan.json"),
    }
    assert {name.lower() for name in given} == set(OPTION_NAMES)
    expected = Options(0.5, 0.0, (2.0, 1.0, 0.0), 1e-4, 10.0, True, tmp_path, tmp_path / "plan.json")
    assert Options.from_environment(given) == expected


def test_the_process_s_own_environment_is_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_LR_RATIO", "3")
    assert Options.from_environment().audio_lr_ratio == 3
    monkeypatch.setenv("AUDIO_LR_RATIO", "")  # set to nothing is not set
    assert Options.from_environment().audio_lr_ratio == 2
    assert "AUDIO_LR_RATIO" in os.environ


@pytest.mark.parametrize("text", ["2 1.5 0", "2, 1.5, 0", "[2, 1.5, 0]", "(2,1.5,0)", "[2.0,1.5,0.0] "])
def test_codebook_weights_are_read_as_people_and_as_python_write_them(text: str) -> None:
    assert Options.from_environment({"CODEBOOK_LOSS_WEIGHTS": text}).codebook_loss_weights == (2.0, 1.5, 0.0)


@pytest.mark.parametrize(("text", "flag"), [("True", True), ("1", True), ("yes", True), ("FALSE", False), ("0", False)])
def test_flags_are_read_in_every_common_spelling(text: str, flag: bool) -> None:
    assert Options.from_environment({"SKIP_BAD_ROWS": text}).skip_bad_rows is flag


def test_the_home_in_a_path_is_the_user_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Options.from_environment({"CODE_CACHE": "~/codes"}).code_cache == tmp_path / "codes"


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1e6", "one", "1,5", "0x1"])
@pytest.mark.parametrize("name", ["text_loss_weight", "audio_loss_weight", "auxiliary_loss_weight", "audio_lr_ratio"])
def test_a_number_that_makes_no_sense_is_refused_by_the_name_of_its_option(name: str, value: str) -> None:
    sentence = refusal(lambda: Options.from_environment({name.upper(): value}))
    assert sentence.startswith(f"{name} is ")
    assert "give a number" in sentence


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CODEBOOK_LOSS_WEIGHTS", "1 -1", "numbers from 0 up"),
        ("CODEBOOK_LOSS_WEIGHTS", "0 0 0", "not all of them 0"),
        ("CODEBOOK_LOSS_WEIGHTS", "1 nan", "numbers from 0 up"),
        ("CODEBOOK_LOSS_WEIGHTS", "1 two", "give a number"),
        ("SKIP_BAD_ROWS", "perhaps", "true or false"),
    ],
)
def test_other_values_that_make_no_sense_are_refused(name: str, value: str, words: str) -> None:
    assert words in refusal(lambda: Options.from_environment({name: value}))


def test_a_run_that_would_learn_nothing_is_refused() -> None:
    assert "nothing would be learnt" in refusal(
        lambda: Options.from_environment({"TEXT_LOSS_WEIGHT": "0", "AUDIO_LOSS_WEIGHT": "0.0"})
    )
    assert Options.from_environment({"TEXT_LOSS_WEIGHT": "0"}).audio_loss_weight == 1

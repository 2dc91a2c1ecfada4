"""What is said about runs that go well, and about runs that do not."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.training.monitoring.diagnosis import diagnose
from studio.training.monitoring.findings import Finding
from studio.training.monitoring.run_log import RunLog
from studio.training.monitoring.samples import Sample, StepSamples

_numbers = itertools.count()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., RunLog]:
    """Makes the log of a run from its losses."""

    def make(train: Sequence[float], evals: Mapping[int, float] | None = None, max_steps: int | None = None) -> RunLog:
        path = tmp_path / f"{next(_numbers)}.jsonl"
        lines: list[dict[str, Any]] = []
        for step, value in enumerate(train, 1):
            place = {"global_step/max_steps": f"{step}/{max_steps or len(train)}"}
            lines.append({"loss": value, "audio_loss": value} | place)
            if evals and step in evals:
                lines.append({"eval_loss": evals[step], "eval_audio_loss": evals[step]} | place)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        log = RunLog(path)
        log.refresh()
        return log

    return make


def spoken(
    step: int, *, ended: bool = True, loudness: float = -20.0, same: bool = False, count: int = 2, error: str = ""
) -> StepSamples:
    """Samples of a step, all alike."""
    sample = Sample("Hello.", Path("a.wav"), 8.1 if not ended else 2.0, ended, 8.1, loudness, same)
    return StepSamples(step, () if error else (sample,) * count, error)


def falling(num: int = 200, noise: float = 0.1, seed: int = 0) -> list[float]:
    """The loss of a run that goes well."""
    done = np.arange(num) / num
    return ((3 + 5 * np.exp(-5 * done)) * np.exp(np.random.default_rng(seed).normal(0, noise, num))).tolist()


def kinds(findings: Sequence[Finding]) -> list[str]:
    """What was found, in order."""
    return [finding.kind for finding in findings]


def only(findings: Sequence[Finding], kind: str) -> Finding:
    """The one finding there is."""
    assert kinds(findings) == [kind]
    return findings[0]


# Going well


def test_a_run_that_goes_well_is_called_fine_and_why(run: Callable[..., RunLog]) -> None:
    evals = {40: 5.0, 80: 4.2, 120: 3.9, 160: 3.75, 200: 3.7}
    found = only(
        diagnose(run(falling(), evals), [spoken(0, ended=False), spoken(200)], {200: {"applied": True}}), "fine"
    )
    assert found.tone == "good"
    assert "lowest at step 200 (3.7)" in found.evidence
    assert "2 of 2 samples at step 200 ended by themselves" in found.evidence
    assert "steps 1 to 20" in found.evidence and "steps 181 to 200" in found.evidence


def test_the_first_steps_are_too_early_to_judge(run: Callable[..., RunLog]) -> None:
    found = only(diagnose(run(falling()[:19], max_steps=200), [], {}), "too_early")
    assert found.evidence.startswith("19 steps logged so far, up to step 19 of 200")
    assert only(diagnose(run([]), [], {}), "too_early").tone == "info"


def test_a_loss_that_does_not_move_is_not_called_fine(run: Callable[..., RunLog]) -> None:
    values = np.random.default_rng(0).normal(8.2, 0.5, 200).tolist()
    assert "hardly moved" in only(diagnose(run(values), [], {}), "too_early").title


def _noises(num: int, seed: int) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(seed)
    waves = np.zeros(num)
    for i in range(1, num):
        waves[i] = 0.9 * waves[i - 1] + chance.normal(0, 0.04)
    return {
        "rows": np.exp(chance.normal(0, 0.3, num)),
        "the same rows in turn": np.exp(chance.normal(0, 0.2, 7))[np.arange(num) % 7],
        "waves": np.exp(waves),
        "spikes": np.exp(chance.normal(0, 0.05, num)) * np.where(chance.random(num) < 0.03, 3, 1),
    }


@pytest.mark.parametrize("num", [30, 100, 400])
@pytest.mark.parametrize("course", ["falls", "flat", "nearly nothing left"])
def test_noise_is_no_divergence(run: Callable[..., RunLog], num: int, course: str) -> None:
    done = np.arange(num) / num
    clean = {"falls": 3 + 5 * np.exp(-5 * done), "flat": 8.2 + 0 * done, "nearly nothing left": 8 * np.exp(-8 * done)}
    for seed in range(6):
        for name, noise in _noises(num, seed).items():
            found = diagnose(run((clean[course] * noise).tolist()), [], {})
            assert "diverging" not in kinds(found), (name, seed, found)


# Diverging


@pytest.mark.parametrize("num", [40, 150, 400])
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_a_loss_that_rises_again_diverges(run: Callable[..., RunLog], num: int, noise: float) -> None:
    done = np.arange(num) / num
    clean = 3 + 5 * np.exp(-8 * done) + 10 * np.maximum(0, done - 0.6)
    values = clean * np.exp(np.random.default_rng(1).normal(0, noise, num))
    found = diagnose(run(values.tolist()), [], {})[0]
    assert (found.kind, found.tone) == ("diverging", "bad")
    lowest = float(found.evidence.split("come down to ")[1].split()[0])
    assert lowest == pytest.approx(3, rel=0.1) and f"to {num})" in found.evidence


def test_a_loss_that_jumps_up_from_the_first_steps_diverges(run: Callable[..., RunLog]) -> None:
    assert kinds(diagnose(run([8.0] * 10 + [14.0] * 90), [], {})) == ["diverging"]


def test_a_bump_that_is_over_is_no_divergence(run: Callable[..., RunLog]) -> None:
    values = falling(noise=0.02)
    values[80:110] = [9.0] * 30
    assert kinds(diagnose(run(values), [], {})) == ["fine"]


def test_a_loss_near_nothing_may_double(run: Callable[..., RunLog]) -> None:
    assert kinds(diagnose(run([*np.linspace(8, 0.003, 100).tolist(), *[0.006] * 40]), [], {})) == ["fine"]


@pytest.mark.parametrize(("value", "word"), [(math.nan, "not a number"), (math.inf, "infinite")])
def test_a_loss_that_broke_is_told_with_its_first_step(run: Callable[..., RunLog], value: float, word: str) -> None:
    found = diagnose(run([*falling(30), *[value] * 10]), [], {})[0]
    assert (found.kind, found.tone) == ("diverging", "bad")
    assert f"was {word} at 10 of 40 logged steps, first at step 31" in found.evidence


def test_a_loss_that_broke_is_seen_at_the_second_step(run: Callable[..., RunLog]) -> None:
    assert kinds(diagnose(run([8.0, math.nan], max_steps=100), [], {})) == ["diverging"]


def test_a_loss_that_broke_once_is_a_warning(run: Callable[..., RunLog]) -> None:
    values = falling()
    values[99] = math.nan
    found = only(diagnose(run(values), [], {}), "diverging")
    assert found.tone == "warn" and "1 of 200 logged steps, first at step 100" in found.evidence


def test_a_loss_that_broke_on_held_out_rows_only_is_told(run: Callable[..., RunLog]) -> None:
    found = only(diagnose(run(falling(), {100: 4.0, 200: math.nan}), [], {}), "diverging")
    assert "on held-out rows was not a number at 1 of 2 logged steps, first at step 200" in found.evidence


# Memorising

TURNED = {25: 5.0, 50: 4.2, 75: 3.9, 100: 3.8, 125: 3.9, 150: 4.1, 175: 4.3, 200: 4.6}


def test_rows_learnt_by_heart_are_told_with_the_best_checkpoint(run: Callable[..., RunLog]) -> None:
    samples = [spoken(0, ended=False), spoken(60), spoken(110), spoken(200)]
    found = only(diagnose(run(falling(), TURNED), samples, {}), "memorising")
    assert "lowest at step 100 (3.8) and is 4.6 at step 200" in found.evidence
    assert "checkpoint of step 110, the nearest one that was saved" in found.advice


def test_the_best_step_is_advised_where_it_was_saved_or_nothing_was(run: Callable[..., RunLog]) -> None:
    log = run(falling(), TURNED)
    assert "step 100, which was the best one" in only(diagnose(log, [], {100: {}, 200: {}}), "memorising").advice
    assert "near step 100" in only(diagnose(log, [spoken(0)], {}), "memorising").advice


@pytest.mark.parametrize("wiggle", [0.0, 0.003])
def test_evaluations_that_flatten_are_not_learning_by_heart(run: Callable[..., RunLog], wiggle: float) -> None:
    for seed in range(10):
        noise = np.exp(np.random.default_rng(seed).normal(0, wiggle, 20))
        evals = {10 * (i + 1): float((3.8 + math.exp(-0.5 * i)) * noise[i]) for i in range(20)}
        assert kinds(diagnose(run(falling(seed=seed), evals), [], {})) == ["fine"]


def test_evaluations_that_give_back_little_of_what_they_won_are_fine(run: Callable[..., RunLog]) -> None:
    evals = {40: 8.0, 80: 5.0, 120: 4.0, 160: 4.1, 200: 4.1}
    assert kinds(diagnose(run(falling(), evals), [], {})) == ["fine"]


def test_one_bad_evaluation_at_the_end_is_no_turn(run: Callable[..., RunLog]) -> None:
    evals = {40: 5.0, 80: 4.5, 120: 4.2, 160: 4.0, 200: 4.8}
    assert kinds(diagnose(run(falling(), evals), [], {})) == ["fine"]


def test_held_out_rows_that_rise_with_the_training_rows_are_not_learnt_by_heart(run: Callable[..., RunLog]) -> None:
    values = np.concatenate([np.linspace(8, 4, 100), np.linspace(4, 8, 100)]).tolist()
    assert kinds(diagnose(run(values, TURNED), [], {})) == ["diverging"]


# Samples


def test_a_run_that_does_not_stop_is_told_with_a_step_that_did(run: Callable[..., RunLog]) -> None:
    samples = [spoken(0, ended=False), spoken(80), spoken(120, ended=False)]
    found = only(diagnose(run(falling(120)), samples, {}), "stop_not_learnt")
    assert "2 of 2 samples at step 120 ran to their budget of 8.1 s" in found.evidence
    assert "step 80" in found.advice


def test_not_stopping_is_expected_early(run: Callable[..., RunLog]) -> None:
    never = [spoken(0, ended=False)]
    assert kinds(diagnose(run(falling(90)), [*never, spoken(90, ended=False)], {})) == ["fine"]
    log = run(falling(120), max_steps=1_000)
    assert kinds(diagnose(log, [*never, spoken(120, ended=False)], {})) == ["fine"]
    assert kinds(diagnose(log, [spoken(120, ended=False)], {})) == ["fine"]


def test_a_base_that_stopped_makes_not_stopping_a_fault_at_once(run: Callable[..., RunLog]) -> None:
    samples = [spoken(0), spoken(30, ended=False, count=1)]
    found = only(diagnose(run(falling(40)), samples, {}), "stop_not_learnt")
    assert "1 of 1 sample at step 30 ran to its budget" in found.evidence and "The base stopped" in found.evidence


def test_only_the_last_samples_count_and_those_that_failed_do_not(run: Callable[..., RunLog]) -> None:
    samples = [spoken(100, ended=False, loudness=-90), spoken(150), spoken(200, error="No memory was left.")]
    found = only(diagnose(run(falling()), samples, {}), "fine")
    assert "2 of 2 samples at step 150 ended by themselves" in found.evidence


def test_a_run_that_fell_silent_is_told_with_a_step_that_spoke(run: Callable[..., RunLog]) -> None:
    found = only(diagnose(run(falling()), [spoken(0), spoken(150), spoken(200, loudness=-93)], {}), "silent")
    assert found.tone == "bad"
    assert "2 of 2 samples at step 200 are below −60 dBFS, the loudest at −93 dBFS" in found.evidence
    assert "Step 150" in found.advice


def test_some_silence_is_a_warning(run: Callable[..., RunLog]) -> None:
    loud, silent = spoken(200).samples[0], spoken(200, loudness=-61).samples[0]
    found = only(diagnose(run(falling()), [StepSamples(200, (loud, silent))], {}), "silent")
    assert found.tone == "warn" and "1 of 2 samples at step 200 is below −60 dBFS: −61 dBFS" in found.evidence


def test_silence_of_the_saved_adapter_is_told(run: Callable[..., RunLog]) -> None:
    comparisons = {100: {"applied": True}, 200: {"applied": True, "silent": True, "loudness_dbfs": -80.0}}
    found = only(diagnose(run(falling()), [], comparisons), "silent")
    assert "adapter of step 200 spoke silence (−80 dBFS)" in found.evidence


def test_of_a_silent_run_it_is_told_that_the_base_was_silent_too(run: Callable[..., RunLog]) -> None:
    found = only(diagnose(run(falling()), [spoken(0, loudness=-90), spoken(200, loudness=-90)], {}), "silent")
    assert "The base was silent too" in found.evidence


def test_an_adapter_that_changes_nothing_is_told(run: Callable[..., RunLog]) -> None:
    found = only(diagnose(run(falling()), [], {200: {"applied": False, "logit_change": 0.0}}), "no_effect")
    assert found.tone == "bad" and "step 200" in found.evidence and "largest change is 0" in found.evidence


def test_samples_like_the_base_are_a_warning(run: Callable[..., RunLog]) -> None:
    found = only(diagnose(run(falling()), [spoken(0, same=True), spoken(200, same=True)], {}), "no_effect")
    assert found.tone == "warn" and "2 of 2 samples at step 200 are code for code" in found.evidence


def test_a_comparison_that_failed_or_a_later_one_that_works_says_nothing(run: Callable[..., RunLog]) -> None:
    comparisons = {100: {"applied": False}, 150: {"applied": True}, 200: {"error": "No memory was left."}, 180: {}}
    assert kinds(diagnose(run(falling()), [], comparisons)) == ["fine"]


def test_the_worst_comes_first(run: Callable[..., RunLog]) -> None:
    samples = [spoken(0, ended=False), spoken(200, ended=False, loudness=-90)]
    found = diagnose(run(falling(), TURNED), samples, {})
    assert kinds(found) == ["silent", "stop_not_learnt", "memorising"]
    for finding in found:
        assert finding.title and finding.evidence.endswith(".") and finding.advice.endswith(".")


def test_a_rise_of_some_percent_is_no_divergence(run: Callable[..., RunLog]) -> None:
    chance = np.random.default_rng(0)
    values = np.linspace(8.0, 8.6, 200) * np.exp(chance.normal(0, 0.01, 200))
    assert "diverging" not in kinds(diagnose(run(values.tolist()), [], {}))
    given_back = np.concatenate([np.linspace(8, 2, 150), np.linspace(2, 2.8, 50)])
    assert kinds(diagnose(run(given_back.tolist()), [], {})) == ["fine"]


@pytest.mark.parametrize(
    "evals",
    [
        [3.8 + 0.002 * i for i in range(20)],  # a rise of one in a hundred
        [*np.linspace(8, 4, 15), 4.15, 4.15, 4.15, 4.15, 4.15],  # little of what was won
        [*np.linspace(4.6, 3.8, 17), 3.81, 4.3, 3.81],  # one that is off
    ],
)
def test_evaluations_that_barely_turn_up_are_fine(run: Callable[..., RunLog], evals: list[float]) -> None:
    held_out = {10 * (i + 1): float(value) for i, value in enumerate(evals)}
    assert kinds(diagnose(run(falling(), held_out), [], {})) == ["fine"]


def test_a_failure_comes_before_a_warning(run: Callable[..., RunLog]) -> None:
    values = falling()
    values[99] = math.nan
    found = diagnose(run(values), [spoken(200, loudness=-90)], {})
    assert [finding.tone for finding in found] == ["bad", "warn"]


def test_a_comparison_that_failed_does_not_hide_the_one_before(run: Callable[..., RunLog]) -> None:
    comparisons = {100: {"applied": False}, 200: {"error": "No memory was left."}}
    assert "step 100" in only(diagnose(run(falling()), [], comparisons), "no_effect").evidence

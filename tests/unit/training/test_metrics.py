"""The log of a run, while it is written, after a crash, and after a resume."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.training.monitoring.curves import smoothed, thinned
from studio.training.monitoring.run_log import RunLog


def line(step: int, max_steps: int = 100, *, evaluation: bool = False, **values: float) -> str:
    """A line as ms-swift writes it."""
    values = {f"eval_{name}": value for name, value in values.items()} if evaluation else values
    row: dict[str, Any] = {**values, "epoch": step / 10, "global_step/max_steps": f"{step}/{max_steps}"}
    return json.dumps(row | {"elapsed_time": "0s", "remaining_time": "1s", "train_speed(s/it)": 0.25}) + "\n"


def append(path: Path, *texts: str) -> None:
    """As a trainer does."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(texts)


def points(log: RunLog, name: str = "loss", split: Any = "train") -> list[tuple[int, float]]:
    """A curve as pairs."""
    steps, values = log.series(name, split)
    return list(zip(steps.tolist(), values.tolist(), strict=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log will be."""
    return tmp_path / "logging.jsonl"


def read(path: Path) -> RunLog:
    """A log that was read."""
    log = RunLog(path)
    log.refresh()
    return log


FINAL = (
    json.dumps({"train_dataset": "291±66, size=11", "global_step": 3, "log_history": [{"loss": 9.0, "step": 1}] * 3})
    + "\n"
)
SUMMARY = json.dumps({"train_runtime": 2.4, "train_loss": 14.9, "epoch": 0.4, "global_step/max_steps": "4/100"}) + "\n"


def test_curves_and_place_of_a_run_are_those_of_its_log(path: Path) -> None:
    append(
        path,
        line(1, loss=3.0, text_loss=1.0, grad_norm=12),
        line(2, loss=2.5, text_loss=0.5, grad_norm=11),
        line(2, loss=2.75, runtime=0.1, samples_per_second=80.0, evaluation=True),
    )
    log = read(path)
    assert points(log) == [(1, 3.0), (2, 2.5)]
    assert points(log, "loss", "eval") == [(2, 2.75)]
    assert points(log, "grad_norm") == [(1, 12.0), (2, 11.0)]
    assert log.names() == ["loss", "text_loss", "grad_norm"]
    assert log.names("eval") == ["loss"]
    assert (log.step, log.max_steps, log.epoch, log.seconds_per_step, log.num_bad_lines) == (2, 100, 0.2, 0.25, 0)
    assert points(log, "never logged") == []


def test_before_the_first_line_nothing_is_known_and_nothing_fails(path: Path) -> None:
    log = RunLog(path)
    assert not log.refresh()
    assert (log.step, log.max_steps, log.epoch, log.seconds_per_step, log.version) == (0, 0, None, None, 0)
    path.touch()
    assert not log.refresh()
    assert log.last("loss") is None


def test_only_news_is_news(path: Path) -> None:
    append(path, line(1, loss=3.0))
    log = RunLog(path)
    assert log.refresh()
    version = log.version
    assert not log.refresh()
    assert log.version == version
    append(path, line(2, loss=2.0), line(3, loss=1.0))
    assert log.refresh()
    assert log.version != version
    assert points(log) == [(1, 3.0), (2, 2.0), (3, 1.0)]


def test_a_line_that_is_still_written_waits(path: Path) -> None:
    text = line(2, loss=2.0)
    append(path, line(1, loss=3.0), text[:25])
    log = read(path)
    assert points(log) == [(1, 3.0)]
    append(path, text[25:-1])
    assert not log.refresh()
    append(path, "\n")
    assert log.refresh()
    assert points(log) == [(1, 3.0), (2, 2.0)]
    assert log.num_bad_lines == 0


def test_a_killed_writer_costs_one_line(path: Path) -> None:
    append(path, line(1, loss=3.0), line(2, loss=2.0)[:30], line(3, loss=1.0), line(4, loss=0.5))
    log = read(path)
    assert points(log) == [(1, 3.0), (3, 1.0), (4, 0.5)]
    assert log.num_bad_lines == 1
    append(path, "garbage\n", '{"loss": 1, \n', "\n", line(5, loss=0.25))
    log.refresh()
    assert log.num_bad_lines == 3
    assert points(log)[-1] == (5, 0.25)


def test_a_whole_line_without_its_end_is_not_lost(path: Path) -> None:
    append(path, line(1, loss=3.0)[:-1], line(2, loss=2.0))
    log = read(path)
    assert points(log) == [(1, 3.0), (2, 2.0)]
    assert log.num_bad_lines == 0


def test_a_line_cut_within_a_letter_costs_itself_alone(path: Path) -> None:
    cut = '{"train_dataset": "291±'.encode()[:-1]
    path.write_bytes(line(1, loss=3.0).encode() + cut + line(2, loss=2.0).encode())
    log = read(path)
    assert points(log) == [(1, 3.0), (2, 2.0)]
    assert log.num_bad_lines == 1


def test_the_last_line_repeats_everything_and_is_no_step(path: Path) -> None:
    append(path, line(3, loss=3.0), SUMMARY, FINAL)
    log = read(path)
    assert points(log) == [(3, 3.0)]
    assert log.step == 4
    assert log.names() == ["loss"]
    assert log.num_bad_lines == 0


def test_not_a_number_is_kept(path: Path) -> None:
    append(path, line(1, loss=math.nan), line(2, loss=math.inf), line(3, loss=1.0))
    assert np.array_equal(read(path).series("loss")[1], [math.nan, math.inf, 1.0], equal_nan=True)


def test_a_resumed_run_replaces_what_was_after_its_checkpoint(path: Path) -> None:
    append(path, *(line(step, loss=float(step)) for step in range(1, 5)), line(4, loss=44.0, evaluation=True))
    append(path, *(line(step, loss=float(step)) for step in range(5, 9)), line(8, loss=88.0, evaluation=True), FINAL)
    log = read(path)
    append(path, line(5, loss=0.5))
    log.refresh()
    assert points(log) == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 0.5)]
    assert points(log, "loss", "eval") == [(4, 44.0)]
    assert log.step == 5
    append(path, line(6, loss=0.6), line(8, loss=0.8), line(8, loss=0.88, evaluation=True))
    log.refresh()
    assert points(log)[-3:] == [(5, 0.5), (6, 0.6), (8, 0.8)]
    assert points(log, "loss", "eval") == [(4, 44.0), (8, 0.88)]


def test_a_resumed_run_that_evaluates_first_replaces_what_came_later(path: Path) -> None:
    append(path, line(10, loss=3.0), line(12, loss=12.0, evaluation=True), line(20, loss=2.0))
    append(path, line(12, loss=0.12, evaluation=True), line(20, loss=1.0))
    log = read(path)
    assert points(log, "loss", "eval") == [(12, 0.12)]
    assert points(log) == [(10, 3.0), (20, 1.0)]


def test_the_evaluation_of_a_checkpoint_stays_when_it_is_resumed_from(path: Path) -> None:
    append(path, line(4, loss=3.0), line(4, loss=3.5, evaluation=True), line(5, loss=2.0), line(5, loss=1.0))
    log = read(path)
    assert points(log, "loss", "eval") == [(4, 3.5)]
    assert points(log) == [(4, 3.0), (5, 1.0)]


def test_a_file_that_shrank_is_read_anew(path: Path) -> None:
    append(path, line(1, loss=3.0), line(2, loss=2.0))
    log = read(path)
    path.write_text(line(1, loss=9.0), encoding="utf-8")
    assert log.refresh()
    assert points(log) == [(1, 9.0)]


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_that_was_replaced_by_a_longer_one_is_read_anew(path: Path, in_place: bool) -> None:
    append(path, line(1, loss=3.0))
    log = read(path)
    other = path if in_place else path.with_suffix(".new")
    other.write_text(line(1, loss=9.5) + line(2, loss=8.5), encoding="utf-8")
    other.replace(path)
    assert log.refresh()
    assert points(log) == [(1, 9.5), (2, 8.5)]


def test_a_file_that_is_gone_has_no_curves(path: Path) -> None:
    append(path, line(1, loss=3.0))
    log = read(path)
    path.unlink()
    assert log.refresh()
    assert points(log) == []
    assert not log.refresh()


def test_the_value_at_a_step_is_the_last_one_logged_before_it(path: Path) -> None:
    append(path, line(5, loss=3.0), line(10, loss=2.0), line(15, loss=1.0))
    log = read(path)
    assert log.last("loss") == 1.0
    assert log.last("loss", at_or_before=10) == 2.0
    assert log.last("loss", at_or_before=14) == 2.0
    assert log.last("loss", at_or_before=4) is None


@pytest.mark.parametrize("progress", ["", "4", "a/b", "-1/5", "1/2/3", f"{10**30}/1", None, 4])
def test_a_line_without_a_place_is_skipped(path: Path, progress: Any) -> None:
    append(path, json.dumps({"loss": 1.0, "global_step/max_steps": progress}) + "\n", line(1, loss=3.0))
    log = read(path)
    assert points(log) == [(1, 3.0)]
    assert log.num_bad_lines == 1


def test_values_that_are_no_numbers_are_no_curves(path: Path) -> None:
    append(path, line(1, loss=3.0, fine=True, note="x", huge=10**400))  # type: ignore[arg-type]
    assert read(path).names() == ["loss"]


def test_a_pace_that_is_not_known_yet_is_no_pace(path: Path) -> None:
    append(path, line(1, loss=3.0).replace("0.25", "0.0"))
    assert read(path).seconds_per_step is None


# Thinned and smoothed


@pytest.mark.parametrize("num", [0, 1, 5, 499, 500, 501, 777, 100_003])
def test_thinned_is_short_and_keeps_its_ends(num: int) -> None:
    values = np.random.default_rng(0).normal(size=num)
    steps, kept = thinned(np.arange(num) * 3, values, 500)
    assert len(steps) == len(kept) <= 500
    assert len(steps) == num or len(steps) > 300
    assert (np.diff(steps) > 0).all()
    if num:
        assert (steps[0], steps[-1]) == (0, 3 * (num - 1))
        assert (kept[0], kept[-1]) == (values[0], values[-1])
        assert (kept.min(), kept.max()) == (values.min(), values.max())


@pytest.mark.parametrize("place", [1, 4_321, 9_998])
def test_thinned_keeps_a_single_spike(place: int) -> None:
    values = np.zeros(10_000)
    values[place] = 5.0
    steps, kept = thinned(np.arange(10_000), values, 100)
    assert kept[steps == place].tolist() == [5.0]


def test_thinned_keeps_gaps() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    values[3_000:3_002] = np.nan
    values[8_000:] = np.inf
    steps, kept = thinned(np.arange(10_000), values, 100)
    assert len(kept) <= 100
    assert 3_000 in steps[np.isnan(kept)]
    assert np.isfinite(kept[steps < 3_000]).all()
    assert not np.isfinite(kept[steps >= 8_000]).any()
    assert kept[np.isfinite(kept)].max() == values[np.isfinite(values)].max()


def test_thinned_to_two_points_keeps_both_ends() -> None:
    assert thinned(np.arange(100), np.arange(100.0), 2)[0].tolist() == [0, 99]


def naive(values: list[float], weight: float) -> list[float]:
    """The definition, one value after the other."""
    result, mean, past = [], 0.0, 1.0
    for value in values:
        mean, past = weight * mean + (1 - weight) * value, past * weight
        result.append(mean / (1 - past))
    return result


@pytest.mark.parametrize("weight", [0.3, 0.9, 0.999])
def test_smoothed_is_the_corrected_moving_average(weight: float) -> None:
    values = np.random.default_rng(0).normal(5.0, 1.0, size=2_000)
    assert np.allclose(smoothed(values, weight), naive(values.tolist(), weight), rtol=1e-10)


def test_smoothed_by_nothing_is_the_curve_and_by_all_its_mean() -> None:
    values = np.array([4.0, 2.0, 6.0])
    assert smoothed(values, 0.0).tolist() == [4.0, 2.0, 6.0]
    assert np.allclose(smoothed(values, 1.0), [4.0, 3.0, 4.0])
    assert smoothed(np.array([]), 0.5).tolist() == []


def test_smoothed_goes_on_after_a_gap() -> None:
    values = np.array([4.0, math.nan, 2.0, math.inf, 6.0])
    result = smoothed(values, 0.5)
    assert np.isnan(result[[1, 3]]).all()
    assert np.allclose(result[[0, 2, 4]], smoothed(np.array([4.0, 2.0, 6.0]), 0.5))
    assert values[1] != values[1]


def test_an_evaluation_before_the_last_step_says_that_it_was_resumed(path: Path) -> None:
    append(path, line(10, loss=3.0), line(20, loss=2.0), line(30, loss=1.0), line(20, loss=9.0, evaluation=True))
    log = read(path)
    assert points(log) == [(10, 3.0), (20, 2.0)]
    assert points(log, "loss", "eval") == [(20, 9.0)]


def test_thinned_is_short_where_every_other_value_is_missing() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    values[::2] = np.nan
    assert len(thinned(np.arange(10_000), values, 100)[0]) <= 100

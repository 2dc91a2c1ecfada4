"""How figures spread, and how long something will still take: numbers that people read off a page."""

from __future__ import annotations

import numpy as np
import pytest

from studio.datasets.dataset import Dataset
from studio.datasets.editing import Editor
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures.distributions import MAX_BINS, MAX_SPEAKERS, distributions, histogram
from studio.datasets.measures.measuring import measure_dataset
from studio.datasets.spreading.pace import Pace


def test_bins_have_widths_that_people_count_in() -> None:
    few = histogram([2.0, 3.0, 9.9])
    assert few.edges == (2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert few.counts == (1, 1, 0, 0, 0, 0, 0, 1)  # 3.0 lies on an edge: in the upper bin
    assert (few.median, few.count) == (3.0, 3)
    one = histogram([5.0])
    assert sum(one.counts) == 1 and one.edges[0] <= 5 < one.edges[-1]
    assert histogram([0.0]).counts == (1,)
    assert histogram([2.91, 3.08, 3.08], least=0.1).edges == (2.9, 3.0, 3.1)
    assert histogram([]).counts == () and histogram([float("nan")]).median is None


def test_one_slip_among_many_does_not_squeeze_the_rest() -> None:
    values = np.random.default_rng(1).normal(14, 2, 20_000)
    values[:3] = 900.0
    found = histogram(values.tolist())
    assert found.edges[-1] < 25 and len(found.counts) <= MAX_BINS + 2
    assert found.above >= 3
    assert found.count == 20_000
    assert found.median == pytest.approx(14, abs=0.1)


def test_figures_are_those_of_kept_utterances(dataset: Dataset, library: DatasetLibrary) -> None:
    before = distributions(library, dataset)
    utterances = library.utterances(dataset.id)
    assert (before.utterances, before.measured, before.rates.counts, before.snrs.counts) == (7, 0, (), ())
    assert before.durations.median == pytest.approx(np.median([each.seconds for each in utterances]))
    assert before.minutes[0] == ("Kathleen", pytest.approx(sum(each.seconds for each in utterances[:-1]) / 60))
    assert before.minutes[1][0] == "Ben"

    measure_dataset(library, dataset)
    Editor(library, dataset.id).change_all([utterances[-1].id], "dropped Ben", state="dropped")
    after = distributions(library, library.dataset(dataset.id))
    kept = [each.measures for each in library.utterances(dataset.id)]
    assert (after.utterances, after.measured, len(after.minutes)) == (6, 6, 1)
    assert after.rates.median == pytest.approx(np.median([each["characters_per_second"] for each in kept]))
    assert after.snrs.median == pytest.approx(np.median([each["snr_db"] for each in kept]))
    assert after.as_json()["seconds"]["counts"] == list(after.durations.counts)


def test_many_speakers_are_some_bars_and_the_others(dataset: Dataset, library: DatasetLibrary) -> None:
    from dataclasses import replace

    from studio.datasets.dataset import Speaker

    many = replace(dataset, speakers=tuple(Speaker(f"p{number:03}", 1, 60.0 * number) for number in range(1, 110)))
    found = distributions(library, many)
    assert len(found.minutes) == MAX_SPEAKERS and found.minutes[0] == ("p109", 109.0)
    assert found.other_speakers == 109 - len(found.minutes)
    assert sum(minutes for _, minutes in found.minutes) + found.other_minutes == pytest.approx(sum(range(1, 110)))


# Time left


class Clock:
    """Seconds that a test lets pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_time_left_is_told_when_it_can_be_and_what_was_kept_does_not_count() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin(1000, free=900)
    for done in range(1, 901):  # kept figures, in no time
        pace.reach(done)
    assert pace.words == ""
    clock.now += 20  # a model is loaded for the first
    for done in range(901, 906):
        pace.reach(done)
        assert (pace.left_seconds is None) == (done < 903)
        clock.now += 2
    # 5 of 100 done, 2 s each.
    assert pace.left_seconds == pytest.approx(95 * 2.5)
    assert pace.words == ", about 4 min left"
    clock.now += 100  # nothing moves
    assert (pace.left_seconds or 0) > 1000
    pace.begin(None)
    for done in range(1, 10):
        pace.reach(done)
        clock.now += 2
    assert pace.words == ""


def test_time_left_follows_a_change_of_speed() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin(10_000)
    for done in range(1, 2001):
        clock.now += 0.01
        pace.reach(done)
    for done in range(2001, 2101):
        clock.now += 1
        pace.reach(done)
    assert pace.left_seconds == pytest.approx(7900, rel=0.05)

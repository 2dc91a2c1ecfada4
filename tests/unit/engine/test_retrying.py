"""Parts that come out badly are spoken again: the best is kept, nothing is heard before, and a seed says it again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform
from studio.engine.model.sampling import Sampling
from studio.engine.speech.chunk import SpokenChunk
from studio.engine.speech.plan import plan_speech
from studio.engine.speech.reference import Reference
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.retrying import Attempt, Fault, Retrying, best_of, faults_by_rule
from studio.engine.text import Script

LIVELY = Sampling(temperature=1.0)
TEXT = "Good morning to you all."
LONG = "The ferry leaves at nine in the morning. " * 8


class Picky:
    """Finds something wrong with the first attempts of every part; of a worse kind each time but the last."""

    name = "picky"

    def __init__(self, weights: list[float]) -> None:
        self.weights, self.heard, self.kept = weights, list[str](), list[int]()

    def faults(self, chunk: SpokenChunk, sound: Waveform) -> list[Fault]:
        number = self.heard.count(chunk.prompt_text)
        self.heard.append(chunk.prompt_text)
        weight = self.weights[number] if number < len(self.weights) else 0.0
        return [Fault("words", f"complaint {number}", weight)] if weight else []

    def keep(self, chunk: SpokenChunk, sound: Waveform) -> None:
        self.kept.append(sound.num_samples)


def spoken(engine: Any, text: str, retrying: Retrying | None, **options: Any) -> Any:
    stream = engine.stream(SpeechRequest(Script(text), retrying=retrying, **{"seed": 5, "sampling": LIVELY, **options}))
    pieces = list(stream)
    np.testing.assert_array_equal(np.concatenate(pieces), stream.speech.waveform.samples)
    return stream.speech


@pytest.fixture(scope="module")
def seed(engine: Any) -> int:
    """A seed with which the tiny checkpoint stops by itself."""
    return next(each for each in range(60) if not wrong(engine.clone(TEXT, sampling=LIVELY, seed=each)))


def wrong(speech: Any) -> bool:
    (chunk,) = plan_speech(SpeechRequest(Script(TEXT)), max_chars=100, frame_rate=25.0).chunks
    return bool(faults_by_rule(chunk, speech.waveform, ended=speech.ended))


def test_what_is_right_at_once_sounds_as_without_and_each_further_attempt_as_its_own_seed(
    engine: Any, seed: int
) -> None:
    plain = spoken(engine, TEXT, None, seed=seed)
    right = spoken(engine, TEXT, Retrying(2, Picky([])), seed=seed)
    np.testing.assert_array_equal(right.codes, plain.codes)
    assert not right.chunks[0].retried
    assert (right.retried(), right.retry, right.heard_back_by) == ([], 2, "picky")
    assert (plain.retry, plain.chunks[0].attempts) == (0, ())
    # The second attempt of a text of one part is what its seed alone would have said.
    judge = Picky([9.0, 1.0, 9.0])
    again = spoken(engine, TEXT, Retrying(2, judge), seed=seed)
    assert [attempt.seed for attempt in again.chunks[0].attempts] == [seed, seed + 1, seed + 2]
    assert [attempt.kept for attempt in again.chunks[0].attempts] == [False, True, False]
    np.testing.assert_array_equal(again.codes, spoken(engine, TEXT, None, seed=seed + 1).codes)
    assert len(judge.kept) == 1
    assert again.retried()[0].startswith("It was spoken again 2 times, because complaint 0: ")
    assert f"that of seed {seed + 1} was kept, though " in again.retried()[0]
    same = spoken(engine, TEXT, Retrying(2, Picky([9.0, 1.0, 9.0])), seed=seed)
    np.testing.assert_array_equal(again.codes, same.codes)


def test_of_a_long_text_only_the_bad_part_is_spoken_again_and_none_is_heard_before_it_was_judged(engine: Any) -> None:
    plain = spoken(engine, LONG, None)
    assert len(plain.chunks) >= 2
    judge = Picky([9.0])
    stream = engine.stream(
        SpeechRequest(Script(LONG), seed=5, sampling=LIVELY, retrying=Retrying(1, judge, long_only=True))
    )
    first = next(stream)
    assert len(first)
    assert len(judge.kept) == 1
    list(stream)
    assert all(len(chunk.attempts) == 2 for chunk in stream.speech.chunks)
    assert spoken(engine, TEXT, Retrying(1, Picky([9.0]), long_only=True)).retry == 0
    stopped = engine.stream(SpeechRequest(Script(LONG), seed=5, sampling=LIVELY, retrying=Retrying(1, Picky([9.0]))))
    next(stopped)
    stopped.close()
    assert list(stopped) == []


def test_a_part_that_runs_into_its_budget_is_spoken_again_without_any_ears(
    engine: Any, references: list[Reference]
) -> None:
    """The tiny checkpoint seldom stops."""
    for seed in range(20):
        found = spoken(engine, TEXT, Retrying(2), references=references[:1], seed=seed)
        (report,) = found.chunks
        if report.attempts[0].faults:
            break
    else:
        raise AssertionError("every seed of the tiny checkpoint stops by itself")
    assert [fault.kind for fault in report.attempts[0].faults] == ["budget"]
    assert not report.ended_at_once
    assert found.heard_back_by == ""
    kept = next(attempt for attempt in report.attempts if attempt.kept)
    assert report.ended == (not kept.faults)
    assert "it did not end by itself" in found.retried()[0]
    assert report.attempts[0].as_json() == {
        "seed": seed, "kept": report.attempts[0].kept,
        "faults": [{"kind": "budget", "told": "it did not end by itself"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("samples", "kinds"),
    [(0, ["silent"]), (24_000, ["short"]), (72_000, [])],
)
def test_silence_and_a_part_that_is_far_too_short_need_no_ears(samples: int, kinds: list[str]) -> None:
    chunk = SpokenChunk("The ferry leaves at nine.", "", None, 100, 0.0, 3.0)
    sound = Waveform(np.full(samples, 0.1, np.float32), 24_000)
    assert [fault.kind for fault in faults_by_rule(chunk, sound, ended=True)] == kinds
    silent = Waveform(np.zeros(72_000, np.float32), 24_000)
    assert [fault.kind for fault in faults_by_rule(chunk, silent, ended=False)] == ["budget", "silent"]


def test_of_equals_the_earlier_attempt_is_kept() -> None:
    bad, worse = Fault("words", "a", 1.0), Fault("budget", "b", 2.0)
    assert best_of([Attempt(1, (worse,)), Attempt(2, (bad,)), Attempt(3, (bad,))]) == 1

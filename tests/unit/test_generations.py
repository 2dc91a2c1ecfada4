"""What is spoken for the page goes on without it: in order, one at a time, and stops when told."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.engine.model.sampling import Sampling
from studio.store import store as store_module
from studio.store.store import Store
from studio.takes import queue as module
from studio.takes.generation import Generation
from studio.takes.queue import GenerationQueue
from studio.takes.request import SpeakRequest
from studio.takes.service import TakeService
from tests.refusals import refusal
from tests.takes import LONG, SHORT, WITHDRAW, request, run_python, saved_voice


@pytest.fixture
def generations(service: Any, owner: str) -> Iterator[GenerationQueue]:
    started = GenerationQueue(service)
    yield started
    for generation in [*started.of(owner, "tab"), *started.of("other", "tab")]:
        generation.stop()


def speaking(generation: Generation) -> Generation:
    """Wait until it is heard."""
    pieces, _ = generation.next_pieces(timeout=60)
    assert pieces
    return generation


def pieces(generation: Generation, seconds: float = 60) -> list[np.ndarray]:
    """Follow it to its end, as the page does."""
    found: list[np.ndarray] = []
    ended, until = False, time.monotonic() + seconds
    while not ended:
        assert time.monotonic() < until, f"still {generation.state}"
        ready, ended = generation.next_pieces(len(found), timeout=1)
        found += ready
    return found


def take_of(generation: Generation) -> Any:
    pieces(generation)
    assert (generation.state, generation.sentence) == ("done", None)
    return generation.take


def test_a_generation_is_kept_although_its_follower_left(
    service: Any, generations: GenerationQueue, owner: str
) -> None:
    (asked,) = generations.submit(SpeakRequest(SHORT * 3, seed=5), owner=owner, tab="tab")
    speaking(asked)  # and then nobody listens any more, as when the tab is reloaded
    (found,) = generations.of(owner, "tab")
    assert found is asked
    take = take_of(found)
    library = service.takes(owner)
    assert [kept.id for kept in library.takes()] == [take.id]
    heard = np.concatenate(pieces(found))  # a follower that comes late hears all of it
    assert len(heard) == library.waveform(take).num_samples
    assert found.generated_seconds == pytest.approx(take.seconds)
    assert found.sample_rate == take.sample_rate
    assert found.expected_seconds > 0
    assert 0 < found.elapsed < 60


def test_two_followers_hear_the_same(generations: GenerationQueue, owner: str) -> None:
    (asked,) = generations.submit(SpeakRequest(SHORT * 3, seed=5), owner=owner, tab="tab")
    with ThreadPoolExecutor(2) as pool:
        first, second = map(np.concatenate, pool.map(pieces, [asked, asked]))
    assert np.array_equal(first, second)
    assert asked.next_pieces(10_000) == ([], True)


def test_the_same_settings_and_seed_give_the_same_audio(
    service: Any, generations: GenerationQueue, owner: str, kathleen: Any
) -> None:
    saved_voice(service, owner, kathleen)
    library = service.takes(owner)
    first, second = (
        take_of(generations.submit(request(SHORT, "Anna", seed=9), owner=owner, tab="tab")[0]) for _ in range(2)
    )
    again = take_of(generations.submit(library.request_of(first), owner=owner, tab="tab")[0])
    sounds = [library.waveform(take).samples for take in (first, second, again)]
    assert np.array_equal(sounds[0], sounds[1])
    assert np.array_equal(sounds[0], sounds[2])


def test_variations_have_seeds_and_audio_of_their_own(service: Any, generations: GenerationQueue, owner: str) -> None:
    asked = generations.submit(SpeakRequest(SHORT, seed=9), owner=owner, tab="tab", variations=3)
    assert [(each.number, each.of) for each in asked] == [(1, 3), (2, 3), (3, 3)]
    takes = [take_of(each) for each in asked]
    assert takes[0].seed == 9
    assert len({take.seed for take in takes}) == 3
    library = service.takes(owner)
    assert len({library.waveform(take).samples.tobytes() for take in takes}) == 3
    assert [each.id for each in generations.of(owner, "tab")] == [each.id for each in reversed(asked)]


def test_one_after_the_other_in_the_order_of_asking(generations: GenerationQueue, owner: str) -> None:
    first = generations.submit(SpeakRequest(LONG), owner=owner, tab="tab")[0]
    second, third = generations.submit(SpeakRequest(SHORT), owner="other", tab="tab", variations=2)
    speaking(first)
    assert [each.ahead for each in (first, second, third)] == [0, 1, 2]
    assert [each.state for each in (first, second, third)] == ["speaking", "queued", "queued"]
    second.stop()
    assert third.ahead == 1
    first.stop()
    take_of(third)
    assert third.ended_at > first.ended_at


def test_stop_is_one_press_whether_it_waits_or_speaks(service: Any, generations: GenerationQueue, owner: str) -> None:
    heard, waiting = generations.submit(SpeakRequest(LONG), owner=owner, tab="tab", variations=2)
    speaking(heard)
    assert waiting.stop()
    assert (waiting.state, waiting.sentence) == ("stopped", "Stopped before it began; nothing was kept.")
    assert heard.stop()
    assert (heard.state, heard.sentence) == ("stopped", "Stopped; nothing was kept.")
    assert heard.next_pieces() == ([], True)
    assert not heard.stop()
    # The model is free for the next at once, and nothing was kept of the two.
    (last,) = generations.submit(SpeakRequest(SHORT), owner=owner, tab="tab")
    kept = take_of(last)
    assert [take.id for take in service.takes(owner).takes()] == [kept.id]
    assert generations.of(owner, "tab") == [last, waiting, heard]


def test_consent_withdrawn_by_another_process_stops_what_speaks_and_what_waits(
    service: Any, generations: GenerationQueue, owner: str, kathleen: Any
) -> None:
    anna = saved_voice(service, owner, kathleen)
    earlier = take_of(generations.submit(request(SHORT, "Anna"), owner=owner, tab="tab")[0])
    heard, waiting = generations.submit(request(LONG, "Anna"), owner=owner, tab="tab", variations=2)
    speaking(heard)
    done = run_python(WITHDRAW, service.settings.home, owner, anna.id)
    assert done.returncode == 0, done.stderr
    for each in (heard, waiting):
        pieces(each, 10)
    assert [each.state for each in (heard, waiting)] == ["failed", "failed"]
    assert heard.sentence == "The consent for Anna was withdrawn, so speaking with it was stopped."
    assert not heard.can_keep_again
    (kept,) = service.takes(owner).takes()
    assert kept.id == earlier.id
    assert kept.consent_withdrawn_at is not None
    refusal(lambda: generations.submit(request(SHORT, "Anna"), owner=owner, tab="tab"))


def test_two_owners_and_two_tabs_do_not_see_each_other(service: Any, generations: GenerationQueue, owner: str) -> None:
    (mine,) = generations.submit(SpeakRequest(SHORT, seed=1), owner=owner, tab="tab")
    (theirs,) = generations.submit(SpeakRequest(SHORT, seed=1), owner="other", tab="tab")
    take_of(mine), take_of(theirs)
    assert generations.of(owner, "tab") == [mine]
    assert generations.of(owner, "another tab") == []
    assert generations.find(owner, mine.id) is mine
    assert generations.find("other", mine.id) is None
    assert theirs.take is not None
    assert "no such take" in refusal(lambda: service.takes(owner).take(theirs.take.id))


def test_what_cannot_be_spoken_is_refused_at_once(generations: GenerationQueue, owner: str) -> None:
    def submit(text: str = SHORT, *voices: str, variations: int = 1, **changes: Any) -> Any:
        return generations.submit(request(text, *voices, **changes), owner=owner, tab="tab", variations=variations)

    for do, says in (
        (lambda: submit(" "), "There is no text"),
        (lambda: submit("x" * 10_001), "characters"),
        (lambda: submit(SHORT, seed=-1), "The seed is -1"),
        (lambda: submit(SHORT, "Nobody"), "no voice 'Nobody'"),
        (lambda: submit(variations=0), "choose 1 to 8"),
        (lambda: submit(variations=9), "choose 1 to 8"),
        (lambda: submit(variations=2, sampling=Sampling(temperature=0.0)), "temperature 0"),
    ):
        assert says.lower() in refusal(do).lower()
    assert generations.of(owner, "tab") == []


def test_nobody_fills_the_queue(generations: GenerationQueue, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    speaking(generations.submit(SpeakRequest(LONG), owner=owner, tab="tab")[0])
    waiting = generations.submit(SpeakRequest(LONG), owner=owner, tab="tab", variations=8)
    assert "8 of yours" in refusal(lambda: generations.submit(SpeakRequest(SHORT), owner=owner, tab="tab"))
    generations.submit(SpeakRequest(LONG), owner="other", tab="tab")
    monkeypatch.setattr(module, "MAX_WAITING", 9)
    assert "Too many" in refusal(lambda: generations.submit(SpeakRequest(SHORT), owner="other", tab="tab"))
    waiting[-1].stop()
    generations.submit(SpeakRequest(SHORT), owner="other", tab="tab")


def test_after_an_unexpected_error_the_next_is_spoken(
    service: Any,
    generations: GenerationQueue,
    owner: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("studio.takes.library.TakeLibrary.keep", lambda *_, **__: 1 / 0)
        (failed,) = generations.submit(SpeakRequest(SHORT), owner=owner, tab="tab")
        pieces(failed)
    assert failed.state == "failed"
    assert failed.sentence is not None
    assert "Something went wrong" in failed.sentence
    assert "ZeroDivisionError" in caplog.text
    take_of(generations.submit(SpeakRequest(SHORT), owner=owner, tab="tab")[0])


def test_what_could_not_be_saved_is_kept_once_it_can(service: Any, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.2)
    settings = service.settings
    generations = GenerationQueue(TakeService(service.host, settings, Store(settings.store_file)))
    other = sqlite3.connect(settings.store_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        (failed,) = generations.submit(SpeakRequest(SHORT, seed=3), owner=owner, tab="tab")
        pieces(failed)
        assert failed.state == "failed"
        assert failed.sentence is not None
        assert "in use by another program" in failed.sentence
        assert "in use by another program" in refusal(failed.keep_again)
    finally:
        other.close()
    assert failed.can_keep_again
    take = failed.keep_again()
    assert (failed.state, failed.sentence, failed.take) == ("done", None, take)
    assert [kept.id for kept in service.takes(owner).takes()] == [take.id]
    assert "nothing to keep" in refusal(failed.keep_again)


def test_old_takes_are_forgotten_and_their_sound_before_them(
    generations: GenerationQueue, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = generations.submit(SpeakRequest(SHORT), owner=owner, tab="tab", variations=3)
    for each in asked:
        take_of(each)
    assert asked[0].next_pieces()[0]
    monkeypatch.setattr(module, "MAX_WITH_PIECES", 1)
    generations.of(owner, "tab")
    assert [bool(each.next_pieces()[0]) for each in asked] == [False, False, True]
    monkeypatch.setattr(module, "PIECES_SECONDS", 0.0)
    generations.of(owner, "tab")
    assert asked[2].next_pieces() == ([], True)
    monkeypatch.setattr(module, "MAX_REMEMBERED_OF_OWNER", 2)
    assert generations.of(owner, "tab") == [asked[2], asked[1]]
    monkeypatch.setattr(module, "REMEMBERED_SECONDS", 0.0)
    assert generations.of(owner, "tab") == []


def test_a_process_that_exits_while_it_speaks_simply_ends(settings: Any, tmp_path: Path) -> None:
    program = """
import studio.engine
from studio.settings import get_settings
from studio.takes.queue import GenerationQueue
from studio.takes.request import SpeakRequest
from studio.takes.service import TakeService
generations = GenerationQueue(TakeService.from_settings(get_settings()))
(generation,) = generations.submit(SpeakRequest("A long story, told by nobody in particular. " * 100), owner="", tab="")
print(len(generation.next_pieces(timeout=60)[0]))
"""
    done = run_python(
        program, tmp_path, STUDIO_CHECKPOINT=settings.checkpoint, OMP_NUM_THREADS=os.environ["OMP_NUM_THREADS"]
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr

"""Takes of a comparison: the same texts and seeds for every system, kept at once, resumed, stopped, and last in the queue."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from studio.audio.reading import read_audio
from studio.audio.synthetic_mark import is_marked
from studio.evaluation.comparison import generation
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.generation import Ended, Patience, TakeMaker
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.comparison.running import tidy
from studio.evaluation.comparison.worker import work
from studio.settings import Settings
from studio.store import comparisons as queries
from studio.store import jobs
from studio.store.store import Store
from studio.store.tables import JobRecord
from studio.takes.precedence import first, somebody_waits
from studio.takes.queue import GenerationQueue
from studio.takes.service import TakeService
from tests.comparisons import TEXTS, plan_of
from tests.jobs import until
from tests.refusals import refusal
from tests.takes import LONG, SHORT, request, saved_voice
from tests.trained import register, write_adapter


def made_here(library: ComparisonLibrary, comparison: Comparison, apart: Any, **options: Any) -> Ended:
    """Make its takes in this process, with the engine that the tests share."""

    def service_of(settings: Settings, *, store: Store) -> TakeService:
        return TakeService(apart.host, settings, store)

    # Others go on with the engine: it gives no memory back.
    unload, apart.host.unload = apart.host.unload, lambda because=None: None
    try:
        return TakeMaker(library.settings, library.store, comparison.id, service_of=service_of, **options).run()
    finally:
        apart.host.unload = unload


def test_every_system_says_the_same_texts_from_the_same_seeds_as_speak_does(
    library: ComparisonLibrary, apart: Any, owner: str, tiny_checkpoint: Path, kathleen: Any, tmp_path: Path
) -> None:
    voice = saved_voice(apart, owner, kathleen)
    adapter = register(
        apart.settings, apart.store, write_adapter(tiny_checkpoint, tmp_path / "lora"), tiny_checkpoint, owner=owner
    )
    clip = str(next(iter(kathleen)))
    comparison = library.create(
        plan_of(
            {"label": "base"}, {"temperature": 0.9}, {"adapter": adapter.id, "strength": 0.5},
            {"recordings": [clip]}, texts=[SHORT], seeds=[3, 4], voice="Anna",
        ),
        start=False,
    )  # fmt: skip
    assert [(system.kind, system.label) for system in comparison.systems] == [
        ("base", "base"),
        ("sampling", "temperature 0.9, top_p 0.95, top_k 50"),
        ("adapter", f"{adapter.name} at 0.5"),
        ("recording", "recording"),
    ]
    assert (comparison.state, comparison.num_takes, comparison.num_done) == ("queued", 7, 1)
    assert made_here(library, comparison, apart) == Ended("completed")
    takes = library.takes(comparison.id)
    assert all(take.can_play for take in takes)
    spoken = [take for take in takes if take.system_id != comparison.systems[3].id]
    assert {(take.text, take.seed) for take in spoken} == {(0, 3), (0, 4)}
    assert all(is_marked(take.path) and take.synthetic for take in spoken)
    assert not any(take.synthetic for take in takes if take not in spoken)
    assert len({take.sha256 for take in takes}) == 7
    (strong,) = [
        take for take in spoken if take.system_id == comparison.systems[2].id and (take.text, take.seed) == (0, 3)
    ]
    assert strong.request["adapter_strength"] == 0.5
    assert strong.request["checkpoint"]
    assert strong.report["rtf"] > 0
    # What Speak says from the same settings and seed is the very same sound, and none of it went into the library.
    (plain,) = [
        take for take in spoken if take.system_id == comparison.systems[0].id and (take.text, take.seed) == (0, 3)
    ]
    assert apart.takes(owner).count() == 0
    alone = apart.speak(request(SHORT, voice.id, seed=3), tmp_path / "alone.flac", owner=owner)
    assert read_audio(plain.path).samples.tolist() == read_audio(alone.path).samples.tolist()

    # The adapter goes, and what it said stays.
    adapter_folder = apart.settings.home / adapter.folder
    adapter_folder.rename(tmp_path / "away")
    old = library.comparison(comparison.id)
    assert "are gone from the disk" in (old.systems[2].gone or "")
    assert [system.gone for system in old.systems[:2]] == [None, None]
    assert all(take.can_play for take in library.takes(comparison.id))


def test_a_voice_that_is_withdrawn_while_takes_are_made_says_no_more_and_the_rest_goes_on(
    library: ComparisonLibrary, apart: Any, owner: str, kathleen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_voice(apart, owner, kathleen, "Anna")
    comparison = library.create(
        plan_of({"voice": "Anna"}, {"label": "none", "voice": ""}, texts=TEXTS[:2]), start=False
    )
    keep = TakeMaker._keep

    def withdrawing(self: TakeMaker, *given: Any, **named: Any) -> None:
        keep(self, *given, **named)
        if apart.voices(owner).voice("Anna").consent.withdrawn_at is None:
            apart.voices(owner).withdraw_consent("Anna")

    monkeypatch.setattr(TakeMaker, "_keep", withdrawing)
    ended = made_here(library, comparison, apart)
    assert ended.state == "completed"
    assert "1 of 4 takes could not be made: The consent for Anna was withdrawn" in ended.sentence
    takes = library.takes(comparison.id)
    assert [take.withheld for take in takes if take.state == "made"].count(True) == 1
    old = library.comparison(comparison.id)
    assert [system.withheld for system in old.systems] == [True, False]
    assert "Anna" not in str(old.systems[0].as_json())
    withheld = next(take for take in takes if take.withheld)
    assert "withdrawn" in refusal(lambda: library.take(comparison.id, withheld.id))


def test_it_stands_back_for_whoever_waits_for_speech_and_for_a_training_on_its_device(
    library: ComparisonLibrary, apart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "LOOK_SECONDS", 0.05)
    comparison = library.create(plan_of(texts=TEXTS[:1]), start=False)
    leases, training = library.settings.leases_folder, JobRecord(owner="", name="a run", device="cpu", state="running")
    with library.store.writing() as session:
        jobs.save(session, training)
    with first(leases):
        assert somebody_waits(leases)
        thread = threading.Thread(target=made_here, args=(library, comparison, apart))
        thread.start()
        time.sleep(0.7)  # nothing may happen in it
        assert library.comparison(comparison.id).num_done == 0
    assert not somebody_waits(leases)
    time.sleep(0.7)  # the training goes on
    assert library.comparison(comparison.id).num_done == 0
    with library.store.writing() as session:
        jobs.delete(session, session.merge(training))
    thread.join(60)
    assert library.comparison(comparison.id).num_done == 2


def test_the_time_of_standing_back_is_known_so_that_it_does_not_count_as_work(library: ComparisonLibrary) -> None:
    stopped = threading.Event()
    patience = Patience(library.settings, stopped.is_set)
    assert not patience.is_set()
    assert patience.waited == 0.0
    with first(library.settings.leases_folder):
        thread = threading.Thread(target=patience.is_set)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(10)
    assert patience.waited > 0.2
    with first(library.settings.leases_folder):
        stopped.set()
        patience._next = 0.0
        assert patience.is_set()  # whoever stops it need not wait for the others


def test_a_text_on_speak_counts_as_somebody_who_waits_until_it_was_spoken(apart: TakeService, owner: str) -> None:
    leases = apart.settings.leases_folder
    (generation,) = GenerationQueue(apart).submit(request(LONG, seed=1), owner=owner, tab="t")
    until(lambda: somebody_waits(leases))
    generation.stop()
    until(lambda: not somebody_waits(leases))
    (leases / "1-0.speaking").write_text('{"pid": 1, "started": 5.0}')  # of a process that was killed
    assert not somebody_waits(leases)
    assert not (leases / "1-0.speaking").exists()


def test_whoever_stops_it_keeps_what_was_made_and_can_go_on(
    library: ComparisonLibrary, apart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "LOOK_SECONDS", 0.0)
    comparison = library.create(plan_of(texts=TEXTS[:2]), start=False)
    keep = TakeMaker._keep

    def stopping(self: TakeMaker, *given: Any, **named: Any) -> None:
        keep(self, *given, **named)
        with library.store.writing() as session:
            record = queries.comparison_by_id(session, comparison.id)
            assert record is not None
            record.state = "stopping"
            queries.save(session, record)

    monkeypatch.setattr(TakeMaker, "_keep", stopping)
    assert made_here(library, comparison, apart).state == "stopped"
    assert library.comparison(comparison.id).counts == {"made": 1, "waiting": 3}
    before = {take.id: take.sha256 for take in library.takes(comparison.id) if take.state == "made"}
    assert library.comparison(comparison.id).state == "stopped"  # nobody makes it any more, so whoever looks settles it
    assert library.resume(comparison.id, start=False).state == "queued"
    monkeypatch.setattr(TakeMaker, "_keep", keep)
    assert made_here(library, comparison, apart) == Ended("completed")
    after = {take.id: take.sha256 for take in library.takes(comparison.id)}
    assert before.items() <= after.items()


def test_a_process_that_is_killed_in_the_middle_loses_one_take_and_goes_on(
    library: ComparisonLibrary, apart: Any, processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = library.create(plan_of(texts=TEXTS[:2], seeds=[1, 2]))
    with library.store.reading() as session:
        record = queries.comparison_by_id(session, comparison.id)
    assert record is not None
    assert record.pid is not None
    until(lambda: len(list(library.folder(comparison.id).glob("*.flac"))) >= 2, 90)
    os.kill(record.pid, signal.SIGKILL)
    lost = until(lambda: (now := library.comparison(comparison.id)).state == "lost" and now)
    assert "resume it" in lost.sentence
    before = {take.id: take.sha256 for take in library.takes(comparison.id) if take.state == "made"}
    assert 1 <= len(before) < 8
    assert lost.can_resume
    library.resume(comparison.id, start=False)
    shared = partial(TakeMaker, service_of=lambda wanted, store: TakeService(apart.host, wanted, store))
    monkeypatch.setattr("studio.evaluation.comparison.worker.TakeMaker", shared)
    monkeypatch.setattr(apart.host, "unload", lambda: None)
    assert work(library.settings, library.store, comparison.id, threading.Event()) == 0
    done = library.comparison(comparison.id)
    assert (done.state, done.counts) == ("completed", {"made": 8})
    assert before.items() <= {take.id: take.sha256 for take in library.takes(comparison.id)}.items()
    assert not done.can_resume
    assert "nothing to resume" in refusal(lambda: library.resume(comparison.id))
    assert library.delete(comparison.id).name == done.name
    assert not library.folder(comparison.id).exists()


def test_a_comparison_that_nobody_else_has_is_started_by_whoever_looks_in_a_process_of_its_own(
    library: ComparisonLibrary, processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def start(module: str, argument: str, **options: Any) -> Any:
        asked.append(argument)
        return type("Started", (), {"pid": os.getpid()})()

    monkeypatch.setattr("studio.evaluation.comparison.running.start_detached", start)
    one, two = library.create(plan_of()), library.create(plan_of())
    assert asked == [one.id]
    assert (library.comparison(one.id).state, two.state, two.ahead) == ("running", "queued", 1)
    assert "stop it first" in refusal(lambda: library.delete(one.id))
    assert library.stop(two.id).sentence == "Stopped before it began."
    assert "ended already" in refusal(lambda: library.stop(two.id))
    assert library.stop(one.id).state == "stopping"
    tidy(library.settings, library.store)
    assert asked == [one.id]


def test_an_engine_that_cannot_be_had_is_told_once_for_every_take(library: ComparisonLibrary, tmp_path: Path) -> None:
    broken = tmp_path / "nothing"
    broken.mkdir()
    comparison = library.create(plan_of({"checkpoint": str(broken)}, {"checkpoint": str(tmp_path / "x")}), start=False)
    ended = TakeMaker(library.settings, library.store, comparison.id).run()
    assert ended.state == "failed"
    assert "6 of 6 takes could not be made" in ended.sentence
    broken.rmdir()
    assert library.comparison(comparison.id).systems[0].gone == "Its files are no longer there."

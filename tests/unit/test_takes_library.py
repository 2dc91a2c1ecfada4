"""Takes are kept whole or not at all, found again, and belong to whoever made them."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio import __version__
from studio.adapters.adapter import TrainedAdapter
from studio.audio.synthetic_mark import is_marked
from studio.audio.waveform import Waveform
from studio.audio.writing import write_audio
from studio.store import store as store_module
from studio.store.store import Store
from studio.store.tables import now
from studio.takes.casting import Cast, TakeAdapter, TakeVoice
from studio.takes.library import TakeLibrary, clear_remains
from studio.takes.request import ReferenceClip, SpeakRequest
from studio.takes.take import Spoken, Take
from tests.disks import disk_that_holds
from tests.refusals import refusal
from tests.takes import SHORT, request, saved_voice


@pytest.fixture
def library(service: Any, owner: str) -> TakeLibrary:
    return service.takes(owner)


@pytest.fixture(scope="module")
def speech(engine: Any) -> Any:
    return engine.clone(SHORT, seed=4)


@pytest.fixture
def take(library: TakeLibrary, speech: Any) -> Take:
    return library.keep(Spoken(speech, SpeakRequest(SHORT, seed=4), Cast(), "tiny"))


def files(settings: Any) -> set[str]:
    return {path.name for path in settings.takes_folder.iterdir()} if settings.takes_folder.exists() else set()


def test_a_take_is_found_again_with_everything_that_decides_how_it_sounds(library: TakeLibrary, speech: Any) -> None:
    asked = SpeakRequest(SHORT, scene="On a train.", language="en", descriptions={"Anna": "deep"})
    voices = (TakeVoice("", "me.wav", None),)
    trained = TrainedAdapter("a1", library.owner, "job", 30, "anna-lora", Path("/nowhere"), now())
    library.keep(Spoken(speech, asked, Cast(voices, TakeAdapter.of(trained)), "org/model"))
    (found,) = library.takes()
    assert (found.text, found.voices, found.seed) == (SHORT, voices, 4)
    assert (found.checkpoint, found.adapter) == ("org/model", "anna-lora")
    assert found.settings == {
        "scene": "On a train.", "temperature": 0.3, "top_p": 0.95, "top_k": 50, "ras_window": 7, "ras_max_repeats": 2,
        "language": "en", "descriptions": {"Anna": "deep"}, "adapter": "a1",
    }  # fmt: skip
    assert (found.as_json()["adapter"], found.as_json()["adapter_id"]) == ("anna-lora", "a1")
    assert found.report["frames"] == speech.num_frames
    assert found.seconds == pytest.approx(soundfile.info(found.path).duration)
    assert (found.title, found.starred, found.is_there) == (SHORT, False, True)
    assert found.as_json()["chunks"][0]["text"] == SHORT
    assert found.as_json()["studio"] == __version__


def test_wav_and_flac_have_the_samples_that_were_spoken(library: TakeLibrary, take: Take, tmp_path: Path) -> None:
    from studio.audio.writing import write_audio

    write_audio(library.waveform(take), tmp_path / "direct.wav")
    for suffix in (".wav", ".flac", ".mp3"):
        library.export(take, tmp_path / f"take{suffix}")
    spoken = soundfile.read(take.path, dtype="int16")[0]
    for name in ("take.wav", "take.flac", "direct.wav"):
        assert np.array_equal(soundfile.read(tmp_path / name, dtype="int16")[0], spoken)
    assert soundfile.info(tmp_path / "take.mp3").duration == pytest.approx(take.seconds, abs=0.1)
    assert "must end in" in refusal(lambda: library.export(take, tmp_path / "take.txt"))


def test_takes_are_searched_in_any_script_and_by_voice(library: TakeLibrary, speech: Any) -> None:
    for text, name in (("Ärger im Zug", "Anna"), ("ПРИВЕТ, мир", "Борис"), ("100% sure", "Anna")):
        library.keep(Spoken(speech, SpeakRequest(text), Cast((TakeVoice("", name),)), "tiny"))
    assert [take.text for take in library.takes()] == ["100% sure", "ПРИВЕТ, мир", "Ärger im Zug"]
    assert [take.text for take in library.takes("ärger")] == ["Ärger im Zug"]
    assert [take.text for take in library.takes("привет")] == ["ПРИВЕТ, мир"]
    assert [take.text for take in library.takes("0%")] == ["100% sure"]
    assert [take.text for take in library.takes("anna", limit=1, offset=1)] == ["Ärger im Zug"]
    assert (library.count(), library.count("anna"), library.count("nobody")) == (3, 2, 0)
    assert [take.text for take in library.takes(limit=1, offset=1)] == ["ПРИВЕТ, мир"]


def test_a_star_is_given_and_taken(library: TakeLibrary, take: Take) -> None:
    assert library.star(take.id, True).starred
    assert [found.id for found in library.takes(starred=True)] == [take.id]
    assert library.count(starred=True) == 1
    assert not library.star(take.id, False).starred
    assert library.takes(starred=True) == []


def test_a_deleted_take_is_gone_with_its_sound(settings: Any, library: TakeLibrary, take: Take) -> None:
    before = files(settings)
    library.delete(take.id)
    assert files(settings) == before - {take.path.name}
    assert library.takes() == []
    for do in (library.take, library.delete, library.star):
        assert "no such take" in refusal(lambda do=do: do(take.id))


def test_another_owner_has_other_takes(service: Any, library: TakeLibrary, take: Take) -> None:
    other = service.takes("somebody else")
    assert other.takes() == []
    assert other.count() == 0
    for do in (other.take, other.delete, other.star):
        refusal(lambda do=do: do(take.id))
    assert other.clear() == 0
    assert library.take(take.id).is_there


def test_a_sound_gone_from_the_disk_is_said_and_the_rest_stays(
    library: TakeLibrary, take: Take, tmp_path: Path
) -> None:
    take.path.unlink()
    assert not library.take(take.id).is_there
    assert "gone from the disk" in refusal(lambda: library.waveform(take))
    for suffix in (".wav", ".flac"):
        assert "gone from the disk" in refusal(lambda s=suffix: library.export(take, tmp_path / f"take{s}"))
    assert list(tmp_path.iterdir()) == []
    assert library.takes()[0].text == SHORT
    library.delete(take.id)
    assert library.takes() == []


def test_clearing_keeps_stars_and_what_is_young(library: TakeLibrary, speech: Any) -> None:
    takes = [library.keep(Spoken(speech, SpeakRequest(SHORT), Cast(), "tiny")) for _ in range(3)]
    library.star(takes[0].id, True)
    assert library.clear(1.0) == 0
    assert library.clear(0.0) == 2
    assert [take.id for take in library.takes()] == [takes[0].id]
    assert [take.path.exists() for take in takes] == [True, False, False]
    assert library.clear(None, keep_starred=False) == 1


def test_files_that_no_take_has_are_removed_once_they_are_old(service: Any, settings: Any, take: Take) -> None:
    folder = settings.takes_folder
    old, young, foreign = folder / "0123.flac", folder / "4567.flac", folder / "notes.txt"
    unfinished = folder / ".89ab.tmp"
    for path in (old, young, foreign, unfinished):
        path.write_bytes(b"x")
    for path in (old, foreign, unfinished, take.path):
        os.utime(path, (time.time() - 7200,) * 2)
    assert clear_remains(settings, service.store) == 2
    assert not old.exists()
    assert not unfinished.exists()
    assert young.exists()
    assert foreign.exists()
    assert take.path.exists()
    young.unlink()
    foreign.unlink()


def test_a_locked_library_is_said_in_a_sentence_and_nothing_is_lost(
    settings: Any, library: TakeLibrary, take: Take, speech: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.2)
    mine = TakeLibrary(settings, Store(settings.store_file), library.owner)
    other = sqlite3.connect(settings.store_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    before = files(settings)
    try:
        keep = lambda: mine.keep(Spoken(speech, SpeakRequest(SHORT), Cast(), "tiny"))  # noqa: E731
        for do in (keep, lambda: mine.delete(take.id), lambda: mine.star(take.id), mine.clear):
            assert "in use by another program" in refusal(do)
        assert files(settings) == before
    finally:
        other.close()
    assert [found.id for found in mine.takes()] == [take.id]
    assert mine.keep(Spoken(speech, SpeakRequest(SHORT), Cast(), "tiny")).is_there


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(settings: Any, speech: Any, tmp_path: Path) -> None:
    settings = settings.with_changes(home=tmp_path / "home")  # a store that is smaller than what does not fit
    library = TakeLibrary(settings, Store(settings.store_file))
    samples = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)

    def keep(seconds: float, text: str) -> Take:
        sound = Waveform(samples[: int(seconds * 24_000)], 24_000)
        return library.keep(Spoken(replace(speech, waveform=sound), SpeakRequest(text), Cast(), "tiny"))

    def kept() -> tuple[list[str], int]:
        return [take.text[:9] for take in library.takes()], len(files(settings))

    keep(0.1, "the first")
    with disk_that_holds(60_000):
        too_much = refusal(lambda: keep(2.0, "the sound does not fit"))
    assert too_much == "The disk or quota is full, so the take was not saved; free some space and try again."
    assert kept() == (["the first"], 1)
    with disk_that_holds(60_000):
        assert "disk or quota is full" in refusal(lambda: keep(0.1, "the row does not fit" * 5000))
    assert kept() == (["the first"], 1)
    keep(2.0, "the third")
    assert kept() == (["the third", "the first"], 2)


def test_a_home_that_cannot_be_written_is_refused_before_anything_is_spoken(service: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    settings = service.settings.with_changes(home=blocked / "home")
    assert "cannot be kept" in refusal(TakeLibrary(settings, Store(settings.store_file)).refuse_unkeepable)


# Using the settings again


def test_the_settings_of_a_take_give_the_same_audio_again(
    service: Any, owner: str, kathleen: Any, tmp_path: Path
) -> None:
    saved_voice(service, owner, kathleen)
    library = service.takes(owner)
    asked = request("Hello there.", "anna", scene="In a hall.", language="en")
    first = service.speak(asked, tmp_path / "first.wav", owner=owner).take
    assert [voice.name for voice in first.voices] == ["Anna"]
    again = library.request_of(first)
    assert again.seed == first.seed
    second = service.speak(again, tmp_path / "second.wav", owner=owner).take
    assert np.array_equal(library.waveform(first).samples, library.waveform(second).samples)
    assert (tmp_path / "first.wav").read_bytes() == (tmp_path / "second.wav").read_bytes()
    library.export(first, tmp_path / "exported.wav")
    assert (tmp_path / "exported.wav").read_bytes() == (tmp_path / "first.wav").read_bytes()
    assert is_marked(first.path)
    write_audio(Waveform(library.waveform(first).samples, 24_000), first.path)  # as versions before the mark kept it
    library.export(first, tmp_path / "exported.flac")
    assert is_marked(tmp_path / "exported.flac") and is_marked(tmp_path / "exported.wav")
    assert np.array_equal(library.waveform(first).samples, library.waveform(second).samples)
    assert library.request_of(first, seed=7).seed == 7
    assert library.request_of(first, seed=None) == replace(again, seed=None)


def test_a_take_of_a_clip_outside_the_library_cannot_be_repeated(
    library: TakeLibrary, speech: Any, kathleen: dict[Path, str]
) -> None:
    from studio.engine.speech.reference import Consent

    path, transcript = next(iter(kathleen.items()))
    asked = SpeakRequest(SHORT, (ReferenceClip(path, transcript, Consent("own")),))
    take = library.keep(Spoken(speech, asked, Cast((TakeVoice("", path.name),)), "tiny"))
    assert take.can_repeat is not None
    assert path.name in refusal(lambda: library.request_of(take))


def test_a_take_outlives_its_voice_but_cannot_be_repeated(service: Any, owner: str, kathleen: Any, speech: Any) -> None:
    anna = saved_voice(service, owner, kathleen)
    library = service.takes(owner)
    take = library.keep(Spoken(speech, request(SHORT, "Anna"), Cast((TakeVoice(anna.id, "Anna"),)), "tiny"))
    service.voices(owner).withdraw_consent("Anna")
    marked = library.take(take.id)
    assert marked.consent_withdrawn_at is not None
    assert marked.is_there
    assert "withdrawn" in refusal(lambda: library.request_of(marked))
    assert "withdrawn" in refusal(lambda: library.request_of(take))  # a page that was not reloaded
    before = files(service.settings)
    keep = lambda: library.keep(Spoken(speech, request(SHORT, "Anna"), Cast(take.voices), "tiny"))  # noqa: E731
    assert "The consent for Anna was withdrawn" in refusal(keep)
    service.voices(owner).remove("Anna")
    assert "no longer in the library" in refusal(lambda: library.request_of(take))
    assert "Anna was deleted" in refusal(keep)
    assert files(service.settings) == before
    assert library.waveform(library.take(take.id)).duration == pytest.approx(take.seconds)

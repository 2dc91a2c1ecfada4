"""Voices of the library speak for their owner alone, and only as long as they may."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from studio.engine.text import Script
from studio.errors import StudioError
from studio.takes import stream as stream_module
from studio.takes.casting import TakeVoice, with_speakers
from studio.takes.request import ReferenceClip, SpeakRequest, VoiceChoice
from tests.refusals import refusal
from tests.takes import LONG, SHORT, WITHDRAW, request, run_python, saved_voice


def names(voices: list[TakeVoice]) -> list[tuple[str, str | None]]:
    return [(voice.name, voice.speaker) for voice in voices]


def test_each_voice_gets_its_lines() -> None:
    script = Script("[Bo] Hi.\n[Anna] Hello.\n[Cy] Hey.")
    anna, deb, eve = (TakeVoice(name.lower(), name) for name in ("ANNA", "Deb", "Eve"))
    assert names(with_speakers(script, [deb, anna, eve])) == [("Deb", "Bo"), ("ANNA", "Anna"), ("Eve", "Cy")]
    assert names(with_speakers(script, [deb, eve], taken=["bo", None])) == [("Deb", "Anna"), ("Eve", "Cy")]
    assert names(with_speakers(script, [TakeVoice("d", "Deb", "cy"), anna])) == [("Deb", "cy"), ("ANNA", "Anna")]
    assert names(with_speakers(Script("[Anna] Hi."), [deb])) == [("Deb", None)]
    assert names(with_speakers(Script("Hi."), [anna])) == [("ANNA", None)]
    assert names(with_speakers(Script("[A] Hi.\n[B] Ho."), [anna, deb, eve]))[2] == ("Eve", None)


def test_voices_with_several_clips_speak_their_lines_of_a_dialogue(
    service: Any, owner: str, kathleen: Any, tmp_path: Path
) -> None:
    saved_voice(service, owner, kathleen, "Anna", clips=2)
    saved_voice(service, owner, kathleen, "Bo", clips=1)
    asked = request("[Bo] Good morning.\n[Guest] Good evening.", "Anna", "bo", seed=2)
    spoken = service.speak(asked, tmp_path / "out.wav", owner=owner)
    assert {(voice.name, voice.speaker) for voice in spoken.take.voices} == {("Anna", "Guest"), ("Bo", "Bo")}
    assert [chunk["speaker"] for chunk in spoken.as_json()["chunks"]] == ["Bo", "Guest"]


def test_speech_for_the_command_line_is_in_the_file_and_in_the_library(
    service: Any, owner: str, tmp_path: Path
) -> None:
    spoken = service.speak(SpeakRequest(SHORT, seed=1), tmp_path / "out.mp3", owner=owner)
    document = spoken.as_json()
    assert document["path"] == str(tmp_path / "out.mp3")
    assert document["id"] == service.takes(owner).takes()[0].id
    assert document["frames"] == spoken.speech.num_frames
    unkept = service.speak(SpeakRequest(SHORT, seed=1), tmp_path / "two.wav", owner=owner, keep=False)
    assert unkept.as_json()["id"] is None
    assert unkept.as_json()["missing"] is False
    assert service.takes(owner).count() == 1


def test_what_the_library_cannot_keep_is_still_in_the_file(
    service: Any, owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise StudioError("The disk or quota is full.")

    monkeypatch.setattr("studio.takes.library.TakeLibrary.keep", full)
    sentence = refusal(lambda: service.speak(SpeakRequest(SHORT, seed=1), tmp_path / "out.wav", owner=owner))
    assert sentence == "The disk or quota is full. The speech itself was written to out.wav."
    assert (tmp_path / "out.wav").exists()


def test_a_clip_outside_the_library_is_named_after_its_file(
    service: Any, owner: str, kathleen: dict[Path, str], tmp_path: Path
) -> None:
    from studio.engine.speech.reference import Consent

    path, transcript = min(kathleen.items(), key=lambda clip: len(clip[1]))
    asked = SpeakRequest("Hello.", (ReferenceClip(path, transcript, Consent("own")),), seed=1)
    (voice,) = service.speak(asked, tmp_path / "out.wav", owner=owner).take.voices
    assert voice == TakeVoice("", path.name, None)


def test_a_voice_of_somebody_else_does_not_exist(service: Any, owner: str, kathleen: Any) -> None:
    anna = saved_voice(service, owner, kathleen)
    for voice in (anna.id, "Anna"):
        for do in (service.check, service.stream):
            assert "no voice" in refusal(lambda do=do, voice=voice: do(request(SHORT, voice), owner="other"))


def test_a_voice_without_consent_or_clip_is_refused_at_once(service: Any, owner: str, kathleen: Any) -> None:
    anna, bo = (saved_voice(service, owner, kathleen, name) for name in ("Anna", "Bo"))
    bo.clips[0].path.unlink()
    for do in (service.check, service.stream):
        assert "gone from the disk" in refusal(lambda do=do: do(request(SHORT, "Bo"), owner=owner))
    service.voices(owner).withdraw_consent(anna.id)
    for do in (service.check, service.stream):
        assert "was withdrawn" in refusal(lambda do=do: do(request(SHORT, "Anna"), owner=owner))


def test_a_voice_that_another_process_deletes_falls_silent(
    service: Any, owner: str, kathleen: Any, tmp_path: Path
) -> None:
    anna = saved_voice(service, owner, kathleen)
    library = service.takes(owner)
    earlier = service.speak(request(SHORT, "Anna"), tmp_path / "earlier.wav", owner=owner).take
    failed: list[tuple[str, float]] = []
    target = tmp_path / "out.wav"

    def speak() -> None:
        try:
            service.speak(request(LONG, "Anna"), target, owner=owner)
        except StudioError as error:
            failed.append((str(error), time.monotonic()))

    speaking = threading.Thread(target=speak)
    speaking.start()
    done = run_python(WITHDRAW, service.settings.home, owner, anna.id, "remove")
    ended = time.monotonic()
    assert done.returncode == 0, done.stderr
    speaking.join(30)
    sentence, stopped = failed[0]
    assert sentence == "Anna was deleted from the library, so speaking with it was stopped."
    assert stopped - ended < 5  # asked twice a second; on a busy machine a frame takes its time
    assert not target.exists()
    (kept,) = library.takes()
    assert kept.id == earlier.id
    assert kept.consent_withdrawn_at is None  # deleting is no withdrawal


def test_what_is_withdrawn_after_the_last_word_is_not_kept(
    service: Any, owner: str, kathleen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_voice(service, owner, kathleen)
    monkeypatch.setattr(stream_module, "CONSENT_SECONDS", 3600.0)
    stream = service.stream(request(SHORT, "Anna", seed=1), owner=owner)
    next(stream)
    service.voices(owner).withdraw_consent("Anna")
    assert "was withdrawn" in refusal(lambda: list(stream))
    assert "was withdrawn" in refusal(lambda: stream.spoken)


def test_somebody_who_stops_is_not_told_of_consent(service: Any, owner: str, kathleen: Any) -> None:
    saved_voice(service, owner, kathleen)
    signal = threading.Event()
    stream = service.stream(SpeakRequest(LONG, voices=(VoiceChoice("Anna"),)), owner=owner, cancel=signal)
    next(stream)
    signal.set()
    assert list(stream) == []
    assert refusal(lambda: stream.spoken) == "Speaking was cancelled."

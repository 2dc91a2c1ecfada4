"""What is heard in a part that was spoken: lost, doubled and other words, and a voice that left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform, read_audio
from studio.engine.speech.chunk import SpokenChunk
from studio.engine.speech.reference import Consent, Reference
from studio.listening.transcriber import Transcriber
from studio.takes.hearing_back import HearingBack, word_faults
from studio.takes.request import SpeakRequest
from studio.voices.presets import preset_voices
from tests.refusals import refusal
from tests.takes import SHORT, request, saved_voice


def chunk(text: str, speaker: str | None = None) -> SpokenChunk:
    return SpokenChunk(text, text, speaker, 500, 0.0, 3.0)


@pytest.mark.parametrize(
    ("said", "heard", "told"),
    [
        ("The red door is open today.", "The red door is open today.", ""),
        ("The red door is open today.", "the red door is, open. Today", ""),
        ("The red door is open today.", "The red door.", "it lost “is open today”"),
        ("The red door is open today.", "The red door the red door is open today.", "it says “the red door” twice"),
        ("The red door is open today.", "The red door is is open today.", "it says “is” twice"),
        ("It is very, very good today.", "It is very, very good today.", ""),
        ("The red door is open today.", "A bread or his hope and no day.", "of its words are heard as others"),
        ("The red door is open today.", "The bed door is open today.", ""),  # as likely the recogniser's slip
        ("The red door is open today.", "", "no word of it is heard"),
        ("Good morning.", "Cool morning.", ""),
        ("Call 12 [laugh] now, please, at 1975.", "call twelve now please at nineteen seventy-five", ""),
    ],
)
def test_words_that_are_lost_doubled_or_others_are_faults_and_small_slips_are_none(
    said: str, heard: str, told: str
) -> None:
    faults = word_faults(said.replace("[laugh] ", ""), heard, "en")
    assert ([fault.told for fault in faults] or [""])[0].endswith(told)
    assert bool(faults) == bool(told)


def test_real_speech_that_lost_its_end_or_says_it_twice_is_heard(asr_model: Path, kathleen: dict[Path, str]) -> None:
    judge = HearingBack(Transcriber(str(asr_model), device="cpu"))
    path, text = next((path, text) for path, text in kathleen.items() if "two men" in text)
    sound = read_audio(path)
    assert judge.faults(chunk(text), sound) == []
    half = Waveform(np.ascontiguousarray(sound.samples[: sound.num_samples // 2]), sound.sample_rate)
    assert judge.faults(chunk(text), half)[0].told.startswith("it lost")
    twice = Waveform(np.concatenate([sound.samples, sound.samples]), sound.sample_rate)
    assert judge.faults(chunk(text), twice)[0].told.endswith("twice")
    assert judge.name.startswith(asr_model.name)


def test_a_part_in_another_voice_is_noticed_from_a_second_of_speech_on(kathleen: dict[Path, str]) -> None:
    others = {voice.name: voice for voice in preset_voices()}
    stranger = read_audio(others["Edith"].clips[0].path)
    own = [read_audio(path) for path in kathleen]
    reference = Reference(own[0], "As it was said.", Consent("licence", "CC0 1.0"))
    with_reference, alone = HearingBack(None, [reference]), HearingBack(None)
    assert [fault.kind for fault in with_reference.faults(chunk("One."), stranger)] == ["voice"]
    for judge in (with_reference, alone):
        for sound in own[1:2]:
            assert judge.faults(chunk("One."), sound) == []
            judge.keep(chunk("One."), sound)
        assert [fault.kind for fault in judge.faults(chunk("One."), stranger)] == ["voice"]
        assert judge.faults(chunk("One.", "Bob"), stranger) == [] or judge is with_reference
        brief = Waveform(np.ascontiguousarray(stranger.samples[: stranger.sample_rate // 2]), stranger.sample_rate)
        assert judge.faults(chunk("One."), brief) == []


def test_a_take_says_which_parts_were_spoken_again_and_is_said_again_alike(
    service: Any, owner: str, kathleen: Any, tmp_path: Path
) -> None:
    voice = saved_voice(service, owner, kathleen)
    for seed in range(20):
        plain = service.speak(request(SHORT, voice.id, seed=seed, retry=0), tmp_path / "a.wav", owner=owner)
        if not plain.take.report["ended"]:
            break
    assert "attempts" not in plain.take.report["chunks"][0]
    healed = service.speak(request(SHORT, voice.id, seed=plain.take.seed, retry=1), tmp_path / "b.wav", owner=owner)
    take = service.takes(owner).take(healed.take.id)
    document = json.loads(json.dumps(take.as_json()))
    assert document["retry"] == 1
    assert document["retried"][0].startswith("It was spoken again once, because it did not end by itself")
    assert [each["seed"] for each in document["chunks"][0]["attempts"]] == [take.seed, take.seed + 1]
    assert "Silero" in document["heard_back_by"]
    assert take.report["ended_at_once"] is False
    again = service.takes(owner).request_of(take)
    assert again.retry == 1
    same = service.speak(again, tmp_path / "c.wav", owner=owner)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "c.wav").read_bytes()
    assert same.take.report["retried"] == take.report["retried"]
    assert service.takes(owner).request_of(service.takes(owner).take(plain.take.id)).retry == 0
    assert "choose 0 (never) to 10" in refusal(lambda: SpeakRequest("Hello.", retry=11))

"""A take of the library brings what it is held against, and its voices are used only where consent holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.audio import Waveform
from studio.evaluation.measures.kept_takes import Given, subject_of_file, subject_of_take
from tests.takes import SHORT, request, saved_voice


def test_a_take_is_held_against_its_own_text_and_voice_while_consent_holds(
    service: Any, owner: str, kathleen: dict[Path, str], tmp_path: Path, sounds: list[Waveform]
) -> None:
    voice = saved_voice(service, owner, kathleen, clips=2)
    spoken = service.speak(request(SHORT, voice.id, seed=1, language="en"), tmp_path / "take.wav", owner=owner)
    takes, voices = service.takes(owner), service.voices(owner)
    subject = subject_of_take(spoken.take, takes, voices)
    assert (subject.text, subject.language, len(subject.references)) == (SHORT, "en", 2)
    assert subject.ended is spoken.speech.ended
    assert subject.rtf is not None and abs(subject.rtf - spoken.speech.rtf) < 1e-6
    assert subject.reference_text == " ".join(each.transcript for each in voices.references(voice.id))
    voices.withdraw_consent(voice.id)
    take = takes.take(spoken.take.id)
    withdrawn = subject_of_take(take, takes, voices)
    assert withdrawn.references == ()
    assert "withdrawn" in withdrawn.absent["similarity"]
    assert withdrawn.reference_text == ""
    given = Given(text="Something else.", reference=sounds[0], recording=sounds[1])
    other = subject_of_take(take, takes, voices, given)
    assert (other.text, other.references, other.recording) == ("Something else.", (sounds[0],), sounds[1])
    assert other.absent == {}


def test_any_file_is_measured_as_it_is_read(said: dict[Path, str], sounds: list[Waveform]) -> None:
    subject = subject_of_file(next(iter(said)), Given("Words.", "en"))
    assert subject.sound.num_samples == sounds[0].num_samples
    assert (subject.text, subject.ended, subject.references) == ("Words.", None, ())

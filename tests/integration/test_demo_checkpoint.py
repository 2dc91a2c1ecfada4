"""The checkpoint that comes with the studio speaks: words that a recogniser finds, in a voice like that of the clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.engine.checkpoints import DEMO_FOLDER, find_checkpoint, load_checkpoint
from studio.engine.checkpoints.scope import read_scope
from studio.engine.speech.reference import Consent, Reference
from studio.engine.voice_engine import VoiceEngine
from studio.listening.speakers import voice_likeness
from studio.listening.vad import find_speech
from studio.ui.tabs.speak.voice_picker import SAMPLE_TEXT
from studio.voices.presets import preset_voices
from tests.spoken_words import understood

LEAST_UNDERSTOOD = 0.3
"""Of the words, 47 % were lost where it was measured; noise gives none."""
LONG_LINE = "Hello! This is how I sound when somebody types a sentence and lets me read it."
LINES = (
    SAMPLE_TEXT,
    "Your room number is fifty five.",
    "What time is it? It is eight o'clock.",
    "Please open the green door.",
)


@pytest.fixture(scope="module")
def engine() -> Any:
    return VoiceEngine(load_checkpoint(find_checkpoint(str(DEMO_FOLDER)), device="cpu"))


def reference_of(name: str) -> Reference:
    from studio.audio import read_audio

    voice = next(voice for voice in preset_voices() if voice.name == name)
    clip = voice.clips[0]
    return Reference(read_audio(clip.path), clip.transcript.text, Consent("licence", "CC0 1.0"))


def test_most_of_what_it_says_is_understood_and_it_ends_by_itself(engine: Any, asr_model: Path) -> None:
    shares = []
    for number, line in enumerate(LINES):
        speech = engine.clone(line, [reference_of("Clara")], seed=number)
        assert speech.ended, line
        shares.append(understood(line, speech.waveform.resampled(16_000).samples, asr_model))
    assert np.mean(shares) >= LEAST_UNDERSTOOD, shares


def test_a_take_is_more_like_its_own_voice_than_like_another(engine: Any) -> None:
    clips = {name: reference_of(name) for name in ("Clara", "Owen")}

    def likeness(one: Any, other: Any) -> float:
        found = voice_likeness(one, other, find_speech(one), find_speech(other))
        assert found is not None
        return found

    for name, other in (("Clara", "Owen"), ("Owen", "Clara")):
        spoken = engine.clone(LONG_LINE, [clips[name]], seed=3).waveform
        assert likeness(spoken, clips[name].clip) > likeness(spoken, clips[other].clip) + 0.05, name


def test_what_it_would_lose_its_way_in_is_said_line_by_line(engine: Any) -> None:
    scope = read_scope(DEMO_FOLDER)
    assert scope is not None and scope.longest_seconds == engine.chunk_seconds < 10
    assert scope.longest_seconds < (scope.whole_seconds or 0) == engine.whole_seconds


def test_it_knows_the_lines_that_the_page_offers_and_states_licence_and_figures() -> None:
    scope = read_scope(DEMO_FOLDER)
    assert scope is not None and scope.figures
    assert SAMPLE_TEXT in scope.examples
    assert [line for line in (*scope.examples, *LINES) if scope.unknown(line)] == []
    assert "Apache-2.0" in (DEMO_FOLDER / "LICENSE").read_text()

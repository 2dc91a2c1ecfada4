"""One voice or more."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from studio.audio import read_audio
from studio.audio.editing import trim
from studio.audio.waveform import Span, Waveform
from studio.errors import StudioError
from studio.listening import speaker_encoder, speakers
from studio.listening.speakers import find_speakers, voice_likeness
from studio.listening.vad import find_speech
from tests.conftest import DATA
from tools.coach_faults import joined, other_voice

LIBRISPEECH = Path(__file__).parents[3] / "shared" / "speech" / "librispeech"


def found(clip: Waveform) -> speakers.Speakers:
    result = find_speakers(clip, find_speech(clip))
    assert result is not None
    return result


def test_one_voice_is_one(clips):
    result = found(joined(clips, 0.3))
    assert not result.more_than_one
    assert len(result.groups) == 1


def test_a_second_voice_is_noticed_and_placed(clips):
    both = joined([clips[0], clips[1], other_voice(clips[2])], 0.3)
    result = found(both)
    assert result.more_than_one
    change = clips[0].duration + clips[1].duration + 0.6
    first, second = result.groups
    assert sum(moment.end < change + 0.8 for moment in first) >= 0.8 * len(first)
    assert sum(moment.start > change - 0.8 for moment in second) >= 0.8 * len(second)


def test_a_quieter_part_is_no_other_voice(clips):
    quiet = Waveform(clips[1].samples * 0.1, clips[1].sample_rate)
    assert not found(joined([clips[0], quiet, clips[2]], 0.3)).more_than_one


def test_nothing_is_decided_on_little_speech(clips):
    short = trim(joined([clips[0], other_voice(clips[1])]), 1.5, 4.3)
    assert find_speakers(short, find_speech(short)) is None
    assert find_speakers(short, []) is None


def test_a_voice_is_more_like_itself_than_like_another(clips):
    one, other = clips[0], clips[1]
    spans = find_speech(one), find_speech(other)
    same = voice_likeness(one, other, *spans)
    lower = other_voice(other)
    different = voice_likeness(one, lower, spans[0], find_speech(lower))
    assert same is not None
    assert different is not None
    assert same > 0.8 > different
    assert voice_likeness(one, other, spans[0], [Span(0.0, 0.5)]) is None


def test_the_encoder_says_what_its_authors_code_says():
    """Made by Resemblyzer 0.1.4 itself, of the second from 0.5 to 2.1 of a recording; see tests/data/README.md."""
    expected = json.loads((DATA / "speaker_embedding.json").read_text())
    clip = read_audio(DATA / expected["clip"]).resampled(speaker_encoder.RATE)
    samples = clip.samples[expected["first"] : expected["first"] + 25_600]
    frames = speaker_encoder.mel_frames(samples * np.float32(expected["gain"]))
    assert frames.shape == (161, 40)
    embedding = speaker_encoder.embed(frames[None, : speaker_encoder.WINDOW_FRAMES])[0]
    np.testing.assert_allclose(embedding, expected["embedding"], atol=2e-5)
    assert speaker_encoder.embed(np.zeros((1, 160, 40), np.float32)).shape == (1, 256)


def test_damaged_weights_are_a_sentence(tmp_path, monkeypatch):
    damaged = tmp_path / "speaker_encoder.safetensors"
    damaged.write_bytes(b"half a file")
    monkeypatch.setattr(speaker_encoder, "_WEIGHTS", damaged)
    speaker_encoder._loaded.cache_clear()
    with pytest.raises(StudioError, match="missing or damaged"):
        speaker_encoder.embed(np.zeros((1, 160, 40), np.float32))
    speaker_encoder._loaded.cache_clear()


@pytest.mark.skipif(not LIBRISPEECH.is_dir(), reason="../shared/speech/librispeech is not here")
def test_two_of_six_real_speakers_are_told_from_one_alone(clips):
    with (LIBRISPEECH / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    voices: dict[str, list[Waveform]] = {}
    for row in rows:
        clip = read_audio(LIBRISPEECH / row["filename"])
        first = find_speech(clip)[0].start
        voices.setdefault(row["speaker_id"], []).append(trim(clip, first, min(first + 4.0, clip.duration)))
    pairs = [joined([voices[a][0], voices[b][1]], 0.3) for a, b in itertools.combinations(voices, 2)]
    alone = [joined(parts[:3], 0.3) for parts in voices.values()]
    assert sum(found(clip).more_than_one for clip in pairs) >= len(pairs) - 2
    assert not any(found(clip).more_than_one for clip in alone)

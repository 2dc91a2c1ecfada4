"""Where somebody speaks."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from studio.audio import read_audio
from studio.audio.waveform import Waveform, total_seconds
from studio.listening import vad
from studio.listening.vad import find_speech
from tools.coach_faults import joined, white_noise


def test_speech_is_found_between_silences(clips: list[Waveform]):
    long = joined(clips, 1.0)
    spans = find_speech(long)
    assert total_seconds(spans) == pytest.approx(sum(clip.duration for clip in clips), rel=0.15)
    start = 0.0
    for clip in clips[:-1]:
        start += clip.duration
        assert not any(span.start < start + 0.5 < span.end for span in spans)
        start += 1.0
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert spans[-1].end <= long.duration


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_the_rate_does_not_matter(kathleen: dict[Path, str], rate: int):
    clip = read_audio(next(iter(kathleen)))
    there, here = find_speech(clip.resampled(rate)), find_speech(clip)
    assert total_seconds(there) == pytest.approx(total_seconds(here), abs=0.2)


@pytest.mark.parametrize("count", [0, 1, 100, 16000])
def test_silence_and_scraps_have_none(count: int):
    assert find_speech(Waveform(np.zeros(count, dtype=np.float32), 16000)) == []
    assert find_speech(Waveform(0.1 * white_noise(count), 16000)) == []


def test_torch_keeps_its_threads(monkeypatch: pytest.MonkeyPatch):
    """silero_vad sets torch to one thread for the whole process when it is imported."""
    import torch

    for name in [name for name in sys.modules if name.startswith("silero_vad")]:
        monkeypatch.delitem(sys.modules, name)
    vad._detector.cache_clear()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        find_speech(Waveform(0.1 * white_noise(16000), 16000))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
        vad._detector.cache_clear()

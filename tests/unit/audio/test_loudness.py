import numpy as np
import pytest

from studio.audio import Waveform, integrated_lufs, normalised, read_audio
from tests.conftest import DATA
from tests.sounds import silence, sine
from tools.coach_faults import joined


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_a_reference_sine_reads_its_stated_loudness(rate):
    # BS.1770-4: a full-scale 997 Hz sine in one channel reads −3.01 LKFS, so one of peak −19.99 dBFS reads −23.
    tone = sine(997, seconds=5, rate=rate, amplitude=10 ** (-19.99 / 20))
    assert integrated_lufs(tone) == pytest.approx(-23.0, abs=0.1)


def test_pauses_are_gated_out():
    tone = sine(997, seconds=5, amplitude=0.1)
    assert integrated_lufs(joined([tone, silence(5)])) == pytest.approx(integrated_lufs(tone), abs=0.2)


def test_silence_has_no_loudness():
    assert integrated_lufs(silence()) == float("-inf")
    assert integrated_lufs(Waveform(np.zeros(0, np.float32), 24_000)) == float("-inf")
    assert integrated_lufs(sine(997, amplitude=1e-5)) == float("-inf")  # under the absolute gate of −70 LUFS


@pytest.mark.parametrize("seconds", [0.39, 0.2, 0.1])
def test_clips_shorter_than_a_block_are_measured_too(seconds):
    assert integrated_lufs(sine(997, seconds=seconds, amplitude=0.1)) == pytest.approx(-23.0, abs=0.3)


@pytest.mark.parametrize("num_samples", [1, 2, 7, 9599, 9600, 9601])
def test_any_length_can_be_measured(num_samples):
    for rate in (8000, 11_025, 24_000, 44_100):
        assert not np.isnan(integrated_lufs(Waveform(np.full(num_samples, 0.1, np.float32), rate)))


@pytest.mark.parametrize("gain", [0.02, 0.2, 1.0])
def test_speech_reaches_the_target(gain):
    clip = read_audio(DATA / "kathleen_a0003.flac")
    level = normalised(Waveform(clip.samples * np.float32(gain), clip.sample_rate))
    assert integrated_lufs(level) == pytest.approx(-23.0, abs=0.1)
    assert level.num_samples == clip.num_samples
    assert level.peak <= 10 ** (-1 / 20)


def test_peaks_never_pass_the_ceiling():
    clip = joined([sine(997, seconds=2, amplitude=0.01), sine(997, seconds=0.01, amplitude=0.9)])
    loud = normalised(clip, -6.0, peak_ceiling_dbfs=-3.0)
    assert loud.peak == pytest.approx(10 ** (-3 / 20), rel=1e-5)
    assert integrated_lufs(loud) < -6.0
    over = Waveform(sine(997, amplitude=4.0).samples, 24_000)
    assert normalised(over, 0.0).peak <= 10 ** (-1 / 20) + 1e-7


def test_silence_stays_silent_and_noise_is_not_blown_up():
    assert normalised(silence()).peak == 0.0
    hiss = sine(997, amplitude=1e-5)
    assert normalised(hiss).peak == pytest.approx(hiss.peak)

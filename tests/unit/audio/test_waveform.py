import subprocess
import sys

import numpy as np
import pytest

from studio.audio import Waveform
from studio.errors import StudioError
from tests.sounds import loudest_frequency, silence, sine, tone_level


def test_length_and_level_are_those_of_the_samples():
    tone = sine(1000, seconds=0.5, rate=8000, amplitude=1.0)
    assert (tone.num_samples, tone.duration) == (4000, 0.5)
    assert tone.peak == pytest.approx(1.0, abs=1e-6)
    assert tone.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert silence().rms_dbfs == float("-inf")


def test_a_clip_without_samples_has_no_level():
    empty = Waveform(np.zeros(0, np.float32), 8000)
    assert (empty.peak, empty.rms_dbfs, empty.duration) == (0.0, float("-inf"), 0.0)
    assert empty.resampled(16_000).sample_rate == 16_000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_invalid_samples_are_refused(bad):
    samples = np.zeros(100, np.float32)
    samples[50] = bad
    with pytest.raises(StudioError, match="invalid \\(NaN or infinite\\) samples; export it again"):
        Waveform(samples, 8000)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(10), 8000),
        (np.zeros(10, np.int16), 8000),
        ([0.0], 8000),
        (np.zeros((10, 2), np.float32), 8000),
        (np.zeros(10, np.float32), 0),
        (np.zeros(10, np.float32), 44100.5),
    ],
)
def test_wrong_arrays_are_the_callers_bug(samples, rate):
    with pytest.raises((TypeError, ValueError)):
        Waveform(samples, rate)


def test_the_rate_is_a_plain_int():
    assert type(Waveform(np.zeros(10, np.float32), np.int64(8000)).sample_rate) is int


def test_resampling_to_the_same_rate_is_free():
    tone = sine()
    assert tone.resampled(24_000) is tone
    with pytest.raises(ValueError, match="positive"):
        tone.resampled(0)


@pytest.mark.parametrize("rate", [96_000, 44_100, 8_000])
def test_resampling_keeps_a_tone(rate):
    # 0.01 dB in amplitude, 0.05 Hz in frequency, one sample in length.
    before = sine(1000, seconds=1.0, rate=rate, amplitude=0.5)
    after = before.resampled(24_000)
    assert after.sample_rate == 24_000
    assert abs(after.num_samples - 24_000) <= 1
    assert loudest_frequency(after) == pytest.approx(1000, abs=0.05)
    assert 20 * np.log10(tone_level(after, 1000) / 0.5) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("rate", [96_000, 44_100])
def test_resampling_removes_what_would_fold_back(rate):
    # 20 kHz is above the new Nyquist frequency of 12 kHz and would be heard at 4 kHz.
    after = sine(20_000, rate=rate, amplitude=0.5).resampled(24_000)
    assert tone_level(after, 4000) < 0.5 * 10 ** (-120 / 20)
    middle = Waveform(after.samples[2400:-2400], 24_000)
    assert middle.rms_dbfs < -110


def test_importing_the_package_loads_no_heavy_library():
    code = (
        "import sys, studio.audio;"
        "print(sorted({'torch', 'scipy', 'librosa', 'soundfile', 'av', 'soxr', 'pyloudnorm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

import numpy as np
import pytest

from studio.audio import Waveform, read_audio, require_speech_like
from studio.errors import StudioError
from tests.conftest import DATA
from tests.sounds import silence, sine
from tools.coach_faults import joined


def test_real_speech_passes():
    for path in sorted(DATA.glob("kathleen_*.flac")):
        require_speech_like(read_audio(path))


def test_a_clip_that_is_too_short_is_refused_with_its_length():
    with pytest.raises(StudioError, match=r"reference clip is only 0\.2 s long; .* at least 1 s of speech"):
        require_speech_like(sine(seconds=0.2))


def test_a_clip_that_is_too_long_is_refused_with_its_length():
    with pytest.raises(StudioError, match=r"target is 75\.5 s long and at most 60 s .* 5–30 s"):
        require_speech_like(sine(seconds=75.5, rate=8000), what="target")


def test_padding_by_a_codec_does_not_cross_a_limit():
    require_speech_like(sine(seconds=60.04, rate=8000))
    require_speech_like(sine(seconds=0.96, rate=8000))


@pytest.mark.parametrize(
    ("clip", "figure"),
    [
        (silence(2), "every sample is zero"),
        (sine(seconds=2, amplitude=0.0005), "peak -66 dBFS"),
        (joined([silence(1), sine(seconds=0.0003, amplitude=0.1), silence(1)]), r"peak -20 dBFS, average -6\d dBFS"),
    ],
)
def test_a_silent_clip_is_refused_with_its_level(clip, figure):
    with pytest.raises(StudioError, match=figure):
        require_speech_like(clip)


def test_quiet_speech_passes():
    clip = read_audio(DATA / "kathleen_a0003.flac")
    require_speech_like(Waveform(clip.samples * np.float32(0.05), clip.sample_rate))

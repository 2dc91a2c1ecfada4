import numpy as np
import pytest

from studio.audio import Waveform, read_audio, trim, trim_edges
from studio.errors import StudioError
from tests.conftest import DATA
from tests.sounds import silence, sine
from tools.coach_faults import joined


def test_a_cut_keeps_exactly_the_seconds_asked_for():
    clip = sine(seconds=2)
    part = trim(clip, 0.5, 1.25)
    assert part.duration == 0.75
    assert np.array_equal(part.samples, clip.samples[12_000:30_000])
    assert trim(clip, None, 0.5).duration == 0.5
    assert trim(clip, 1.5, None).duration == 0.5
    assert np.array_equal(trim(clip, None, None).samples, clip.samples)


def test_an_end_rounded_up_is_the_end():
    assert trim(sine(seconds=1.996), 1.0, 2.0).duration == pytest.approx(0.996)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (1.5, 0.5, r"ends at 0\.50 s, not after its start at 1\.50 s"),
        (1.0, 1.0, "not after its start"),
        (-0.1, 1.0, "before the beginning"),
        (0.0, -1.0, "before the beginning"),
        (2.0, None, r"starts at 2\.00 s, but the clip is 2\.00 s long"),
        (3.0, 4.0, r"starts at 3\.00 s, but the clip is 2\.00 s long"),
        (0.0, 2.5, r"ends at 2\.50 s, but the clip is 2\.00 s long"),
        (float("nan"), 1.0, "must be numbers"),
        (0.0, float("inf"), "must be numbers"),
        (1.0, 1.00001, "Nothing is left"),
    ],
)
def test_impossible_cuts_are_explained(start, end, message):
    with pytest.raises(StudioError, match=message):
        trim(sine(seconds=2), start, end)


def test_silence_goes_at_the_edges_only():
    clip = joined([silence(1), sine(seconds=1), silence(0.7), sine(seconds=1), silence(1.5)])
    cut = trim_edges(clip, keep_seconds=0.1)
    assert cut.duration == pytest.approx(2.9, abs=0.04)  # a block of 20 ms at each edge
    assert np.array_equal(cut.samples, clip.samples[round(0.9 * 24_000) :][: cut.num_samples])


def test_the_level_of_the_recording_does_not_matter():
    clip = joined([silence(0.5), sine(seconds=1), silence(0.5)])
    quiet = Waveform(clip.samples * np.float32(1e-3), clip.sample_rate)
    assert trim_edges(quiet).num_samples == trim_edges(clip).num_samples


def test_room_noise_at_the_edges_counts_as_silence():
    noise = np.random.default_rng(0).normal(0, 1e-3, 24_000).astype(np.float32)  # −60 dBFS beside a tone of −9
    clip = joined([Waveform(noise, 24_000), sine(seconds=1), Waveform(noise, 24_000)])
    assert trim_edges(clip).duration == pytest.approx(1.2, abs=0.04)
    assert trim_edges(clip, threshold_db=-70.0).duration == 3.0


@pytest.mark.parametrize("keep", [0.0, -1.0, 5.0])
@pytest.mark.parametrize("threshold", [-45.0, 0.0, 20.0])
@pytest.mark.parametrize(
    "clip", [silence(1), silence(0.001), sine(seconds=0.005), joined([silence(1), sine(seconds=0.01)])]
)
def test_something_always_remains(clip, threshold, keep):
    assert 0 < trim_edges(clip, threshold_db=threshold, keep_seconds=keep).num_samples <= clip.num_samples


def test_speech_keeps_its_words():
    clip = read_audio(DATA / "kathleen_a0003.flac")
    padded = joined([silence(2), clip, silence(2)])
    cut = trim_edges(padded)
    assert cut.duration <= clip.duration + 0.25
    lost = 1 - np.sum(np.square(cut.samples)) / np.sum(np.square(clip.samples))
    assert lost < 1e-4

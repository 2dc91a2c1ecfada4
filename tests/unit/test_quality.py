"""The figures about a recording: planted faults are measured as they were planted."""

from __future__ import annotations

import numpy as np
import pytest

from studio.audio import encode_audio, read_audio
from studio.audio.quality.bandwidth import effective_bandwidth
from studio.audio.quality.best_window import best_windows, inside
from studio.audio.quality.clip_quality import edge_silence, measured, speech_lufs
from studio.audio.quality.clipping import clipped_share
from studio.audio.quality.frames import frame_powers, frames_in, spread
from studio.audio.quality.noise import signal_to_noise_db, steady_share
from studio.audio.quality.reverberation import reverberation_seconds
from studio.audio.waveform import Span, Waveform, total_seconds
from studio.listening.vad import find_speech
from tests.sounds import silence
from tools.coach_faults import babble, clipped, in_room, joined, pink_noise, telephone, white_noise, with_noise

RATE = 24000


@pytest.fixture(scope="module")
def clip(clips: list[Waveform]) -> Waveform:
    return joined(clips)


@pytest.fixture(scope="module")
def speech(clip: Waveform) -> list[Span]:
    return find_speech(clip)


def snr(clip: Waveform, speech: list[Span]) -> float:
    found = signal_to_noise_db(speech, frame_powers(clip))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [white_noise, pink_noise])
@pytest.mark.parametrize("planted", [20, 10, 5])
def test_planted_noise_is_measured_within_three_decibels(clip, speech, kind, planted):
    noisy = with_noise(clip, kind(clip.num_samples), planted, speech)
    assert snr(noisy, find_speech(noisy)) == pytest.approx(planted, abs=3.0)


def test_noise_is_measured_without_any_pause(clip, speech):
    """Fluent speech without gaps: the floor between the syllables serves."""
    noisy = with_noise(clip, white_noise(clip.num_samples), 10.0, speech)
    assert snr(noisy, [Span(0.0, clip.duration)]) == pytest.approx(10.0, abs=2.0)


def test_a_gate_that_silences_the_pauses_does_not_hide_the_noise(clip, speech):
    noisy = with_noise(clip, white_noise(clip.num_samples), 10.0, speech)
    gap = Waveform(np.zeros(RATE, dtype=np.float32), RATE)
    gated = joined([noisy, gap, noisy])
    assert snr(gated, find_speech(gated)) == pytest.approx(10.0, abs=3.0)


def test_other_voices_count_as_noise(clip, speech, kathleen):
    voices = [read_audio(path) for path in kathleen]
    crowd = babble(voices, clip.num_samples, RATE)
    found = [snr(noisy := with_noise(clip, crowd, db, speech), find_speech(noisy)) for db in (20.0, 10.0, 5.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 16.0 > found[1] > found[2]


def test_clean_speech_is_far_above_its_background(clip, speech):
    assert snr(clip, speech) > 25.0


def test_a_constant_offset_is_not_noise(clip, speech):
    shifted = Waveform(clip.samples + np.float32(0.1), RATE)
    assert snr(shifted, speech) == pytest.approx(snr(clip, speech), abs=0.5)


def test_noise_rests_on_a_steady_floor_and_a_room_does_not(clip, speech):
    noisy = with_noise(clip, white_noise(clip.num_samples), 10.0, speech)
    assert steady_share(frame_powers(noisy)) > 0.2
    assert steady_share(frame_powers(in_room(clip, 1.0))) < 0.1


@pytest.mark.parametrize("turned_down", [1.0, 0.2])
def test_clipping_is_found_even_when_turned_down(clip, turned_down):
    assert clipped_share(clip) == 0.0
    shares = [clipped_share(clipped(clip, drive, turned_down=turned_down)) for drive in (1.5, 2.0, 3.0, 6.0)]
    assert shares == sorted(shares)
    assert shares[0] > 5e-4
    assert shares[2] > 0.02


def test_clipping_is_found_after_resampling_and_mp3(clip, tmp_path):
    driven = clipped(clip, 3.0)
    (tmp_path / "driven.mp3").write_bytes(encode_audio(driven, "mp3"))
    for later in (driven.resampled(16000), driven.resampled(48000), read_audio(tmp_path / "driven.mp3")):
        assert clipped_share(later) > 0.01


@pytest.mark.parametrize("gain", [0.0, 0.01, 0.2, 1.0])
def test_one_full_scale_click_is_no_clipping(clip, gain):
    samples = np.float32(gain) * clip.samples
    samples[1000] = 1.0
    assert clipped_share(Waveform(samples, RATE)) == 0.0


def test_a_telephone_call_in_a_wide_file_is_narrow(clip, speech):
    for narrow in (telephone(clip), clip.resampled(8000).resampled(48000)):
        found = effective_bandwidth(narrow, find_speech(narrow))
        assert found is not None
        assert found.hz < 4500.0


def test_a_lowpass_as_of_mp3_leaves_a_voice_wide(clip, speech):
    found = effective_bandwidth(telephone(clip.resampled(48000), 11000.0), speech)
    assert found is not None
    assert found.hz >= 10000.0


def test_noise_that_hides_the_high_part_is_told_from_a_filter(clip, speech):
    found = effective_bandwidth(with_noise(clip, white_noise(clip.num_samples), 5.0, speech), speech)
    assert found is not None
    assert found.masked


def test_reverberation_grows_with_the_room(clip, speech):
    dry = reverberation_seconds(clip, speech)
    rooms = [0.3, 0.6, 0.9, 1.2]
    found = [reverberation_seconds(in_room(clip, rt60), speech) for rt60 in rooms]
    assert dry is not None
    assert dry < 0.35
    assert found == sorted(found)
    assert found == pytest.approx(rooms, abs=0.25)


def test_cuts_into_digital_silence_do_not_make_a_room_dry(clip):
    room = in_room(clip, 0.9)
    pieces = joined([Waveform(room.samples[start : start + RATE], RATE) for start in range(0, 8 * RATE, RATE)], 0.3)
    found = reverberation_seconds(pieces, find_speech(pieces))
    assert found == pytest.approx(0.9, abs=0.3)


def test_silence_at_the_ends_is_measured(clip):
    padded = joined([silence(2.0), clip, silence(1.2)])
    lead, trail = edge_silence(padded, find_speech(padded))
    assert lead == pytest.approx(2.0, abs=0.15)
    assert trail == pytest.approx(1.2, abs=0.15)


@pytest.mark.parametrize("count", [0, 1, 100, 1000, 5000, 48000])
@pytest.mark.parametrize("level", [0.0, 1e-5, 0.5])
def test_anything_can_be_measured_without_nan(count, level):
    samples = (level * np.random.default_rng(0).standard_normal(count)).astype(np.float32)
    clip = Waveform(samples, RATE)
    for speech in ([], [Span(0.0, clip.duration)]):
        quality = measured(clip, speech)
        assert all(value is None or np.isfinite(value) for value in vars(quality).values())


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_frames_keep_time_at_any_rate(rate):
    """20 ms are no whole number of samples at 11025 Hz; after 20 minutes the frames must still be where they say."""
    clip = Waveform(np.zeros(rate * 1200, dtype=np.float32), rate)
    samples = clip.samples
    samples[round(1190.0 * rate) : round(1190.5 * rate) : 2] = 0.5
    powers = frame_powers(clip)
    assert abs(len(powers) - 60000) <= 1
    loud = np.flatnonzero(powers > 0.01)
    assert loud[0] * 0.02 == pytest.approx(1190.0, abs=0.03)
    assert loud[-1] * 0.02 == pytest.approx(1190.5, abs=0.05)


def test_spread_takes_evenly_from_all_of_it():
    spans = [Span(10.0 * index, 10.0 * index + 8.0) for index in range(60)]
    chosen = spread(spans, 60.0)
    assert total_seconds(chosen) <= 75.0
    assert chosen[0].start < 20.0
    assert chosen[-1].end > 570.0
    assert spread(spans[:3], 60.0) == spans[:3]


def test_loudness_of_a_long_recording_is_that_of_a_part(clip):
    long = joined([clip] * 16)
    assert long.duration > 120.0
    assert speech_lufs(long, find_speech(long)) == pytest.approx(speech_lufs(clip, find_speech(clip)), abs=1.0)


def test_a_span_holds_the_frames_of_its_seconds():
    assert frames_in([Span(0.1, 0.2)], 20).sum() == 5
    assert frames_in([Span(0.1, 0.2)], 20, grow=0.04).sum() == 9
    assert frames_in([Span(0.1, 0.2)], 20, grow=-0.2).sum() == 0


def test_windows_begin_and_end_in_pauses(clips):
    long = joined(clips * 5, 0.4)
    speech = find_speech(long)
    windows = best_windows(long, speech)
    assert windows
    for window in windows:
        assert 5.0 <= window.duration <= 15.0
        for edge in window:
            assert not any(span.start < edge < span.end for span in speech)


def test_windows_avoid_noise_and_clipping(clip, speech):
    noisy = with_noise(clip, white_noise(clip.num_samples), 5.0, speech)
    quiet_driven = clipped(clip, 4.0)
    mixed = joined([noisy, clip, quiet_driven], 0.5)
    best = best_windows(mixed, find_speech(mixed))[0]
    assert clip.duration < best.start + 0.5
    assert best.end < 2 * clip.duration + 1.0


def test_a_talk_without_pauses_is_divided_at_its_quietest_moments(clip):
    windows = best_windows(joined([clip] * 4), [Span(0.0, 4 * clip.duration)])
    assert windows
    assert all(5.0 <= window.duration <= 15.0 for window in windows)


def test_a_few_words_in_a_long_silence_get_a_window_around_them():
    samples = np.zeros(60 * RATE, dtype=np.float32)
    samples[30 * RATE : 31 * RATE] = 0.1 * white_noise(RATE)
    (window,) = best_windows(Waveform(samples, RATE), [Span(30.0, 31.0)])
    assert window.duration == pytest.approx(5.0)
    assert window.start < 30.0 < 31.0 < window.end


def test_inside_a_window_times_begin_anew():
    assert inside(Span(10.0, 20.0), [Span(1.0, 2.0), Span(9.0, 12.0), Span(19.0, 30.0)]) == [
        Span(0.0, 2.0),
        Span(9.0, 10.0),
    ]

"""Chunks of a long text joined: pauses, loudness, no clicks, and the same result however the samples arrive."""

from itertools import pairwise

import numpy as np
import pytest

from studio.audio import Waveform, integrated_lufs
from studio.engine.speech.joining import ChunkJoiner

PAUSE = 0.25


def joined(chunks: list[np.ndarray], rate: int, *, piece: int | None = None, pause: float = PAUSE) -> list[np.ndarray]:
    """Each chunk as it comes out, with the pause after it (none after the last)."""
    joiner, results = ChunkJoiner(rate, len(chunks)), []
    for index, chunk in enumerate(chunks):
        size = piece or max(1, len(chunk))
        ready = [joiner.push(chunk[start : start + size]) for start in range(0, len(chunk), size)]
        ready.append(joiner.end_chunk(pause if index < len(chunks) - 1 else 0.0))
        results.append(np.concatenate(ready))
    return results


def tone(seconds: float, amplitude: float = 0.5, rate: int = 24_000, frequency: float = 220.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.cos(2 * np.pi * frequency * time)).astype(np.float32)


def lufs(samples: np.ndarray, rate: int = 24_000) -> float:
    return integrated_lufs(Waveform(samples, rate))


@pytest.mark.parametrize("gains", [(1.0, 0.65, 1.6), (0.6, 1.0, 0.5), (1.0, 1.0, 1.0)])
def test_chunks_of_different_loudness_come_out_alike(clips: list[Waveform], gains: tuple[float, ...]) -> None:
    chunks = [clip.samples * np.float32(gain) for clip, gain in zip(clips, gains, strict=True)]
    levels = [lufs(chunk) for chunk in joined(chunks, 24_000)]
    assert max(levels) - min(levels) <= 1.5
    assert levels[0] == pytest.approx(lufs(chunks[0]), abs=0.3), "the first chunk sets the level"


def test_a_chunk_far_from_the_rest_is_moved_by_six_decibels_and_no_more(clips: list[Waveform]) -> None:
    first, second = clips[0].samples, clips[1].samples
    alike = lufs(joined([first, second], 24_000)[1])
    assert lufs(joined([first, second * np.float32(10 ** (-20 / 20))], 24_000)[1]) < alike - 10
    # Blocks under the threshold of the edges differ with level, so the loudest sample tells the gain exactly.
    quiet = second * np.float32(0.05)
    assert np.abs(joined([first, quiet], 24_000)[1]).max() == pytest.approx(
        np.abs(quiet).max() * 10 ** (6 / 20), rel=1e-4
    )


def test_raising_a_chunk_does_not_clip_it(clips: list[Waveform]) -> None:
    loud = tone(3.0, 0.9)
    peaky = tone(3.0, 0.05)
    peaky[::2400] = 0.9
    assert np.abs(joined([loud, peaky], 24_000)[1]).max() <= 0.99


@pytest.mark.parametrize("piece", [1, 77, 2400])
def test_the_result_does_not_depend_on_how_the_samples_arrive(clips: list[Waveform], piece: int) -> None:
    # 8 kHz keeps sample-by-sample short; the third chunk is shorter than the two seconds that loudness looks at.
    chunks = [clip.resampled(8_000).samples for clip in clips]
    chunks[1] = chunks[1] * np.float32(0.6)
    chunks[2] = chunks[2][4_000:14_003]
    at_once, in_pieces = joined(chunks, 8_000), joined(chunks, 8_000, piece=piece)
    for whole, pieces in zip(at_once, in_pieces, strict=True):
        assert np.array_equal(whole, pieces)


def test_pauses_are_silent_and_of_the_stated_length() -> None:
    chunks = [tone(1.0), tone(1.5, frequency=330), tone(0.7)]
    results = joined(chunks, 24_000, pause=0.6)
    pause = round(0.6 * 24_000)
    for chunk, result in zip(chunks[:-1], results[:-1], strict=True):
        assert len(result) == len(chunk) + pause
        assert not result[-pause:].any()
        assert result[-pause - 1] != 0
    assert len(results[-1]) == len(chunks[-1])


def test_chunks_cut_from_running_sound_do_not_click() -> None:
    for result in joined([tone(1.0), tone(1.5, frequency=330), tone(0.7)], 24_000, pause=0.0):
        assert abs(result[0]) < 0.005
        assert abs(result[-1]) < 0.005
        assert np.abs(np.diff(result)).max() < 0.06  # the tone itself moves by 0.043 a sample
    assert abs(tone(1.0)[0]) == 0.5


def test_real_speech_starts_and_ends_softly(clips: list[Waveform]) -> None:
    middle = [clip.samples[20_000:50_000] for clip in clips]  # in the middle of words
    results = joined(middle, 24_000, pause=0.0)
    for before, after in pairwise(results):
        assert abs(before[-1] - after[0]) < 0.005


def test_quiet_before_and_after_a_chunk_is_cut_to_a_breath() -> None:
    quiet = np.zeros(24_000, np.float32)
    result = joined([np.concatenate([quiet, tone(1.0), quiet]), tone(1.0)], 24_000, pause=0.0)[0]
    assert pytest.approx(len(result) / 24_000, abs=0.011) == 1.0 + 0.04 + 0.10
    assert np.abs(result[: round(0.03 * 24_000)]).max() == 0.0


def test_pauses_within_a_chunk_stay() -> None:
    chunk = np.concatenate([tone(0.5), np.zeros(30_000, np.float32), tone(0.5)])
    assert len(joined([chunk, tone(1.0)], 24_000, pause=0.0)[0]) == len(chunk)


def test_one_chunk_alone_passes_untouched() -> None:
    chunk = np.concatenate([np.zeros(5_000, np.float32), tone(1.0, 1.0), np.zeros(5_000, np.float32)])
    for piece in (None, 77):
        assert np.array_equal(joined([chunk], 24_000, piece=piece)[0], chunk)


@pytest.mark.parametrize("nothing", [np.zeros(0, np.float32), np.zeros(30_000, np.float32)])
def test_a_silent_chunk_leaves_its_pause_and_does_not_disturb_the_rest(nothing: np.ndarray) -> None:
    first, last = tone(2.5), tone(2.5, 0.3, frequency=330)
    silent = joined([first, nothing, last], 24_000)
    assert np.array_equal(silent[1], np.zeros(round(PAUSE * 24_000), np.float32))
    assert np.array_equal(silent[2], joined([first, last], 24_000)[1])
    assert np.isfinite(np.concatenate(joined([nothing, first], 24_000))).all()


def test_the_callers_samples_are_not_changed() -> None:
    chunk = tone(1.0)
    joined([chunk, tone(1.0)], 24_000)
    assert np.array_equal(chunk, tone(1.0))

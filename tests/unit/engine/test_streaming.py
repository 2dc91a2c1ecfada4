"""Streaming: an early start, the same sound as at once, and a cancel that is one."""

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from transformers import DynamicCache

from studio.engine.model.sampling import Sampling
from studio.engine.speech.reference import Reference
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.stream import SpeechStream
from studio.engine.text import Script
from studio.errors import StudioError

TEXT = "The boy hesitated for a while, then he mastered his temper and walked on."
LIVELY = Sampling(temperature=1.0)
LONG_TEXT = TEXT + " " + " ".join([TEXT] * 8)


@pytest.fixture(scope="module")
def long_seed(engine: Any, references: list[Reference]) -> int:
    """A seed with which the tiny checkpoint says at least four seconds in one chunk."""
    for seed in range(60):
        if engine.clone(TEXT, references[:1], sampling=LIVELY, seed=seed).num_frames >= 100:
            return seed
    raise AssertionError("no seed of the tiny checkpoint speaks for four seconds")


def num_caches() -> int:
    """Key-value caches alive in this process; deliberately without collecting garbage first."""
    return sum(type(thing) is DynamicCache for thing in gc.get_objects())


@pytest.fixture
def no_collector() -> Any:
    """Memory must go when it is let go, not when the collector happens to run."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_first_piece_is_heard_long_before_the_last_frame(
    engine: Any, references: list[Reference], long_seed: int
) -> None:
    stream = engine.stream(SpeechRequest(Script(TEXT), references[:1], sampling=LIVELY, seed=long_seed))
    first = next(stream)
    at_first_piece = stream.num_frames
    assert len(first) == round(0.4 * 24_000)
    assert at_first_piece == 10 + engine.codec.decoder_context.after
    with pytest.raises(StudioError, match="not finished yet"):
        _ = stream.speech
    rest = list(stream)
    assert stream.speech.num_frames >= 4 * at_first_piece
    assert [len(piece) for piece in rest[:-1]] == [24_000] * (len(rest) - 1)


@pytest.mark.parametrize(("first", "later"), [(0.4, 1.0), (0.04, 0.04), (3.0, 0.2)])
def test_pieces_joined_are_the_whole(
    engine: Any, references: list[Reference], long_seed: int, first: float, later: float
) -> None:
    whole = engine.clone(TEXT, references[:1], sampling=LIVELY, seed=long_seed)
    stream = engine.stream(
        SpeechRequest(
            Script(TEXT), references[:1], sampling=LIVELY, seed=long_seed, first_seconds=first, piece_seconds=later
        )
    )
    pieces = list(stream)
    assert len(pieces) > 1
    assert np.array_equal(stream.speech.codes, whole.codes)
    joined = np.concatenate(pieces)
    assert np.array_equal(joined, stream.speech.waveform.samples)
    assert joined.shape == whole.waveform.samples.shape
    assert np.abs(joined - whole.waveform.samples).max() < 1e-4


def test_seams_do_not_click(engine: Any, references: list[Reference], long_seed: int) -> None:
    stream = engine.stream(
        SpeechRequest(
            Script(TEXT), references[:1], sampling=LIVELY, seed=long_seed, first_seconds=0.2, piece_seconds=0.2
        )
    )
    pieces = list(stream)
    decoded = engine.codec.decode(stream.speech.codes)
    assert np.abs(np.concatenate(pieces) - decoded).max() < 1e-4
    seams = np.cumsum([len(piece) for piece in pieces])[:-1]
    steps = np.abs(np.diff(np.concatenate(pieces)))
    assert steps[seams - 1].max() <= steps.max()
    assert np.abs(steps[seams - 1] - np.abs(np.diff(decoded))[seams - 1]).max() < 1e-4


@pytest.mark.parametrize("script", [LONG_TEXT, f"[Anna] {TEXT}\n[Bob] Hello.\n[Anna] {TEXT} {TEXT}"])
def test_long_texts_and_dialogues_stream_as_they_sound_at_once(engine: Any, script: str) -> None:
    whole = engine.clone(script, seed=3)
    stream = engine.stream(SpeechRequest(Script(script), seed=3))
    pieces = [next(stream)]
    assert stream.num_frames < whole.num_frames / 3
    pieces += stream
    assert len(whole.chunks) >= 3
    assert np.array_equal(stream.speech.codes, whole.codes)
    assert stream.speech.chunks == whole.chunks
    joined = np.concatenate(pieces)
    assert joined.shape == whole.waveform.samples.shape
    assert np.abs(joined - whole.waveform.samples).max() < 1e-4


def test_the_first_piece_of_a_dialogue_does_not_wait_for_the_second_line(engine: Any) -> None:
    stream = engine.stream(SpeechRequest(Script(f"[Anna] {TEXT} {TEXT}\n[Bob] {TEXT}"), sampling=LIVELY, seed=1))
    next(stream)
    assert len(stream._progress.reports) == 0, "the first line was spoken to its end before anything was heard"


def test_two_streams_taken_in_turns_do_not_mix(engine: Any, references: list[Reference]) -> None:
    alone = [engine.clone(TEXT, references[:1], sampling=LIVELY, seed=seed).codes for seed in (5, 6)]
    streams = [
        engine.stream(SpeechRequest(Script(TEXT), references[:1], sampling=LIVELY, seed=seed)) for seed in (5, 6)
    ]
    running = list(streams)
    while running:
        running = [stream for stream in running if next(stream, None) is not None]
    for stream, codes in zip(streams, alone, strict=True):
        assert np.array_equal(stream.speech.codes, codes)


def test_the_expected_duration_is_known_at_once(engine: Any) -> None:
    short, long = (engine.stream(SpeechRequest(Script(text), seed=1)) for text in (TEXT, LONG_TEXT))
    assert 3 < short.expected_seconds < 8
    assert long.expected_seconds > 6 * short.expected_seconds


# --- cancelling -----------------------------------------------------------------------------------------------------


def cancelled_midway(stream: SpeechStream) -> tuple[int, int]:
    """Cancels from another thread while this one listens; frames when cancelled and at the end."""
    at_cancel: list[int] = []

    def cancel() -> None:
        stream.cancel()
        at_cancel.append(stream.num_frames)

    next(stream)
    thread = threading.Thread(target=cancel)
    thread.start()
    for _ in stream:
        pass
    thread.join()
    return at_cancel[0], stream.num_frames


@pytest.mark.parametrize("text", [TEXT, LONG_TEXT])
def test_cancelling_from_another_thread_stops_within_a_frame(engine: Any, text: str, long_seed: int) -> None:
    whole = engine.clone(text, sampling=LIVELY, seed=long_seed)
    stream = engine.stream(SpeechRequest(Script(text), sampling=LIVELY, seed=long_seed))
    before, after = cancelled_midway(stream)
    assert after <= before + 1
    assert after < whole.num_frames
    assert stream.cancelled
    assert list(stream) == []
    with pytest.raises(StudioError, match=r"^Speaking was cancelled\.$"):
        _ = stream.speech


@pytest.mark.usefixtures("no_collector")
def test_a_cancelled_stream_lets_its_memory_go(engine: Any) -> None:
    before = num_caches()
    stream = engine.stream(SpeechRequest(Script(LONG_TEXT), sampling=LIVELY, seed=1))
    next(stream)
    cache = weakref.ref(next(thing for thing in gc.get_objects() if type(thing) is DynamicCache))
    assert num_caches() == before + 1
    stream.cancel()
    assert list(stream) == []
    assert num_caches() == before
    assert cache() is None


@pytest.mark.usefixtures("no_collector")
def test_closing_a_stream_lets_its_memory_go_at_once(engine: Any) -> None:
    before = num_caches()
    stream = engine.stream(SpeechRequest(Script(LONG_TEXT), sampling=LIVELY, seed=1))
    next(stream)
    frames = stream.num_frames
    stream.close()
    assert num_caches() == before
    assert stream.num_frames == frames
    assert next(stream, None) is None
    with pytest.raises(StudioError, match="cancelled"):
        _ = stream.speech


def test_a_stream_that_nobody_wants_any_more_lets_its_memory_go(engine: Any) -> None:
    gc.collect()
    before = num_caches()
    stream = engine.stream(SpeechRequest(Script(LONG_TEXT), sampling=LIVELY, seed=1))
    next(stream)
    del stream
    gc.collect()
    assert num_caches() == before


@pytest.mark.usefixtures("no_collector")
def test_finished_speech_keeps_no_model_memory(engine: Any) -> None:
    before = num_caches()
    stream = engine.stream(SpeechRequest(Script(TEXT), seed=1))
    list(stream)
    assert stream.speech.num_frames > 0
    assert num_caches() == before


def test_a_stream_cancelled_before_it_began_says_nothing(engine: Any) -> None:
    stream = engine.stream(SpeechRequest(Script(TEXT), seed=1))
    stream.cancel()
    assert list(stream) == []
    assert stream.num_frames == 0


def test_cancelling_one_stream_does_not_disturb_another(engine: Any) -> None:
    alone = engine.clone(TEXT, sampling=LIVELY, seed=9)
    other, stream = (engine.stream(SpeechRequest(Script(TEXT), sampling=LIVELY, seed=seed)) for seed in (8, 9))
    next(other), next(stream)
    other.cancel()
    list(other)
    list(stream)
    assert np.array_equal(stream.speech.codes, alone.codes)


def test_cancelling_after_the_end_keeps_the_speech(engine: Any) -> None:
    stream = engine.stream(SpeechRequest(Script(TEXT), seed=1))
    list(stream)
    stream.cancel()
    assert stream.speech.num_frames > 0


def test_frames_come_one_by_one_to_whoever_watches(engine: Any) -> None:
    """``num_frames`` is what a page shows as progress: another thread sees it grow."""
    stream = engine.stream(SpeechRequest(Script(LONG_TEXT), sampling=LIVELY, seed=2))
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(stream.num_frames)
            done.wait(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    for _ in range(4):
        next(stream, None)
    done.set()
    thread.join()
    stream.close()
    assert len(seen) > 5

"""VoiceEngine: the same request gives the same speech, voices matter, and long texts and dialogues hold together."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from studio.engine.model.sampling import MAX_SEED, Sampling
from studio.engine.prompt import Conversation, render, speech_conversation
from studio.engine.speech.joining import SENTENCE_PAUSE_SECONDS, TURN_PAUSE_SECONDS
from studio.engine.speech.reference import Consent, Reference
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.result import Speech
from studio.engine.text import Script
from studio.engine.voice_engine import VoiceEngine
from studio.errors import StudioError

TEXT = "Hello there."
LIVELY = Sampling(temperature=1.0)
LONG_TEXT = "The boy hesitated for a while, then he mastered his temper and walked on. " * 16
DIALOGUE = "[Anna] Hi, Bob.\n[Bob] Hello, Anna.\n[Anna] How are you?\n[Bob] Fine."


@pytest.fixture(scope="module")
def voices(references: list[Reference]) -> list[Reference]:
    """Anna and Bob."""
    return [replace(references[0], speaker="Anna"), replace(references[1], speaker="Bob")]


class Recorder(VoiceEngine):
    """Remembers what each chunk asked of the model."""

    asked: list[tuple[str, list[np.ndarray]]]

    def frame_stream(self, conversation: Conversation, clips: Any, **options: Any) -> Any:
        stream = super().frame_stream(conversation, clips, **options)
        self.asked = [*getattr(self, "asked", []), (stream._prompt.text, [np.asarray(clip) for clip in clips])]
        return stream


@pytest.fixture(scope="module")
def recorder(new_engine: Callable[..., Any]) -> Recorder:
    return new_engine(kind=Recorder)


@pytest.fixture
def asked(recorder: Recorder) -> Iterator[Callable[[], list[tuple[str, list[np.ndarray]]]]]:
    recorder.asked = []
    yield lambda: recorder.asked


def same(one: Speech, other: Speech) -> bool:
    return np.array_equal(one.codes, other.codes) and np.array_equal(one.waveform.samples, other.waveform.samples)


def silences(samples: np.ndarray, shortest: int = 100) -> list[int]:
    """Lengths of the runs of exact zeros."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (samples == 0).astype(np.int8), [0]])))
    lengths = (edges[1::2] - edges[::2]).tolist()
    return [length for length in lengths if length >= shortest]


# --- what a request gives -------------------------------------------------------------------------------------------


def test_speech_reports_what_it_is(engine: Any, references: list[Reference]) -> None:
    speech = engine.clone(TEXT, references[:1], seed=3)
    assert speech.waveform.sample_rate == engine.sample_rate == 24_000
    assert speech.codes.shape == (8, speech.num_frames)
    assert speech.waveform.num_samples == speech.num_frames * 960
    assert speech.seconds == pytest.approx(speech.num_frames / 25)
    assert speech.rtf == pytest.approx(speech.elapsed / speech.seconds)
    assert speech.elapsed > 0
    assert speech.seed == 3
    assert np.isfinite(speech.waveform.samples).all()
    assert speech.waveform.rms_dbfs > -50, "the tiny checkpoint should be heard"


def test_the_samples_are_the_codes_decoded(engine: Any, references: list[Reference]) -> None:
    speech = engine.clone(TEXT, references[:1], seed=3)
    assert np.abs(speech.waveform.samples - engine.codec.decode(speech.codes)).max() < 1e-4


def test_no_reference_lets_the_model_pick_a_voice(engine: Any) -> None:
    assert engine.clone(TEXT, seed=0).num_frames > 0


@pytest.mark.parametrize("text", ["السماء صافية والطقس جميل.", "今天天气真不错。", "Hi 😀!", "सुप्रभात।"])
def test_any_script_is_spoken(engine: Any, references: list[Reference], text: str) -> None:
    assert engine.clone(text, references[:1], seed=1).num_frames > 0


# --- seeds ----------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_speech_after_others_spoke(engine: Any, references: list[Reference]) -> None:
    first = engine.clone(TEXT, references[:1], sampling=LIVELY, seed=7)
    engine.clone("Something else entirely.", references[1:2], seed=8)
    torch.manual_seed(99)
    engine.clone(TEXT, seed=7)
    assert same(engine.clone(TEXT, references[:1], sampling=LIVELY, seed=7), first)


def test_a_fresh_engine_gives_the_same_speech(
    engine: Any, new_engine: Callable[..., Any], references: list[Reference]
) -> None:
    speech = engine.clone(TEXT, references[:1], sampling=LIVELY, seed=7)
    assert same(new_engine().clone(TEXT, references[:1], sampling=LIVELY, seed=7), speech)


def test_another_thread_gives_the_same_speech(engine: Any, references: list[Reference]) -> None:
    speech = engine.clone(TEXT, references[:1], sampling=LIVELY, seed=7)
    with ThreadPoolExecutor(1) as pool:
        assert same(pool.submit(engine.clone, TEXT, references[:1], sampling=LIVELY, seed=7).result(), speech)


def test_two_requests_at_once_do_not_mix(engine: Any, references: list[Reference]) -> None:
    def speak(seed: int) -> Speech:
        return engine.clone(TEXT, references[seed % 2 : seed % 2 + 1], sampling=LIVELY, seed=seed)

    alone = [speak(seed) for seed in (1, 2, 3)]
    barrier = threading.Barrier(3)

    def at_once(seed: int) -> Speech:
        barrier.wait()
        return speak(seed)

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(at_once, (1, 2, 3)))
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))


def test_another_seed_gives_other_speech(engine: Any, references: list[Reference]) -> None:
    first, second = (engine.clone(TEXT, references[:1], sampling=LIVELY, seed=seed) for seed in (1, 2))
    assert not np.array_equal(first.codes[:, :5], second.codes[:, :5])


def test_at_temperature_zero_every_seed_says_the_same(engine: Any, references: list[Reference]) -> None:
    greedy = Sampling(temperature=0)
    first, second = (engine.clone(TEXT, references[:1], sampling=greedy, seed=seed) for seed in (1, 2))
    assert same(first, second)


def test_a_seed_that_was_not_given_is_reported_and_repeats_the_speech(engine: Any) -> None:
    speech, another = (engine.clone(TEXT, sampling=LIVELY) for _ in range(2))
    assert 0 <= speech.seed <= MAX_SEED
    assert speech.seed != another.seed
    assert same(engine.clone(TEXT, sampling=LIVELY, seed=speech.seed), speech)


def test_the_largest_seed_works_and_those_beyond_are_refused(engine: Any) -> None:
    assert engine.clone(TEXT, seed=MAX_SEED).seed == MAX_SEED
    for seed in (-1, MAX_SEED + 1):
        with pytest.raises(StudioError, match=rf"^The seed is {seed}: choose a whole number from 0 to {MAX_SEED}\.$"):
            engine.clone(TEXT, seed=seed)


# --- voices ---------------------------------------------------------------------------------------------------------


def test_another_reference_gives_other_speech(engine: Any, references: list[Reference]) -> None:
    greedy = Sampling(temperature=0)
    spoken = [engine.clone(TEXT, [reference], sampling=greedy, seed=5).codes for reference in references]
    spoken.append(engine.clone(TEXT, sampling=greedy, seed=5).codes)
    starts = {codes[:, :10].tobytes() for codes in spoken}
    assert len(starts) == 4


def test_the_clip_itself_matters_not_only_its_transcript(engine: Any, references: list[Reference]) -> None:
    swapped = replace(references[0], clip=references[1].clip)
    one, other = (engine.clone(TEXT, [voice], sampling=Sampling(temperature=0)) for voice in (references[0], swapped))
    assert not np.array_equal(one.codes[:, :10], other.codes[:, :10])


def test_several_references_are_all_heard(recorder: Recorder, asked: Any, references: list[Reference]) -> None:
    recorder.clone(TEXT, references, seed=1)
    ((prompt, clips),) = asked()
    assert prompt == render(speech_conversation(TEXT, transcripts=[(None, r.transcript) for r in references]))
    for clip, reference in zip(clips, references, strict=True):
        assert np.array_equal(clip, recorder.codec.encode(reference.clip))


def test_the_scene_reaches_the_model(recorder: Recorder, asked: Any) -> None:
    recorder.clone(TEXT, scene="A large cathedral.", seed=1)
    assert "<|scene_desc_start|>\nA large cathedral.\n<|scene_desc_end|>" in asked()[0][0]


# --- length budget --------------------------------------------------------------------------------------------------


def test_speech_that_hits_its_budget_is_told_from_speech_that_ends(engine: Any, references: list[Reference]) -> None:
    found: dict[bool, Speech] = {}
    for seed in range(60):
        speech = engine.clone(TEXT, references[:1], sampling=LIVELY, seed=seed)
        found.setdefault(speech.ended, speech)
        if len(found) == 2:
            break
    assert set(found) == {True, False}, "no seed of the tiny checkpoint shows both"
    (finished,), (cut,) = found[True].chunks, found[False].chunks
    assert finished.ended
    assert finished.num_frames <= finished.budget_frames
    assert not cut.ended
    assert cut.num_frames == cut.budget_frames == found[False].num_frames


# --- long text ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_speech(recorder: Recorder, references: list[Reference]) -> tuple[Speech, list[tuple[str, list[np.ndarray]]]]:
    recorder.asked = []
    return recorder.clone(LONG_TEXT, references[:1], seed=4), recorder.asked


def test_a_long_text_is_spoken_in_chunks_that_are_reported(long_speech: Any) -> None:
    speech, _ = long_speech
    assert len(speech.chunks) >= 4
    assert " ".join(chunk.text for chunk in speech.chunks) == LONG_TEXT.strip()
    assert sum(chunk.num_frames for chunk in speech.chunks) == speech.num_frames
    assert all(0 < chunk.num_frames <= chunk.budget_frames for chunk in speech.chunks)
    assert all(chunk.ended or chunk.num_frames == chunk.budget_frames for chunk in speech.chunks)
    assert speech.ended == all(chunk.ended for chunk in speech.chunks)


def test_each_chunk_sees_the_references_and_the_last_two_turns(
    long_speech: Any, recorder: Recorder, references: list[Reference]
) -> None:
    speech, asked = long_speech
    ends = np.cumsum([chunk.num_frames for chunk in speech.chunks])
    turns = np.split(speech.codes, ends[:-1], axis=1)
    reference = recorder.codec.encode(references[0].clip)
    assert len(asked) == len(speech.chunks)
    for index, (prompt, clips) in enumerate(asked):
        first = max(0, index - 2)
        earlier = [chunk.text for chunk in speech.chunks[first:index]]
        assert prompt == render(
            speech_conversation(
                speech.chunks[index].text, transcripts=[(None, references[0].transcript)], earlier=earlier
            )
        )
        for clip, expected in zip(clips, [reference, *turns[first:index]], strict=True):
            assert np.array_equal(clip, expected)


def test_chunks_are_parted_by_silence_of_the_stated_length(long_speech: Any) -> None:
    speech, _ = long_speech
    pause = round(SENTENCE_PAUSE_SECONDS * 24_000)
    assert silences(speech.waveform.samples) == [pause] * (len(speech.chunks) - 1)


def test_nothing_clicks_where_chunks_meet(long_speech: Any) -> None:
    samples = long_speech[0].waveform.samples
    zero = np.flatnonzero(samples == 0)
    beside = np.concatenate([samples[np.clip(zero - 1, 0, None)], samples[np.clip(zero + 1, None, len(samples) - 1)]])
    # The last sample of a ramp of 5 ms is 1/240 of the sound.
    assert np.abs(beside).max() < 0.01 * np.abs(samples).max()


def test_a_long_text_repeats_with_its_seed(recorder: Recorder, long_speech: Any, references: list[Reference]) -> None:
    assert same(recorder.clone(LONG_TEXT, references[:1], seed=4), long_speech[0])


# --- dialogue -------------------------------------------------------------------------------------------------------


def test_a_dialogue_speaks_each_line_in_its_voice(recorder: Recorder, asked: Any, voices: list[Reference]) -> None:
    speech = recorder.clone(DIALOGUE, voices, seed=2)
    assert [(chunk.speaker, chunk.text) for chunk in speech.chunks] == [
        ("Anna", "Hi, Bob."),
        ("Bob", "Hello, Anna."),
        ("Anna", "How are you?"),
        ("Bob", "Fine."),
    ]
    assert silences(speech.waveform.samples) == [round(TURN_PAUSE_SECONDS * 24_000)] * 3
    prompt, clips = asked()[-1]
    assert prompt == render(
        speech_conversation(
            "[SPEAKER1] Fine.",
            transcripts=[("SPEAKER0", voices[0].transcript), ("SPEAKER1", voices[1].transcript)],
            earlier=["[SPEAKER1] Hello, Anna.", "[SPEAKER0] How are you?"],
        )
    )
    for clip, voice in zip(clips[:2], voices, strict=True):
        assert np.array_equal(clip, recorder.codec.encode(voice.clip))
    assert len(clips) == 4


def test_exchanged_voices_change_the_dialogue(engine: Any, voices: list[Reference]) -> None:
    script, greedy = "[Anna] Hi.\n[Bob] Hey.", Sampling(temperature=0)
    exchanged = [replace(voices[0], speaker="Bob"), replace(voices[1], speaker="Anna")]
    usual, other = (engine.clone(script, given, sampling=greedy) for given in (voices, exchanged))
    assert not np.array_equal(usual.codes[:, :10], other.codes[:, :10])


def test_voices_in_words_reach_the_model(recorder: Recorder, asked: Any) -> None:
    recorder.clone("[Anna] Hi.\n[Bob] Hey.", descriptions={"Anna": "a young woman", "Bob": "an old man"}, seed=1)
    assert "\nSPEAKER0: a young woman\nSPEAKER1: an old man\n<|scene_desc_end|>" in asked()[0][0]
    assert "convert text into speech" in asked()[0][0]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("", {}, "There is no text"),
        ("... !?", {}, "nothing to say in this text"),
        ("word " * 4_000, {}, "has 19,999 characters and the limit is 10,000"),
        ("Hello <|eot_id|>", {}, "control token"),
        (TEXT, {"scene": "A room <|scene_desc_end|>"}, "scene contains the control token"),
        (TEXT, {"descriptions": {"Anna": "<|eot_id|>"}}, "description of a voice contains the control token"),
        ("[Anna] Hi.\n[Bob] Hey.", {"descriptions": {"Anna": "young"}}, "No voice is given for Bob"),
    ],
)
def test_what_cannot_be_spoken_is_refused_in_one_sentence_before_the_first_piece(
    engine: Any, text: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(StudioError, match=says) as caught:
        engine.stream(SpeechRequest(Script(text), seed=1, **options))
    assert "\n" not in str(caught.value)


def test_a_control_token_in_a_transcript_is_refused_before_the_first_piece(
    engine: Any, references: list[Reference]
) -> None:
    with pytest.raises(StudioError, match="transcript of the reference clip contains the control token"):
        engine.stream(
            SpeechRequest(Script(TEXT), [Reference(references[0].clip, "Hi <|eot_id|>", Consent("own"))], seed=1)
        )


def test_a_codec_that_does_not_belong_to_the_model_is_refused(tiny_checkpoint: Any) -> None:
    from studio.engine.checkpoints import find_checkpoint, load_checkpoint

    checkpoint = load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu")
    checkpoint.model.config.audio_stream_bos_id = 512
    with pytest.raises(StudioError, match="8 codebooks of 512 codes and its codec 8 of 1024"):
        VoiceEngine(checkpoint)


# --- unloading ------------------------------------------------------------------------------------------------------


def test_unloading_frees_the_models_and_says_so_afterwards(
    new_engine: Callable[..., Any], references: list[Reference]
) -> None:
    engine = new_engine()
    engine.clone(TEXT, references[:1], seed=1)
    models = [weakref.ref(engine._model), weakref.ref(engine.codec._model)]
    assert engine.is_loaded
    assert all(model() is not None for model in models)
    engine.unload()
    gc.collect()
    assert [model() for model in models] == [None, None]
    assert not engine.is_loaded
    for voice in ([], references[:1]):
        with pytest.raises(StudioError, match="was unloaded to free its memory: load a checkpoint"):
            engine.clone(TEXT, voice, seed=1)
    engine.unload()  # twice does no harm


def test_unloading_ends_a_running_stream_and_frees_the_models_all_the_same(new_engine: Callable[..., Any]) -> None:
    engine = new_engine()
    stream = engine.stream(SpeechRequest(Script(LONG_TEXT), seed=4))
    next(stream)
    models = [weakref.ref(engine._model), weakref.ref(engine.codec._model)]
    engine.unload()
    gc.collect()
    assert [model() for model in models] == [None, None], "the running stream holds the model"
    with pytest.raises(StudioError, match="was unloaded"):
        list(stream)
    with pytest.raises(StudioError):
        _ = stream.speech

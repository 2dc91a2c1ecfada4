"""A new sentence is spoken as the row's own text would be: same prompt, same way, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio.audio import Waveform, encode_audio, read_audio
from studio.engine.prompt import DEFAULT_SCENE, encode_prompt, render
from studio.engine.rows import parse_row
from studio.engine.speech.spoken_sentence import SpokenSentence, conversation_for, prompt_logits, speak_sentence
from tests.conftest import DATA
from tests.known_adapters import EOS, row_of, write_adapter
from tests.refusals import refusal
from tests.training import EXAMPLES, TRANSCRIPTS

TEXT = "The house is small"
WITH_REFERENCE, WITHOUT = row_of(EXAMPLES[0]), row_of(EXAMPLES[3])


@pytest.fixture(scope="module")
def adapter(engine: Any, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    def make(**options: float) -> Any:
        return engine.load_adapter(write_adapter(tmp_path_factory.mktemp("adapter"), tiny_checkpoint, **options))

    return make


@pytest.mark.parametrize("example", [EXAMPLES[0], EXAMPLES[3]], ids=["reference", "no reference"])
def test_it_is_what_the_engine_says_to_the_same_request(engine: Any, example: Any) -> None:
    spoken = speak_sentence(engine, row_of(example), TEXT, seed=5)
    speech = engine.clone(TEXT, example.references(), seed=5)
    assert np.array_equal(spoken.codes, speech.codes)
    assert np.abs(spoken.waveform.samples - speech.waveform.samples).max() < 1e-5
    assert (spoken.ended, spoken.num_frames) == (speech.ended, speech.num_frames)
    assert spoken.budget_frames == speech.chunks[0].budget_frames
    assert spoken.seconds == pytest.approx(spoken.num_frames / engine.frame_rate)
    assert spoken.text == "The house is small."  # prepared, as when speaking


def two_clips_to_learn() -> dict[str, Any]:
    a, b, c, *_ = names = list(TRANSCRIPTS)
    turns = [
        message
        for name, loss in zip((a, b, c), (False, True, True), strict=True)
        for message in (
            {"role": "user", "content": TRANSCRIPTS[name]},
            {"role": "assistant", "content": "<audio>", "loss": loss},
        )
    ]
    system = {"role": "system", "content": "Speak.\n\n<|scene_desc_start|>\nOn a ship.\n<|scene_desc_end|>"}
    return {"messages": [system, *turns], "audios": [str(DATA / name) for name in names[:3]]}


@pytest.mark.parametrize("row", [EXAMPLES[0].row(), EXAMPLES[3].row(), two_clips_to_learn()])
def test_its_own_text_gives_the_prompt_that_the_row_is_trained_with(row: Any) -> None:
    read = parse_row(row, folder=Path())
    whole = render(read.conversation(), generation_prompt=False)
    prompt = render(conversation_for(read, read.turns[-2].text))
    assert whole.startswith(prompt)
    assert len(prompt) > 0.8 * len(whole)


def test_a_text_answer_behind_the_clip_is_not_what_is_asked_for() -> None:
    row = EXAMPLES[0].row()
    row["messages"] += [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Kathleen."}]
    with_answer = parse_row(row, folder=Path())
    assert conversation_for(with_answer, TEXT) == conversation_for(WITH_REFERENCE, TEXT)


def test_without_a_system_turn_the_scene_is_the_usual_one() -> None:
    bare = replace(WITHOUT, system=None)
    assert DEFAULT_SCENE in render(conversation_for(bare, TEXT))


@pytest.mark.parametrize(("text", "tag"), [("Hello there.", "[SPEAKER1]"), ("[SPEAKER0] Hello there.", "[SPEAKER0]")])
def test_the_speaker_of_the_row_speaks_unless_another_is_named(text: str, tag: str) -> None:
    own = replace(WITHOUT.turns[0], text="[SPEAKER1] " + WITHOUT.turns[0].text)
    row = replace(WITHOUT, turns=(own, *WITHOUT.turns[1:]))
    assert conversation_for(row, text).turns[-1].text == f"{tag} Hello there."


def test_a_model_that_ends_at_once_is_silent_and_ended(engine: Any, adapter: Callable[..., Any]) -> None:
    spoken = speak_sentence(engine, WITHOUT, TEXT, seed=1, adapter=adapter(eos=1000.0))
    assert (spoken.num_frames, spoken.codes.shape, spoken.ended, spoken.silent) == (0, (8, 0), True, True)
    assert (spoken.seconds, spoken.loudness_dbfs) == (0.0, -120.0)
    assert len(encode_audio(spoken.audible, "wav")) > 44  # a file can be made of it


def test_a_model_that_never_ends_stops_at_its_budget(engine: Any, adapter: Callable[..., Any]) -> None:
    spoken = speak_sentence(engine, WITHOUT, "Hi.", seed=1, adapter=adapter(eos=-1000.0))
    assert not spoken.ended
    assert spoken.num_frames == spoken.budget_frames
    assert spoken.seconds == pytest.approx(spoken.budget_seconds)
    assert not spoken.silent


def test_loudness_is_that_of_the_samples() -> None:
    def spoken(samples: Any) -> SpokenSentence:
        waveform = Waveform(np.asarray(samples, np.float32), 24_000)
        return SpokenSentence("", waveform, np.zeros((8, 1), np.int64), True, 1, 1, 25.0)

    assert spoken(np.full(960, 0.1)).loudness_dbfs == pytest.approx(-20.0)
    assert spoken(np.full(960, 0.0)).loudness_dbfs == -120.0
    assert not spoken(np.full(960, 0.0011)).silent
    assert spoken(np.full(960, 0.0009)).silent


def test_the_logits_are_those_of_the_stock_model(engine: Any, native_model: Any, processor: Any) -> None:
    clip = read_audio(DATA / (EXAMPLES[0].reference or ""))
    prompt = encode_prompt(
        conversation_for(WITH_REFERENCE, TEXT),
        [torch.as_tensor(engine.codec.encode(clip))],
        tokenizer=processor.tokenizer,
        stream_bos_id=1024,
        stream_eos_id=EOS,
    )
    assert prompt.audio_input_ids is not None
    mask = torch.ones(prompt.audio_input_ids.shape[:2], dtype=torch.bool)
    with torch.no_grad():
        expected = native_model(
            input_ids=prompt.input_ids, audio_input_ids=prompt.audio_input_ids, audio_input_ids_mask=mask
        ).logits[0, -1]
    logits = prompt_logits(engine, WITH_REFERENCE, TEXT)
    assert logits.shape == (8, 1026)
    assert torch.allclose(logits.flatten(), expected.flatten(), atol=1e-4)


def test_an_adapter_is_on_for_its_own_sentence_alone(engine: Any, adapter: Callable[..., Any]) -> None:
    base = prompt_logits(engine, WITHOUT, TEXT)
    trained, idle = adapter(eos=3.0), adapter()
    change = prompt_logits(engine, WITHOUT, TEXT, trained) - base
    assert torch.allclose(change[:, EOS], torch.tensor(3.0), atol=1e-4)
    assert change[:, :EOS].abs().max() == 0
    assert torch.equal(prompt_logits(engine, WITHOUT, TEXT, idle), base)
    assert torch.equal(prompt_logits(engine, WITHOUT, TEXT), base)


def test_cancelling_ends_it_with_a_sentence(engine: Any) -> None:
    asked = iter([False, False, False])
    assert "cancelled" in refusal(
        lambda: speak_sentence(engine, WITHOUT, TEXT, seed=1, cancelled=lambda: next(asked, True))
    )


@pytest.mark.parametrize(
    ("text", "words"), [("", "no text"), ("<|eot_id|> Hi.", "control token"), ("***", "nothing to say")]
)
def test_what_cannot_be_said_is_refused(engine: Any, text: str, words: str) -> None:
    assert words in refusal(lambda: speak_sentence(engine, WITHOUT, text, seed=1))


def test_a_reference_that_is_gone_is_named(engine: Any) -> None:
    gone = replace(WITH_REFERENCE.turns[1], clip=Path("/nowhere/gone.flac"))
    row = replace(WITH_REFERENCE, turns=(WITH_REFERENCE.turns[0], gone, *WITH_REFERENCE.turns[2:]))
    assert "gone.flac" in refusal(lambda: speak_sentence(engine, row, TEXT, seed=1))

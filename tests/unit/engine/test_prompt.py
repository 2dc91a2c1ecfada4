"""Prompts equal those of the original implementation (tests/data/prompts.json) and the ids of the stock processor."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from studio.engine.prompt import Conversation, Turn, encode_prompt, render, speech_conversation
from studio.engine.prompt.conversation import SYSTEM_TEXT, native_messages
from studio.errors import StudioError
from tests.conftest import DATA
from tests.prompts import both_prompts

GOLDEN = json.loads((DATA / "prompts.json").read_text(encoding="utf-8"))

CONVERSATIONS: dict[str, Conversation] = {
    "no reference, scene": speech_conversation("The sun rises in the east."),
    "no reference, no scene": speech_conversation("Hello.", scene=""),
    "one reference": speech_conversation(
        "The sun rises in the east.", transcripts=[(None, "Twas the night before my birthday.")]
    ),
    "two speakers with references": speech_conversation(
        "[SPEAKER0] I can't believe it!\n[SPEAKER1] Oh, come on!",
        transcripts=[("SPEAKER0", "I would imagine so."), ("SPEAKER1", "It is the best day of the year.")],
    ),
    "long text, third chunk with two earlier chunks kept": speech_conversation(
        "Third chunk.", transcripts=[(None, "A reference sentence.")], earlier=["First chunk.", "Second chunk."]
    ),
    "multi-speaker, described voices": speech_conversation(
        "[SPEAKER0] Hi.\n[SPEAKER1] Hello.", descriptions={"SPEAKER0": "feminine", "SPEAKER1": "masculine"}
    ),
    "Arabic with reference": speech_conversation(
        "السماء صافية والطقس جميل.", transcripts=[(None, "صباح الخير، كيف حالك اليوم؟")]
    ),
    "Chinese": speech_conversation("今天天气真不错。"),
}


def test_every_golden_prompt_is_compared() -> None:
    assert set(CONVERSATIONS) == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_prompt_equals_the_original_character_for_character(name: str) -> None:
    assert render(CONVERSATIONS[name]) == GOLDEN[name]["prompt"]


@pytest.mark.parametrize("name", GOLDEN)
def test_turns_equal_those_of_the_original(name: str) -> None:
    conversation, (system, *turns) = CONVERSATIONS[name], GOLDEN[name]["turns"]
    assert conversation.system_content == system["content"]
    assert [(t.role, t.text or {"type": "audio"}) for t in conversation.turns] == [
        (t["role"], t["content"]) for t in turns
    ]


@pytest.mark.parametrize("name", GOLDEN)
def test_chat_template_of_the_checkpoint_renders_the_golden_prompt(name: str, processor: Any) -> None:
    rendered = processor.apply_chat_template(
        native_messages(CONVERSATIONS[name]), tokenize=False, add_generation_prompt=True
    )
    assert rendered == GOLDEN[name]["prompt"]


@pytest.mark.parametrize("name", GOLDEN)
def test_ids_and_audio_rows_equal_the_processors(name: str, processor: Any, engine: Any, references: list[Any]) -> None:
    conversation = CONVERSATIONS[name]
    clips = [references[index].clip for index in range(conversation.num_clips)]
    native, ours = both_prompts(processor, engine, conversation, clips)
    assert torch.equal(ours.input_ids, native["input_ids"])
    if clips:
        assert ours.audio_input_ids is not None
        assert torch.equal(ours.audio_input_ids, native["audio_input_ids"])
        assert native["audio_input_ids_mask"].all()
    else:
        assert ours.audio_input_ids is None
        assert native.get("audio_input_ids") is None
    assert ours.text == GOLDEN[name]["prompt"]


def test_each_row_of_a_clip_has_its_place_in_the_ids(processor: Any) -> None:
    clips = [torch.zeros(8, frames, dtype=torch.long) for frames in (4, 9)]
    conversation = CONVERSATIONS["two speakers with references"]
    prompt = encode_prompt(conversation, clips, tokenizer=processor.tokenizer, stream_bos_id=1024, stream_eos_id=1025)
    token_id = processor.tokenizer.convert_tokens_to_ids
    places = torch.isin(
        prompt.input_ids[0], torch.tensor([token_id("<|AUDIO_OUT|>"), token_id("<|reserved_special_token_6|>")])
    )
    assert prompt.audio_input_ids is not None
    assert int(places.sum()) == prompt.audio_input_ids.shape[1] == (4 + 9) + 2 * 9


def test_only_one_begin_of_text_opens_the_prompt(processor: Any) -> None:
    prompt = encode_prompt(
        speech_conversation("Hi."), [], tokenizer=processor.tokenizer, stream_bos_id=1024, stream_eos_id=1025
    )
    begin = processor.tokenizer.convert_tokens_to_ids("<|begin_of_text|>")
    assert (prompt.input_ids[0] == begin).nonzero().flatten().tolist() == [0]


def test_a_clip_too_few_or_too_many_is_a_programming_error(processor: Any) -> None:
    with pytest.raises(ValueError, match="1 clips are expected, 0 were given"):
        encode_prompt(
            CONVERSATIONS["one reference"], [], tokenizer=processor.tokenizer, stream_bos_id=1024, stream_eos_id=1025
        )


def test_without_a_generation_prompt_the_last_turn_is_closed() -> None:
    conversation = Conversation((Turn("user", "Hi."), Turn("assistant")))
    assert render(conversation, generation_prompt=False).endswith("<|AUDIO_OUT|><|audio_eos|><|eot_id|>")


@pytest.mark.parametrize("token", ["<|eot_id|>", "<|AUDIO_OUT|>", "<|start_header_id|>", "<|scene_desc_end|>"])
def test_control_tokens_are_refused_wherever_a_user_writes(token: str) -> None:
    with pytest.raises(StudioError, match="transcript of the reference clip contains the control token"):
        speech_conversation("Hi.", transcripts=[(None, f"Hello {token} there")])
    with pytest.raises(StudioError, match="scene contains the control token"):
        speech_conversation("Hi.", scene=f"A room.{token}")
    with pytest.raises(StudioError, match="description of a voice contains the control token"):
        speech_conversation("Hi.", descriptions={"SPEAKER0": token})


def test_pipes_and_angle_brackets_alone_are_plain_text() -> None:
    scene = "5 < 7 | 7 > 5, <b>, <| not a token"
    assert scene in render(speech_conversation("Hi.", scene=scene))


def test_a_scene_of_white_space_is_no_scene() -> None:
    assert render(speech_conversation("Hello.", scene=" \n")) == GOLDEN["no reference, no scene"]["prompt"]


def test_native_messages_carry_the_clips_in_order() -> None:
    clips = [np.zeros(3), np.ones(3)]
    messages = native_messages(CONVERSATIONS["two speakers with references"], clips)
    given = [m["content"][0]["audio"] for m in messages if m["role"] == "assistant"]
    assert [clip is original for clip, original in zip(given, clips, strict=True)] == [True, True]


def test_one_described_voice_keeps_the_plain_instruction_and_stands_in_the_scene() -> None:
    conversation = speech_conversation("Hello.", descriptions={"SPEAKER0": "calm, low"})
    assert conversation.system == SYSTEM_TEXT
    assert "\n\nSPEAKER0: calm, low\n<|scene_desc_end|>" in render(conversation)


@pytest.mark.parametrize("what", ["scene", "transcript"])
def test_bytes_that_were_not_unicode_are_refused_before_the_tokenizer_sees_them(what: str) -> None:
    broken = b"caf\xe9".decode("utf-8", "surrogateescape")
    options = {"scene": broken} if what == "scene" else {"transcripts": [(None, broken)]}
    with pytest.raises(StudioError, match="not valid Unicode"):
        speech_conversation("Hello.", **options)

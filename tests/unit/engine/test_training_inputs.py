"""What training sees, against one sample that the original implementation made (tests/data/labels.json)."""

from typing import Any

import pytest
import torch

from studio.engine.prompt import AUDIO, AUDIO_DELAY, IGNORED, Conversation, Turn, encode_prompt, encode_training
from studio.engine.prompt.delay_pattern import audio_labels
from studio.engine.prompt.encoding import TrainingInputs

BOS, EOS = 1024, 1025


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="module")
def clips(golden: dict) -> list[torch.Tensor]:
    return [torch.tensor(golden[name]) for name in ("reference_codes", "target_codes")]


TURNS = (Turn("user", "A."), Turn("assistant"), Turn("user", "B."), Turn("assistant", trained=True))


def encoded(
    tokenizer: Any, clips: list[torch.Tensor], turns: tuple[Turn, ...] = TURNS, **options: Any
) -> TrainingInputs:
    conversation = Conversation(turns, **{"scene": "", "system": "Generate audio following instruction.", **options})
    return encode_training(conversation, clips, tokenizer=tokenizer, stream_bos_id=BOS, stream_eos_id=EOS)


def collapsed(tokenizer: Any, inputs: TrainingInputs) -> list[tuple[str, bool]]:
    """Tokens as (text, trained), each run of audio tokens as one."""
    result: list[tuple[str, bool]] = []
    for token, label in zip(inputs.input_ids.tolist(), inputs.labels.tolist(), strict=True):
        assert label in (IGNORED, token)
        text = tokenizer.decode([token])
        if text in (AUDIO, AUDIO_DELAY):
            if result[-1][0] == AUDIO:
                continue
            text = AUDIO
        result.append((text, label != IGNORED))
    return result


def test_audio_labels_are_those_of_the_original(golden: dict, clips: list[torch.Tensor], tokenizer: Any) -> None:
    inputs = encoded(tokenizer, clips)
    assert inputs.audio_input_ids is not None
    assert inputs.audio_labels is not None
    assert inputs.audio_input_ids.T.tolist() == golden["audio_out_ids"]
    assert inputs.audio_labels.T.tolist() == golden["label_audio_ids"]


def test_text_labels_are_those_of_the_original(golden: dict, clips: list[torch.Tensor], tokenizer: Any) -> None:
    # The golden tokenizer has longer tokens than the tiny one: both are compared by characters and control tokens.
    expected = [
        piece
        for text, trained in golden["text"]
        for piece in ([(text, trained)] if text.startswith("<|") else [(character, trained) for character in text])
    ]
    assert collapsed(tokenizer, encoded(tokenizer, clips)) == expected


def test_training_begins_with_the_very_prompt_that_is_spoken_from(clips: list[torch.Tensor], tokenizer: Any) -> None:
    conversation = Conversation(TURNS)
    whole = encode_training(conversation, clips, tokenizer=tokenizer, stream_bos_id=BOS, stream_eos_id=EOS)
    spoken = Conversation(TURNS[:-1])
    prompt = encode_prompt(spoken, clips[:1], tokenizer=tokenizer, stream_bos_id=BOS, stream_eos_id=EOS)
    length = prompt.input_ids.shape[1]
    assert whole.input_ids[:length].tolist() == prompt.input_ids[0].tolist()
    assert prompt.audio_input_ids is not None
    assert whole.audio_input_ids is not None
    assert torch.equal(whole.audio_input_ids[: prompt.audio_input_ids.shape[1]], prompt.audio_input_ids[0])
    assert (whole.labels[: length - 1] == IGNORED).all()  # all but the <|audio_out_bos|> that opens the answer
    assert whole.labels[length - 1] == whole.input_ids[length - 1]


def test_another_reference_leaves_the_labels_as_they_are(clips: list[torch.Tensor], tokenizer: Any) -> None:
    one = encoded(tokenizer, clips)
    other = encoded(tokenizer, [(clips[0] + 5) % 1024, clips[1]])
    assert not torch.equal(one.audio_input_ids, other.audio_input_ids)  # type: ignore[arg-type]
    assert torch.equal(one.audio_labels, other.audio_labels)  # type: ignore[arg-type]
    assert torch.equal(one.labels, other.labels)


def test_a_text_answer_is_trained_to_its_end(tokenizer: Any) -> None:
    turns = (Turn("user", "Who?"), Turn("assistant", "Me, \u0633\u0644\u0627\u0645.", trained=True))
    inputs = encoded(tokenizer, [], turns)
    assert inputs.audio_input_ids is None
    assert inputs.audio_labels is None
    trained = [token for token in inputs.labels.tolist() if token != IGNORED]
    assert tokenizer.decode(trained) == "Me, \u0633\u0644\u0627\u0645.<|eot_id|>"


def test_each_trained_clip_of_several_is_trained_and_no_other(clips: list[torch.Tensor], tokenizer: Any) -> None:
    turns = (
        Turn("user", "[SPEAKER0] A."), Turn("assistant", trained=True),
        Turn("user", "[SPEAKER1] B."), Turn("assistant"),
        Turn("user", "[SPEAKER0] C."), Turn("assistant", trained=True),
    )  # fmt: skip
    inputs = encoded(tokenizer, [clips[1], clips[0], clips[1]], turns)
    labels = audio_labels(clips[1], eos_id=EOS)
    reference = torch.full_like(audio_labels(clips[0], eos_id=EOS), IGNORED)
    assert torch.equal(inputs.audio_labels, torch.cat([labels, reference, labels]))  # type: ignore[arg-type]
    ends = [text for text, trained in collapsed(tokenizer, inputs) if trained]
    assert ends == ["<|audio_out_bos|>", "<|audio_eos|>", "<|eot_id|>"] * 2


def test_as_many_clips_as_turns_say(clips: list[torch.Tensor], tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="2 clips are expected, 1 were given"):
        encoded(tokenizer, clips[:1])

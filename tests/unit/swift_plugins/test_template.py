"""Rows and batches as the template hands them to the model. Golden labels: tests/unit/engine/test_training_inputs.py."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.prompt import IGNORED, Conversation, encode_training
from studio.engine.prompt.delay_pattern import num_delayed_steps
from studio.engine.rows import parse_row
from swift_plugins.template import template_in_use
from tests.conftest import DATA
from tests.refusals import refusal
from tests.training import EXAMPLES

TEXT_ONLY = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Kathleen."}]}
NAMES = ("input_ids", "labels", "audio_input_ids", "audio_labels")
STREAM_EOS = 1025


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two encoded rows are equal, tensors included."""
    return one.keys() == other.keys() and all(
        torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        for name, value in one.items()
    )


def row_of(*turns: dict[str, Any], system: Any = ...) -> dict[str, Any]:
    """A row with one clip for each ``<audio>``; ``system`` as the content of a system turn, if any."""
    first = [] if system is ... else [{"role": "system", "content": system}]
    clips = ["kathleen_a0158.flac", "kathleen_a0098.flac"]
    num_clips = sum(turn["content"] == "<audio>" for turn in turns)
    return {"messages": [*first, *turns], "audios": [str(DATA / name) for name in clips[:num_clips]]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def clip(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "<audio>", **more}


# --- rows ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.target)
def test_a_row_is_encoded_exactly_as_the_engine_encodes_it(template: Any, example: Any) -> None:
    row = parse_row(example.row(), folder=DATA)
    expected = encode_training(
        row.conversation(), [template.clips(path) for path in row.clips],
        tokenizer=template.tokenizer, stream_bos_id=1024, stream_eos_id=STREAM_EOS,
    )  # fmt: skip
    encoded = template.encode(example.row())
    assert encoded["input_ids"] == expected.input_ids.tolist()
    assert encoded["labels"] == expected.labels.tolist()
    assert torch.equal(encoded["audio_input_ids"], expected.audio_input_ids)
    assert torch.equal(encoded["audio_labels"], expected.audio_labels)
    assert set(encoded) == set(NAMES)


def test_the_length_that_batches_are_grouped_by_is_that_of_the_row(template: Any) -> None:
    encoded = template.encode(EXAMPLES[0].row(), return_length=True)
    assert encoded["lengths"] == [len(encoded["input_ids"])]


def test_paths_may_be_absolute_or_begin_at_the_working_directory(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my صوت clips"
    folder.mkdir()
    shutil.copy(DATA / EXAMPLES[3].target, folder / "one.flac")
    monkeypatch.chdir(tmp_path)
    row = EXAMPLES[3].row()
    assert same(template.encode({**row, "audios": [f"{folder.name}/one.flac"]}), template.encode(row))
    assert same(template.encode({**row, "audios": [str(folder / "one.flac")]}), template.encode(row))
    assert "two.flac' does not exist" in refusal(lambda: template.encode({**row, "audios": ["two.flac"]}))


def test_columns_that_mean_nothing_here_change_nothing(template: Any) -> None:
    row = EXAMPLES[0].row()
    columns = {"duration": 1.5, "emotion": None, "tags": ["calm"], "id": 7, "lengths": [3], "dataset": "mine"}
    assert same(template.encode({**row, **columns}), template.encode(row))


def test_a_reference_named_apart_reaches_the_template_as_a_turn(template: Any) -> None:
    row = EXAMPLES[0].row()
    apart = {
        "messages": [row["messages"][0], *row["messages"][3:]],
        "audios": row["audios"][1:],
        "reference_audio": row["audios"][0],
        "reference_text": row["messages"][1]["content"],
    }
    assert same(template.encode(apart), template.encode(row))


@pytest.mark.parametrize(("loss", "trained"), [(None, 2), (1.0, 2), (True, 2), (0.0, 1), (False, 1)])
def test_loss_is_read_as_ms_swift_stores_it(template: Any, loss: Any, trained: int) -> None:
    encoded = template.encode(row_of(user("One."), clip(loss=loss), user("Two."), clip()))
    ends = (encoded["audio_labels"] == STREAM_EOS).sum(dim=0)
    assert ends.tolist() == [trained] * 8
    assert sum(label != IGNORED for label in encoded["labels"]) == 3 * trained


@pytest.mark.parametrize("system", [..., "", "  ", Conversation(()).system_content])
def test_a_row_without_a_system_text_has_the_engine_s(template: Any, system: Any) -> None:
    expected = template.encode(row_of(user("One."), clip(), system=Conversation(()).system_content))
    assert same(template.encode(row_of(user("One."), clip(), system=system)), expected)


def test_a_system_text_of_its_own_stands_in_the_prompt(template: Any) -> None:
    scene = "Speak slowly.\n\n<|scene_desc_start|>\nA large hall.\n<|scene_desc_end|>"
    encoded = template.encode(row_of(user("One."), clip(), system=scene))
    assert scene in template.tokenizer.decode(encoded["input_ids"])
    assert all(label == IGNORED for label in encoded["labels"][:20])


def test_arabic_text_is_trained_on_as_it_is_spoken(template: Any) -> None:
    text = "مرحبا بالعالم، كيف حالك؟"
    spoken = parse_row(row_of(user(text), clip()), folder=DATA).conversation().turns[0].text
    encoded = template.encode(row_of(user(text), clip()))
    assert spoken in template.tokenizer.decode(encoded["input_ids"])


# --- refusals -----------------------------------------------------------------------------------------------------------


def test_a_row_longer_than_the_limit_is_refused_with_both_numbers(
    template: Any, new_template: Callable[..., Any]
) -> None:
    row = row_of(user("One."), clip())
    encoded = template.encode(row)
    length = len(encoded["input_ids"])
    frames = len(encoded["audio_labels"]) - num_delayed_steps(0, 8)
    assert same(new_template(max_length=length).encode(row), encoded)
    sentence = refusal(lambda: new_template(max_length=length - 1).encode(row))
    assert f"it is {length} tokens long ({frames / 25:.1f} s of audio)" in sentence
    assert f"max_length is {length - 1}" in sentence


def test_a_clip_that_alone_is_too_long_is_refused_unencoded(template: Any, new_template: Callable[..., Any]) -> None:
    before = template.clips.num_encoded
    path = DATA / "kathleen_b0146.flac"
    row = {**row_of(user("One."), clip()), "audios": [str(path)]}
    template.clips._known.pop(next((version for version in template.clips._known if version.path == path), None), None)
    assert "limit" in refusal(lambda: new_template(max_length=50).encode(row))
    assert template.clips.num_encoded == before


@pytest.mark.parametrize("strategy", ["left", "right", "split"])
def test_recordings_are_never_cut(new_template: Callable[..., Any], strategy: str) -> None:
    sentence = refusal(lambda: new_template(truncation_strategy=strategy))
    assert f"truncation_strategy {strategy}" in sentence
    assert "skip_bad_rows" in sentence


def test_sequence_parallelism_is_refused(new_template: Callable[..., Any]) -> None:
    assert "sequence_parallel_size" in refusal(lambda: new_template(sequence_parallel_size=2))


def test_it_says_so_when_it_is_asked_to_speak(new_template: Callable[..., Any]) -> None:
    template = new_template()
    template.set_mode("transformers")
    assert "python -m studio speak" in refusal(lambda: template.encode(row_of(user("One."))))


def test_another_loss_than_the_plugin_s_is_refused_also_without_the_launcher(template: Any, samples: Any) -> None:
    """ms-swift takes the labels out of the batch to compute it."""
    batch = template.data_collator(samples[:1])
    del batch["labels"]
    assert "label_smoothing_factor" in refusal(lambda: template.compute_sft_loss(None, batch))


def test_the_dataset_checks_rows_with_the_template_made_last(template: Any, new_template: Callable[..., Any]) -> None:
    made = new_template(max_length=100)
    assert template_in_use() is made


# --- other processes ----------------------------------------------------------------------------------------------------


def test_another_process_gets_the_codes_and_not_the_codec(template: Any) -> None:
    expected = [template.encode(example.row()) for example in EXAMPLES]
    template.clips(DATA / "kathleen_a0098.flac")
    content = pickle.dumps(template)
    copied = pickle.loads(content)
    assert [same(copied.encode(example.row()), wanted) for example, wanted in zip(EXAMPLES, expected, strict=True)] == [
        True
    ] * len(EXAMPLES)
    assert copied.clips._codec is None
    assert len(content) < 2**20  # codec and model are megabytes


# --- batches ------------------------------------------------------------------------------------------------------------


def test_a_batch_is_padded_to_its_longest_row_with_what_nobody_learns(template: Any, samples: Any) -> None:
    batch = template.data_collator(list(samples))
    tokens, rows = max(len(s["input_ids"]) for s in samples), max(len(s["audio_input_ids"]) for s in samples)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape == (3, tokens)
    assert batch["audio_input_ids"].shape == batch["audio_labels"].shape == (3, rows, 8)
    assert batch["audio_input_ids_mask"].shape == (3, rows)
    assert len({len(sample["input_ids"]) for sample in samples}) > 1
    for index, sample in enumerate(samples):
        length, clips = len(sample["input_ids"]), len(sample["audio_input_ids"])
        assert batch["input_ids"][index, :length].tolist() == sample["input_ids"]
        assert batch["labels"][index, :length].tolist() == sample["labels"]
        assert torch.equal(batch["audio_input_ids"][index, :clips], sample["audio_input_ids"])
        assert torch.equal(batch["audio_labels"][index, :clips], sample["audio_labels"])
        assert batch["attention_mask"][index].tolist() == [1] * length + [0] * (tokens - length)
        assert batch["audio_input_ids_mask"][index].tolist() == [True] * clips + [False] * (rows - clips)
        assert set(batch["input_ids"][index, length:].tolist()) <= {template.tokenizer.pad_token_id}
        assert (batch["labels"][index, length:] == IGNORED).all()
        assert (batch["audio_labels"][index, clips:] == IGNORED).all()
        assert (batch["audio_input_ids"][index, clips:] == STREAM_EOS).all()


def test_each_audio_token_of_a_batch_has_its_row(template: Any, samples: Any) -> None:
    batch = template.data_collator([samples[0], template.encode(TEXT_ONLY), samples[2]])
    config = template.config
    is_audio = (batch["input_ids"] == config.audio_token_id) | (batch["input_ids"] == config.audio_delay_token_id)
    assert is_audio.sum(dim=1).tolist() == batch["audio_input_ids_mask"].sum(dim=1).tolist()
    assert batch["audio_input_ids_mask"].sum(dim=1)[1] == 0
    assert (batch["audio_labels"][1] == IGNORED).all()


def test_a_batch_of_text_alone_still_has_a_row_that_nobody_sees(template: Any) -> None:
    """So that the weights of the audio path take part, and processes of a run do not wait for each other."""
    encoded = template.encode(TEXT_ONLY)
    batch = template.data_collator([encoded, template.encode(TEXT_ONLY)])
    assert batch["audio_input_ids"].shape == batch["audio_labels"].shape == (2, 1, 8)
    assert not batch["audio_input_ids_mask"].any()
    assert (batch["audio_labels"] == IGNORED).all()
    assert "audio_input_ids" not in encoded


@torch.inference_mode()
def test_padding_on_the_left_gives_the_same_losses(
    training_model: Any, template: Any, new_template: Callable[..., Any], samples: Any
) -> None:
    right = training_model(**template.data_collator(list(samples)))
    batch = new_template(padding_side="left").data_collator(list(samples))
    assert any(batch["attention_mask"][:, 0] == 0)
    left = training_model(**batch)
    assert float(left.text_loss) == pytest.approx(float(right.text_loss), abs=1e-4)
    assert left.codebook_losses.tolist() == pytest.approx(right.codebook_losses.tolist(), abs=1e-4)


def test_a_batch_does_not_change_the_rows_it_was_made_of(template: Any) -> None:
    row = template.encode(EXAMPLES[0].row())
    before = json.dumps([row["input_ids"], row["audio_input_ids"].tolist()])
    template.data_collator([row, template.encode(TEXT_ONLY)])
    assert json.dumps([row["input_ids"], row["audio_input_ids"].tolist()]) == before

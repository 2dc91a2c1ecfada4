"""Every row is checked before training: a bad one stops the run by its number, or is left out and counted."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from studio.engine.rows import parse_row
from swift_plugins.dataset import checked_rows
from tests.conftest import DATA
from tests.refusals import refusal
from tests.training import EXAMPLES, TRANSCRIPTS, Example, write_rows

GOOD = [example.row() for example in EXAMPLES]
TEXT_ONLY = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Kathleen."}]}


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Any]:
    """Rows that cannot be used, by what is wrong with them."""
    soundfile.write(tmp_path / "silent.wav", np.zeros(24_000), 24_000)
    soundfile.write(tmp_path / "blip.wav", np.full(100, 0.5), 24_000)
    (tmp_path / "words.wav").write_text("These are words, not sound.")
    (tmp_path / "cut.flac").write_bytes((DATA / "kathleen_a0158.flac").read_bytes()[:3000])

    def speaking(clip: Any, text: Any = "It is said.") -> dict[str, Any]:
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "<audio>"}]
        return {"messages": messages, "audios": clip if isinstance(clip, list) else [clip]}

    good = str(DATA / "kathleen_a0158.flac")
    return {
        "missing": speaking("nowhere.wav"),
        "no sound": speaking("words.wav"),
        "cut short": speaking("cut.flac"),
        "silent": speaking("silent.wav"),
        "tiny": speaking("blip.wav"),
        "a folder": speaking("."),
        "empty text": speaking(good, "  "),
        "not a text": speaking(good, 7),
        "one clip too many": speaking([good, good]),
        "control token": speaking(good, "Hello <|eot_id|>"),
        "damaged JSON": '{"messages": [',
        "no object": '["messages"]',
        "no messages": {"text": "Hello.", "audio": good},
        "nothing trained": {
            "messages": [{"role": "user", "content": "A."}, {"role": "assistant", "content": "<audio>", "loss": False}],
            "audios": [good],
        },
    }


SENTENCES = {
    "missing": "nowhere.wav' does not exist",
    "no sound": "words.wav",
    "cut short": "cut.flac",
    "silent": "silent.wav",
    "tiny": "blip.wav",
    "a folder": "folder",
    "empty text": "empty: write in it what is spoken",
    "not a text": "must be text",
    "one clip too many": "stands 1 times",
    "control token": "<|eot_id|>",
    "damaged JSON": "not valid JSON",
    "no object": "JSON object",
    "no messages": "no messages",
    "nothing trained": "Nothing in the row is trained",
}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Any:
    """What the dataset wrote to ms-swift's log, which does not reach pytest by itself."""
    from swift_plugins.dataset import logger

    caplog.set_level(logging.INFO)
    logger.addHandler(caplog.handler)
    yield lambda: [record.getMessage() for record in caplog.records]
    logger.removeHandler(caplog.handler)


# --- strict -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SENTENCES)
def test_a_bad_row_is_refused_by_its_number_and_what_is_wrong(
    template: Any, bad: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [GOOD[3], "", bad[kind], bad["missing"]])  # the blank line counts
    sentence = refusal(lambda: checked_rows(path, skip_bad=False, template=template))
    assert sentence.startswith("rows.jsonl, row 3: ")
    assert SENTENCES[kind] in sentence


def test_a_row_that_is_too_long_is_refused_by_its_number(new_template: Callable[..., Any], tmp_path: Path) -> None:
    template = new_template(max_length=400)
    long = {"messages": [{"role": "user", "content": "word " * 300}, {"role": "assistant", "content": "Yes."}]}
    path = write_rows(tmp_path / "rows.jsonl", [GOOD[3], TEXT_ONLY, long])
    sentence = refusal(lambda: checked_rows(path, skip_bad=False, template=template))
    assert sentence.startswith("rows.jsonl, row 3: it is ")
    assert "max_length is 400" in sentence
    assert len(checked_rows(path, skip_bad=True, template=template)) == 2


def test_a_row_of_a_list_is_counted_by_its_position(template: Any, bad: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([GOOD[3], bad["silent"]], indent=1))
    assert refusal(lambda: checked_rows(path, skip_bad=False, template=template)).startswith("rows.json, row 2: ")


# --- skipping -----------------------------------------------------------------------------------------------------------


def test_bad_rows_are_left_out_named_and_counted_and_nothing_takes_their_place(
    template: Any, bad: dict[str, Any], tmp_path: Path, logged: Any
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [GOOD[0], *bad.values(), GOOD[3], TEXT_ONLY])
    rows = checked_rows(path, skip_bad=True, template=template)
    wanted = [parse_row(row, folder=tmp_path).as_row() for row in (GOOD[0], GOOD[3], TEXT_ONLY)]
    assert [{name: value for name, value in row.items() if name != "lengths"} for row in rows] == wanted
    lines = [line for line in logged() if line.startswith("skipped: ")]
    for number, (kind, line) in enumerate(zip(bad, lines, strict=True), start=2):
        assert line.startswith(f"skipped: rows.jsonl, row {number}: ")
        assert SENTENCES[kind] in line
    assert f"rows.jsonl: {len(bad)} of {len(bad) + 3} rows skipped" in logged()


def test_of_very_many_bad_rows_the_first_are_named_and_all_are_counted(
    template: Any, bad: dict[str, Any], tmp_path: Path, logged: Any
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [bad["missing"]] * 50 + [GOOD[3]])
    checked_rows(path, skip_bad=True, template=template)
    assert sum(line.startswith("skipped: ") for line in logged()) == 20
    assert "rows.jsonl: 50 of 51 rows skipped" in logged()


def test_a_file_without_one_good_row_is_an_error_also_when_skipping(
    template: Any, bad: dict[str, Any], tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [bad["missing"], bad["silent"]])
    sentence = refusal(lambda: checked_rows(path, skip_bad=True, template=template))
    assert sentence.startswith("rows.jsonl holds no row that can be used: ")
    assert "row 1: " in sentence
    for content in ("", "\n\n", "[]"):
        path.write_text(content)
        assert "rows.jsonl' holds" in refusal(lambda: checked_rows(path, skip_bad=True, template=template))


def test_what_is_allowed_but_hardly_meant_is_said_once_with_how_often(
    template: Any, tmp_path: Path, logged: Any
) -> None:
    unsaid = EXAMPLES[0].row()
    unsaid["messages"][1]["content"] = ""
    own = Example("Again.", "kathleen_a0158.flac", None).row()
    own["messages"][1:1] = [
        {"role": "user", "content": "It."},
        {"role": "assistant", "content": "<audio>", "loss": False},
    ]
    own["audios"] *= 2
    path = write_rows(tmp_path / "rows.jsonl", [unsaid, GOOD[3], unsaid, own])
    assert len(checked_rows(path, skip_bad=False, template=template)) == 4
    warnings = [line for line in logged() if line.startswith("rows.jsonl, ")]
    assert len(warnings) == 2
    assert "rows.jsonl, 2 rows: A reference clip has no transcript" in warnings[0]
    assert "rows.jsonl, 1 rows: A reference is the same file as a trained clip" in warnings[1]


# --- good rows ----------------------------------------------------------------------------------------------------------


def test_lengths_are_those_of_the_encoded_rows(template: Any, rows_file: Path) -> None:
    rows = checked_rows(rows_file, skip_bad=False, template=template)
    assert [row["lengths"] for row in rows] == [[len(template.encode(row)["input_ids"])] for row in GOOD]


def test_without_a_template_rows_are_checked_as_far_as_they_can_be_read(bad: dict[str, Any], tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [bad["silent"], bad["empty text"]])
    assert "row 2: " in refusal(lambda: checked_rows(path, skip_bad=False, template=None))


def test_a_checked_row_is_encoded_like_the_row_it_came_from(template: Any, tmp_path: Path) -> None:
    """Whatever form it was written in, and from whatever folder the run is started."""
    (tmp_path / "clips é").mkdir()
    for name in ("kathleen_a0003.flac", "kathleen_a0158.flac"):
        shutil.copy(DATA / name, tmp_path / "clips é" / f"صوت {name}")
    said, text = TRANSCRIPTS["kathleen_a0003.flac"], "مرحبا بالعالم."
    parts = [
        {"type": "text", "text": said},
        {"type": "audio", "audio_url": "clips é/صوت kathleen_a0003.flac"},
        {"type": "text", "text": text},
    ]
    answer = [{"type": "audio", "audio_url": "clips é/صوت kathleen_a0158.flac"}]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": answer}]}
    (checked,) = checked_rows(write_rows(tmp_path / "صفوف.jsonl", [row]), skip_bad=False, template=template)
    expected = template.encode(Example(text, "kathleen_a0158.flac", "kathleen_a0003.flac").row())
    encoded = template.encode(checked)
    assert encoded["input_ids"] == expected["input_ids"]
    assert encoded["labels"] == expected["labels"]
    assert torch.equal(encoded["audio_labels"], expected["audio_labels"])


# --- through ms-swift ---------------------------------------------------------------------------------------------------


@pytest.fixture
def load(template: Any, new_template: Any) -> Callable[..., Any]:
    """ms-swift's ``load_dataset`` with the plugin registered and its template in use."""
    from swift.dataset import load_dataset

    return lambda *paths, **options: load_dataset([f"higgs_audio:{path}" for path in paths], **options)


def encoded_alike(template: Any, stored: Any, row: dict[str, Any]) -> bool:
    """Whether a row out of ms-swift's table is encoded as the row that went in."""
    one, other = template.encode(dict(stored)), template.encode(row)
    tensors = ("audio_input_ids", "audio_labels")
    return (one["input_ids"], one["labels"]) == (other["input_ids"], other["labels"]) and all(
        torch.equal(one[name], other[name]) if name in other else name not in one for name in tensors
    )


def test_rows_come_out_of_ms_swift_as_they_went_in(template: Any, load: Any, tmp_path: Path) -> None:
    rows = [*GOOD, TEXT_ONLY]
    train, validation = load(write_rows(tmp_path / "rows.jsonl", rows))
    assert validation is None
    assert len(train) == len(rows)
    assert all(encoded_alike(template, stored, row) for stored, row in zip(train, rows, strict=True))
    assert [stored["lengths"] for stored in train] == [[len(template.encode(row)["input_ids"])] for row in rows]


def test_a_first_row_without_clips_does_not_take_those_of_the_others(template: Any, load: Any, tmp_path: Path) -> None:
    rows = [TEXT_ONLY, {**GOOD[0], "speaker": "kathleen"}]
    train, _ = load(write_rows(tmp_path / "rows.jsonl", rows))
    assert all(encoded_alike(template, stored, row) for stored, row in zip(train, rows, strict=True))
    assert train[1]["speaker"] == "kathleen"


def test_files_of_different_rows_come_together(template: Any, load: Any, tmp_path: Path) -> None:
    kinds = {"references": GOOD[:2], "plain": [GOOD[3]], "text": [TEXT_ONLY]}
    files = [write_rows(tmp_path / f"{name}.jsonl", rows) for name, rows in kinds.items()]
    for order in (files, files[::-1]):
        train, _ = load(*order)
        rows = [row for file in order for row in kinds[file.stem]]
        assert len(train) == 4
        assert all(encoded_alike(template, stored, row) for stored, row in zip(train, rows, strict=True))


def test_a_part_can_be_kept_for_evaluation_without_overlap(load: Any, rows_file: Path) -> None:
    train, validation = load(rows_file, split_dataset_ratio=0.25)
    assert (len(train), len(validation)) == (3, 1)
    targets = [row["audios"][-1] for row in [*train, *validation]]
    assert sorted(targets) == sorted(row["audios"][-1] for row in GOOD)


def test_a_number_after_the_name_takes_a_sample(load: Any, rows_file: Path) -> None:
    targets = {row["audios"][-1] for row in GOOD}
    few, _ = load(f"{rows_file}#2")
    many, _ = load(f"{rows_file}#9")
    assert len({row["audios"][-1] for row in few}) == len(few) == 2
    assert len(many) == 9
    assert {row["audios"][-1] for row in many} == targets


def test_rows_can_be_streamed(template: Any, load: Any, tmp_path: Path) -> None:
    train, _ = load(write_rows(tmp_path / "rows.jsonl", [TEXT_ONLY, *GOOD]), streaming=True)
    assert not hasattr(train, "__len__")
    assert all(encoded_alike(template, stored, row) for stored, row in zip(train, [TEXT_ONLY, *GOOD], strict=True))


def test_ms_swift_hears_of_a_bad_row_and_of_the_wish_to_skip_it(
    load: Any, bad: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [GOOD[3], bad["silent"]])
    assert refusal(lambda: load(path, strict=False)).startswith("rows.jsonl, row 2: ")  # whatever strict says
    monkeypatch.setenv("SKIP_BAD_ROWS", "true")
    assert len(load(path)[0]) == 1


def test_the_log_says_how_many_clips_there_are_and_how_many_were_new(
    template: Any, load: Any, rows_file: Path, logged: Any
) -> None:
    load(rows_file)
    load(rows_file)
    counts = [line for line in logged() if line.startswith("rows.jsonl: ")]
    assert len(counts) == 2
    assert counts[1] == "rows.jsonl: 4 rows, 7 clips, 0 encoded now"
    assert template.clips._codec is None  # its memory was given back


def test_a_file_that_is_gone_is_a_sentence(load: Any, tmp_path: Path) -> None:
    assert "nowhere.jsonl" in refusal(lambda: load(tmp_path / "nowhere.jsonl"))

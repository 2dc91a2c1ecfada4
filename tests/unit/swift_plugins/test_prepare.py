"""Folders of recordings become rows that can be trained on, or a sentence says which line is to blame."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from studio.datasets.rows.preparing import main
from studio.engine.prompt import DEFAULT_SCENE, Conversation
from studio.engine.rows import TrainingRow, parse_row, read_rows
from studio.errors import StudioError

REPOSITORY = Path(__file__).resolve().parents[3]
SAID = {"a": "After all.", "b": "The boy hesitated.", "c": "Gad, it came."}
Run = Callable[..., list[TrainingRow]]


@pytest.fixture
def ljspeech(tmp_path: Path, kathleen: dict[Path, str]) -> Path:
    """Three recordings in the layout of LJSpeech, one of them no WAV."""
    folder = tmp_path / "anna"
    (folder / "wavs").mkdir(parents=True)
    for name, clip in zip(SAID, kathleen, strict=True):
        shutil.copy(clip, folder / "wavs" / f"{name}{'.wav' if name == 'a' else '.flac'}")
    (folder / "metadata.csv").write_text("\n".join(f"{name}|as written|{said}" for name, said in SAID.items()))
    return folder


@pytest.fixture
def table(tmp_path: Path, kathleen: dict[Path, str]) -> Path:
    """Two speakers with three recordings each, named in a table with a header."""
    folder, lines = tmp_path / "clips", ["file,speaker,text"]
    for speaker in ("anna", "ben"):
        (folder / speaker).mkdir(parents=True)
        for name, clip in zip(SAID, kathleen, strict=True):
            shutil.copy(clip, folder / speaker / f"{name}.flac")
            lines.append(f'{speaker}/{name}.flac,{speaker},"{SAID[name]}"')
    (folder / "metadata.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return folder


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Prepare a folder; gives the rows that were written."""

    def prepare(kind: str, folder: Path, *more: str) -> list[TrainingRow]:
        output = tmp_path / "rows.jsonl"
        code = main(["--dataset_type", kind, "--input_dir", str(folder), "--output_file", str(output), *more])
        if code:
            assert code == 1
            raise StudioError(capfd.readouterr().err)
        return rows_of(output)

    return prepare


def rows_of(path: Path) -> list[TrainingRow]:
    rows = [row for _, row in read_rows(path)]
    return [parse_row(row, folder=Path("/nowhere")) for row in rows if not isinstance(row, StudioError)]


def texts(rows: Sequence[TrainingRow]) -> list[str]:
    return [row.turns[-2].text for row in rows]


def clips(rows: Sequence[TrainingRow], folder: Path) -> list[tuple[str, ...]]:
    return [tuple(str(clip.relative_to(folder)) for clip in row.clips) for row in rows]


def test_ljspeech_becomes_rows_with_the_normalised_text(
    ljspeech: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = run("ljspeech", ljspeech)
    assert texts(rows) == list(SAID.values())
    assert clips(rows, ljspeech / "wavs") == [("a.wav",), ("b.flac",), ("c.flac",)]
    assert {(row.system, row.speaker) for row in rows} == {(Conversation(()).system_content, "anna")}
    assert capfd.readouterr().err == "rows.jsonl: 3 rows, 0.2 minutes, 1 speaker\n"


def test_without_a_normalised_text_the_text_is_taken(ljspeech: Path, run: Run) -> None:
    (ljspeech / "metadata.csv").write_text('a|"Quoted", he said.\r\n\r\nb|Bare.|\n')
    assert texts(run("ljspeech", ljspeech)) == ['"Quoted", he said.', "Bare."]


@pytest.mark.parametrize("kind", ["csv", "custom"])
def test_a_table_becomes_rows(kind: str, table: Path, run: Run) -> None:
    rows = run(kind, table)
    assert texts(rows) == [*SAID.values()] * 2
    assert clips(rows, table)[3] == ("ben/a.flac",)
    assert [row.speaker for row in rows] == ["anna"] * 3 + ["ben"] * 3


def test_columns_table_and_separator_can_be_others(table: Path, run: Run) -> None:
    (table / "list.tsv").write_text("who\tsaid\tclip\nanna\tHello, you.\tanna/a\n")
    named = ["--text_column", "said", "--audio_column", "clip", "--speaker_column", "who"]
    (row,) = run("csv", table, "--csv_file", "list.tsv", *named)
    assert (row.speaker, *texts([row]), *clips([row], table)) == ("anna", "Hello, you.", ("anna/a.flac",))


def test_the_scene_stands_in_the_system_turn(ljspeech: Path, run: Run) -> None:
    (first, *_) = run("ljspeech", ljspeech, "--scene", "A cave.")
    assert first.system == Conversation((), scene="A cave.").system_content
    (first, *_) = run("ljspeech", ljspeech, "--scene", "")
    assert DEFAULT_SCENE not in (first.system or "")
    with pytest.raises(StudioError, match="scene contains the control token"):
        run("ljspeech", ljspeech, "--scene", "<|eot_id|>")


# References


@pytest.mark.parametrize("wanted", ["b", "wavs/b.flac", "b.flac"])
def test_one_reference_for_every_row_is_no_target_itself(wanted: str, ljspeech: Path, run: Run) -> None:
    rows = run("ljspeech", ljspeech, "--reference", wanted)
    assert clips(rows, ljspeech / "wavs") == [("b.flac", "a.wav"), ("b.flac", "c.flac")]
    assert [turn.trained for turn in rows[0].turns] == [False, False, False, True]
    assert rows[0].turns[0].text == SAID["b"]
    assert rows[0].warnings == ()


def test_a_random_reference_is_another_recording_of_the_speaker(table: Path, run: Run) -> None:
    rows = run("csv", table, "--reference", "random")
    assert len(rows) == 6
    for reference, target in (row.clips for row in rows):
        assert reference.parent == target.parent
        assert reference != target
    assert run("csv", table, "--reference", "random") == rows
    assert any(run("csv", table, "--reference", "random", "--seed", str(seed)) != rows for seed in range(5))


def test_what_is_held_out_is_no_reference_of_training_rows(table: Path, run: Run, tmp_path: Path) -> None:
    rows = run("csv", table, "--reference", "random", "--split")
    (held_out,) = rows_of(tmp_path / "rows_val.jsonl")
    assert held_out.clips[-1] not in {clip for row in rows for clip in row.clips}


@pytest.mark.parametrize(
    ("wanted", "sentence"), [("a.flac", "could be one of 2 recordings"), ("d", "is not in the table")]
)
def test_a_reference_that_is_not_clear_is_refused(wanted: str, sentence: str, table: Path, run: Run) -> None:
    with pytest.raises(StudioError, match=sentence):
        run("csv", table, "--reference", wanted)


def test_a_reference_of_another_speaker_is_pointed_out(
    table: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(run("csv", table, "--reference", "ben/a.flac")) == 5
    assert capfd.readouterr().err.startswith("3 rows of other speakers than the reference")


def test_a_speaker_with_one_recording_has_no_random_reference(table: Path, run: Run) -> None:
    lines = (table / "metadata.csv").read_text().split("\n")
    (table / "metadata.csv").write_text("\n".join(lines[:5]))
    with pytest.raises(StudioError, match="line 5: No other recording"):
        run("csv", table, "--reference", "random")
    assert len(run("csv", table, "--reference", "random", "--skip_bad_rows")) == 3


# Splitting


def test_a_split_is_the_same_each_time_and_loses_nothing(table: Path, run: Run, tmp_path: Path) -> None:
    def split(*more: str) -> tuple[list[TrainingRow], list[TrainingRow]]:
        return run("csv", table, "--split", *more), rows_of(tmp_path / "rows_val.jsonl")

    whole = run("csv", table)
    train, validation = split()
    assert (len(train), len(validation)) == (5, 1)
    assert [row for row in whole if row in train or row in validation] == whole
    assert split() == (train, validation)
    assert any(split("--seed", str(seed)) != (train, validation) for seed in range(5))
    assert len(split("--val_ratio", "0.5")[1]) == 3


def test_one_row_cannot_be_split(ljspeech: Path, run: Run) -> None:
    with pytest.raises(StudioError, match="1 row cannot be split"):
        run("ljspeech", ljspeech, "--split", "--limit", "1")


def test_a_limit_counts_what_is_written(ljspeech: Path, run: Run) -> None:
    assert texts(run("ljspeech", ljspeech, "--limit", "2", "--reference", "a")) == [SAID["b"], SAID["c"]]
    assert len(run("ljspeech", ljspeech, "--limit", "2")) == 2


# What is wrong with a row

BAD = [
    ("d|Missing.|", "line 2: The recording 'd' does not exist"),
    ("b||", "line 2: The text is empty"),
    ("b", "line 2: The line is not id"),
    ("b|One|Two|Three", "line 2: The line is not id"),
    ("b|Stop <|eot_id|>|", "line 2: The line is not id"),
    ("b|Stop <audio>", "line 2: .*<audio>"),
    (
        "b|Please generate speech for given text in reference audio's voice: Hi.",
        "line 2: The text would not be trained",
    ),
    (f"{'x' * 300}|Long.", "line 2: The recording .* does not exist"),
]


@pytest.mark.parametrize(("line", "sentence"), BAD)
def test_a_bad_line_stops_or_is_left_out_by_number(
    line: str, sentence: str, ljspeech: Path, run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (ljspeech / "metadata.csv").write_text(f"a|One.\n{line}\nc|Three.\n")
    with pytest.raises(StudioError, match=f"metadata.csv {sentence}"):
        run("ljspeech", ljspeech)
    assert not (tmp_path / "rows.jsonl").exists()
    assert texts(run("ljspeech", ljspeech, "--skip_bad_rows")) == ["One.", "Three."]
    assert "1 bad row left out" in capfd.readouterr().err


def test_control_tokens_in_a_table_are_refused(table: Path, run: Run) -> None:
    (table / "metadata.csv").write_text("file,text\nanna/a.flac,Stop <|eot_id|>\n")
    with pytest.raises(StudioError, match=r"line 2: .*control token"):
        run("csv", table)


def test_a_text_with_a_comma_outside_quotes_is_not_cut_silently(table: Path, run: Run) -> None:
    (table / "metadata.csv").write_text("file,text\nanna/a.flac,Stop, please\nanna/b.flac,Go.\n")
    with pytest.raises(StudioError, match=r"line 2: .*more fields than the header"):
        run("csv", table)
    assert texts(run("csv", table, "--skip_bad_rows")) == ["Go."]


def test_validate_reads_every_recording_and_names_every_bad_row(ljspeech: Path, run: Run, tmp_path: Path) -> None:
    clip = ljspeech / "wavs" / "b.flac"
    clip.write_bytes(clip.read_bytes()[:20_000])
    assert len(run("ljspeech", ljspeech)) == 3
    (tmp_path / "rows.jsonl").unlink()
    (ljspeech / "wavs" / "c.flac").write_text("no sound")
    with pytest.raises(StudioError) as refused:
        run("ljspeech", ljspeech, "--validate")
    assert "metadata.csv line 2: The file 'b.flac' is damaged or cut short" in str(refused.value)
    assert "metadata.csv line 3: The file 'c.flac' contains text" in str(refused.value)
    assert "2 bad rows, so nothing was written" in str(refused.value)
    assert not (tmp_path / "rows.jsonl").exists()
    assert len(run("ljspeech", ljspeech, "--validate", "--skip_bad_rows")) == 1


def test_a_recording_that_is_none_is_found_without_validate(ljspeech: Path, run: Run) -> None:
    (ljspeech / "wavs" / "c.flac").write_bytes(b"")
    with pytest.raises(StudioError, match=r"line 3: The file 'c.flac' is empty"):
        run("ljspeech", ljspeech)


@pytest.mark.parametrize(
    ("content", "more", "sentence"),
    [
        (b"", [], "no column that is known to hold the text"),
        (b"text,file\n", [], "There is no row to write"),
        (b"text,file\nHi.,anna/a.flac", ["--text_column", "words"], 'no column "words".*text, file'),
        (b"text,file\nHi.,anna/a.flac", ["--speaker_column", "who"], 'no column "who"'),
        (b"text,file\ncaf\xe9,anna/a.flac", [], "is not UTF-8"),
        (b'text,file\n"Hi," he said.,anna/a.flac', [], "line 2 is not valid CSV"),
        (b'text,file\nHi.,anna/a.flac\n"Oh.,anna/b.flac\nOh.,anna/c.flac\n', [], "line 3 is not valid CSV"),
        (b"text,file\nHi.,anna/a.flac", ["--csv_file", "other.csv"], "'other.csv' cannot be read"),
        (b"text,file\nHi.,anna/a.flac", ["--val_ratio", "1"], "--val_ratio must lie between 0 and 1"),
        (b"text,file\nHi.,anna/a.flac", ["--limit", "0"], "--limit must be at least 1"),
    ],
)
def test_a_table_or_an_argument_that_cannot_be_used_is_a_sentence(
    content: bytes, more: list[str], sentence: str, table: Path, run: Run
) -> None:
    (table / "metadata.csv").write_bytes(content)
    with pytest.raises(StudioError, match=sentence):
        run("csv", table, *more)


def test_folders_that_do_not_exist_are_a_sentence(table: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="input folder 'nowhere' does not exist"):
        run("csv", tmp_path / "nowhere")
    with pytest.raises(StudioError, match=r"folder for 'rows.jsonl' does not exist"):
        run("csv", table, "--output_file", str(tmp_path / "nowhere" / "rows.jsonl"))


def test_the_script_runs_from_any_folder_with_relative_paths(ljspeech: Path, tmp_path: Path) -> None:
    command: list[Any] = [sys.executable, REPOSITORY / "scripts" / "prepare_dataset.py"]
    command += ["--dataset_type", "ljspeech", "--input_dir", "anna", "--output_file", "rows.jsonl", "--limit", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "rows.jsonl: 2 rows, 0.1 minutes, 1 speaker\n")
    assert [row["audios"] for row in map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())] == [
        [str(ljspeech / "wavs" / "a.wav")],
        [str(ljspeech / "wavs" / "b.flac")],
    ]
    (tmp_path / "anna" / "metadata.csv").unlink()
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1

"""A published list is scored as its authors do it, goes on where it was interrupted, and is put together only of one kind."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.evaluation.seed_tts.listing import Part, read_list
from studio.evaluation.seed_tts.results import Header, Results, ResultsFile, merged, read_results, write_results
from studio.evaluation.seed_tts.running import evaluate_list
from studio.evaluation.seed_tts.scoring import Score, normalised, utterance_wer
from studio.evaluation.seed_tts.summary import Summary
from studio.settings import Settings
from tests.conftest import DATA

PROMPT = "kathleen_a0003.flac"
MODELS = {"wer": "large-v3 (12345678, faster-whisper 1)", "similarity": "Resemblyzer 0.1.4"}


def write_list(folder: Path, lines: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(DATA / PROMPT, folder / PROMPT)
    path = folder / "meta.lst"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def a_list(folder: Path, count: int = 5) -> Path:
    return write_list(folder, [f"take-{number}|What she says.|{PROMPT}|Sentence {number}." for number in range(count)])


def results_of(path: Path, part: Part, wers: list[float], **changes: object) -> Results:
    header = Header.of(read_list(path), part, "en", MODELS)
    header = dataclasses.replace(header, **changes)  # type: ignore[arg-type]
    return Results(header, {name: Score(name, wer, "", 0.5) for name, wer in zip(header.names, wers, strict=False)})


def test_words_are_compared_as_the_authors_compare_them() -> None:
    assert normalised("It's 20 o'clock — “Well,” he said; really?") == "it's 20 o'clock well he said really"
    assert utterance_wer("It's twenty.", "its 20") == 1.0
    assert utterance_wer("Hello, world!", "hello world") == 0.0
    assert utterance_wer("One two.", "one two three four five six") == 2.0
    assert utterance_wer("你好，世界。", "你好世间", "zh") == 0.25


def test_a_line_that_is_none_is_refused_with_its_number(tmp_path: Path) -> None:
    good = f"a|What she says.|{PROMPT}|Words."
    for line, why in (
        ("b|too|few", "3 fields"),
        (f"../b|x|{PROMPT}|Words.", "no name of a file"),
        (f"b|x|{PROMPT}|…", "no text to speak"),
        (good, "again"),
    ):
        with pytest.raises(StudioError, match=why) as refused:
            read_list(write_list(tmp_path, [good, line]))
        assert "Line 2" in str(refused.value)
    with pytest.raises(StudioError, match=r"1 of the 2 prompt clips .* 'gone.wav'"):
        read_list(write_list(tmp_path, [good, "b|x|gone.wav|Words."]))
    assert [line.name for line in read_list(write_list(tmp_path, [f"{good}|recording.wav"])).lines] == ["a"]


def test_parts_share_a_list_and_together_are_all_of_it(tmp_path: Path) -> None:
    lines = read_list(a_list(tmp_path, 7)).lines
    parts = [Part.parsed(f"{number}/3").of(lines) for number in (1, 2, 3)]
    assert sorted(line.name for part in parts for line in part) == sorted(line.name for line in lines)
    for wrong in ("0/3", "4/3", "1", "a/b", "-1/2"):
        with pytest.raises(StudioError, match="is no part"):
            Part.parsed(wrong)


def test_parts_are_put_together_in_the_order_of_the_list(tmp_path: Path) -> None:
    path = a_list(tmp_path)
    first, second = results_of(path, Part(1, 2), [0.0, 0.2, 0.4]), results_of(path, Part(2, 2), [0.1, 0.3])
    for number, each in enumerate((first, second)):
        write_results(tmp_path / f"{number}.jsonl", each)
    whole = merged([read_results(tmp_path / f"{number}.jsonl") for number in (1, 0)])
    assert [(name, score.wer) for name, score in whole.scores.items()] == [(f"take-{n}", n / 10) for n in range(5)]
    summary = Summary.of(whole)
    assert summary is not None
    assert (round(summary.wer_percent, 6), summary.as_json()["whole_list"]) == (20.0, True)
    assert summary.as_json()["published"]["may_be_compared"] == ["Seed-TTS-eval WER"]


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path, other = a_list(tmp_path), a_list(tmp_path / "other", 6)
    first, second = results_of(path, Part(1, 2), [0.0] * 3), results_of(path, Part(2, 2), [0.0] * 2)
    for parts, why in (
        ([first, results_of(path, Part(2, 2), [0.0] * 2, wer_model="base (1)")], "the recogniser"),
        ([first, results_of(path, Part(2, 2), [0.0] * 2, similarity_model="B 2")], "the speaker model"),
        ([first, results_of(other, Part(2, 2), [0.0] * 3)], "the list"),
        ([first, results_of(path, Part(2, 3), [0.0])], "number of parts"),
        ([first], "Part 2 of 2 is missing"),
        ([first, first, second], "more than once"),
        ([first, results_of(path, Part(2, 2), [0.0])], "1 of its 2 lines have no score"),
    ):
        with pytest.raises(StudioError, match=why):
            merged(parts)


def test_only_the_models_of_its_authors_make_it_seed_tts_eval(tmp_path: Path) -> None:
    path = a_list(tmp_path, 1)
    for model, is_theirs in (
        ("large-v3 (1)", True), ("Systran/faster-whisper-large-v3 (1)", True), ("large-v3-turbo (1)", False),
        ("my-large-v3 (1)", False), ("whisper-base (1)", False),
    ):  # fmt: skip
        summary = Summary.of(results_of(path, Part(), [0.0], wer_model=model))
        assert summary is not None
        assert (summary.wer_name == "Seed-TTS-eval WER") is is_theirs
        assert is_theirs or model in summary.wer_name
        assert "Resemblyzer" in summary.similarity_name
        assert summary.as_json()["published"]["wer_percent"] == 2.44


def test_a_line_that_was_cut_off_is_scored_again(tmp_path: Path) -> None:
    header = Header.of(read_list(a_list(tmp_path)), Part(), "en", MODELS, "checkpoint A")
    path = tmp_path / "results.jsonl"
    ResultsFile(path, header).add(Score("take-0", 0.5, "x", 0.5, took=(1, 2)))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"name": "take-1", "we')
    again = ResultsFile(path, dataclasses.replace(header, spoken_with=""))
    assert list(again.scores) == ["take-0"]
    again.add(Score("take-1", 0.0, "y", 0.5))
    assert [score.took for score in read_results(path).scores.values()] == [(1, 2), None]
    with pytest.raises(StudioError, match="differ in the checkpoint"):
        ResultsFile(path, dataclasses.replace(header, spoken_with="checkpoint B"))
    with pytest.raises(StudioError, match="holds no results"):
        read_results(a_list(tmp_path))


def test_a_missing_take_counts_and_a_new_one_is_scored_when_it_comes(tmp_path: Path, asr_model: Path) -> None:
    said = json.loads((DATA / "kathleen_short.json").read_text(encoding="utf-8"))
    (name, text), (other, words) = list(said.items())[:2]
    path = write_list(tmp_path, [f"one|x|{PROMPT}|{text}", f"two|x|{PROMPT}|{words}"])
    takes, out = tmp_path / "takes", tmp_path / "results.jsonl"
    takes.mkdir()
    shutil.copy(DATA / name, takes / "one.flac")
    settings = Settings(home=tmp_path / "home", asr_model=str(asr_model), device="cpu", speaker_model="included")
    first = Summary.of(evaluate_list(read_list(path), takes, out, settings).results)
    assert first is not None
    assert (first.wer_percent, first.missing, first.wer_of_found_percent) == (50.0, 1, 0.0)
    assert first.similarity_of_voiced_percent == pytest.approx(2 * first.similarity_percent)
    shutil.copy(DATA / other, takes / "two.flac")
    begun = out.read_bytes()
    second = Summary.of(evaluate_list(read_list(path), takes, out, settings).results)
    assert second is not None
    assert (second.wer_percent, second.missing) == (0.0, 0)
    added = out.read_bytes().removeprefix(begun)
    assert len(added.splitlines()) == 1, "only the new take is scored"
    evaluate_list(read_list(path), takes, out, settings)
    assert out.read_bytes() == begun + added

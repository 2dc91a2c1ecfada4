"""Named sets on the command line, from import to a training that reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA
from tests.integration.in_turn import FIRST_ID, ROOT, assert_refused, by_name, document

SAID = {
    **json.loads((DATA / "kathleen.json").read_text(encoding="utf-8")),
    **json.loads((DATA / "kathleen_short.json").read_text(encoding="utf-8")),
}

VOICES = json.loads((ROOT / "assets" / "voices" / "voices.json").read_text(encoding="utf-8"))
READING = next(entry for entry in VOICES if entry["name"] == "Kathleen")
"""A clip of 9 s."""


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Any:
    folder = tmp_path_factory.mktemp("datasets")
    source = folder / "Anna reads"
    (source / "wavs").mkdir(parents=True)
    for name in SAID:
        shutil.copy(DATA / name, source / "wavs")
    lines = [f"{Path(name).stem}|{text}" for name, text in SAID.items()]
    (source / "metadata.csv").write_text("\n".join([*lines, "gone|Nothing."]), encoding="utf-8")
    take = ["dataset", "import", "ljspeech", source]
    train = ["train", "check", "--dataset", "Kathleen", "--no-measure", "--checkpoint", tiny_checkpoint]
    (folder / "takes").mkdir()
    (folder / "long").mkdir()
    shutil.copy(ROOT / "assets" / "voices" / READING["file"], folder / "long" / "reading.flac")
    (folder / "long" / "reading.txt").write_text(READING["transcript"], encoding="utf-8")
    commands = {
        "take": [
            "speak", "Good morning, and welcome.", "--voice", "Kathleen", "--seed", "3",
            "--out", folder / "takes" / "take.wav", "--checkpoint", tiny_checkpoint, "--device", "cpu", "--json",
        ],
        "look": [*take, "Kathleen", "--validate", "--json"],
        "import": [*take, "Kathleen", "--language", "en", "--speaker", "Kathleen", "--json"],
        "twice": [*take, "kathleen"],
        "no consent": train,
        "not exported": ["dataset", "export", "Kathleen", "rows", folder / "never"],
        "consent": [
            "dataset", "consent", "Kathleen", "Kathleen", "--speaker-consent", "licence", "--consent-note", "CC0", "--json",
        ],
        "split": ["dataset", "split", "Kathleen", "--ratio", "0.3", "--json"],
        "validate": ["dataset", "validate", "Kathleen", "--json"],
        "show": ["dataset", "show", "Kathleen", "--json"],
        "not measured": ["dataset", "review", "Kathleen"],
        "measure": ["dataset", "measure", "Kathleen", "--no-transcribe", "--json"],
        "review": ["dataset", "review", "Kathleen", "--json"],
        "no kind": ["dataset", "review", "Kathleen", "--kind", "boring"],
        "list": ["dataset", "list"],
        "train": [*train, "--json"],
        "judged by itself": [*train, "--validation-dataset", "Kathleen"],
        "pairs": ["dataset", "pairs", "Kathleen", "--variants", "3", "--without", "0", "--json"],
        "no pairs": ["dataset", "pairs", "Kathleen", "--variants", "0"],
        "texts": ["dataset", "texts", "Kathleen", "--json"],
        "train on pairs": [*train, "--json"],
        "both": ["train", "check", source / "metadata.csv", "--dataset", "Kathleen"],
        "export": ["dataset", "export", "Kathleen", "nemo", folder / "nemo", "--json"],
        "add": ["dataset", "add", "Kathleen", FIRST_ID, "--json"],
        "added again": ["dataset", "add", "Kathleen", FIRST_ID],
        "no take": ["dataset", "add", "Kathleen", "0123456789"],
        "show added": ["dataset", "show", "Kathleen"],
        "import take": ["dataset", "import", "folder", folder / "takes", "Spoken", "--json"],
        "undo": ["dataset", "undo", "Kathleen", "--json"],
        "import long": ["dataset", "import", "folder", folder / "long", "Long", "--speaker", "K", "--json"],
        "voice, no consent": ["voice", "add", "Cloned", "--dataset", "Long", "--utterance", "reading"],
        "consent, long": ["dataset", "consent", "Long", "K", "--speaker-consent", "licence", "--consent-note", "CC0"],
        "voice": ["voice", "add", "Cloned", "--dataset", "Long", "--utterance", "reading", "--json"],
        "clip": ["voice", "add-clip", "Cloned", "--dataset", "Kathleen", "--utterance", "kathleen_b0146", "--json"],
        "slice": ["dataset", "slice", "Long", "--longer-than", "5", "--no-transcribe", "--json"],
        "sliced": ["dataset", "show", "Long", "--json"],
        "no clip": ["voice", "add", "Nobody", "--dataset", "Kathleen", "--speaker-consent", "own"],
        "unknown": ["dataset", "show", "Nobody"],
        "not deleted": ["dataset", "delete", "Kathleen"],
        "delete": ["dataset", "delete", "Kathleen", "--yes", "--json"],
        "none": ["dataset", "list", "--json"],
    }  # fmt: skip
    return folder, by_name(folder / "home", commands)


def test_a_set_is_imported_shown_split_checked_exported_and_deleted(commanded: Any) -> None:
    folder, results = commanded
    looked, imported = (document(results[name], said="metadata.csv line 8: .*\n") for name in ("look", "import"))
    assert (looked["count"], imported["count"]) == (7, 7)
    assert imported["report"]["left_out"] == {"flawed": 1}
    assert [entry["place"] for entry in imported["report"]["listed"]] == ["metadata.csv line 8"]
    assert imported["speakers"][0]["consent"] is None
    assert document(results["consent"])["speakers"][0]["consent"]["statement"] == "CC0"
    held = {utterance["id"] for utterance in document(results["split"])["held_out"]}
    shown = document(results["show"])
    assert len(held) == 2
    assert {each["id"] for each in shown["utterances"] if each["split"] == "validation"} == held
    assert sorted(each["text"] for each in shown["utterances"]) == sorted(SAID.values())
    assert set(shown["utterances"][0]) >= {"id", "text", "start", "end", "seconds", "speaker", "suspicions"}
    assert document(results["validate"]) == {"ok": True, "problems": []}
    assert "Nothing was measured yet" in results["not measured"].stdout
    measured = document(results["measure"])
    assert (measured["letter"], measured["minutes"] > 0.1) == ("E", True)
    assert measured["advice"][0].startswith("Add ")
    assert document(results["review"]) == {"utterances": []}
    assert "Kathleen  7 utterances" in results["list"].stdout
    manifest = (folder / "nemo" / "manifest.json").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["text"] for line in manifest) == sorted(SAID.values())
    assert document(results["export"])["version"] == shown["version"]
    assert document(results["delete"])["deleted"] == shown["id"]
    assert [each["name"] for each in document(results["none"])["datasets"]] == ["Long", "Spoken"]


def test_a_take_goes_into_a_set_and_out_again_and_its_file_says_that_a_model_made_it(commanded: Any) -> None:
    _, results = commanded
    take, added = json.loads(results["take"].stdout), json.loads(results["add"].stdout)["utterance"]
    assert (added["synthetic"], added["speaker"], added["text"]) == (True, "Kathleen", "Good morning, and welcome.")
    assert added["place"] == f"take {take['id']}"
    assert "made by a model: 1 of 8 utterances, 1 s" in results["show added"].stdout
    assert_refused(results["added again"], "Kathleen has this sound already")
    assert document(results["import take"])["synthetic"] == {
        "count": 1,
        "seconds": pytest.approx(take["seconds"], abs=0.01),
    }
    assert document(results["undo"])["undone"].startswith("added take-")


def test_an_utterance_becomes_a_voice_under_its_speaker_s_consent_and_a_long_one_is_sliced(commanded: Any) -> None:
    _, results = commanded
    assert_refused(results["voice, no consent"], "Say by what right the voice is used")
    voice = document(results["voice"])
    assert voice["clips"][0]["transcript"] == READING["transcript"]
    assert (voice["consent"]["ground"], voice["consent"]["statement"], voice["consent"]["who"]) == (
        "licence",
        "CC0",
        "K",
    )
    assert len(document(results["clip"])["clips"]) == 2
    cut = document(results["slice"], said="The texts of 1 were parted by time.*\n")
    texts = [each["text"] for each in document(results["sliced"])["utterances"]]
    assert (cut["sliced"], len(texts), " ".join(texts)) == (1, cut["made"], READING["transcript"])
    assert cut["made"] >= 2


def test_a_training_reads_a_set_by_its_name_with_what_is_held_out_and_by_what_right(commanded: Any) -> None:
    _, results = commanded
    checked = document(results["train"])
    assert checked["ok"], checked
    version = document(results["show"])["version"]
    assert checked["facts"]["Rows"].startswith(f"5 rows of Kathleen@{version[:12]}.jsonl")
    assert "evaluated on 2 rows of rows_val.jsonl" in checked["facts"]["Steps"]
    assert checked["facts"]["Voices"] == "Kathleen: licence (CC0)"


def test_rows_hear_what_was_chosen_for_the_set(commanded: Any) -> None:
    _, results = commanded
    assert document(results["pairs"]) == {"seed": 42, "without": 0.0, "variants": 3, "scene": ""}
    checked = document(results["train on pairs"])
    assert checked["facts"]["Rows"].startswith("15 rows of Kathleen@")
    assert "each clip in about 3 of them" in checked["facts"]["Rows"]
    assert checked["spec"]["validation"]["count"] == 2
    assert document(results["texts"]) == []
    refused = results["judged by itself"]
    assert refused.returncode == 1 and "would be trained on as well" in refused.stderr


def test_what_cannot_be_is_said_in_one_line(commanded: Any) -> None:
    _, results = commanded
    for name, sentence in {
        "no pairs": "An utterance can stand in 1 to 16 rows",
        "twice": "There is a dataset 'kathleen' already",
        "no consent": "The consent of Kathleen is not recorded",
        "not exported": "The consent of Kathleen is not recorded",
        "no kind": "There is no suspicion 'boring'",
        "no take": "There is no take '0123456789'",
        "no clip": "give either a file, or --dataset NAME and --utterance ID",
        "both": "Give either a file of rows or --dataset NAME",
        "unknown": "There is no such dataset",
        "not deleted": "say so with --yes",
    }.items():
        assert_refused(results[name], sentence)

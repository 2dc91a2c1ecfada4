"""``evaluate``, ``evaluate-list`` and ``evaluate-merge`` in a terminal."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA
from tests.integration.in_turn import FIRST_ID, assert_refused, by_name, document

CLIP, OTHER = DATA / "kathleen_b0228.flac", DATA / "kathleen_a0399.flac"


@pytest.fixture(scope="module")
def ran(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A take and files measured without a recogniser; a list spoken with the tiny checkpoint; and what is refused."""
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copy(CLIP, folder / CLIP.name)
    (folder / "meta.lst").write_text(f"one|You were engaged.|{CLIP.name}|Good morning.\n", encoding="utf-8")
    deaf = ["--no-recognise", "--json"]
    consent = ["--speaker-consent", "licence", "--consent-note", "CC0"]
    spoken = ["evaluate-list", folder / "meta.lst", "--takes", folder / "spoken", "--checkpoint", tiny_checkpoint]
    no_asr = ["STUDIO_ASR_MODEL=/nowhere/model"]
    commands = {
        "spoken": [
            "speak", "Hello there.", "--voice", "kathleen", "--seed", "7", "--checkpoint", tiny_checkpoint,
            "--out", folder / "take.wav", "--json",
        ],
        "take": ["evaluate", FIRST_ID, *deaf],
        "file": [
            "evaluate", CLIP, "--reference", CLIP, "--text", "You were engaged.", "--recording", CLIP, *deaf,
        ],
        "two": ["evaluate", CLIP, OTHER, "--reference", CLIP, *deaf],
        "in words": ["evaluate", CLIP, "--no-recognise"],
        "no recogniser": [*no_asr, "evaluate", CLIP, "--text", "You were engaged.", "--json"],
        "no take": ["evaluate", "abcdef12"],
        "no file": ["evaluate", folder / "gone.wav"],
        "no consent": [*spoken, "--speak"],
        "nothing to speak": [*spoken],
        "list without recogniser": [*no_asr, *spoken, "--speak", *consent],
        "no folder": ["evaluate-list", folder / "meta.lst", "--takes", folder / "none"],
        "no part": ["evaluate-list", folder / "meta.lst", "--takes", folder, "--part", "3/2"],
        "no results": ["evaluate-merge", folder / "meta.lst"],
    }  # fmt: skip
    return by_name(folder / "home", commands)


def test_a_take_is_measured_by_its_id(ran: Any) -> None:
    spoken, measured = (document(ran[name], said="(?s).*") for name in ("spoken", "take"))
    assert (measured["take"], measured["text"]) == (spoken["id"], "Hello there.")
    assert (measured["ended"], measured["rtf"]) == (spoken["ended"], spoken["rtf"])
    assert measured["absent"]["wer"] == "No recogniser was asked for."


def test_a_clip_against_itself_is_the_same_voice_and_melody(ran: Any) -> None:
    measured = document(ran["file"])
    assert (measured["similarity"], measured["pitch_correlation"], measured["duration_ratio"]) == (1.0, 1.0, 1.0)
    assert measured["similarity_model"] == "Resemblyzer 0.1.4"
    assert measured["dnsmos"]["model"].startswith("DNSMOS P.835 (speechmos ")
    assert set(measured["dnsmos"]) == {"ovrl", "sig", "bak", "model"}


def test_several_are_one_document_with_their_means(ran: Any) -> None:
    both = document(ran["two"])
    ones = [each["similarity"] for each in both["takes"]]
    assert ones[0] == 1.0 > ones[1] > 0.5
    assert both["means"]["similarity"] == pytest.approx(sum(ones) / 2, abs=1e-4)
    assert both["means"]["wer"] is None
    assert "no wer: No recogniser was asked for." in ran["in words"].stdout


def test_without_a_recogniser_the_rest_is_measured_and_the_reason_told(ran: Any) -> None:
    measured = document(ran["no recogniser"])
    assert measured["wer"] is None
    assert "There is no folder model with a transcription model" in measured["absent"]["wer"]
    assert measured["loudness_lufs"] < -10


def test_what_cannot_be_done_is_one_sentence(ran: Any) -> None:
    for name, says in {
        "no take": "There is no take 'abcdef12'",
        "no file": "'gone.wav' does not exist",
        "no consent": "--speaker-consent own, permission or licence",
        "nothing to speak": "add --speak",
        "list without recogniser": "There is no folder model with a transcription model",
        "no folder": "There is no folder none of takes",
        "no part": "'3/2' is no part",
        "no results": "'meta.lst' holds no results of a list",
    }.items():
        assert_refused(ran[name], says)


def test_a_list_is_spoken_and_scored(asr_model: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(CLIP, tmp_path / CLIP.name)
    lines = [f"{name}|You were engaged.|{CLIP.name}|{text}" for name, text in (("one", "Hi."), ("two", "Yes."))]
    (tmp_path / "meta.lst").write_text("\n".join(lines), encoding="utf-8")
    takes = tmp_path / "takes"
    part = ["evaluate-list", tmp_path / "meta.lst", "--takes", takes, "--speak", "--speaker-consent", "licence",
            "--consent-note", "CC0", "--checkpoint", tiny_checkpoint, "--asr-model", asr_model, "--json"]  # fmt: skip
    results = by_name(
        tmp_path / "home",
        {
            "first": [*part, "--part", "1/2"],
            "second": [*part, "--part", "2/2"],
            "merged": ["evaluate-merge", takes / "results-1-of-2.jsonl", takes / "results-2-of-2.jsonl", "--json"],
        },
    )
    assert sorted(path.name for path in takes.glob("*.wav")) == ["one.wav", "two.wav"]
    whole = document(results["merged"])
    assert (whole["lines"], whole["scored"], whole["missing"], whole["whole_list"]) == (2, 2, 0, True)
    halves = [document(results[name], said="(?s).*")["wer_percent"] for name in ("first", "second")]
    assert whole["wer_percent"] == pytest.approx(sum(halves) / 2, abs=1e-3)
    assert asr_model.name in whole["wer_name"]
    assert whole["spoken_with"]

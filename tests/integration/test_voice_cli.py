"""Voices on the command line, in real processes: judged, saved, looked at, changed, taken away."""

import json
import os
import pty
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.integration.in_turn import HEAVY, ROOT, Result, assert_refused, document, run, run_in_turn

PRESETS = {entry["name"]: entry for entry in json.loads((ROOT / "assets/voices/voices.json").read_text("utf-8"))}


def run_voice(home: Path, *arguments: str | Path) -> Result:
    return run(home, "voice", *arguments)


def run_all(
    home: Path, commands: Sequence[Sequence[str | Path]], *, warm: bool = False, **environment: str
) -> list[Result]:
    return run_in_turn(home, [["voice", *command] for command in commands], warm=warm, **environment).results


def verdicts(said: dict[str, Any]) -> dict[str, str]:
    return {verdict["item"]: verdict["verdict"] for verdict in said["verdicts"]}


@pytest.fixture(scope="module")
def good() -> tuple[Path, str]:
    """A clip of 9 s that the coach has nothing against, and what is said in it."""
    entry = PRESETS["Kathleen"]
    return ROOT / "assets" / "voices" / entry["file"], entry["transcript"]


@pytest.fixture(scope="module")
def long(kathleen: dict[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """More than a minute: one recording again and again, and what is said in about 12 s of it."""
    path, transcript = next(iter(kathleen.items()))
    samples, rate = soundfile.read(path, dtype="float32")
    target = tmp_path_factory.mktemp("clips") / "a long one 🎤.flac"
    soundfile.write(target, np.tile(np.concatenate([samples, np.zeros(rate // 2, np.float32)]), 20), rate)
    return target, " ".join([transcript] * 3)


@pytest.fixture(scope="module")
def saved(good: tuple[Path, str], long: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What takes seconds, on a fresh home: its folder, and the results by name."""
    home = tmp_path_factory.mktemp("voices") / "a home"
    permission = ["--speaker-consent", "permission", "--consent-note", "Anna, by letter", "--speaker", "Anna Smith"]
    commands: dict[str, list[str | Path]] = {
        "check, long": ["check", long[0], "--json", "--trim-start", "2"],
        "add, best window": [
            "add", "Bea", long[0], "--transcript", long[1], "--speaker-consent", "own", "--best-window", "--json",
        ],
        "add": [
            "add", "Anna", good[0], "--transcript", "They were following the shore of a lake.", *permission,
            "--language", "en", "--notes", "warm", "--trim-end", "2.9", "--denoise", "--json",
        ],
        "check": ["check", good[0], "--transcript", good[1], "--language", "en"],
        "add, too long": ["add", "Cleo", long[0], "--transcript", long[1], "--speaker-consent", "own"],
    }  # fmt: skip
    return home, dict(zip(commands, run_all(home, list(commands.values()), warm=True), strict=True))


def test_a_good_clip_is_told_in_words(saved: Any) -> None:
    result = saved[1]["check"]
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("ok    ") for line in lines)
    assert re.fullmatch(r"ok    Length: 9\.1 s\. .+\.", lines[0])


def test_a_clip_that_cannot_be_used_is_told_in_one_document_with_the_part_that_could(saved: Any, long: Any) -> None:
    result = saved[1]["check, long"]
    assert result.returncode == 1
    said = json.loads(result.stdout)
    assert (said["ok"], said["clip"], said["trim_start"], said["trim_end"]) == (False, str(long[0]), 2, None)
    assert verdicts(said)["duration"] == "bad"
    assert said["duration"] == pytest.approx(soundfile.info(long[0]).duration - 2, abs=0.01)
    assert 5 <= said["window"]["end"] - said["window"]["start"] <= 15
    assert result.stderr == f"{said['sentence']}\n"


def test_a_clip_that_is_too_long_is_refused_with_the_options_that_would_do(saved: Any) -> None:
    result = saved[1]["add, too long"]
    assert_refused(result, "at most 60 s can be used; use its best part with --best-window, which is --trim-start")
    start, end = map(float, re.findall(r"--trim-\w+ (\d+\.\d\d)", result.stderr))
    assert 5 <= end - start <= 15


def test_a_voice_is_saved_with_consent_part_and_report(saved: Any) -> None:
    said = document(saved[1]["add"])
    assert (said["name"], said["language"], said["notes"], said["preset"], said["usable"]) == (
        "Anna", "en", "warm", False, True,
    )  # fmt: skip
    assert {key: said["consent"][key] for key in ("who", "ground", "statement")} == {
        "who": "Anna Smith", "ground": "permission", "statement": "Anna, by letter",
    }  # fmt: skip
    (clip,) = said["clips"]
    assert (clip["transcript"], clip["seconds"]) == ("They were following the shore of a lake.", 2.9)
    assert clip["denoised_with"] in ("DeepFilterNet3", "noisereduce")
    assert not clip["needs_check"]
    assert verdicts(clip["report"])["duration"] == "warn"
    assert (saved[0] / "voices" / said["id"] / f"{clip['id']}.flac").is_file()


def test_the_best_part_is_taken_and_its_transcript_is_to_be_checked(saved: Any) -> None:
    said = document(
        saved[1]["add, best window"],
        said=r"Of a long one .* the part from \d+\.\d\d s to \d+\.\d\d s is used\.\nCheck the transcript: .*\.\n",
    )
    assert said["clips"][0]["needs_check"]
    assert 5 <= said["clips"][0]["seconds"] <= 15


def test_voices_are_listed_shown_and_searched(saved: Any) -> None:
    home, results = saved
    everything, found, shown, table, none = run_all(
        home,
        [["list", "--json"], ["list", "--search", "WARM", "--json"], ["show", "anna"], ["list"], ["list", "--search", "zz"]],
    )  # fmt: skip
    names = [voice["name"] for voice in document(everything)["voices"]]
    assert set(names[:2]) == {"Anna", "Bea"}
    assert names[2:] == list(PRESETS)
    assert "Anna" in [voice["name"] for voice in document(found)["voices"]]
    assert "Bea" not in found.stdout
    anna = json.loads(results["add"].stdout)
    for part in (
        anna["id"],
        "Anna Smith",
        "Anna, by letter",
        "They were following",
        "noise: ",
        f"clip {anna['clips'][0]['id']}",
    ):
        assert part in shown.stdout
    assert len(table.stdout.splitlines()) == len(names)
    assert (none.returncode, none.stdout) == (0, "No voice matches.\n")


def test_a_fresh_home_has_the_voices_that_come_with_the_studio_at_once(tmp_path: Path) -> None:
    (listed,), modules = run_in_turn(tmp_path / "home", [["voice", "list", "--json"]])
    assert [voice["name"] for voice in document(listed)["voices"]] == list(PRESETS)
    assert not HEAVY & modules


def test_a_voice_is_changed_step_by_step(saved: Any, good: tuple[Path, str]) -> None:
    home = saved[0]
    first = json.loads(saved[1]["add"].stdout)["clips"][0]["id"]
    edited, added, corrected, which = run_all(
        home,
        [
            ["edit", "ANNA", "--name", "Anna B", "--notes", "", "--json"],
            ["add-clip", "Anna B", good[0], "--transcript", good[1], "--json"],
            ["transcript", "anna b", "They were following the shores of a lake.", "--clip", first],
            ["transcript", "Anna B", "Which?"],
        ],
    )
    said = document(edited)
    assert (said["name"], said["notes"], said["language"]) == ("Anna B", "", "en")
    assert [clip["seconds"] for clip in document(added)["clips"]] == [2.9, pytest.approx(9.1, abs=0.1)]
    assert "shores of a lake" in corrected.stdout
    assert corrected.stderr == ""
    assert_refused(which, "has 2 clips: say which of its clips, with --clip")


def test_what_is_wrong_is_said_in_one_line_and_nothing_is_saved(saved: Any, good: tuple[Path, str]) -> None:
    home, clip, text = saved[0], str(good[0]), good[1]
    add, own = ["add", "Dora", clip], ["--speaker-consent", "own"]
    with_text = [*add, "--transcript", text]
    cases: list[tuple[list[str], str]] = [
        (with_text, "--speaker-consent own, permission or licence"),
        ([*with_text, "--speaker-consent", "maybe"], "Unknown consent 'maybe'"),
        ([*with_text, "--speaker-consent", "permission"], "say who gave the permission"),
        ([*add, *own], "--transcript TEXT, or let a model write it down with --transcribe"),
        ([*with_text, *own, "--transcribe"], "not both"),
        ([*with_text, *own, "--best-window", "--trim-end", "3"], "either --best-window or"),
        ([*with_text, *own, "--language", "xx"], "no language code"),
        ([*with_text, *own, "--trim-start", "99"], "but the clip is 9."),
        (["add", "../x", *with_text[2:], *own], "'..' in it"),
        (["add", "kathleen", *with_text[2:], *own], "comes with the studio"),
        (["add", "BEA", *with_text[2:], *own], "already a voice called BEA"),
        (["add", "Dora", "no.wav", "--transcript", text, *own], "'no.wav' does not exist"),
        (["check", "no.wav", "--json"], "'no.wav' does not exist"),
        (["show", "Nobody"], "There is no voice 'Nobody'"),
        (["edit", "Bea"], "--name, --language or --notes"),
        (["edit", "Bea", "--name", "Kathleen"], "comes with the studio"),
        (["remove", "Kathleen"], "comes with the studio"),
        (["withdraw-consent", "Kathleen"], "cannot be withdrawn here"),
        (["add-clip", "Kathleen", clip, "--transcript", text], "comes with the studio"),
        (["sing"], "--help"),
    ]  # fmt: skip
    look: list[str | Path] = ["list", "--json"]
    before, *refused, after = run_all(home, [look, *[command for command, _ in cases], look])
    for result, (_, says) in zip(refused, cases, strict=True):
        assert_refused(result, says)
    assert document(after) == document(before)


def test_a_person_at_a_terminal_is_asked_before_a_voice_is_removed_and_a_script_is_not(saved: Any) -> None:
    home = saved[0]

    def at_terminal(*arguments: str, answer: str) -> Result:
        ours, theirs = pty.openpty()
        os.write(ours, answer.encode())
        try:
            return run(home, "voice", "remove", *arguments, stdin=theirs)
        finally:
            os.close(ours)
            os.close(theirs)

    withdrawn = document(run_voice(home, "withdraw-consent", "bea", "--json"))
    assert (withdrawn["usable"], withdrawn["trouble"]) == (
        False,
        "The consent for Bea was withdrawn: choose another voice.",
    )
    refused = at_terminal("Bea", answer="n\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "Delete Bea with its clips? [y/N] Bea was not deleted.\n"
    assert (home / "voices" / withdrawn["id"]).is_dir()
    removed = document(run_voice(home, "remove", "Bea", "--json"))
    assert removed == {"removed": True, "id": withdrawn["id"], "name": "Bea"}
    assert not (home / "voices" / withdrawn["id"]).exists()
    gone = at_terminal("Bea", "--yes", answer="")
    assert gone.stderr == "There is no voice 'Bea' in the library: choose one of the list.\n"


def test_a_model_writes_down_what_is_said_in_the_part_that_is_used(
    asr_model: Path, good: tuple[Path, str], tmp_path: Path
) -> None:
    corrected_text = "They were following the shores of a lake."
    added, corrected = run_all(
        tmp_path,
        [
            [
                "add", "Elsa", good[0], "--transcribe", "--trim-end", "2.9", "--speaker-consent", "licence",
                "--consent-note", "CC0 1.0", "--json",
            ],
            ["transcript", "Elsa", corrected_text, "--json"],
        ],
        warm=True,
        STUDIO_ASR_MODEL=str(asr_model),
    )  # fmt: skip
    said = document(added)
    (clip,) = said["clips"]
    assert said["language"] == "en"
    assert "shore of a lake" in clip["transcript"]
    assert "large lake" not in clip["transcript"]
    assert clip["transcript_model"]
    assert all(0 <= start <= end <= 2.9 for _, start, end in clip["words"])
    # A correction keeps the times of the words that stay.
    (changed,) = document(corrected)["clips"]
    assert [word[0] for word in changed["words"]] == corrected_text.split()
    assert changed["words"][0][1:] == clip["words"][0][1:]
    assert changed["transcript_model"] is None

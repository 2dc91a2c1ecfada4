"""Speaking with saved voices, and the takes that are kept, on the command line in real processes."""

import json
import re
import resource
from pathlib import Path
from typing import Any

import pytest
import soundfile

from studio.engine.host import TINY_NOTICE
from studio.settings import Settings
from studio.store import takes as records
from studio.store.store import Store
from studio.store.tables import TakeRecord
from tests.integration.in_turn import FIRST_ID, HEAVY, assert_refused, by_name, document, run, run_in_turn
from tests.trained import register, write_adapter

NOISE = re.escape(f"{TINY_NOTICE}\n")
SCRIPT = "[ANNA] Hello, Bob.\n[Bob] Hello, Anna.\n[Old man] Good evening."


@pytest.fixture(scope="module")
def spoken(
    kathleen: dict[Path, str], tiny_checkpoint: Path, other_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A dialogue that is not kept; and two takes, one of them spoken again: as it was, and with another checkpoint. One is
    spoken with a trained voice: by its name, by its folder, and again.
    """
    folder = tmp_path_factory.mktemp("takes")
    home = folder / "a home"
    settings = Settings(home=home)
    store = Store(settings.store_file)
    adapter = write_adapter(tiny_checkpoint, folder / "lora 🎧")
    trained = register(settings, store, adapter, tiny_checkpoint)
    store.close()
    clip, transcript = next(iter(kathleen.items()))
    tiny = ["--checkpoint", tiny_checkpoint]
    again = ["take", "again", FIRST_ID, "--json"]
    hello = ["speak", "Hello there.", "--voice", "KATHLEEN", "--seed", "7", "--json"]
    commands = {
        "one": [*hello, *tiny, "--out", folder / "one 🎧.wav"],
        "two": ["speak", "Something else.", *tiny, "--out", folder / "two.flac"],
        "same": [*again, *tiny, "--out", folder / "same.wav"],
        "other": [*again, "--checkpoint", other_checkpoint, "--seed", "8", "--no-keep", "--out", folder / "other.wav"],
        "dialogue": [
            "speak", SCRIPT, "--voice", "ANNA=Kathleen", "--voice", "Bob=owen", "--reference", f"Old man={clip}",
            "--transcript", transcript, "--speaker-consent", "licence", "--consent-note", "CC0", "--json",
            "--out", folder / "dialogue.wav", *tiny, "--seed", "3", "--no-keep",
        ],
        "trained": [*hello, *tiny, "--adapter", trained.name, "--no-keep", "--out", folder / "trained.wav"],
        "by folder": [*hello, *tiny, "--adapter", adapter, "--no-keep", "--out", folder / "by folder.wav"],
        "unfit": [*hello, "--checkpoint", other_checkpoint, "--adapter", trained.id, "--out", folder / "never.wav"],
    }  # fmt: skip
    return folder, by_name(home, commands)


def test_saved_voices_and_clips_speak_a_dialogue_that_is_not_kept_where_that_is_wished(spoken: Any) -> None:
    folder, results = spoken
    said = document(results["dialogue"], said=NOISE)
    assert said["id"] is None
    assert [(voice["name"], voice["speaker"]) for voice in said["voices"]] == [
        ("Kathleen", "ANNA"), ("Owen", "Bob"), ("kathleen_a0003.flac", "Old man"),
    ]  # fmt: skip
    assert [chunk["speaker"] for chunk in said["chunks"]] == ["ANNA", "Bob", "Old man"]
    assert soundfile.info(folder / "dialogue.wav").duration == pytest.approx(said["seconds"], abs=1e-4)


def test_a_take_is_kept_with_everything_that_decides_how_it_sounds(spoken: Any) -> None:
    folder, results = spoken
    said = document(results["one"], said=NOISE)
    assert re.fullmatch(r"[0-9a-f]{24}", said["id"])
    assert (said["path"], said["seed"], said["text"]) == (str(folder / "one 🎧.wav"), 7, "Hello there.")
    assert [voice["name"] for voice in said["voices"]] == ["Kathleen"]
    assert (results["two"].returncode, results["two"].stderr) == (0, f"{TINY_NOTICE}\n")
    assert re.fullmatch(r".*two\.flac: .*; take [0-9a-f]{8}\n", results["two"].stdout)


def test_a_take_spoken_again_is_the_same_and_another_checkpoint_is_said(spoken: Any) -> None:
    folder, results = spoken
    same = document(results["same"], said=NOISE)
    assert same["id"] != json.loads(results["one"].stdout)["id"]
    assert (folder / "same.wav").read_bytes() == (folder / "one 🎧.wav").read_bytes()
    assert results["other"].returncode == 0
    other = json.loads(results["other"].stdout)
    assert (other["id"], other["seed"]) == (None, 8)
    assert "The first take was made with" in other["notices"][-1]
    assert results["other"].stderr == "".join(f"{sentence}\n" for sentence in other["notices"])


def test_a_trained_voice_is_heard_by_its_name_and_by_its_folder(spoken: Any) -> None:
    folder, results = spoken
    trained, by_folder = (document(results[name], said=NOISE) for name in ("trained", "by folder"))
    assert (trained["adapter"], len(trained["adapter_id"])) == ("Demo · step 30", 24)
    assert (by_folder["adapter"], by_folder["adapter_id"]) == ("lora 🎧", None)
    sounds = {name: (folder / f"{name}.wav").read_bytes() for name in ("trained", "by folder", "same")}
    assert sounds["trained"] == sounds["by folder"]
    assert sounds["trained"] != sounds["same"]
    assert_refused(results["unfit"], "Demo · step 30 was trained on tiny, and other is loaded: load tiny")
    assert not (folder / "never.wav").exists()


def test_takes_are_listed_shown_starred_exported_and_deleted_without_loading_a_model(spoken: Any) -> None:
    folder, results = spoken
    home, one, same = folder / "a home", json.loads(results["one"].stdout), json.loads(results["same"].stdout)
    short = one["id"][:6]
    before, modules = run_in_turn(
        home,
        [
            ["take", "list", "--json"],
            ["take", "list", "--search", "kathleen", "--json"],
            ["take", "list"],
            ["take", "show", short, "--json"],
            ["take", "show", short.upper()],
            ["take", "star", short, "--json"],
            ["take", "list", "--starred", "--json"],
            ["take", "export", one["id"], folder / "exported.mp3", "--json"],
            ["take", "export", short, folder / "exported.wav"],
            ["take", "unstar", short],
            ["take", "list", "--starred"],
            ["take", "delete", same["id"], "--json"],
            ["take", "show", same["id"]],
        ],
    )
    assert not HEAVY & modules
    listed, found, table, shown, told, starred, stars, mp3, wav, unstarred, none, deleted, gone = before
    takes = document(listed)["takes"]
    assert [take["text"] for take in takes] == ["Hello there.", "Something else.", "Hello there."]
    assert [take["id"] for take in document(found)["takes"]] == [same["id"], one["id"]]
    assert len(table.stdout.splitlines()) == 3
    kept = document(shown)
    assert {key: kept[key] for key in ("id", "seed", "seconds", "top_k", "chunks")} == {
        key: one[key] for key in ("id", "seed", "seconds", "top_k", "chunks")
    }
    assert "voices: Kathleen" in told.stdout
    assert document(starred)["starred"] is True
    assert [take["id"] for take in document(stars)["takes"]] == [one["id"]]
    assert document(mp3)["path"] == str(folder / "exported.mp3")
    assert soundfile.info(folder / "exported.mp3").format == "MP3"
    assert wav.returncode == 0
    assert (folder / "exported.wav").read_bytes() == (folder / "one 🎧.wav").read_bytes()
    assert unstarred.returncode == 0
    assert (none.returncode, none.stdout) == (0, "No take matches.\n")
    assert document(deleted) == {"deleted": True, "id": same["id"], "text": "Hello there."}
    assert_refused(gone, "There is no take")
    assert sorted(path.stem for path in (home / "takes").iterdir()) == sorted(
        {take["id"] for take in takes} - {same["id"]}
    )


def test_what_is_wrong_is_said_in_one_line_before_a_model_is_loaded(spoken: Any, tmp_path: Path) -> None:
    folder, results = spoken
    one = json.loads(results["one"].stdout)["id"]
    out = ["--out", str(tmp_path / "never.wav")]
    cases: list[tuple[list[str], str]] = [
        (["speak", "Hi.", "--voice", "x", *out], "--voice x: There is no voice 'x'"),
        (["speak", "[ANNA] Hi.", "--voice", "ANNA=x", *out], "There is no voice 'x'"),
        (["speak", "Hi.", "--voice", "=Kathleen", *out], "not of the form VOICE or SPEAKER=VOICE"),
        (["speak", "Hi.", "--voice", "ANNA=", *out], "not of the form VOICE or SPEAKER=VOICE"),
        (["speak", "Hi.", "--voice", "Kathleen", "--voice", "Owen", *out], "One voice speaks in this text"),
        (["speak", "Hi.", "--adapter", "x", *out], "--adapter x: There is no trained voice 'x'"),
        (["speak", "Hi.", "--adapter", " ", *out], "--adapter is empty"),
        (["speak", "Hi.", "--adapter", str(tmp_path), *out], "holds no adapter_config.json"),
        (["take", "show", "abc"], "at least 6 characters"),
        (["take", "show", "zzzzzzzz"], "There is no take 'zzzzzzzz'"),
        (["take", "again", one], "--out FILE.wav"),
        (["take", "again", "zzzzzzzz", *out], "There is no take"),
        (["take", "again", one, "--seed", "-1", *out], "The seed is -1"),
        (["take", "export", one, str(tmp_path / "take.ogg")], "must end in .wav, .flac or .mp3"),
        (["take", "export", one, str(tmp_path / "no" / "take.wav")], "does not exist"),
        (["take", "delete", "zzzzzzzz"], "There is no take"),
        (["take", "sing"], "--help"),
    ]
    refused, modules = run_in_turn(folder / "a home", [command for command, _ in cases])
    for result, (_, says) in zip(refused, cases, strict=True):
        assert_refused(result, says)
    assert not HEAVY & modules
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_is_not_clear_and_a_consent_that_was_withdrawn_are_said(
    tmp_path: Path, kathleen: dict[Path, str]
) -> None:
    settings = Settings(home=tmp_path / "home")
    store = Store(settings.store_file)
    scene = {
        "scene": "", "temperature": 0.3, "top_p": 0.95, "top_k": 50, "ras_window": 7, "ras_max_repeats": 2,
        "language": None, "descriptions": {},
    }  # fmt: skip
    with store.writing() as session:
        for number in "ab":
            row = TakeRecord(
                id=f"aaaaaaa{number}", owner="", text="Hi.", checkpoint="tiny", seed=1, seconds=1.0, sample_rate=24_000,
                elapsed=1.0, settings=scene, voices=[{"id": "v", "name": "Anna", "speaker": None}],
            )  # fmt: skip
            records.save(session, row)
        row = TakeRecord(
            id="bbbbbbbb", owner="", text="Ho.", checkpoint="tiny", seed=1, seconds=1.0, sample_rate=24_000, elapsed=1.0,
            settings=scene | {"adapter": "c" * 24}, adapter="Demo · step 30",
        )  # fmt: skip
        records.save(session, row)
    store.close()
    commands = [
        ["show", "aaaaaaa"],
        ["again", "aaaaaaab", "--out", str(tmp_path / "x.wav")],
        ["export", "aaaaaaab", str(tmp_path / "x.wav")],
        ["again", "bbbbbbbb", "--out", str(tmp_path / "x.wav")],
        ["show", "bbbbbbbb"],
    ]
    (unclear, gone, silent, untrained, shown), _ = run_in_turn(
        tmp_path / "home", [["take", *command] for command in commands]
    )
    assert_refused(unclear, "2 takes have ids that begin with 'aaaaaaa'")
    assert_refused(gone, "Anna, who speaks in this take, is no longer in the library")
    assert_refused(silent, "gone from the disk")
    assert_refused(untrained, "Demo · step 30, the trained voice of this take, was deleted")
    assert f"\nadapter: Demo · step 30 ({'c' * 24})\n" in shown.stdout


def test_a_disk_that_is_full_keeps_neither_file_nor_take(spoken: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    result = run(
        tmp_path / "home", "speak", "Hi.", "--checkpoint", tiny_checkpoint, "--out", tmp_path / "speech.wav",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384)),
    )  # fmt: skip
    assert_refused(result, "disk or quota is full")
    assert not (tmp_path / "speech.wav").exists()
    assert [path for path in (tmp_path / "home" / "takes").rglob("*") if path.is_file()] == []

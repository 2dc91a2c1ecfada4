"""The command line in real processes: what is printed, what is written, and that both agree."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio import __version__
from studio.audio import encode_audio
from studio.engine.host import TINY_NOTICE
from tests.integration.in_turn import FULL_DISK, Result, by_name, document, run

TEXT = "Hello there, my friend."
NOISE = re.escape(f"{TINY_NOTICE}\n")
"""Said on stderr whenever the tiny checkpoint speaks: noise must not pass for speech."""


@pytest.fixture(scope="module")
def clip(kathleen: dict[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A recording under a name with a space and an emoji, at 96 kHz, 8 bits, stereo."""
    path, transcript = next(iter(kathleen.items()))
    target = tmp_path_factory.mktemp("clips") / "my voice 🎤.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(target, np.stack([np.repeat(samples, 4)] * 2, axis=1), 4 * rate, subtype="PCM_U8")
    return target, transcript


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with a space in its path."""
    return shutil.copytree(tiny_checkpoint, tmp_path_factory.mktemp("my checkpoints") / "a tiny one")


class Ran:
    """What the commands gave that load much, each with a name; where they wrote; and their home."""

    def __init__(self, folder: Path, results: dict[str, Any]) -> None:
        self.folder, self.home, self._results = folder, folder / "home", results

    def __getitem__(self, name: str) -> Result:
        return self._results[name].result()[name]


@pytest.fixture(scope="module")
def ran(clip: tuple[Path, str], checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Two processes at once on one home, which both write one file in the end, and begin with their imports done; then a
    third, which begins from nothing. Tests wait for their own.
    """
    folder = tmp_path_factory.mktemp("ran")
    for made in ("spoken", "full disk"):
        (folder / made).mkdir()
    (folder / "script.txt").write_text("\ufeff[آنا] مرحبا يا بوب.\r\n[Bob] Hello, Anna.\n", encoding="utf-8")
    tiny = ["--checkpoint", checkpoint]

    def speak(out: str, seed: int) -> list[str | Path]:
        return [
            "speak", TEXT, "--reference", clip[0], "--transcript", clip[1], "--speaker-consent", "own", *tiny,
            "--out", folder / "spoken" / out, "--seed", str(seed), "--json",
        ]  # fmt: skip

    make = ["checkpoint", "tiny", folder / "new checkpoint"]
    one = {
        "one": speak("one 🎧.wav", 7),
        "seed 8": speak("shared.wav", 8),
        "tiny": [*make, "--seed", "5", "--json"],
        "tiny again": make,
    }
    other = {
        "two": speak("two.wav", 7),
        "seed 7": speak("shared.wav", 7),
        "info": ["checkpoint", "info", checkpoint, "--json"],
        "full disk": [
            FULL_DISK, "speak", TEXT, *tiny, "--seed", "1", "--no-keep", "--out", folder / "full disk" / "speech.wav",
        ],
    }  # fmt: skip
    third = {
        "script": [
            f"STUDIO_HOME={folder / 'home of the script'}",
            "speak", "--script", folder / "script.txt", "--reference", f"آنا={clip[0]}", "--transcript", clip[1],
            "--speaker-consent", "permission", "--consent-note", "Anna, by letter", "--describe", "Bob=an old man",
            "--out", folder / "dialogue.mp3", *tiny, "--seed", "3", "--trim-end", "2.5",
        ],
        "doctor": ["doctor", "--json"],
        "doctor, bad home": ["STUDIO_HOME=/sys/studio", "doctor", "--json"],
    }  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        results: dict[str, Any] = {}
        for commands in (one, other):
            results |= dict.fromkeys(commands, pool.submit(by_name, folder / "home", commands))
        results |= dict.fromkeys(third, pool.submit(by_name, folder / "home", third, warm=False))
        yield Ran(folder, results)


def test_one_json_document_says_what_was_spoken(ran: Ran) -> None:
    said = document(ran["one"], said=NOISE)
    assert {"path", "sample_rate", "seconds", "frames", "rtf", "ended", "seed"} <= set(said)
    assert said["path"] == str(ran.folder / "spoken" / "one 🎧.wav")
    assert said["seed"] == 7
    assert isinstance(said["ended"], bool)
    assert said["rtf"] > 0
    assert [chunk["text"] for chunk in said["chunks"]] == [TEXT]
    assert "noise, not speech" in said["notices"][0]


def test_the_file_is_what_the_document_says(ran: Ran) -> None:
    said = document(ran["one"], said=NOISE)
    info = soundfile.info(said["path"])
    assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)
    assert info.samplerate == said["sample_rate"] == 24_000
    assert info.frames / info.samplerate == pytest.approx(said["seconds"], abs=1e-5)
    assert said["seconds"] == pytest.approx(said["frames"] / 25)


def test_the_same_command_writes_the_same_bytes(ran: Ran) -> None:
    one, two = (document(ran[name], said=NOISE) for name in ("one", "two"))
    assert Path(one["path"]).read_bytes() == Path(two["path"]).read_bytes()
    ignored = {"path", "rtf", "id", "elapsed", "created_at"}
    assert {k: v for k, v in one.items() if k not in ignored} == {k: v for k, v in two.items() if k not in ignored}


def test_the_command_line_speaks_as_the_engine_does(ran: Ran, engine: Any, clip: tuple[Path, str]) -> None:
    from studio.audio import read_audio
    from studio.engine.speech.reference import Consent, Reference
    from studio.engine.speech.request import SpeechRequest
    from studio.engine.text import Script

    reference = Reference(read_audio(clip[0]), clip[1], Consent("own"))
    stream = engine.stream(SpeechRequest(Script(TEXT), [reference], seed=7))
    list(stream)
    spoken = encode_audio(stream.speech.waveform, "wav", synthetic=True)
    assert spoken == Path(document(ran["two"], said=NOISE)["path"]).read_bytes()


def test_two_runs_at_once_into_one_file_leave_one_of_them_whole(ran: Ran) -> None:
    other, same = (document(ran[name], said=NOISE) for name in ("seed 8", "seed 7"))
    assert (other["seed"], same["seed"]) == (8, 7)
    shared = ran.folder / "spoken" / "shared.wav"
    whole = shared.read_bytes() == (shared.parent / "two.wav").read_bytes()
    assert whole or soundfile.info(shared).duration == pytest.approx(other["seconds"], abs=1e-5)
    assert sorted(path.name for path in shared.parent.iterdir()) == ["one 🎧.wav", "shared.wav", "two.wav"]


def test_codes_of_the_clip_are_kept_under_the_home(ran: Ran) -> None:
    document(ran["two"], said=NOISE)
    assert len(list((ran.home / "cache" / "codes").rglob("*.npy"))) == 1


def test_a_script_is_spoken_as_a_dialogue_and_told_in_words(ran: Ran) -> None:
    result = ran["script"]
    assert (result.returncode, result.stderr) == (0, f"{TINY_NOTICE}\n")
    assert re.fullmatch(r".*dialogue\.mp3: \d+\.\d\d s, RTF \d+\.\d\d, seed 3.*\n", result.stdout)
    info = soundfile.info(ran.folder / "dialogue.mp3")
    assert (info.format, info.samplerate) == ("MP3", 24_000)
    assert info.duration > 0.35


def test_a_full_disk_leaves_nothing_half_written(ran: Ran) -> None:
    result = ran["full disk"]
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"The disk or quota is full, so 'speech\.wav' was not saved; .*\.\n", result.stderr)
    assert list((ran.folder / "full disk").iterdir()) == []


def test_a_checkpoint_is_made_and_never_overwritten(ran: Ran) -> None:
    folder, made = ran.folder / "new checkpoint", document(ran["tiny"])
    assert made == {"path": str(folder), "seed": 5}
    assert json.loads((folder / "studio_checkpoint.json").read_text())["seed"] == 5
    again = ran["tiny again"]
    assert (again.returncode, again.stdout) == (1, "")
    assert re.fullmatch(r".*new checkpoint already exists: choose a new folder.*\.\n", again.stderr)


def test_a_checkpoint_is_described(ran: Ran, checkpoint: Path) -> None:
    facts = document(ran["info"])
    assert (facts["name"], facts["kind"], facts["speaks"]) == (str(checkpoint), "tiny", False)
    assert (facts["num_codebooks"], facts["sample_rate"], facts["frame_rate"]) == (8, 24_000, 25.0)


def test_doctor_looks_at_everything_and_prints_one_document(ran: Ran) -> None:
    said = document(ran["doctor"])
    assert said["ok"] is True
    checks = {check["name"]: check for check in said["checks"]}
    assert checks["home"]["detail"] == str(ran.home)
    assert checks["import swift"]["detail"] == "works"


def test_doctor_fails_where_the_studio_would(ran: Ran) -> None:
    result = ran["doctor, bad home"]
    assert result.returncode == 1
    assert json.loads(result.stdout)["ok"] is False
    assert re.fullmatch(r"home does not work: .*STUDIO_HOME.*\n", result.stderr)


def test_what_is_no_checkpoint_is_said_in_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, "checkpoint", "info", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "holds no config.json" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wrong_setting_is_named_with_its_variable(tmp_path: Path) -> None:
    result = run(tmp_path, "doctor", env={**os.environ, "STUDIO_PORT": "many"})
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"The setting port \(STUDIO_PORT\) is wrong: .*\n", result.stderr)


@pytest.mark.parametrize("arguments", [["--help"], ["speak", "--help"], ["checkpoint", "--help"]])
def test_help_is_fast_because_it_imports_no_model_code(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "studio", *arguments], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0
    assert "Usage: python -m studio" in result.stdout
    imported = set(re.findall(r"^import time:.*\|\s*(\S+)$", result.stderr, flags=re.MULTILINE))
    assert "studio.cli" in imported
    assert not imported & {"torch", "transformers", "gradio", "librosa", "numpy", "scipy"}


def test_the_version_is_printed(tmp_path: Path) -> None:
    result = run(tmp_path, "--version")
    assert (result.returncode, result.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [["sing"], ["checkpoint", "melt"], ["checkpoint", "tiny"]])
def test_a_command_that_is_not_there_is_said_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    result = run(tmp_path, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "--help" in result.stderr

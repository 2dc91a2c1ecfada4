"""The command line in real processes: what is printed, what is written, and that both agree."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio import __version__
from studio.audio import encode_audio
from studio.engine.host import TINY_NOTICE

TEXT = "Hello there, my friend."


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "studio", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, error = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return finish(start(*arguments, **options))


NOISE = f"{TINY_NOTICE}\n"
"""Said on stderr whenever the tiny checkpoint speaks: noise must not pass for speech."""


def document(result: subprocess.CompletedProcess[str], *, said: str = "") -> dict[str, Any]:
    """The one JSON document on stdout; on stderr ``said`` and nothing else."""
    assert (result.returncode, result.stderr) == (0, said)
    return json.loads(result.stdout)


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


@pytest.fixture(scope="module")
def spoken(clip: tuple[Path, str], checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same command twice at once, and a third with another seed and the file of the second."""
    folder = tmp_path_factory.mktemp("spoken")
    home = {**os.environ, "STUDIO_HOME": str(folder / "home")}

    def speak(out: str, seed: int) -> subprocess.Popen[str]:
        return start(
            "speak", TEXT, "--reference", clip[0], "--transcript", clip[1], "--speaker-consent", "own", "--out",
            folder / out, "--checkpoint", checkpoint, "--seed", str(seed), "--json", env=home,
        )  # fmt: skip

    processes = [speak("one 🎧.wav", 7), speak("two.wav", 7)]
    first, second = map(finish, processes)
    two = (folder / "two.wav").read_bytes()
    processes = [speak("two.wav", 8), speak("two.wav", 7)]
    return folder, first, second, two, *map(finish, processes)


def test_one_json_document_says_what_was_spoken(spoken: Any) -> None:
    folder, first, *_ = spoken
    said = document(first, said=NOISE)
    assert {"path", "sample_rate", "seconds", "frames", "rtf", "ended", "seed"} <= set(said)
    assert said["path"] == str(folder / "one 🎧.wav")
    assert said["seed"] == 7
    assert isinstance(said["ended"], bool)
    assert said["rtf"] > 0
    assert [chunk["text"] for chunk in said["chunks"]] == [TEXT]
    assert "noise, not speech" in said["notices"][0]


def test_the_file_is_what_the_document_says(spoken: Any) -> None:
    said = document(spoken[1], said=NOISE)
    info = soundfile.info(said["path"])
    assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)
    assert info.samplerate == said["sample_rate"] == 24_000
    assert info.frames / info.samplerate == pytest.approx(said["seconds"], abs=1e-5)
    assert said["seconds"] == pytest.approx(said["frames"] / 25)


def test_the_same_command_writes_the_same_bytes(spoken: Any) -> None:
    folder, first, second, two, *_ = spoken
    assert (folder / "one 🎧.wav").read_bytes() == two
    ignored = {"path", "rtf", "id", "elapsed", "created_at"}
    one, other = (
        {k: v for k, v in document(result, said=NOISE).items() if k not in ignored} for result in (first, second)
    )
    assert one == other


def test_the_command_line_speaks_as_the_engine_does(spoken: Any, engine: Any, clip: tuple[Path, str]) -> None:
    from studio.audio import read_audio
    from studio.engine.reference import Consent, Reference

    stream = engine.stream(TEXT, [Reference(read_audio(clip[0]), clip[1], Consent("own"))], seed=7)
    list(stream)
    assert encode_audio(stream.speech.waveform, "wav") == spoken[3]


def test_two_runs_at_once_into_one_file_leave_one_of_them_whole(spoken: Any) -> None:
    folder, _, _, two, other, same = spoken
    assert (document(other, said=NOISE)["seed"], document(same, said=NOISE)["seed"]) == (8, 7)
    written = (folder / "two.wav").read_bytes()
    seconds = soundfile.info(folder / "two.wav").duration
    assert written == two or seconds == pytest.approx(document(other, said=NOISE)["seconds"], abs=1e-5)
    assert sorted(path.name for path in folder.iterdir()) == ["home", "one 🎧.wav", "two.wav"]


def test_codes_of_the_clip_are_kept_under_the_home(spoken: Any) -> None:
    assert len(list((spoken[0] / "home" / "cache" / "codes").rglob("*.npy"))) == 1


@pytest.fixture(scope="module")
def slow(clip: tuple[Path, str], checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Commands that load much, two at a time in the background; each test waits for its own. Gives folder and results."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "script.txt").write_text("\ufeff[آنا] مرحبا يا بوب.\r\n[Bob] Hello, Anna.\n", encoding="utf-8")
    (folder / "full disk").mkdir()
    script = [
        "speak", "--script", folder / "script.txt", "--reference", f"آنا={clip[0]}", "--transcript", clip[1],
        "--speaker-consent", "permission", "--consent-note", "Anna, by letter", "--describe", "Bob=an old man",
        "--out", folder / "dialogue.mp3", "--checkpoint", checkpoint, "--seed", "3", "--trim-end", "2.5",
    ]  # fmt: skip
    full = [
        "speak",
        TEXT,
        "--checkpoint",
        checkpoint,
        "--seed",
        "1",
        "--out",
        folder / "full disk" / "speech.wav",
        "--no-keep",
    ]
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))}
    with ThreadPoolExecutor(2) as pool:
        results = {
            "script": pool.submit(run, *script),
            "full disk": pool.submit(run, *full, **limit),
            "tiny": pool.submit(run, "checkpoint", "tiny", folder / "new checkpoint", "--seed", "5", "--json"),
            "info": pool.submit(run, "checkpoint", "info", checkpoint, "--json"),
            "doctor": pool.submit(run, "doctor", "--json", env={**os.environ, "STUDIO_HOME": str(folder / "home")}),
            "doctor, bad home": pool.submit(run, "doctor", "--json", env={**os.environ, "STUDIO_HOME": "/sys/studio"}),
        }
        yield folder, lambda name: results[name].result()


def test_a_script_is_spoken_as_a_dialogue_and_told_in_words(slow: Any) -> None:
    folder, result = slow[0], slow[1]("script")
    assert (result.returncode, result.stderr) == (0, NOISE)
    assert re.fullmatch(r".*dialogue\.mp3: \d+\.\d\d s, RTF \d+\.\d\d, seed 3.*\n", result.stdout)
    info = soundfile.info(folder / "dialogue.mp3")
    assert (info.format, info.samplerate) == ("MP3", 24_000)
    assert info.duration > 0.35


def test_a_full_disk_leaves_nothing_half_written(slow: Any) -> None:
    folder, result = slow[0], slow[1]("full disk")
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"The disk or quota is full, so 'speech\.wav' was not saved; .*\.\n", result.stderr)
    assert list((folder / "full disk").iterdir()) == []


def test_a_checkpoint_is_made_and_never_overwritten(slow: Any) -> None:
    folder, made = slow[0] / "new checkpoint", document(slow[1]("tiny"))
    assert made == {"path": str(folder), "seed": 5}
    assert json.loads((folder / "studio_checkpoint.json").read_text())["seed"] == 5
    again = run("checkpoint", "tiny", folder)
    assert (again.returncode, again.stdout) == (1, "")
    assert re.fullmatch(r".*new checkpoint already exists: choose a new folder.*\.\n", again.stderr)


def test_a_checkpoint_is_described(slow: Any, checkpoint: Path) -> None:
    facts = document(slow[1]("info"))
    assert (facts["name"], facts["kind"], facts["speaks"]) == (str(checkpoint), "tiny", False)
    assert (facts["num_codebooks"], facts["sample_rate"], facts["frame_rate"]) == (8, 24_000, 25.0)


def test_doctor_looks_at_everything_and_prints_one_document(slow: Any) -> None:
    said = document(slow[1]("doctor"))
    assert said["ok"] is True
    checks = {check["name"]: check for check in said["checks"]}
    assert checks["home"]["detail"] == str(slow[0] / "home")
    assert checks["import swift"]["detail"] == "works"


def test_doctor_fails_where_the_studio_would(slow: Any) -> None:
    result = slow[1]("doctor, bad home")
    assert result.returncode == 1
    assert json.loads(result.stdout)["ok"] is False
    assert re.fullmatch(r"home does not work: .*STUDIO_HOME.*\n", result.stderr)


def test_what_is_no_checkpoint_is_said_in_one_line(tmp_path: Path) -> None:
    result = run("checkpoint", "info", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "holds no config.json" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wrong_setting_is_named_with_its_variable() -> None:
    result = run("doctor", env={**os.environ, "STUDIO_PORT": "many"})
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


def test_the_version_is_printed() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [["sing"], ["checkpoint", "melt"], ["checkpoint", "tiny"]])
def test_a_command_that_is_not_there_is_said_in_one_line(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "--help" in result.stderr

"""Takes on their way to a browser: whole or not there, and gone after a day."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.audio.waveform import Waveform
from studio.audio.writing import AUDIO_FORMATS
from studio.takes.transit import clear_old, put_in_transit, safe_stem


@pytest.fixture
def sound() -> Waveform:
    return Waveform(np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32), 24_000)


def test_a_take_is_there_in_every_format_under_a_name_nobody_can_guess(sound: Waveform, tmp_path: Path) -> None:
    first, second = put_in_transit(sound, "take 4", tmp_path), put_in_transit(sound, "take 4", tmp_path)
    assert list(first) == list(AUDIO_FORMATS)
    assert {path.stem for path in first.values()} == {"take-4"}
    assert {soundfile.info(path).samplerate for path in first.values()} == {24_000}
    folders = {path.parent.name for path in [*first.values(), *second.values()]}
    assert len(folders) == 2
    assert all(len(name) > 20 for name in folders)


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("Anna: what, then?", "Anna-what-then"),
        ("../../etc/passwd", "etc-passwd"),
        ("नमस्ते 🙂 दुनिया", "नमस्ते-दुनिया"),
        ("x" * 300, "x" * 50),
        ("\0 / .", "take"),
        ("", "take"),
    ],
)
def test_any_text_makes_a_name_for_a_download(text: str, stem: str) -> None:
    assert safe_stem(text) == stem


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import resource, sys
import numpy as np
from pathlib import Path
from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.takes.transit import put_in_transit
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
samples = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
try:
    put_in_transit(Waveform(samples, 24_000), "take", Path(sys.argv[1]) / "cache")
except StudioError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "full" in done.stdout
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_older_than_a_day_goes_and_the_rest_stays(sound: Waveform, tmp_path: Path) -> None:
    old, new = (put_in_transit(sound, "take 4", tmp_path)[".wav"].parent for _ in range(2))
    two_days_ago = time.time() - 2 * 86_400
    for path in [*old.iterdir(), old]:
        os.utime(path, (two_days_ago, two_days_ago))
    elsewhere = tmp_path / "elsewhere.wav"
    elsewhere.write_bytes(b"x")
    os.utime(elsewhere, (two_days_ago, two_days_ago))
    assert clear_old(tmp_path) == 2
    assert [path.name for path in tmp_path.iterdir()] == [new.name]


def test_an_old_folder_with_a_new_file_in_it_stays(tmp_path: Path) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    (folder / "clip.wav").write_bytes(b"x")
    os.utime(folder, (0, 0))
    assert clear_old(tmp_path) == 0
    assert (folder / "clip.wav").exists()


def test_a_link_goes_without_what_it_points_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "voice.wav").write_bytes(b"x")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "link").symlink_to(kept)
    os.utime(cache / "link", (0, 0), follow_symlinks=False)
    assert clear_old(cache) == 1
    assert (kept / "voice.wav").exists()


def test_no_cache_is_nothing_to_clear(tmp_path: Path) -> None:
    assert clear_old(tmp_path / "missing") == 0

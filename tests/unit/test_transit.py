"""Takes on their way to a browser: whole or not there, and gone after a day."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile

from studio.audio.writing import AUDIO_FORMATS
from studio.takes.transit import clear_old, put_in_transit


@pytest.fixture(scope="module")
def speech(engine: Any) -> Any:
    return engine.clone("Good morning.", seed=4)


def test_a_take_is_there_in_every_format_under_a_name_nobody_can_guess(speech: Any, tmp_path: Path) -> None:
    first, second = put_in_transit(speech, tmp_path), put_in_transit(speech, tmp_path)
    assert list(first) == list(AUDIO_FORMATS)
    assert {soundfile.info(path).samplerate for path in first.values()} == {24_000}
    folders = {path.parent.name for path in [*first.values(), *second.values()]}
    assert len(folders) == 2
    assert all(len(name) > 20 for name in folders)


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import resource, sys
import numpy as np
from pathlib import Path
from studio.audio.waveform import Waveform
from studio.engine.generation import Sampling
from studio.engine.speech import Speech
from studio.errors import StudioError
from studio.takes.transit import put_in_transit
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
samples = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
speech = Speech(Waveform(samples, 24_000), np.zeros((8, 50), int), (), 1.0, 7, Sampling())
try:
    put_in_transit(speech, Path(sys.argv[1]) / "cache")
except StudioError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "full" in done.stdout
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_older_than_a_day_goes_and_the_rest_stays(speech: Any, tmp_path: Path) -> None:
    old, new = (put_in_transit(speech, tmp_path)[".wav"].parent for _ in range(2))
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

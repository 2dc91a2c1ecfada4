"""Sounds on their way to a browser: whole or not there, and gone after a day."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.audio.waveform import Waveform
from studio.audio.writing import AUDIO_FORMATS, write_audio
from studio.files import clear_old
from studio.ui.staging import Staging
from studio.ui.tabs.speak.take_list import safe_stem
from tests.disks import disk_that_holds
from tests.refusals import refusal


@pytest.fixture
def sound() -> Waveform:
    return Waveform(np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32), 24_000)


def staged(staging: Staging, key: str, sound: Waveform) -> list[Path]:
    """The copies that a page asks for, one in each format."""
    return [Path(staging.copy(key, f"take-4{suffix}", partial(write_audio, sound))) for suffix in AUDIO_FORMATS]


def test_a_take_is_there_in_every_format_under_a_name_nobody_can_guess(sound: Waveform, tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    first, second = staged(staging, "one", sound), staged(staging, "two", sound)
    assert [path.name for path in first] == [f"take-4{suffix}" for suffix in AUDIO_FORMATS]
    assert {soundfile.info(path).samplerate for path in first} == {24_000}
    folders = {path.parent.name for path in [*first, *second]}
    assert len(folders) == 2
    assert all(len(name) > 20 for name in folders)


def test_a_copy_is_made_once_until_it_is_forgotten(sound: Waveform, tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    (first, *_), other = staged(staging, "one", sound), staged(staging, "two", sound)[0]
    assert staging.copy("one", first.name, lambda path: pytest.fail("it is there")) == str(first)
    staging.forget("one")
    assert not first.parent.exists()
    assert other.exists()
    assert staged(staging, "one", sound)[0].parent != first.parent


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
    sound = Waveform(np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32), 24_000)
    staging = Staging(tmp_path / "cache")
    for write in (partial(write_audio, sound), lambda path: path.write_bytes(bytes(96_000))):
        with disk_that_holds(50_000):
            said = refusal(lambda write=write: staging.copy("one", "take.wav", write))
        assert re.search("full|free some space", said)
        assert list((tmp_path / "cache").iterdir()) == []
    assert staged(staging, "one", sound)


def test_what_is_older_than_a_day_goes_and_the_rest_stays(sound: Waveform, tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    old, new = (staged(staging, key, sound)[0].parent for key in ("one", "two"))
    two_days_ago = time.time() - 2 * 86_400
    for path in [*old.iterdir(), old]:
        os.utime(path, (two_days_ago, two_days_ago))
    elsewhere = tmp_path / "elsewhere.wav"
    elsewhere.write_bytes(b"x")
    os.utime(elsewhere, (two_days_ago, two_days_ago))
    assert clear_old(tmp_path) == 2
    assert [path.name for path in tmp_path.iterdir()] == [new.name]
    assert staged(staging, "one", sound)[0].is_file()  # asked for once more, it is made once more


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

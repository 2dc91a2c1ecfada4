"""A clip is encoded once, whoever asks again, and gives the codes that the engine speaks with."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.audio import read_audio
from studio.engine.checkpoints import find_checkpoint
from swift_plugins.clips import ClipCodes
from tests.conftest import DATA
from tests.refusals import refusal

ONE, OTHER = DATA / "kathleen_a0158.flac", DATA / "kathleen_a0098.flac"


@pytest.fixture
def files(tiny_checkpoint: Path) -> Any:
    return find_checkpoint(str(tiny_checkpoint))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "codes"


@pytest.fixture
def clips(files: Any, cache: Path) -> ClipCodes:
    return ClipCodes(files, cache)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Path(shutil.copy(ONE, tmp_path / "my صوت clip.flac"))


def test_codes_are_those_the_engine_speaks_with(clips: ClipCodes, engine: Any) -> None:
    for path in (ONE, OTHER):
        codes = clips(path)
        assert (codes.dtype, codes.shape[0]) == (torch.int64, 8)
        assert torch.equal(codes, torch.as_tensor(engine.codec.encode(read_audio(path))))


def test_a_clip_is_encoded_once_however_often_it_is_asked_for(clips: ClipCodes) -> None:
    first = clips(ONE)
    assert all(torch.equal(clips(ONE), first) for _ in range(3))
    assert not torch.equal(clips(OTHER), first)
    assert (clips.num_encoded, len(clips)) == (2, 2)


def test_what_is_done_to_codes_does_not_reach_the_next_who_asks(clips: ClipCodes) -> None:
    expected = clips(ONE).clone()
    clips(ONE).fill_(7)
    assert torch.equal(clips(ONE), expected)


def test_codes_outlive_the_process_on_disk(clips: ClipCodes, files: Any, cache: Path) -> None:
    expected = clips(ONE)
    later = ClipCodes(files, cache)
    assert torch.equal(later(ONE), expected)
    assert later.num_encoded == 0
    assert len(list(cache.rglob("*.npy"))) == 1


def test_the_same_recording_under_another_name_is_not_encoded_again(clips: ClipCodes, clip: Path) -> None:
    assert torch.equal(clips(ONE), clips(clip))
    assert clips.num_encoded == 1


def test_a_file_that_became_another_recording_is_encoded_again(clips: ClipCodes, clip: Path) -> None:
    first = clips(clip)
    shutil.copy(OTHER, clip)
    assert torch.equal(clips(clip), clips(OTHER))
    assert not torch.equal(clips(clip), first)
    assert clips.num_encoded == 2


def test_a_change_of_the_same_length_is_noticed_by_its_time(clips: ClipCodes, clip: Path) -> None:
    clips(clip)
    content = clip.read_bytes()
    before = clip.stat()
    clip.write_bytes(content[: len(content) // 2] + b"\0" * (len(content) - len(content) // 2))
    os.utime(clip, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert "my صوت clip.flac" in refusal(lambda: clips(clip))


def test_without_its_codec_it_knows_what_it_knew_and_loads_it_for_what_it_does_not(clips: ClipCodes) -> None:
    expected = clips(ONE)
    clips.release()
    assert clips._codec is None
    assert torch.equal(clips(ONE), expected)
    assert clips._codec is None
    assert clips(OTHER).shape[0] == 8
    assert clips._codec is not None
    clips.release()
    clips.release()  # twice is harmless


def test_another_process_gets_the_memory_and_a_codec_of_its_own(clips: ClipCodes, cache: Path) -> None:
    expected = clips(ONE)
    shutil.rmtree(cache)
    content = pickle.dumps(clips)
    assert len(content) < 50_000
    copied = pickle.loads(content)
    assert torch.equal(copied(ONE), expected)
    assert copied._codec is None
    assert copied(OTHER).shape[0] == 8
    assert (copied.num_encoded, clips.num_encoded) == (2, 1)
    assert clips._codec is not None  # the first one keeps its own


def test_whether_a_clip_was_known_changes_no_random_numbers(files: Any, cache: Path) -> None:
    drawn = []
    for _ in range(2):  # first with loading and encoding, then from disk
        torch.manual_seed(0)
        ClipCodes(files, cache)(ONE)
        drawn.append(torch.rand(3).tolist())
    torch.manual_seed(0)
    assert drawn == [torch.rand(3).tolist()] * 2


def test_a_cache_that_cannot_be_written_costs_time_and_no_more(files: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    clips = ClipCodes(files, tmp_path / "file" / "codes")
    assert torch.equal(clips(ONE), clips(ONE))
    assert clips.num_encoded == 1


def test_a_clip_longer_than_allowed_is_not_encoded(clips: ClipCodes) -> None:
    assert "limit" in refusal(lambda: clips(ONE, max_seconds=0.5))
    assert clips.num_encoded == 0


def test_a_file_that_is_gone_is_a_sentence_also_when_its_codes_are_known(clips: ClipCodes, clip: Path) -> None:
    clips(clip)
    clip.unlink()
    assert "my صوت clip.flac does not exist" in refusal(lambda: clips(clip))


def test_codes_lie_in_the_studio_s_cache_or_where_the_run_says(
    new_template: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: Any
) -> None:
    from studio.settings import get_settings

    assert ClipCodes(files)._cache == get_settings().code_cache_folder
    monkeypatch.setenv("CODE_CACHE", str(tmp_path / "mine"))
    from swift.template import get_template

    processor = new_template().processor
    made = get_template(processor, template_type="higgs-audio-chatml")
    made.clips(ONE)
    assert len(list((tmp_path / "mine").rglob("*.npy"))) == 1

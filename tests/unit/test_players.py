"""Players need no program: neither where none is installed, nor where there is half of one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio.waveform import Waveform
from studio.audio.writing import encode_audio, write_audio
from studio.ui.players import live_player, sound_player

SOUND = Waveform((0.2 * np.sin(np.arange(24_000) / 10)).astype(np.float32), 24_000)


@pytest.fixture(params=["nothing", "an ffmpeg alone", "an ffmpeg and an ffprobe that fail"])
def programs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with what some machines have; whoever starts a program there leaves a trace."""
    folder = tmp_path / "bin"
    folder.mkdir()
    named = {"nothing": [], "an ffmpeg alone": ["ffmpeg"]}.get(request.param, ["ffmpeg", "ffprobe"])
    for name in named:
        (folder / name).write_text(f"#!/bin/sh\n: > {tmp_path}/started-{name}\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return tmp_path


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_a_path_is_played_as_it_is(programs: Path, suffix: str) -> None:
    path = programs / f"take{suffix}"
    write_audio(SOUND, path)
    told = sound_player().postprocess(str(path))
    assert (told.path, told.orig_name) == (str(path), path.name)
    assert list(programs.glob("started-*")) == []


def test_samples_are_played(programs: Path) -> None:
    told = sound_player().postprocess((24_000, (SOUND.samples * 32767).astype(np.int16)))
    assert Path(told.path).stat().st_size > 2 * len(SOUND.samples)
    assert sound_player().postprocess(None) is None
    assert list(programs.glob("started-*")) == []


def streamed(pieces: list[bytes | None]) -> list[Any]:
    player = live_player()

    async def play() -> list[Any]:
        segments = []
        for number, piece in enumerate(pieces):
            segment, told = await player.stream_output(player.postprocess(piece), "a/b/1/playlist.m3u8", number == 0)
            assert told["is_stream"]
            segments.append(segment)
        return [*segments, await player.flush_stream_output("a/b/1/playlist.m3u8")]

    return run(play())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: where a browser was driven before, this one has an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_speech_is_streamed_while_it_is_made(programs: Path) -> None:
    wav = encode_audio(SOUND, "wav")
    segments = [segment for segment in streamed([None, wav, wav]) if segment]
    assert {segment["extension"] for segment in segments} == {".aac"}
    assert sum(segment["duration"] for segment in segments) == pytest.approx(2.0, abs=0.1)
    assert list(programs.glob("started-*")) == []


def test_nothing_is_streamed_where_nothing_was_said() -> None:
    assert streamed([None]) == [None, None]


def test_a_stream_that_ended_takes_nothing_more() -> None:
    player = live_player()

    async def play() -> Any:
        await player.stream_output(encode_audio(SOUND, "wav"), "a/b/2/playlist.m3u8", True)
        player.end_stream_output("a/b/2/playlist.m3u8")
        late, _ = await player.stream_output(encode_audio(SOUND, "wav"), "a/b/2/playlist.m3u8", False)
        return late, await player.flush_stream_output("a/b/2/playlist.m3u8")

    assert run(play()) == (None, None)


def test_no_file_appears_beside_the_source() -> None:
    """Gradio writes a stub beside the source of every component class that it meets."""
    import studio.ui.players as module

    assert not Path(module.__file__).with_suffix(".pyi").exists()

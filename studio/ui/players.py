"""Players on the page that need no program beside the studio.

Wherever Gradio finds an ``ffmpeg``, its own player asks an ``ffprobe`` whether browsers play a file, and fails where there is
none; its streaming starts ``ffmpeg`` itself. The studio writes every sound that it shows, as WAV, FLAC or MP3, which all
browsers play: there is nothing to ask, and streaming is encoded in this process.
"""

from __future__ import annotations

import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from studio.audio.aac import AacEncoder, AacPiece
from studio.audio.waveform import Waveform


def sound_player(**options: Any) -> gr.Audio:
    """A ``gr.Audio`` for what the studio wrote: the path of a WAV, FLAC or MP3 file, or ``(sample_rate, int16 samples)``.

    Args:
        options: those of ``gr.Audio``.
    """
    # Not a class of its own: Gradio writes a stub file beside the source of every component class that it meets.
    made = gr.Audio(**options)
    gradios_own = made.postprocess

    def postprocess(value: Any) -> Any:
        if isinstance(value, str | Path):
            return FileData(path=str(value), orig_name=Path(value).name)
        return gradios_own(value)

    made.postprocess = postprocess
    return made


def live_player(**options: Any) -> gr.Audio:
    """A player of speech while it is being made: an event yields it in pieces, each the bytes of a WAV file."""
    made = sound_player(streaming=True, interactive=False, **options)
    made.stream_output, made.flush_stream_output, made.end_stream_output = _next, _last, _end
    return made


# One encoder for each stream, by the address of its playlist, which names session, event and player.
_encoders: dict[str, AacEncoder | None] = {}
_lock = threading.Lock()


async def _next(value: Any, output_id: str, first_chunk: bool) -> Any:
    """The next segment of a stream, and what the page is told of it."""
    import anyio

    if first_chunk:
        with _lock:
            _encoders[output_id] = None
    segment = None
    if isinstance(value, bytes):
        segment = await anyio.to_thread.run_sync(_encode, output_id, value)
    told = {"path": output_id, "is_stream": True, "orig_name": "speech.aac", "meta": {"_type": "gradio.FileData"}}
    return segment, told


async def _last(output_id: str) -> Any:
    """The last segment."""
    import anyio

    with _lock:
        encoder = _encoders.pop(output_id, None)
    return None if encoder is None else _segment(await anyio.to_thread.run_sync(encoder.finish))


def _end(output_id: str) -> None:
    """Let go of a stream, finished or not."""
    with _lock:
        _encoders.pop(output_id, None)


def _encode(output_id: str, wav: bytes) -> dict[str, Any] | None:
    import soundfile

    samples, rate = soundfile.read(BytesIO(wav), dtype="float32")
    with _lock:
        if output_id not in _encoders:
            return None  # ended while this piece was on its way: nobody listens any more
        encoder = _encoders[output_id]
        if encoder is None:
            encoder = _encoders[output_id] = AacEncoder(rate)
        return _segment(encoder.feed(Waveform(samples, rate)))


def _segment(piece: AacPiece) -> dict[str, Any] | None:
    """As Gradio's playlist takes it; no frame is no segment."""
    return {"data": piece.data, "duration": piece.seconds, "extension": ".aac"} if piece.data else None

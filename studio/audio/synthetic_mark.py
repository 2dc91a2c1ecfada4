"""The mark of sound that a model made: a comment in the file, the same words in WAV, FLAC and MP3, written and read here.

It is a courtesy of whoever passes a file on, no watermark: what is cut, joined or played back and recorded again loses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.audio.decoders import DEMUXERS

MARK = "AI-generated speech, made with Higgs Voice Studio (trainedAlgorithmicMedia)"
_TERM = "trainedalgorithmicmedia"
"""As IPTC's vocabulary of digital source types calls media that a trained model made: others' files that say so count, too.
https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"""


def add_mark(sound: Any) -> None:
    """Mark a ``soundfile.SoundFile`` that is about to be written, before its first sample."""
    sound.comment = MARK


def is_marked(path: str | Path) -> bool:
    """Whether a file says of itself that a model made its sound; False for one that cannot be read as sound.

    FFmpeg is asked, in half a millisecond: it knows the comments of every container, also where it wrote them itself under
    names that libsndfile does not look for (FLAC, Opus and MP3 that somebody converted).
    """
    import av

    try:
        with (
            Path(path).open("rb", buffering=0) as file,
            av.open(file, mode="r", options={"format_whitelist": DEMUXERS}, metadata_errors="replace") as container,
        ):
            tags = [container.metadata, *(stream.metadata for stream in container.streams.audio)]
            return any(_TERM in value.casefold() for found in tags for value in found.values())
    except (av.FFmpegError, OSError, ValueError):  # ValueError: a NUL character in the path
        return False

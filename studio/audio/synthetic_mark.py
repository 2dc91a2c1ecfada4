"""The mark of sound that a model made: a comment in the file, the same words in WAV, FLAC and MP3, written and read here.

It is a courtesy of whoever passes a file on, no watermark: what is cut, joined or played back and recorded again loses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

MARK = "AI-generated speech, made with Higgs Voice Studio (trainedAlgorithmicMedia)"
_TERM = "trainedalgorithmicmedia"
"""As IPTC's vocabulary of digital source types calls media that a trained model made: others' files that say so count, too.
https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"""


def add_mark(sound: Any) -> None:
    """Mark a ``soundfile.SoundFile`` that is about to be written, before its first sample."""
    sound.comment = MARK


def is_marked(path: str | Path) -> bool:
    """Whether a file says of itself that a model made its sound; False for one that cannot be read as sound.

    WAV, FLAC, MP3 and Ogg are asked with libsndfile, which takes 50 µs; what it does not open (M4A, WebM, video) with FFmpeg.
    """
    import soundfile

    try:
        with Path(path).open("rb", buffering=0) as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            return _says_so(sound.copy_metadata().values())
    except soundfile.LibsndfileError:
        return _says_so(_tags_by_ffmpeg(path))
    except (OSError, ValueError):  # ValueError: a NUL character in the path
        return False


def _says_so(values: Any) -> bool:
    return any(_TERM in str(value).casefold() for value in values)


def _tags_by_ffmpeg(path: str | Path) -> list[str]:
    import av

    from studio.audio.decoders import DEMUXERS

    try:
        with (
            Path(path).open("rb", buffering=0) as file,
            av.open(file, mode="r", options={"format_whitelist": DEMUXERS}, metadata_errors="replace") as container,
        ):
            tags = [container.metadata, *(stream.metadata for stream in container.streams.audio)]
            return [value for found in tags for value in found.values()]
    except (av.FFmpegError, OSError, ValueError):
        return []

"""From a file of any kind to a :class:`Waveform`."""

import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import TypeVar

from studio.audio import problems
from studio.audio.containers import Shortfall, find_shortfall, looks_like_media, looks_like_text
from studio.audio.decoders import Collector, NotRecognised, decode_with_ffmpeg, decode_with_soundfile
from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.files import shown_name

_HEAD_BYTES = 4096
Sink = TypeVar("Sink", bound=Collector)


def read_audio(path: str | Path, *, max_seconds: float | None = None) -> Waveform:
    """Read a sound file at its own rate, as the mean of its channels.

    WAV, FLAC, MP3, OGG, Opus, M4A, WebM and what else libsndfile and FFmpeg decode; any rate, depth and number of
    channels. Only the content decides, never the suffix. A file is read whole or refused: half a recording would no
    longer match its transcript.

    Args:
        max_seconds: refuse a longer file without decoding more of it than this (None: no limit). It is a limit, not
            a cut: to use a part, read the file and :func:`studio.audio.trim` it.

    Returns:
        Samples of shape ``(num_samples,)``, at least one.

    Raises:
        StudioError: one sentence, with the file's base name: it is missing, a folder, empty, text, not audio, damaged
            or cut short, without a sound track, of zero length, too long, or holds NaN or infinite samples.
    """
    name = shown_name(path)
    sound = decode_into(path, lambda: Collector(name, max_seconds))
    return Waveform(sound.samples(), sound.rate)


def decode_into(path: str | Path, collector: Callable[[], Sink]) -> Sink:
    """Decode a file block by block, as :func:`read_audio` does it.

    Args:
        collector: makes what takes the blocks. It is asked anew for each decoder: one that gives up half-way must leave
            nothing to the next.

    Returns:
        The collector that took the whole file.

    Raises:
        StudioError: as for :func:`read_audio`.
    """
    name = shown_name(path)
    with _opened(path, name) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise problems.empty_file(name)
        head = file.read(_HEAD_BYTES)
        shortfall = find_shortfall(file, size)
        if shortfall is not None:
            raise _cut_short(name, shortfall)
        sound = collector()
        try:
            decode_with_soundfile(file, sound)
        except NotRecognised:
            if looks_like_text(head):
                raise problems.is_text(name) from None
            sound = collector()
            try:
                decode_with_ffmpeg(file, sound)
            except NotRecognised as error:
                raise (problems.damaged(name) if looks_like_media(head) else problems.not_audio(name)) from error
        return sound


def _opened(path: str | Path, name: str) -> FileIO:
    """Open a regular file unbuffered: two C libraries move the descriptor's position, so no buffer may remember it."""
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise problems.is_folder(name)
        if not stat.S_ISREG(mode):
            raise problems.not_a_file(name)
        return FileIO(path, "rb")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL character in the path
        raise problems.not_found(name) from error
    except OSError as error:
        raise problems.unreadable(name, error.strerror or "unknown reason") from error


def _cut_short(name: str, shortfall: Shortfall) -> StudioError:
    if shortfall.byte_rate:
        return problems.cut_short(
            name, shortfall.present / shortfall.byte_rate, shortfall.announced / shortfall.byte_rate
        )
    return problems.ends_early(name)

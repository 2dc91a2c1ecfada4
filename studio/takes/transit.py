"""Takes on their way to a browser: files in a folder of their own, gone after a day."""

from __future__ import annotations

import secrets
import shutil
import time
from pathlib import Path

from studio.audio.writing import AUDIO_FORMATS, write_audio
from studio.engine.speech import Speech
from studio.errors import StudioError

MAX_AGE_SECONDS = 86_400.0


def put_in_transit(speech: Speech, cache: Path) -> dict[str, Path]:
    """Write a take in every format to a new folder under ``cache`` whose name nobody can guess.

    Returns:
        The file for each suffix of ``AUDIO_FORMATS``.

    Raises:
        StudioError: it cannot be written; then nothing of it is left.
    """
    folder = cache / f"take-{secrets.token_urlsafe(16)}"
    paths = {suffix: folder / f"take-{speech.seed}{suffix}" for suffix in AUDIO_FORMATS}
    try:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StudioError(f"The take cannot be saved ({error.strerror}): free some space and try again.") from error
        for path in paths.values():
            write_audio(speech.waveform, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return paths


def clear_old(cache: Path, *, max_age_seconds: float = MAX_AGE_SECONDS) -> int:
    """Remove what has lain under ``cache`` for longer than that, whoever put it there; returns how many entries went.

    Gradio removes files that it knows of, in the process that made them; a studio that was killed leaves its files to
    the next one, and empty folders stay in any case. By age, because several studios may share a home.
    """
    oldest, removed = time.time() - max_age_seconds, 0
    for entry in cache.iterdir() if cache.is_dir() else ():
        try:
            if max(entry.lstat().st_mtime, _newest_inside(entry)) < oldest:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
                removed += 1
        except OSError:
            continue  # another studio was faster, or it is not ours to remove
    return removed


def _newest_inside(entry: Path) -> float:
    if entry.is_symlink() or not entry.is_dir():
        return 0.0
    return max((path.lstat().st_mtime for path in entry.rglob("*")), default=0.0)

"""Files on their way between studio and browser: takes to be downloaded, drafts to be saved; gone after a day."""

from __future__ import annotations

import secrets
import shutil
import time
import unicodedata
from pathlib import Path

from studio.audio.waveform import Waveform
from studio.audio.writing import AUDIO_FORMATS, write_audio
from studio.errors import StudioError

MAX_AGE_SECONDS = 86_400.0
MAX_STEM_CHARS = 50


def put_in_transit(waveform: Waveform, stem: str, cache: Path) -> dict[str, Path]:
    """Write a sound in every format to a new folder under ``cache`` whose name nobody can guess.

    Args:
        stem: what the files are called in downloads; what would be trouble in a path becomes a hyphen.

    Returns:
        The file for each suffix of ``AUDIO_FORMATS``.

    Raises:
        StudioError: it cannot be written; then nothing of it is left.
    """
    folder, name = cache / f"take-{secrets.token_urlsafe(16)}", safe_stem(stem)
    paths = {suffix: folder / f"{name}{suffix}" for suffix in AUDIO_FORMATS}
    try:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StudioError(f"The take cannot be saved ({error.strerror}): free some space and try again.") from error
        for path in paths.values():
            write_audio(waveform, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return paths


def safe_stem(stem: str) -> str:
    """A file name without its suffix, made of any text: letters, their marks and digits of every script, and hyphens."""
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" or char in "-_" else " " for char in stem)
    # Most file systems count bytes, a character may take four, and 255 is the limit.
    return "-".join(kept.split())[:MAX_STEM_CHARS].strip("-_") or "take"


def clear_old(cache: Path, *, max_age_seconds: float = MAX_AGE_SECONDS) -> int:
    """Remove what has lain in the folder ``cache`` (of files in transit, or of drafts) for longer than that, whoever put it
    there; returns how many entries went.

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

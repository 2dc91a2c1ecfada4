"""What lies under the home, and making room."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from studio.settings import Settings


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under a folder; 0 if it does not exist."""
    total = 0
    for parent, _, names in os.walk(folder):  # unlike rglob it goes on when a folder vanishes while it looks
        for name in names:
            with suppress(OSError):  # deleted since it was listed
                total += (Path(parent) / name).lstat().st_size
    return total


def storage_summary(settings: Settings) -> dict[str, int]:
    """Bytes under the home by part, and bytes free on its disk."""
    existing = next((p for p in (settings.home, *settings.home.parents) if p.exists()), Path("/"))
    return {
        "voices": folder_bytes(settings.voices_folder),
        "takes": folder_bytes(settings.takes_folder),
        "unsaved clips": folder_bytes(settings.drafts_folder),
        "checkpoints": folder_bytes(settings.checkpoints_folder),
        "training jobs": folder_bytes(settings.jobs_folder),
        "datasets": folder_bytes(settings.datasets_folder) + folder_bytes(settings.sets_folder),
        "code cache": folder_bytes(settings.code_cache_folder),
        "page cache": folder_bytes(settings.page_cache_folder),
        "free on disk": shutil.disk_usage(existing).free,
    }


def empty_code_cache(settings: Settings) -> int:
    """Remove the codes of all clips, which are encoded again the next time a voice speaks; returns the bytes freed."""
    before = folder_bytes(settings.code_cache_folder)
    for entry in settings.code_cache_folder.iterdir() if settings.code_cache_folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with suppress(OSError):
                entry.unlink()
    return before - folder_bytes(settings.code_cache_folder)

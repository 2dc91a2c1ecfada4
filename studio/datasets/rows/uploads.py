"""Rows and recordings that came from a browser: copied into a folder of their own, so that a run can find them later.

Nothing here trusts a name: each file gets a plain one, and the rows are written anew with those names in them.
"""

from __future__ import annotations

import re
import secrets
import shutil
import stat
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from studio.audio.suffixes import SOUND_SUFFIXES, VIDEO_SUFFIXES
from studio.datasets.rows.upload_names import ClipNames, name_clips, path_parts, plain_name
from studio.errors import StudioError
from studio.files import shown_name, write_json
from studio.settings import Settings

AUDIO_SUFFIXES = frozenset((*SOUND_SUFFIXES, *VIDEO_SUFFIXES))
"""What is taken for a recording; what it really is shows when it is read."""
ROWS_SUFFIXES = frozenset({".jsonl", ".json"})
SOURCE_SUFFIXES = (
    AUDIO_SUFFIXES
    | ROWS_SUFFIXES
    | frozenset({".csv", ".tsv", ".txt", ".lab", ".srt", ".vtt", ".parquet", ".arrow", ".manifest"})
)
"""What the importers of data sets read."""
_LAYOUT_FOLDERS = {"wavs", "clips", "data", "wav48", "wav48_silence_trimmed"}
MAX_FILES = 20_000
"""In one upload."""
UNPACKED_TIMES = 5
"""An upload may hold this many times the largest file that the page takes."""
_PIECE = 1 << 20
_WHAT = "a file of training rows (.jsonl or .json) and the recordings that it names, or one .zip with both"
_IN_UPLOAD = re.compile(r"uploads[/\\]+([0-9a-f]{32})[/\\]")
_REMAINS_SECONDS = 86_400.0


@dataclass(frozen=True)
class _Entry:
    """A file of the upload, or of an archive in it; ``parts`` are its folders and its name as the user knows them."""

    parts: tuple[str, ...]
    source: Path | tuple[zipfile.ZipFile, zipfile.ZipInfo]

    @property
    def suffix(self) -> str:
        return Path(self.parts[-1]).suffix.lower()

    def open(self) -> Any:
        """A binary file to read from."""
        return self.source.open("rb") if isinstance(self.source, Path) else self.source[0].open(self.source[1])


def uploads_folder(settings: Settings) -> Path:
    """Where uploads lie, a folder with a random name each. Never offered to anybody: it holds those of all visitors."""
    return settings.datasets_folder / "uploads"


def take_uploads(paths: Sequence[Path], settings: Settings, owner: str) -> Path:
    """Copy what was uploaded into a new folder, and return the file of rows in it, whose clips lie beside it.

    The rows name their recordings by file name; folders are looked at only where two recordings have the same name. A
    recording that was not uploaded keeps its name without folders, so no path in a row leads out of the folder.

    Args:
        paths: the files as the page received them: rows, recordings, archives with both.
        owner: whose they are; written beside them.

    Raises:
        StudioError: no file of rows or more than one, a damaged or locked archive, too much in it, a full disk. Nothing
            is left behind then.
    """
    if not paths:
        raise StudioError(f"Nothing was uploaded: choose {_WHAT}.")
    final = uploads_folder(settings) / secrets.token_hex(16)
    making = final.with_name(f".new-{final.name}")
    archives: list[zipfile.ZipFile] = []
    try:
        entries = list(_entries(paths, archives))
        rows = _only_rows([entry for entry in entries if entry.suffix in ROWS_SUFFIXES])
        making.mkdir(parents=True)
        room = _Room(settings.max_upload_mb * 10**6 * UNPACKED_TIMES)
        names = ClipNames()
        for entry in entries:
            if entry is not rows:
                _copy(entry, making / names.add(entry.parts), room)
        target = making / plain_name(rows.parts[-1], ".jsonl")
        _copy(rows, target, room)
        name_clips(target, names)
        about = {"owner": owner, "files": len(entries), "uploaded_at": time.time()}
        write_json(making / ".upload", about)
        making.rename(final)
        return final / target.name
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        reason = error.strerror or "unknown reason"
        raise StudioError(f"The upload could not be kept ({reason}): free some space and try again.") from error
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    finally:
        for archive in archives:
            archive.close()


def unpack(paths: Sequence[Path], folder: Path, settings: Settings) -> Path:
    """Copy what was uploaded into ``folder``, archives with the folders inside them; returns where the source begins.

    Raises:
        StudioError: nothing of use, a damaged or locked archive, or too much in it.
    """
    archives: list[zipfile.ZipFile] = []
    try:
        entries = list(_entries(paths, archives, SOURCE_SUFFIXES))
        if not entries:
            raise StudioError("There is no recording in the upload: choose recordings, a table with them, or a .zip.")
        room = _Room(settings.max_upload_mb * 10**6 * UNPACKED_TIMES)
        for entry in entries:
            target = folder.joinpath(*entry.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():  # of two with one name in one folder the first
                _copy(entry, target, room)
    finally:
        for archive in archives:
            archive.close()
    return source_root(folder)


def source_root(folder: Path) -> Path:
    """Where the source begins in an upload: an archive of one folder is that folder."""
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir() and inside[0].name not in _LAYOUT_FOLDERS:
        folder = inside[0]
    return folder


def clear_remains(settings: Settings, rows_in_use: Iterable[Path], *, max_age_seconds: float = _REMAINS_SECONDS) -> int:
    """Remove uploads older than that which none of the files of rows names; returns how many went."""
    folder = uploads_folder(settings)
    if not folder.is_dir():
        return 0
    oldest, used, removed = time.time() - max_age_seconds, _used(rows_in_use), 0
    for entry in folder.iterdir():
        try:
            if entry.is_dir() and entry.name not in used and entry.stat().st_mtime < oldest:
                shutil.rmtree(entry)
                removed += 1
        except OSError:
            continue  # another studio was faster
    return removed


def _used(rows_files: Iterable[Path]) -> set[str]:
    used: set[str] = set()
    for file in rows_files:
        try:
            with file.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    used.update(_IN_UPLOAD.findall(line))
        except OSError:
            continue
    return used


def _entries(
    paths: Sequence[Path], archives: list[zipfile.ZipFile], suffixes: frozenset[str] = AUDIO_SUFFIXES | ROWS_SUFFIXES
) -> Iterator[_Entry]:  # fmt: skip
    """Every file of the upload that is of use, those in archives included."""
    count = 0
    for path in paths:
        if path.suffix.lower() == ".zip" or (path.suffix.lower() not in AUDIO_SUFFIXES and zipfile.is_zipfile(path)):
            found: Iterator[_Entry] = _in_archive(path, archives)
        else:
            found = iter([_Entry((path.name,), path)])
        for entry in found:
            if entry.suffix not in suffixes or entry.parts[-1].startswith("."):
                continue  # also the "._clip.wav" that a Mac packs beside each clip
            count += 1
            if count > MAX_FILES:
                raise StudioError(f"The upload holds more than {MAX_FILES:,} files: upload fewer at a time.")
            yield entry


def _in_archive(path: Path, archives: list[zipfile.ZipFile]) -> Iterator[_Entry]:
    name = shown_name(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise StudioError(f"{name} is no zip archive, or is damaged: pack it again.") from error
    archives.append(archive)
    for info in archive.infolist():
        # Links lead elsewhere, and their target would be the content of the file.
        if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
            continue
        if info.flag_bits & 0x1:
            raise StudioError(f"{name} is locked with a password: pack it without one.")
        if parts := path_parts(info.filename):
            yield _Entry(parts, (archive, info))


def _only_rows(found: list[_Entry]) -> _Entry:
    if not found:
        raise StudioError(f"There is no file of training rows in the upload: choose {_WHAT}.")
    if len(found) > 1:
        names = ", ".join(shown_name(Path(entry.parts[-1])) for entry in found[:3])
        raise StudioError(
            f"There are {len(found)} files of training rows in the upload ({names}): upload one at a time."
        )
    return found[0]


class _Room:
    """How many bytes there may still be."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0

    def take(self, num_bytes: int) -> None:
        """Raises StudioError where there is no more room."""
        self._used += num_bytes
        if self._used > self._limit:
            raise StudioError(
                f"The upload holds more than {self._limit // 10**6:,} MB: upload fewer recordings at a time."
            )


def _copy(entry: _Entry, target: Path, room: _Room) -> None:
    """Copy by what is really in it: an archive may say anything about sizes."""
    try:
        with entry.open() as source, target.open("xb") as file:
            _copy_bytes(source, file, room)
    except (OSError, StudioError):
        raise
    except Exception as error:  # zipfile, zlib, bz2 and lzma each have errors of their own for a damaged archive
        raise _damaged(entry) from error


def _damaged(entry: _Entry) -> StudioError:
    return StudioError(f"{shown_name(Path(entry.parts[-1]))} in the archive is damaged: pack it again.")


def _copy_bytes(source: BinaryIO, file: BinaryIO, room: _Room) -> None:
    while piece := source.read(_PIECE):
        room.take(len(piece))
        file.write(piece)

"""The rows of an upload, written anew with the names that their recordings have there."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.engine.rows import is_address, map_clip_paths
from studio.errors import StudioError
from studio.files import atomic_write_bytes

_MAX_NAME_CHARS = 60
# What Gradio takes out of the name of an uploaded file; the rows still have it.
_DROPPED = re.compile(r"[<>:\"|?*\x00-\x1f\x7f`$!{}]")


class ClipNames:
    """Which recording a row means, and what it is called in the upload's folder."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self._taken: set[str] = set()

    def add(self, parts: Sequence[str]) -> str:
        """A plain name that no other recording has, for the one with these folders and this name."""
        suffix = Path(parts[-1]).suffix.lower()
        name = plain_name(parts[-1], suffix)
        number, stem = 2, Path(name).stem
        while name.casefold() in self._taken:
            name, number = f"{stem}-{number}{suffix}", number + 1
        self._taken.add(name.casefold())
        key = _key(parts)
        self._by_name.setdefault(key[-1], []).append((key, name))
        return name

    def of(self, written: str) -> str:
        """The new name for a path in a row.

        Raises:
            StudioError: two recordings are called so, and the row does not say which.
        """
        if is_address(written):
            return written  # the row is refused for it later
        parts = path_parts(written)
        if not parts:
            return written
        key = _key(parts)
        found = self._by_name.get(key[-1], [])
        if not found:
            return parts[-1]
        closest = max(_shared(key, other) for other, _ in found)
        names = [name for other, name in found if _shared(key, other) == closest]
        if len(names) > 1:
            raise StudioError(
                f"{len(names)} recordings of the upload are called {parts[-1][:80]}, and the rows do not say which of them "
                "is meant: give each a name of its own."
            )
        return names[0]


def name_clips(path: Path, names: ClipNames) -> None:
    """Write the file of rows anew. What is no row stays as it is: its number is told later, with what is wrong."""
    data = path.read_bytes()
    lines = data.split(b"\n")
    first = _json(next((line for line in lines if line.strip(b"\xef\xbb\xbf \t\r")), b""))
    whole = None if isinstance(first, dict) else _json(data)
    if isinstance(whole, list | dict):
        rows = whole if isinstance(whole, list) else [whole]
        written = json.dumps([_renamed(row, names) for row in rows], ensure_ascii=False).encode()
    else:
        written = b"\n".join(_renamed_line(line, names) for line in lines)
    atomic_write_bytes(path, written)


def _renamed_line(line: bytes, names: ClipNames) -> bytes:
    row = _json(line)
    return json.dumps(_renamed(row, names), ensure_ascii=False).encode() if isinstance(row, dict) else line


def _renamed(row: Any, names: ClipNames) -> Any:
    """A row, of any form, with the new names of its clips."""
    return map_clip_paths(row, names.of) if isinstance(row, Mapping) else row


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def path_parts(path: str) -> tuple[str, ...]:
    """Folders and name of a path of any system, without what leads upwards."""
    return tuple(part for part in re.split(r"[\\/]+", path) if part not in ("", ".", ".."))


def _key(parts: Sequence[str]) -> tuple[str, ...]:
    """As names are compared: without what an upload takes out of them, whatever the case and the form of accents."""
    return tuple(
        _DROPPED.sub("", unicodedata.normalize("NFC", part)).strip(" .").casefold() or "file" for part in parts
    )


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts, counted from the end, are the same."""
    shared = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        shared += 1
    return shared


def plain_name(name: str, suffix: str) -> str:
    """A name that is safe as a file's: letters and digits of any script, hyphens and points."""
    stem = unicodedata.normalize("NFC", name.rpartition(".")[0] or name)
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" or char in "-_." else "_" for char in stem)
    while len(kept[:_MAX_NAME_CHARS].encode()) > 3 * _MAX_NAME_CHARS:
        kept = kept[:-1]
    return f"{kept[:_MAX_NAME_CHARS].strip('._') or 'file'}{suffix}"

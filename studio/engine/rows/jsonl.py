"""Reading files of training rows: JSON lines, or one JSON list."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.audio import problems
from studio.errors import StudioError
from studio.files import shown_name

_BOM = b"\xef\xbb\xbf"
_ROWS = "one JSON object on each line, or a list of them"


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | StudioError]]:
    """The rows of a file, each with its number; what cannot be read stands as a StudioError in its place.

    JSON lines are numbered by line, blank lines are skipped. A file that is one JSON list is numbered by position, and
    one that is a single object is one row. The content decides, not the suffix. Numbers begin at 1.

    Raises:
        StudioError: at once, before the first row is asked for: the file is missing, a folder, unreadable, no text, a
            damaged JSON list, or without a single row.
    """
    name = shown_name(path)
    try:
        if path.is_dir():
            raise StudioError(f"{name} is a folder, not a file of training rows; choose a file in it.")
        if path.exists() and not path.is_file():
            raise StudioError(f"{name} is not a regular file; choose a file of training rows.")  # a pipe would block
        with path.open("rb") as file:
            first = next((line for line in file if line.removeprefix(_BOM).strip()), None)
        if first is None:
            raise StudioError(f"The file {name} holds no rows: write {_ROWS}.")
        first = first.removeprefix(_BOM).strip()
        if b"\0" in first:
            raise StudioError(f"The file {name} is not text in UTF-8: choose a file with {_ROWS}, or save it as UTF-8.")
        line_alone = _row(first)
        # A list may be on one line; and a list or an object over several lines shows in that its first line is no row.
        entries = _entries(path, name, first, line_alone) if isinstance(line_alone, StudioError) else None
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise _unreadable(error, name) from error
    return _lines(path, name) if entries is None else iter(entries)


def _entries(
    path: Path, name: str, first: bytes, line_alone: StudioError
) -> list[tuple[int, Mapping[str, Any] | StudioError]] | None:
    """The rows of a file that is one JSON document; None if it is JSON lines, some of them perhaps damaged."""
    try:
        content = json.loads(path.read_bytes().removeprefix(_BOM).decode("utf-8"))
    except UnicodeDecodeError:
        return None  # the line that is to blame says so
    except (ValueError, RecursionError) as error:
        if first.startswith(b"[") and not _is_json(first):
            reason = (
                f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "nested too deep"
            )
            raise StudioError(
                f"The file {name} is not a valid JSON list ({reason}): mend it or export it again."
            ) from error
        return None
    if isinstance(content, dict):
        return [(1, content)]
    if not isinstance(content, list):
        return [(1, line_alone)]
    if not content:
        raise StudioError(f"The file {name} holds an empty list: write {_ROWS}.")
    return [(number, _object(entry)) for number, entry in enumerate(content, start=1)]


def _lines(path: Path, name: str) -> Iterator[tuple[int, Mapping[str, Any] | StudioError]]:
    """Line by line, so that a large file is never in memory as a whole."""
    try:
        with path.open("rb") as file:
            opening = file.readline().removeprefix(_BOM)
            for number, line in enumerate(itertools.chain([opening], file), start=1):
                if stripped := line.strip():
                    yield number, _row(stripped)
    except OSError as error:
        raise _unreadable(error, name) from error


def _row(line: bytes) -> Mapping[str, Any] | StudioError:
    try:
        return _object(json.loads(line.decode("utf-8")))
    except UnicodeDecodeError:
        return StudioError("The line is not UTF-8: save the file as UTF-8.")
    except json.JSONDecodeError as error:
        return StudioError(
            f"The line is not valid JSON ({error.msg}, column {error.colno}): write one object on each line."
        )
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of brackets
        return StudioError("The line is JSON that is too large or nested too deep: write one object on each line.")


def _object(value: Any) -> Mapping[str, Any] | StudioError:
    if isinstance(value, dict):
        return value
    return StudioError('A row must be a JSON object with "messages": see the description of training rows.')


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def _unreadable(error: OSError | ValueError, name: str) -> StudioError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)):
        return problems.not_found(name)
    return problems.unreadable(name, error.strerror or "unknown reason")

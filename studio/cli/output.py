"""What the command line prints: a document or lines on stdout, notices on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Protocol, TypeVar

import typer

from studio.errors import StudioError

MIN_ID_CHARS = 6
"""Shortest beginning of an id that is taken for it."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def print_result(document: Any, as_json: bool, text: str) -> None:
    """The one answer of a command, as a document or in words."""
    # ASCII, so that the document survives whatever encoding the pipe has; \\u escapes are the same JSON.
    sys.stdout.write((json.dumps(document, indent=2) if as_json else text) + "\n")


def say(sentence: str) -> None:
    """Progress for a person who waits; kept from logs and pipes, where stderr is for errors."""
    if sys.stderr.isatty():
        sys.stderr.write(sentence + "\n")


def notice(sentence: str) -> None:
    """What must be known of a result, in logs too: a line on stderr."""
    sys.stderr.write(" ".join(sentence.split()) + "\n")


def agreed(question: str) -> bool:
    """Ask a person at the terminal; anything but yes is no. On stderr throughout, because stdout is for the answer."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def columns(rows: Iterable[Sequence[str]]) -> str:
    """A table as lines, with as much space in each column as its longest entry needs."""
    table = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def shortened(text: str, length: int) -> str:
    """The text on one line of at most ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def short_id(identifier: str) -> str:
    """As much of an id as a person needs to tell it from others."""
    return identifier[:8]


class WithId(Protocol):
    """Something that has an id."""

    @property
    def id(self) -> str: ...


Entry = TypeVar("Entry", bound=WithId)


def by_beginning(entries: Iterable[Entry], wanted: str, *, kind: str, listed_by: str) -> Entry:
    """The one entry whose id begins with ``wanted``.

    Raises:
        StudioError: there is none, more than one, or ``wanted`` is too short.
    """
    wanted = wanted.strip().lower()
    if len(wanted) < MIN_ID_CHARS:
        raise StudioError(f"'{wanted}' is too short for the id of a {kind}: give at least {MIN_ID_CHARS} characters.")
    found = [entry for entry in entries if entry.id.startswith(wanted)]
    if not found:
        raise StudioError(
            f"There is no {kind} '{shortened(wanted, 40)}': `python -m studio {listed_by}` shows what there is."
        )
    if len(found) > 1:
        raise StudioError(f"{len(found)} {kind}s have ids that begin with '{wanted}': give more characters.")
    return found[0]

"""The end of a job's log as a person reads it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def log_tail(path: Path, max_bytes: int) -> str:
    """The last whole lines of at most so many bytes; of a progress bar its last state. "" where there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(0, size - max_bytes)
            file.seek(start)
            content = file.read()
    except OSError:
        return ""
    if start:
        content = content.partition(b"\n")[2]
    return readable(content.decode("utf-8", "replace"))


def readable(text: str) -> str:
    """Text for a terminal without its colours, each line as it stood at last."""
    lines = _COLOURS.sub("", text).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def followed(path: Path, running: Callable[[], bool], *, pause: float = 0.5) -> Iterator[str]:
    """All lines of a log, and those that are added as long as it is ``running``."""
    position, rest = 0, b""
    while True:
        more = running()  # asked first: what is written before the end is read after it
        try:
            with path.open("rb") as file:
                file.seek(position)
                content = file.read()
        except OSError:
            content = b""
        position += len(content)
        *whole, rest = (rest + content).split(b"\n")
        for line in whole:
            yield readable(line.decode("utf-8", "replace"))
        if not more:
            if rest:
                yield readable(rest.decode("utf-8", "replace"))
            return
        if not content:
            time.sleep(pause)

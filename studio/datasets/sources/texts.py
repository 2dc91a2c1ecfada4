"""Text files of strangers: UTF-8, UTF-16 where they say so, whatever encoding is named; or the line that is none."""

from __future__ import annotations

import codecs
from pathlib import Path

from studio.errors import StudioError
from studio.files import shown_name

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_MAX_BYTES = 1_000_000_000


def read_text(path: Path, encoding: str = "") -> str:
    """The content of a text file, lines ended by ``\\n``.

    Args:
        encoding: as Python names it; "" takes UTF-8, or what a byte-order mark says.

    Raises:
        StudioError: it cannot be read, holds no text, or is not in that encoding: then with the number of the line.
    """
    name = shown_name(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StudioError(f"{name} is larger than 1 GB, so it is no table of texts: choose another file.")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise StudioError(f"{name} cannot be read ({reason}): check its name and its permissions.") from error
    marked = next(((mark, found) for mark, found in _MARKS if content.startswith(mark)), None)
    if marked:
        content, encoding = content[len(marked[0]) :], encoding or marked[1]
    encoding = encoding or "utf-8"
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise StudioError(f"There is no encoding '{encoding}': give one such as utf-8, utf-16 or gbk.") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise StudioError(
            f"{name} line {line} is not {encoding.upper()}: save it as UTF-8, or name its encoding (--encoding gbk, say)."
        ) from error
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise StudioError(f"{name} line {line} holds a NUL character, which is no text: save the file as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")

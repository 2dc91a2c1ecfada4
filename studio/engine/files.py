"""Small things that everything which reads or writes a checkpoint's files needs."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries written in Rust (safetensors, tokenizers, hf_xet) put the system's words into a text and lose its number.
_FULL_WORDS = re.compile("no space left|file too large|disk quota exceeded|not enough space", re.IGNORECASE)


def json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON in UTF-8.
        TypeError: it is JSON, but no object.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"{path} holds no JSON object")
    return content


def is_disk_full(error: BaseException) -> bool:
    """Whether writing failed because the disk, the quota or the allowed file size is used up."""
    return getattr(error, "errno", None) in _FULL_ERRNOS or bool(_FULL_WORDS.search(str(error)))


def is_write_error(error: BaseException) -> bool:
    """Whether an exception of a library's ``save`` is about the file system rather than a defect of ours."""
    from safetensors import SafetensorError

    return isinstance(error, (OSError, SafetensorError)) or is_disk_full(error)


def write_advice(error: BaseException) -> str:
    """Why writing failed and what to do, as the end of a sentence: ``(reason): advice``."""
    reason = getattr(error, "strerror", None) or str(error)
    todo = "free some space" if is_disk_full(error) else "choose a folder you may write to, or free some space"
    return f"({reason}): {todo} and try again."

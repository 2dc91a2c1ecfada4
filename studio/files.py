"""Files: written whole or not at all, read with care, named for people, removed when they are old."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.errors import StudioError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries written in Rust (safetensors, tokenizers, hf_xet) put the system's words into a text and lose its number.
_FULL_WORDS = re.compile("no space left|file too large|disk quota exceeded|not enough space", re.IGNORECASE)
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
MAX_AGE_SECONDS = 86_400.0


def shown_name(path: str | Path) -> str:
    """How messages name a file: its base name in quotes, never the server's folders.

    What is not valid UTF-8 is shown with replacement characters, so that the message can be printed.
    """
    return f"'{Path(path).name.encode('utf-8', 'replace').decode('utf-8')}'"


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that readers see the old file or the complete new one, never a part.

    The bytes go to a temporary name in the same folder, reach the disk, and are then renamed over the target. Whatever
    fails, the temporary file is removed and a file that was there before is untouched. Safe for several writers at
    once; the last one wins.

    Raises:
        StudioError: the folder is missing or not writable, the target is a folder, the disk or quota is full, or the
            system refuses for another reason, which the sentence then names.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _write_and_rename(target, data)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise _sentence(error, shown_name(target)) from error


def refuse_unwritable(path: str | Path) -> None:
    """Raise the StudioError that writing to ``path`` would raise now, without touching the target.

    What only a full disk or a quota shows is found when the file is written.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with _temporary_beside(target) as (_, descriptor):
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise _sentence(error, shown_name(target)) from error


@contextmanager
def _temporary_beside(target: Path) -> Iterator[tuple[Path, int]]:
    """A new file in the folder of ``target`` and its descriptor, which the caller closes; removed at the end."""
    # A short name of its own: the target's name may already be as long as the file system allows. Hidden, so that a
    # listing during the write does not show it.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    # os.open, not tempfile: the mode then follows the umask, as for any file the user writes.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        yield temporary, descriptor
    finally:
        temporary.unlink(missing_ok=True)  # already gone after a successful rename


def _write_and_rename(target: Path, data: bytes) -> None:
    with _temporary_beside(target) as (temporary, descriptor):
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # quota and network file systems report a full disk only here
        temporary.replace(target)


def _sentence(error: OSError | ValueError, name: str) -> StudioError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EISDIR:
        return StudioError(f"{name} is a folder; choose a file name inside it.")
    if number in {errno.ENOENT, errno.ENOTDIR}:
        return StudioError(f"The folder for {name} does not exist; create it or choose another.")
    if number in _FORBIDDEN:
        return StudioError(f"There is no permission to write {name} there; choose another folder.")
    if number in _FULL:
        return StudioError(f"The disk or quota is full, so {name} was not saved; free some space and try again.")
    reason = getattr(error, "strerror", None) or "the name is not valid"
    return StudioError(f"{name} could not be saved ({reason}); choose another name or folder.")


def read_json(path: Path) -> dict[str, Any]:
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


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as JSON, whole or not at all. Raises StudioError as :func:`atomic_write_bytes`."""
    atomic_write_bytes(path, json.dumps(content).encode())


def weights_digest(paths: Iterable[Path]) -> str:
    """Eight hexadecimal digits that tell a model's files from others': of the name, the size and both ends of each.

    Weights that were trained differ everywhere, so their ends tell without gigabytes being read.
    """
    digest, end = hashlib.sha256(), 1 << 20
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}|{size}|".encode())
        with path.open("rb") as file:
            digest.update(file.read(end))
            file.seek(max(0, size - end))
            digest.update(file.read(end))
    return digest.hexdigest()[:8]


def is_disk_full(error: BaseException) -> bool:
    """Whether writing failed because the disk, the quota or the allowed file size is used up."""
    return getattr(error, "errno", None) in _FULL or bool(_FULL_WORDS.search(str(error)))


def is_write_error(error: BaseException) -> bool:
    """Whether an exception of a library's ``save`` is about the file system rather than a defect of ours."""
    from safetensors import SafetensorError

    return isinstance(error, (OSError, SafetensorError)) or is_disk_full(error)


def write_advice(error: BaseException) -> str:
    """Why writing failed and what to do, as the end of a sentence: ``(reason): advice``."""
    reason = getattr(error, "strerror", None) or str(error)
    todo = "free some space" if is_disk_full(error) else "choose a folder you may write to, or free some space"
    return f"({reason}): {todo} and try again."


def clear_old(cache: Path, *, max_age_seconds: float = MAX_AGE_SECONDS) -> int:
    """Remove what is older than that in a folder of files in transit or drafts; returns how many entries went.

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

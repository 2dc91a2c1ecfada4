"""Writing a file whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.audio.problems import shown_name
from studio.errors import StudioError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


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
            # Quota and network file systems report a full disk only here.
            os.fsync(file.fileno())
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

"""Files on their way between studio and browser: sounds to be heard and downloaded, uploads; gone after a day."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from studio.errors import StudioError

_MAX_STAGED = 256


class Staging:
    """Copies of sounds where a browser can fetch them: never the studio's own files.

    Each lies in a folder that nobody can guess, once for each sound as long as it is there. Whoever asks for a copy has
    looked the sound up in the visitor's own library before. The copies go after a day, like everything in the cache.

    Args:
        cache: ``Settings.page_cache_folder``.
    """

    def __init__(self, cache: Path) -> None:
        self._cache, self._folders, self._lock = cache, OrderedDict[str, Path](), threading.Lock()

    def copy(self, key: str, name: str, write: Callable[[Path], object]) -> str:
        """The path of the copy called ``name``; ``write`` makes it where it is not there yet.

        Raises:
            StudioError: it cannot be written; then nothing of it is left.
        """
        path = self._folder(key) / name
        if path.is_file():
            return str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
        except StudioError:
            self.forget(key)
            raise
        except OSError as error:
            self.forget(key)
            raise StudioError(
                f"The sound cannot be shown ({error.strerror}): free some space and try again."
            ) from error
        return str(path)

    def forget(self, key: str) -> None:
        """Remove the copies of a sound."""
        with self._lock:
            folder = self._folders.pop(key, None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, key: str) -> Path:
        with self._lock:
            if key not in self._folders:
                self._folders[key] = self._cache / f"take-{secrets.token_urlsafe(16)}"
            self._folders.move_to_end(key)
            while len(self._folders) > _MAX_STAGED:
                self._folders.popitem(last=False)  # the file itself goes with age: somebody may be listening
            return self._folders[key]

"""librosa, whose inner loops numba compiles on the user's machine and keeps on the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@contextmanager
def compiling() -> Iterator[None]:
    """One process at a time compiles.

    Two that do it at once leave files that do not belong together, and whoever loads those dies of a segmentation fault, in
    every later process too. Some of librosa is compiled while it is imported.
    """
    from filelock import FileLock

    found = find_spec("librosa")
    place = Path(str(found.origin)).parent / "__pycache__" if found else Path()
    folder = place if os.access(place, os.W_OK) else Path(tempfile.gettempdir())
    with FileLock(folder / f"studio-{os.getuid() if hasattr(os, 'getuid') else 0}.lock"):
        yield


@lru_cache(maxsize=1)
def librosa() -> Any:
    """The package. Nothing else in the studio imports it: what it compiles then must not meet what another process does."""
    with compiling():
        import librosa
        import librosa.feature  # it is imported piece by piece as it is used, and these compile

        return librosa

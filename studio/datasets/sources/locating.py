"""Finding the recordings that a source names, and saying where they were looked for."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from studio.audio.suffixes import SOUND_SUFFIXES, VIDEO_SUFFIXES
from studio.files import shown_name

_NEAREST = 0.6


class Locator:
    """Finds recordings below a source.

    Args:
        source: the folder of the source.
        folders: where names begin, tried in turn.
        inside_only: refuse what lies elsewhere, links followed.
    """

    def __init__(self, source: Path, folders: Sequence[Path] = (), *, inside_only: bool = True) -> None:
        self._source, self._inside_only = source, inside_only
        self._folders = list(dict.fromkeys(folders or [source]))
        self._root = source.resolve()
        self._names: dict[Path, list[str]] = {}

    def find(self, name: str) -> tuple[Path | None, str]:
        """The recording of this name, or a sentence on why there is none.

        Paths of Windows, ``./``, names without a suffix, and paths of the machine that wrote a table lead to the file here.
        """
        if not name.strip():
            return None, "No recording is named: name one."
        if "\0" in name:
            return None, "The name of the recording holds a NUL character: correct it."
        wanted = native_name(name)
        outside = False
        for candidate in self._candidates(wanted):
            try:
                if not candidate.is_file():
                    continue
                if self._inside_only and not candidate.resolve().is_relative_to(self._root):
                    outside = True
                    continue
            except (OSError, ValueError, RuntimeError):  # longer than any name, a loop of links
                continue
            return Path(os.path.abspath(candidate)), ""  # noqa: PTH100  links stay as they are named
        if outside:
            return None, f"The recording {shown_name(name)} lies outside of the source: copy it into the folder."
        return None, f"The recording {shown_name(name)} does not exist: {self._looked(wanted)}."

    def _candidates(self, wanted: str) -> list[Path]:
        written = wanted.replace("\\", "/")
        spellings = [PurePosixPath(wanted)]
        if "\\" in wanted:
            spellings.append(PurePosixPath(written))
        # The path of another machine: what lies here has the same end.
        parts = [part for part in PurePosixPath(written).parts if part not in ("/", "..")]
        if PureWindowsPath(wanted).drive or written.startswith("/"):
            spellings += [PurePosixPath(*parts[-count:]) for count in (3, 2, 1) if len(parts) >= count]
        found = []
        for folder in self._folders:
            for spelling in spellings:
                path = folder / spelling
                found += [path, *(path.with_name(path.name + suffix) for suffix in (*SOUND_SUFFIXES, *VIDEO_SUFFIXES))]
        return found

    def _looked(self, wanted: str) -> str:
        """Where was looked, and the name that is nearest to the one that was wanted."""
        places = [
            "its folder" if folder == self._source else f"the folder {shown_name(folder)}" for folder in self._folders
        ]
        last = PurePosixPath(wanted.replace("\\", "/"))
        present = [name for folder in self._folders for name in self._listed(folder / last.parent)]
        near = difflib.get_close_matches(last.name, present, n=1, cutoff=_NEAREST) or difflib.get_close_matches(
            last.name, [Path(name).stem for name in present], n=1, cutoff=_NEAREST
        )
        hint = f", where {shown_name(near[0])} comes nearest" if near else ""
        return f"it was looked for in {' and '.join(places)}{hint}"

    def _listed(self, folder: Path) -> list[str]:
        if folder not in self._names:
            try:
                inside = not self._inside_only or folder.resolve().is_relative_to(self._root)
                self._names[folder] = sorted(path.name for path in folder.iterdir()) if inside else []
            except OSError:
                self._names[folder] = []
        return self._names[folder]


def native_name(name: str) -> str:
    """A name out of a text file as this system spells it: where file names are no UTF-8 (a C locale), by its bytes."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    return name


def printable(name: str) -> str:
    """A file's name as text: what is no UTF-8 in it becomes replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

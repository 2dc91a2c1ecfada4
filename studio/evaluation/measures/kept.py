"""What was heard in a sound, kept by content: the hash of its samples, the model that heard it, and what was asked."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.files import read_json, write_json

_VERSION = 1
"""Of what is kept: what another version kept is heard anew."""
_IN_MEMORY = 1024


def content_of(sound: Waveform) -> str:
    """A hash of the samples and their rate, 64 hexadecimal digits: the same sound in another file has the same."""
    digest = hashlib.sha256(f"{sound.sample_rate}\n".encode())
    digest.update(sound.samples.astype("<f4", copy=False).tobytes())
    return digest.hexdigest()


class Kept:
    """JSON values by key, in memory and, where there is a folder, on the disk, a small file each.

    A folder that cannot be read or written is no error: what is not kept is heard again.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, Any] = OrderedDict()

    def all(
        self, part: str, model: str, wanted: Mapping[str, Any], compute: Callable[[list[Any]], Sequence[Any]]
    ) -> dict[str, Any]:
        """A value for each key: what is kept, and what is computed of the rest, all at once.

        Args:
            part: which question; ``model``: who answers it.
            wanted: what to compute it of, by content.
            compute: gives a JSON value for each, in order; a ``StudioError`` in place of one is given out and not kept.
        """
        names = {content: self._name(part, model, content) for content in wanted}
        found = {content: value for content, name in names.items() if (value := self._read(name)) is not _UNKNOWN}
        missing = [content for content in wanted if content not in found]
        if missing:
            for content, value in zip(missing, compute([wanted[each] for each in missing]), strict=True):
                found[content] = value
                if not isinstance(value, StudioError):
                    self._write(names[content], value)
        return found

    @staticmethod
    def _name(part: str, model: str, content: str) -> str:
        return hashlib.sha256(f"{_VERSION}|{part}|{model}|{content}".encode()).hexdigest()

    def _read(self, name: str) -> Any:
        if name in self._memory:
            self._memory.move_to_end(name)
            return self._memory[name]
        if self._folder is not None:
            with suppress(OSError, ValueError, TypeError, KeyError):
                return self._remember(name, read_json(self._path(name))["value"])
        return _UNKNOWN

    def _write(self, name: str, value: Any) -> None:
        self._remember(name, value)
        if self._folder is not None:
            with suppress(StudioError, OSError):
                path = self._path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, {"value": value})

    def _remember(self, name: str, value: Any) -> Any:
        self._memory[name] = value
        while len(self._memory) > _IN_MEMORY:
            self._memory.popitem(last=False)
        return value

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / name[:2] / f"{name[2:]}.json"  # a folder of 100,000 files is slow to list


_UNKNOWN = object()

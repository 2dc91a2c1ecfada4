"""What becomes of one recording of a source: decoded and kept, sliced where it is long, and its utterances hashed.

Nothing here knows the store: it is what a process does for an import, see :mod:`studio.datasets.spreading.worker_processes`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.audio.storing import StoredSound, store_as_flac
from studio.audio.synthetic_mark import is_marked
from studio.datasets.slicing import Sliced, read_script, slice_recording
from studio.datasets.sources import Found
from studio.datasets.stored_sound import sound_sha256
from studio.errors import StudioError
from studio.files import is_disk_full, shown_name
from studio.listening.transcriber import Transcriber


@dataclass(frozen=True)
class Task:
    """A recording on its way in.

    Attributes:
        found: the first line of the source that names it.
        number: of that line.
        target: where it is to be kept.
        language: that is spoken, where the source does not say.
    """

    found: Found
    number: int
    target: Path
    language: str = ""


@dataclass(frozen=True)
class Taken:
    """A recording that is kept.

    Attributes:
        sliced: its slices, of one that was to be sliced; else None.
        hashes: of the sound of each slice.
        synthetic: its file says that a model made it.
    """

    sound: StoredSound
    sliced: Sliced | None = None
    hashes: tuple[str, ...] = ()
    synthetic: bool = False


@dataclass(frozen=True)
class Refused:
    """A recording that cannot be used.

    Attributes:
        reason: "unreadable" or "flawed".
        disk_is_full: then it is not the recording's fault, and the import cannot go on.
    """

    reason: str
    sentence: str
    disk_is_full: bool = False


class Intake:
    """What takes recordings in.

    Args:
        slicing: whether they are to be sliced.
        transcriber: writes down what is said in slices; None: nobody does.
        announce, stopped: of slicing, see :func:`studio.datasets.slicing.slice_recording`.
    """

    def __init__(
        self, slicing: bool, transcriber: Transcriber | None = None,
        announce: Callable[[Task, float, float], None] = lambda task, done, total: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._slicing, self._transcriber, self._announce, self._stopped = slicing, transcriber, announce, stopped

    def __call__(self, task: Task) -> Taken | Refused:
        """Keep a recording, or say why not; of one that is refused nothing is kept.

        Raises:
            StudioError: the recogniser cannot be loaded.
        """
        try:
            sound, synthetic = _stored(task)
        except StudioError as error:
            return Refused("unreadable", str(error), is_full(error))
        if not self._slicing:
            return Taken(sound, synthetic=synthetic)
        try:
            script = read_script(task.found.script) if task.found.script else None
        except StudioError as error:
            task.target.unlink(missing_ok=True)
            return Refused("flawed", str(error))
        sliced = slice_recording(
            task.target, sound.seconds, transcriber=self._transcriber, script=script,
            language=task.found.language or task.language or None,
            announce=lambda done, total: self._announce(task, done, total), stopped=self._stopped,
        )  # fmt: skip
        hashes = tuple(sound_sha256(task.target, each.start, each.end) for each in sliced.slices)
        return Taken(sound, sliced, hashes, synthetic)


def is_full(error: BaseException) -> bool:
    """Whether the disk being full is behind an error."""
    return is_disk_full(error) or (error.__cause__ is not None and is_disk_full(error.__cause__))


def _stored(task: Task) -> tuple[StoredSound, bool]:
    """The recording in its place, and whether a model made it."""
    found = task.found
    task.target.parent.mkdir(parents=True, exist_ok=True)
    if found.content is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (Path(found.name).name or "clip")
            path.write_bytes(found.content)
            return store_as_flac(path, task.target), is_marked(path)
    if found.path is None:
        raise StudioError(f"The recording {shown_name(found.name)} does not exist: correct its name.")
    return store_as_flac(found.path, task.target), is_marked(found.path)

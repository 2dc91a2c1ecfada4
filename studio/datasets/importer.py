"""A source becomes a named set: every recording is decoded once and kept, every utterance is listed or named with its reason.

Recordings are decoded and sliced by :mod:`studio.datasets.intake`, in processes where there are several; all that is written
to the store is written here. An import that was interrupted goes on where it stopped when it is asked for again; one that was
cancelled leaves nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.datasets.dataset import Dataset
from studio.datasets.import_report import ImportReport
from studio.datasets.intake import Intake, Refused, Taken, Task, is_full
from studio.datasets.keeping import MAX_SECONDS, MIN_SECONDS, keep_decoded, measured_while_slicing, new_utterance
from studio.datasets.library import DatasetLibrary
from studio.datasets.sources import Found, SourceOptions, read_source
from studio.datasets.stored_sound import sound_sha256
from studio.datasets.worker_processes import DeadlyTask, over_processes
from studio.engine.prompt import refuse_control_tokens
from studio.errors import StudioError
from studio.files import shown_name
from studio.store import datasets as queries
from studio.store.tables import RecordingRecord, UtteranceRecord, new_id
from studio.voices.naming import checked_name, name_key

if TYPE_CHECKING:
    from studio.listening.transcriber import Transcriber

_AT_ONCE = 50
"""Utterances that are written together: so many are read again after a kill."""
_MAX_SLICES = 1_000_000
"""Of one recording; their places in the set lie between that of its line and that of the next."""

Announce = Callable[[int, str], None]
"""Utterances that were looked at so far, and what is being read."""


class ImportCancelled(StudioError):
    """Somebody stopped the import."""


def import_source(
    library: DatasetLibrary,
    name: str,
    kind: str,
    source: Path,
    options: SourceOptions,
    *,
    language: str = "",
    transcriber: Transcriber | None = None,
    shown: str = "",
    workers: int = 1,
    announce: Announce = lambda done, what: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Dataset:
    """Import a source as a set of this name, or go on with an import of the same that was interrupted.

    Args:
        language: of what does not say its own.
        transcriber: writes what is said in recordings that are sliced; None leaves their texts empty, or to the script.
        shown: what people call the source; "" is its name on the disk.
        workers: processes that decode and slice recordings beside each other; 1 does it in this one.

    Raises:
        StudioError: the source cannot be read, the name is taken, nothing in it can be used, or the disk is full. Nothing is
            left behind then, but after a kill or a full disk: asking again goes on.
        ImportCancelled: ``stopped`` said so; nothing is left behind.
    """
    shown = shown or shown_name(source)
    about = {"type": kind, "name": shown, "path": str(source.absolute()), "options": options.as_json()}
    dataset = _begun(library, name, about) or library.create(name, language=language, source=about)
    work = _Import(library, dataset.id, kind == "recordings", language, transcriber, announce, stopped)
    try:
        begin = partial(Intake, work.slicing, transcriber)
        if workers <= 1:  # in this process: a long recording tells how far it is, and can be stopped in its middle
            begin = partial(begin, announce=work.announce_slicing, stopped=stopped)
        with closing(
            over_processes(begin, work.tasks(read_source(kind, source, options)), workers, stopped)
        ) as results:
            for task, result in results:
                work.keep(task, result)
        if stopped():
            raise work.cancelled()
        work.write()
        if not work.report.used:
            raise StudioError(f"Nothing in {shown} can be used ({work.report.table()}): {work.first_reason()}")
        work.clear_remains()
    except (StudioError, ValueError) as error:
        if not is_full(error):  # where the disk was full, asking again goes on
            library.delete(dataset.id)
        raise
    return library.finish(dataset.id, work.report.as_json())


@dataclass(frozen=True)
class _Line:
    """A line of the source that waits for its recording."""

    number: int
    found: Found
    text: str
    speaker: str


class _Import:
    """What is read, on its way into the store."""

    def __init__(
        self, library: DatasetLibrary, dataset_id: str, slicing: bool, language: str, transcriber: Transcriber | None,
        announce: Announce, stopped: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._library, self._id, self.slicing, self._language = library, dataset_id, slicing, language
        self._model = transcriber.name if transcriber else ""
        self._announce, self._stopped = announce, stopped
        self.report = ImportReport()
        self._waiting: list[UtteranceRecord] = []
        # Of a recording that several lines name only the first line's is decoded, and the others wait for it.
        self._stored: dict[Path, RecordingRecord | Refused] = {}
        self._expecting: dict[Path | int, list[_Line]] = {}
        with library.store.reading() as session:
            known = queries.places(session, dataset_id)
            totals = queries.totals(session, dataset_id)
        self._known = {place.rpartition(" at ")[0] for place in known} if slicing else known
        self.report.used = sum(count for _, _, count, _ in totals)
        self.report.seconds = sum(seconds for *_, seconds in totals)

    def first_reason(self) -> str:
        """What was wrong with the first that was left out."""
        first = next(iter(self.report.as_json()["listed"]), None)
        return f"{first['place']}: {first['sentence']}" if first else "there is no utterance in it."

    def cancelled(self) -> ImportCancelled:
        """What is raised where somebody stopped it."""
        name = self._library.dataset(self._id).name
        return ImportCancelled(f"The import of {name} was stopped: nothing of it was kept.")

    def announce_slicing(self, task: Task, seconds: float, total: float) -> None:
        """Tell how far a long recording is."""
        self._announce(self.report.used, f"{task.found.name}, {100 * seconds / max(total, 1e-9):.0f} % sliced")

    def tasks(self, lines: Iterable[Found]) -> Iterator[Task]:
        """The recordings that are needed, each once; lines that need none are done with here."""
        for number, found in enumerate(lines, start=1):
            if found.place not in self._known and (line := self._checked(number, found)) is not None:
                key = found.path or number
                stored = self._stored.get(found.path) if found.path else None
                if stored is not None:
                    self._take(line, stored)
                elif key in self._expecting:
                    self._expecting[key].append(line)
                else:
                    self._expecting[key] = [line]
                    target = self._library.recording_path(self._id, new_id())
                    yield Task(found, number, target, self._language)
                    continue  # told when it is there
            self._tell(found)

    def keep(self, task: Task, result: Taken | Refused | StudioError) -> None:
        """What became of a recording, for all lines that wait for it.

        Raises:
            StudioError: nothing can be imported: the disk is full, or the recogniser is missing.
        """
        if isinstance(result, DeadlyTask):
            task.target.unlink(missing_ok=True)
            result = Refused("unreadable", str(result))
        if isinstance(result, StudioError):
            raise result
        if isinstance(result, Refused) and result.disk_is_full:
            raise StudioError(result.sentence) from OSError(errno.ENOSPC, result.sentence)
        stored: RecordingRecord | Refused
        if isinstance(result, Taken):
            stored = keep_decoded(
                self._library, self._id, task.target, result.sound, task.found.name, synthetic=result.synthetic
            )
        else:
            stored = result
        if task.found.path:
            self._stored[task.found.path] = stored
        for line in self._expecting.pop(task.found.path or task.number):
            if isinstance(stored, RecordingRecord) and isinstance(result, Taken) and result.sliced is not None:
                self._take_slices(line, stored, result)
            else:
                self._take(line, stored)
        self._tell(task.found)

    def write(self) -> None:
        """Write what waits."""
        with self._library.store.writing() as session:
            queries.save(session, *self._waiting)
        self._waiting = []

    def clear_remains(self) -> None:
        """Remove what processes that were killed had begun to write."""
        for path in self._library.recording_path(self._id, "").parent.glob(".*"):
            path.unlink(missing_ok=True)

    def _tell(self, found: Found) -> None:
        if self._stopped():  # behind the work, which a stop cuts short
            raise self.cancelled()
        self._announce(self.report.used + sum(self.report.left_out.values()), found.name)

    def _checked(self, number: int, found: Found) -> _Line | None:
        """A line with the text and speaker of what can be used; None where it was left out."""
        if found.flaw:
            self.report.leave_out("flawed", number, found.place, found.flaw)
            return None
        try:
            text = refuse_control_tokens(found.text.strip(), "text")
            return _Line(number, found, text, checked_name(found.speaker) if found.speaker else "")
        except StudioError as error:
            self.report.leave_out("flawed", number, found.place, str(error))
            return None

    def _take(self, line: _Line, stored: RecordingRecord | Refused) -> None:
        """Keep one utterance, or say why not."""
        found = line.found
        if isinstance(stored, Refused):
            self.report.leave_out(stored.reason, line.number, found.place, stored.sentence)
            return
        start, end = found.start or 0.0, stored.seconds if found.end is None else min(found.end, stored.seconds)
        if end - start < MIN_SECONDS:
            sentence = f"It lasts {max(0.0, end - start):.2f} s, and {MIN_SECONDS} are needed."
            self.report.leave_out("short", line.number, found.place, sentence)
        elif end - start > MAX_SECONDS:
            sentence = (
                f"It lasts {end - start:.1f} s, more than {MAX_SECONDS:g}: import it as recordings, to be sliced."
            )
            self.report.leave_out("long", line.number, found.place, sentence)
        else:
            whole = start == 0.0 and end == stored.seconds
            path = self._library.recording_path(self._id, stored.id)
            sha256 = stored.sha256 if whole else sound_sha256(path, start, end)
            self._list(line, stored, start, end, line.text, sha256, Path(found.name).stem)

    def _take_slices(self, line: _Line, stored: RecordingRecord, taken: Taken) -> None:
        """Keep the utterances of a long recording, all of them in one write."""
        assert taken.sliced is not None
        found = line.found
        for reason, seconds in taken.sliced.left_out.items():
            self.report.unsliced[reason] = self.report.unsliced.get(reason, 0.0) + seconds
        self.report.notes += [(line.number, f"{found.name}: {note}") for note in taken.sliced.notes]
        if not taken.sliced.slices:
            self.report.leave_out("flawed", line.number, found.place, "Nobody was heard to speak in it.")
        for index, (each, sha256) in enumerate(zip(taken.sliced.slices, taken.hashes, strict=True)):
            place = replace(line, found=replace(found, place=f"{found.place} at {each.start:.2f} s"))
            self._list(
                place, stored, each.start, each.end, each.text.strip(), sha256, f"{Path(found.name).stem} {each.start:.2f}",
                index, measured_while_slicing(each, self._model),
            )  # fmt: skip
        self.write()

    def _list(
        self, line: _Line, recording: RecordingRecord, start: float, end: float, text: str, sha256: str, name: str,
        index: int = 0, measures: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        found = line.found
        # By its place in the source, in whatever order recordings were ready.
        position = line.number + index / _MAX_SLICES
        self._waiting.append(
            new_utterance(
                self._library, recording, start, end, position=position, place=found.place, name=name, text=text,
                speaker=line.speaker, language=found.language or self._language, scene=found.scene, split=found.split,
                measures=measures, sha256=sha256,
            )
        )  # fmt: skip
        self.report.used += 1
        self.report.seconds += end - start
        if len(self._waiting) >= _AT_ONCE and measures is None:
            self.write()


def _begun(library: DatasetLibrary, name: str, about: dict[str, Any]) -> Dataset | None:
    """The set of this name, if it is an import of the same source that did not end."""
    with library.store.reading() as session:
        record = queries.dataset_by_key(session, library.owner, name_key(name))
        if record is None or record.state == "ready" or record.source != about:
            return None
        return library.dataset(record.id)

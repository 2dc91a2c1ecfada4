"""A source becomes a named set: every recording is decoded once and kept, every utterance is listed or named with its reason.

Recordings are decoded and sliced by :mod:`studio.datasets.imports.intake`, in processes where there are several; all that is
written to the store is written here. An import that was interrupted goes on where it stopped when it is asked for again; one
that was cancelled leaves nothing. What was uploaded lies with the unfinished set until the import ends, so that it can go on,
too.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.datasets.dataset import Dataset
from studio.datasets.imports.import_report import ImportReport
from studio.datasets.imports.intake import Intake, Refused, Taken, Task, is_full
from studio.datasets.keeping import MAX_SECONDS, MIN_SECONDS, keep_decoded, measured_while_slicing, new_utterance
from studio.datasets.library import DatasetLibrary
from studio.datasets.rows.uploads import source_root, unpack
from studio.datasets.sources import Found, SourceOptions, amount_of, read_source, rough_seconds
from studio.datasets.spreading.pace import Pace
from studio.datasets.spreading.worker_processes import DeadlyTask, over_processes
from studio.datasets.stored_sound import sound_sha256
from studio.engine.prompt import refuse_control_tokens
from studio.errors import StudioError
from studio.files import shown_name
from studio.processes import Process, process_of
from studio.store import datasets as queries
from studio.store.tables import RecordingRecord, UtteranceRecord, new_id
from studio.voices.naming import checked_name, name_key

if TYPE_CHECKING:
    from sqlmodel import Session

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
    pace: Pace | None = None,
) -> Dataset:
    """Import a source as a set of this name, or go on with an import of the same that was interrupted.

    Args:
        language: of what does not say its own.
        transcriber: writes what is said in recordings that are sliced; None leaves their texts empty, or to the script.
        shown: what people call the source; "" is its name on the disk.
        workers: processes that decode and slice recordings beside each other; 1 does it in this one.
        pace: is told how far it is.

    Raises:
        StudioError: the source cannot be read, the name is taken, nothing in it can be used, or the disk is full. Nothing is
            left behind then, but after a kill or a full disk: asking again goes on.
        ImportCancelled: ``stopped`` said so; nothing is left behind.
    """
    shown = shown or shown_name(source)
    hub = kind == "huggingface" and not source.exists()
    where = {"hub": source.as_posix()} if hub else {"path": str(source.absolute())}
    about = {"type": kind, "name": shown, **where, "options": options.as_json()}
    dataset = _begun(library, name, about) or library.create(name, language=language, source=about)
    return _read(library, dataset, source, options, transcriber, announce, stopped, pace or Pace(), workers)


def begin_upload(
    library: DatasetLibrary, name: str, kind: str, sent: Sequence[Path], options: SourceOptions, *, language: str = ""
) -> Dataset:  # fmt: skip
    """Take what was uploaded into a new set, of which :func:`go_on` then makes utterances.

    Args:
        sent: files as a page received them; they are copied, archives unpacked.

    Raises:
        StudioError: the name is taken, or there is nothing of use in the upload, or too much. Nothing is left behind then.
    """
    shown = ", ".join(shown_name(path) for path in sent[:3])
    about = {"type": kind, "name": shown, "uploaded": True, "options": options.as_json()}
    dataset = library.create(name, language=language, source=about)
    place = library.upload_folder(dataset.id)
    making = place.with_name(f".new-{place.name}")
    try:
        making.mkdir(parents=True)
        unpack(sent, making, library.settings)
        making.rename(place)  # whole, or not there
    except OSError as error:
        library.delete(dataset.id)
        reason = error.strerror or "unknown reason"
        raise StudioError(f"The upload could not be kept ({reason}): free some space and try again.") from error
    except BaseException:
        library.delete(dataset.id)
        raise
    return dataset


def go_on(
    library: DatasetLibrary, dataset: Dataset, *, transcriber: Transcriber | None = None,
    announce: Announce = lambda done, what: None, stopped: Callable[[], bool] = lambda: False, pace: Pace | None = None,
    workers: int = 1,
) -> Dataset:  # fmt: skip
    """Go on with an import that did not end, from where it is; the set is then what it had been without the interruption.

    Raises:
        StudioError: as :func:`import_source`, or it cannot go on, see :func:`obstacle`.
        ImportCancelled: ``stopped`` said so; nothing is left behind.
    """
    if reason := obstacle(library, dataset):
        raise StudioError(reason)
    known = {field.name for field in fields(SourceOptions)}
    options = SourceOptions(**{key: value for key, value in dataset.source["options"].items() if key in known})
    source = _source_of(library, dataset)
    return _read(library, dataset, source, options, transcriber, announce, stopped, pace or Pace(), workers)


def obstacle(library: DatasetLibrary, dataset: Dataset) -> str:
    """Why the import of a set cannot go on, a sentence; "" where it can."""
    if dataset.state == "ready":
        return f"The import of {dataset.name} has ended: there is nothing left to import."
    importer = Process(**dataset.report["importer"]) if dataset.report.get("importer") else None
    if importer is not None and importer.pid != os.getpid() and importer.is_alive:
        return f"Another process is importing {dataset.name}: wait until it is done, or end it."
    if "hub" not in dataset.source and not _source_of(library, dataset).exists():
        return f"What {dataset.name} was to be made of is not there any more: delete it and import it again."
    return ""


def _source_of(library: DatasetLibrary, dataset: Dataset) -> Path:
    if not dataset.source.get("uploaded"):
        return Path(dataset.source.get("hub") or dataset.source["path"])
    place = library.upload_folder(dataset.id)
    return source_root(place) if place.is_dir() else place


def _read(
    library: DatasetLibrary, dataset: Dataset, source: Path, options: SourceOptions, transcriber: Transcriber | None,
    announce: Announce, stopped: Callable[[], bool], pace: Pace, workers: int,
) -> Dataset:  # fmt: skip
    """Read the source of an unfinished set to its end."""
    kind, shown = dataset.source["type"], dataset.source["name"]
    slicing = kind == "recordings"
    work = _Import(library, dataset, slicing, transcriber, announce, stopped, pace)
    try:
        pace.begin(amount_of(kind, source, options), free=0 if slicing else work.num_known)
        begin = partial(Intake, slicing, transcriber)
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
    except (StudioError, ValueError) as error:
        if not is_full(error):  # where the disk was full, asking again goes on
            library.delete(dataset.id)
        raise
    work.clear()
    done = library.finish(dataset.id, work.report.as_json())
    shutil.rmtree(library.upload_folder(dataset.id), ignore_errors=True)  # after the state: it can be left, not missed
    return done


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
        self, library: DatasetLibrary, dataset: Dataset, slicing: bool, transcriber: Transcriber | None, announce: Announce,
        stopped: Callable[[], bool], pace: Pace,
    ) -> None:  # fmt: skip
        dataset_id = dataset.id
        self._library, self._id, self._language, self._slicing = library, dataset_id, dataset.language, slicing
        self._model = transcriber.name if transcriber else ""
        self._announce, self._stopped, self._pace = announce, stopped, pace
        # Of recordings that were sliced before an interruption: what is in no utterance, and notes.
        self._sliced: dict[str, Any] = dict(dataset.report.get("sliced", {}))
        self._done, self._heard_to, self._writing = 0.0, 0.0, 0
        self.report = ImportReport()
        self._waiting: list[UtteranceRecord] = []
        # Of a recording that several lines name only the first line's is decoded, and the others wait for it.
        self._stored: dict[Path, RecordingRecord | Refused] = {}
        self._expecting: dict[Path | int, list[_Line]] = {}
        with library.store.reading() as session:
            known = queries.places(session, dataset_id)
            totals = queries.totals(session, dataset_id)
        with library.store.writing() as session:
            self._keep_state(session)
        self._known = {place.rpartition(" at ")[0] for place in known} if slicing else known
        self.report.used = sum(count for _, _, count, _ in totals)
        self.report.seconds = sum(seconds for *_, seconds in totals)

    @property
    def num_known(self) -> int:
        """Lines that an interrupted import had taken before."""
        return len(self._known)

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
        # With a recogniser, speech is found first, which is quick: what is written down then counts.
        counts, self._heard_to = not self._model or seconds < self._heard_to, seconds
        if counts or self._writing == task.number:
            self._writing = task.number
            self._pace.reach(self._done + _rough(task.found) * seconds / max(total, 1e-9))
        self._announce(self.report.used, f"{task.found.name}, {100 * seconds / max(total, 1e-9):.0f} % sliced")

    def tasks(self, lines: Iterable[Found]) -> Iterator[Task]:
        """The recordings that are needed, each once; lines that need none are done with here."""
        for number, found in enumerate(lines, start=1):
            if before := self._sliced.get(found.place) if self._slicing else None:
                self._note(number, before["unsliced"], before["notes"])
            elif found.place not in self._known and (line := self._checked(number, found)) is not None:
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
            self._keep_state(session)
        self._waiting = []

    def clear(self) -> None:
        """Remove sounds that an interruption left unlisted, and what processes that were killed had begun to write."""
        with self._library.store.reading() as session:
            listed = {self._library.recording_path(self._id, each.id) for each in queries.recordings(session, self._id)}
        for path in self._library.recording_path(self._id, "any").parent.glob("*"):
            if path not in listed:
                with suppress(OSError):
                    path.unlink()

    def _keep_state(self, session: Session) -> None:
        """Who imports, and what only the report tells of what is written: another process may have to go on."""
        record = self._library.record(session, self._id)
        me = process_of(os.getpid())
        record.report = {"importer": me and asdict(me), "sliced": self._sliced}
        queries.save(session, record)

    def _note(self, number: int, unsliced: dict[str, float], notes: list[str]) -> None:
        for reason, seconds in unsliced.items():
            self.report.unsliced[reason] = self.report.unsliced.get(reason, 0.0) + seconds
        self.report.notes += [(number, note) for note in notes]

    def _tell(self, found: Found) -> None:
        if self._stopped():  # behind the work, which a stop cuts short
            raise self.cancelled()
        self._done += _rough(found) if self._slicing else 1
        self._pace.reach(self._done)
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
        told = {
            "unsliced": dict(taken.sliced.left_out),
            "notes": [f"{found.name}: {note}" for note in taken.sliced.notes],
        }
        self._note(line.number, told["unsliced"], told["notes"])
        if not taken.sliced.slices:
            self.report.leave_out("flawed", line.number, found.place, "Nobody was heard to speak in it.")
        for index, (each, sha256) in enumerate(zip(taken.sliced.slices, taken.hashes, strict=True)):
            place = replace(line, found=replace(found, place=f"{found.place} at {each.start:.2f} s"))
            self._list(
                place, stored, each.start, each.end, each.text.strip(), sha256, f"{Path(found.name).stem} {each.start:.2f}",
                index, measured_while_slicing(each, self._model),
            )  # fmt: skip
        if taken.sliced.slices:  # what has none is looked at again
            self._sliced[found.place] = told
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
        begun = library.dataset(record.id)
    if reason := obstacle(library, begun):
        raise StudioError(reason)
    return begun


def _rough(found: Found) -> float:
    return rough_seconds(found.path) if found.path else 0.0

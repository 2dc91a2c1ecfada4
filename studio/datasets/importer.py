"""A source becomes a named set: every recording is decoded once and kept, every utterance is listed or named with its reason.

An import that was interrupted goes on where it stopped when it is asked for again; one that was cancelled leaves nothing.
What was uploaded lies with the unfinished set until the import ends, so that it can go on, too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.audio.storing import store_as_flac
from studio.datasets.dataset import Dataset
from studio.datasets.library import DatasetLibrary
from studio.datasets.pace import Pace
from studio.datasets.sources import Found, SourceOptions, amount_of, read_source, rough_seconds
from studio.datasets.sources.locating import printable
from studio.datasets.stored_sound import sound_sha256
from studio.datasets.uploads import source_root, unpack
from studio.engine.prompt import refuse_control_tokens
from studio.errors import StudioError
from studio.files import is_disk_full, shown_name
from studio.processes import Process, process_of
from studio.store import datasets as queries
from studio.store.tables import RecordingRecord, UtteranceRecord, new_id
from studio.voices.naming import checked_name, name_key

if TYPE_CHECKING:
    from sqlmodel import Session

    from studio.datasets.slicing import Slice
    from studio.listening.transcriber import Transcriber

MIN_SECONDS, MAX_SECONDS = 0.3, 30.0
"""An utterance that is shorter teaches nothing, and the model hears none that is longer at once."""
_AT_ONCE = 50
"""Utterances that are written together: so many are read again after a kill."""
MAX_LISTED = 1_000
"""Lines that were left out and are kept with the set, by place and reason."""
_REASONS = ("short", "long", "unreadable", "flawed")

Announce = Callable[[int, str], None]
"""Utterances that were looked at so far, and what is being read."""


class ImportCancelled(StudioError):
    """Somebody stopped the import."""


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        used: utterances in the set.
        seconds: of these.
        left_out: by reason, how many.
        listed: place and sentence of each that was left out, the first thousand.
        unsliced: of sliced recordings, seconds that are in no utterance, by reason.
        notes: sentences about sliced recordings.
    """

    used: int = 0
    seconds: float = 0.0
    left_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_REASONS, 0))
    listed: list[dict[str, str]] = field(default_factory=list)
    unsliced: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, place: str, sentence: str) -> None:
        """Count and name one that cannot be used."""
        self.left_out[reason] += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append({"place": place, "reason": reason, "sentence": sentence})

    def as_json(self) -> dict[str, Any]:
        """For the store and ``--json``."""
        unsliced = {reason: round(seconds, 2) for reason, seconds in self.unsliced.items()}
        return {
            "used": self.used,
            "seconds": round(self.seconds, 3),
            "left_out": {reason: count for reason, count in self.left_out.items() if count},
            "listed": self.listed,
            **({"unsliced": unsliced} if unsliced else {}),
            **({"notes": self.notes} if self.notes else {}),
        }

    def table(self) -> str:
        """Used, short, long, unreadable and flawed on one line."""
        return " · ".join([f"{self.used} used", *(f"{self.left_out[reason]} {reason}" for reason in _REASONS)])


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
    announce: Announce = lambda done, what: None,
    stopped: Callable[[], bool] = lambda: False,
    pace: Pace | None = None,
) -> Dataset:
    """Import a source as a set of this name, or go on with an import of the same that was interrupted.

    Args:
        language: of what does not say its own.
        transcriber: writes what is said in recordings that are sliced; None leaves their texts empty, or to the script.
        shown: what people call the source; "" is its name on the disk.
        pace: is told how far it is.

    Raises:
        StudioError: the source cannot be read, the name is taken, nothing in it can be used, or the disk is full. Nothing is
            left behind then, but after a kill or a full disk: asking again goes on.
        ImportCancelled: ``stopped`` said so; nothing is left behind.
    """
    shown = shown or shown_name(source)
    about = {"type": kind, "name": shown, "path": str(source.absolute()), "options": options.as_json()}
    dataset = _begun(library, name, about) or library.create(name, language=language, source=about)
    return _read(library, dataset, source, options, transcriber, announce, stopped, pace or Pace())


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
    return _read(library, dataset, source, options, transcriber, announce, stopped, pace or Pace())


def obstacle(library: DatasetLibrary, dataset: Dataset) -> str:
    """Why the import of a set cannot go on, a sentence; "" where it can."""
    if dataset.state == "ready":
        return f"The import of {dataset.name} has ended: there is nothing left to import."
    importer = Process(**dataset.report["importer"]) if dataset.report.get("importer") else None
    if importer is not None and importer.pid != os.getpid() and importer.is_alive:
        return f"Another process is importing {dataset.name}: wait until it is done, or end it."
    if not _source_of(library, dataset).exists():
        return f"What {dataset.name} was to be made of is not there any more: delete it and import it again."
    return ""


def _source_of(library: DatasetLibrary, dataset: Dataset) -> Path:
    if not dataset.source.get("uploaded"):
        return Path(dataset.source["path"])
    place = library.upload_folder(dataset.id)
    return source_root(place) if place.is_dir() else place


def _read(
    library: DatasetLibrary, dataset: Dataset, source: Path, options: SourceOptions, transcriber: Transcriber | None,
    announce: Announce, stopped: Callable[[], bool], pace: Pace,
) -> Dataset:  # fmt: skip
    """Read the source of an unfinished set to its end."""
    kind, shown = dataset.source["type"], dataset.source["name"]
    work = _Import(library, dataset, transcriber, stopped, pace)
    try:
        pace.begin(amount_of(kind, source, options), free=0 if kind == "recordings" else len(work.known))
        for number, found in enumerate(read_source(kind, source, options), start=1):
            if kind == "recordings":
                work.slice(found, announce)
            elif found.place not in work.known:
                work.take(found)
            if stopped():  # behind the work, which a stop cuts short
                raise ImportCancelled(f"The import of {dataset.name} was stopped: nothing of it was kept.")
            if kind != "recordings":
                pace.reach(number)
            announce(work.report.used + sum(work.report.left_out.values()), found.name)
        work.write()
        if not work.report.used:
            raise StudioError(f"Nothing in {shown} can be used ({work.report.table()}): {work.first_reason()}")
    except (StudioError, ValueError) as error:
        if not _disk_is_full(error):  # where the disk was full, asking again goes on
            library.delete(dataset.id)
        raise
    work.clear()
    done = library.finish(dataset.id, work.report.as_json())
    shutil.rmtree(library.upload_folder(dataset.id), ignore_errors=True)  # after the state: it can be left, not missed
    return done


class _Import:
    """What is read, on its way into the store."""

    def __init__(
        self, library: DatasetLibrary, dataset: Dataset, transcriber: Transcriber | None, stopped: Callable[[], bool],
        pace: Pace,
    ) -> None:  # fmt: skip
        dataset_id = dataset.id
        self._library, self._id, self._language = library, dataset_id, dataset.language
        self._transcriber, self._stopped, self._pace = transcriber, stopped, pace
        self.report = ImportReport()
        # Of recordings that were sliced before an interruption: what is in no utterance, and notes.
        self._sliced: dict[str, Any] = dict(dataset.report.get("sliced", {}))
        self._begun_at = 0.0
        self._waiting: list[UtteranceRecord] = []
        self._stored: dict[Path, RecordingRecord | StudioError] = {}
        with library.store.reading() as session:
            self.known = queries.places(session, dataset_id)
            self._position = queries.last_position(session, dataset_id)
            totals = queries.totals(session, dataset_id)
        with library.store.writing() as session:
            self._keep_state(session)
        self.report.used = sum(count for _, _, count, _ in totals)
        self.report.seconds = sum(seconds for *_, seconds in totals)

    def first_reason(self) -> str:
        """What was wrong with the first that was left out."""
        first = next(iter(self.report.listed), None)
        return f"{first['place']}: {first['sentence']}" if first else "there is no utterance in it."

    def take(self, found: Found) -> None:
        """Keep one utterance, or say why not."""
        checked = self._checked(found)
        if checked is None:
            return
        recording, text, speaker = checked
        start, end = found.start or 0.0, recording.seconds if found.end is None else min(found.end, recording.seconds)
        if end - start < MIN_SECONDS:
            self.report.leave_out(
                "short", found.place, f"It lasts {max(0.0, end - start):.2f} s, and {MIN_SECONDS} are needed."
            )
        elif end - start > MAX_SECONDS:
            self.report.leave_out(
                "long",
                found.place,
                f"It lasts {end - start:.1f} s, more than {MAX_SECONDS:g}: import it as recordings, to be sliced.",
            )
        else:
            self._list(found, recording, start, end, text, speaker)

    def slice(self, found: Found, announce: Announce) -> None:
        """Keep the utterances of a long recording, all of them in one write."""
        from studio.datasets.slicing import read_script, slice_recording

        rough, begun_at = rough_seconds(found.path) if found.path else 0.0, self._begun_at
        self._begun_at += rough
        if before := self._sliced.get(found.place):
            self._note(before["unsliced"], before["notes"])
            return
        if any(place.startswith(f"{found.place} at ") for place in self.known):
            return
        checked = self._checked(found)
        if checked is None:
            return
        recording, _, speaker = checked
        try:
            script = read_script(found.script) if found.script else None
        except StudioError as error:
            self.report.leave_out("flawed", found.place, str(error))
            return

        # With a recogniser, speech is found first, which is quick: what is written down then counts.
        counts, last = self._transcriber is None, 0.0

        def tell(seconds: float, total: float) -> None:
            nonlocal counts, last
            counts, last = counts or seconds < last, seconds
            if counts:
                self._pace.reach(begun_at + rough * seconds / max(total, 1e-9))
            announce(self.report.used, f"{found.name}, {100 * seconds / max(total, 1e-9):.0f} % sliced")

        path = self._library.recording_path(self._id, recording.id)
        language = found.language or self._language or None
        sliced = slice_recording(
            path, recording.seconds, transcriber=self._transcriber, script=script, language=language, announce=tell,
            stopped=self._stopped,
        )  # fmt: skip
        if self._stopped():  # half of it is no set's
            return
        told = {"unsliced": dict(sliced.left_out), "notes": [f"{found.name}: {note}" for note in sliced.notes]}
        self._note(told["unsliced"], told["notes"])
        if not sliced.slices:
            self.report.leave_out("flawed", found.place, "Nobody was heard to speak in it.")
        model = self._transcriber.name if self._transcriber else ""
        for each in sliced.slices:
            name = f"{Path(found.name).stem} {each.start:.2f}"
            named = replace(found, place=f"{found.place} at {each.start:.2f} s", name=name)
            text = each.text.strip()
            self._list(named, recording, each.start, each.end, text, speaker, _measured_while_slicing(each, model))
        if sliced.slices:  # what has none is looked at again
            self._sliced[found.place] = told
        self.write()

    def _note(self, unsliced: dict[str, float], notes: list[str]) -> None:
        for reason, seconds in unsliced.items():
            self.report.unsliced[reason] = self.report.unsliced.get(reason, 0.0) + seconds
        self.report.notes += notes

    def _checked(self, found: Found) -> tuple[RecordingRecord, str, str] | None:
        """Recording, text and speaker of what can be used; None where it was left out."""
        if found.flaw:
            self.report.leave_out("flawed", found.place, found.flaw)
            return None
        try:
            text = refuse_control_tokens(found.text.strip(), "text")
            speaker = checked_name(found.speaker) if found.speaker else ""
        except StudioError as error:
            self.report.leave_out("flawed", found.place, str(error))
            return None
        try:
            return self._recording(found), text, speaker
        except StudioError as error:
            if _disk_is_full(error):
                raise
            self.report.leave_out("unreadable", found.place, str(error))
            return None

    def _list(
        self, found: Found, recording: RecordingRecord, start: float, end: float, text: str, speaker: str,
        measures: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._position += 1
        path = self._library.recording_path(self._id, recording.id)
        self._waiting.append(
            UtteranceRecord(
                dataset_id=self._id, recording_id=recording.id, position=self._position, place=found.place,
                name=found.name if measures is not None else Path(found.name).stem, start=start, end=end,
                text=text, imported_text=text, speaker=speaker, language=found.language or self._language,
                scene=found.scene, split=found.split,
                sha256=sound_sha256(path, start, end), measures=measures or {},
            )
        )  # fmt: skip
        self.report.used += 1
        self.report.seconds += end - start
        if len(self._waiting) >= _AT_ONCE and measures is None:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        with self._library.store.writing() as session:
            queries.save(session, *self._waiting)
            self._keep_state(session)
        self._waiting = []

    def clear(self) -> None:
        """Remove sounds that an interruption left unlisted."""
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

    def _recording(self, found: Found) -> RecordingRecord:
        """The recording of an utterance, decoded and kept once. Raises StudioError where it cannot be read."""
        if found.content is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / (Path(found.name).name or "clip")
                path.write_bytes(found.content)
                return self._kept(path, found.name)
        if found.path is None:
            raise StudioError(f"The recording {shown_name(found.name)} does not exist: correct its name.")
        if found.path not in self._stored:
            try:
                self._stored[found.path] = self._kept(found.path, found.path.name)
            except StudioError as error:
                self._stored[found.path] = error
        kept = self._stored[found.path]
        if isinstance(kept, StudioError):
            raise kept
        return kept

    def _kept(self, path: Path, name: str) -> RecordingRecord:
        recording_id = new_id()
        target = self._library.recording_path(self._id, recording_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        sound = store_as_flac(path, target)
        with self._library.store.writing() as session:
            # The same recording under two names is kept once.
            if (present := queries.recording_by_hash(session, self._id, sound.sha256)) is not None:
                target.unlink()
                return present
            record = RecordingRecord(
                id=recording_id, dataset_id=self._id, name=printable(Path(name).name), seconds=sound.seconds,
                sample_rate=sound.sample_rate, sha256=sound.sha256,
            )  # fmt: skip
            queries.save(session, record)
        return record


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


def _measured_while_slicing(each: Slice, model: str) -> dict[str, Any]:
    """What slicing found out already, as measuring would tell it."""
    found = {
        "heard": each.heard,
        "heard_by": model if each.heard else "",
        "differs": list(each.differs),
        "inside": each.inside,
    }
    return {name: value for name, value in found.items() if value}


def _disk_is_full(error: BaseException) -> bool:
    return is_disk_full(error) or (error.__cause__ is not None and is_disk_full(error.__cause__))

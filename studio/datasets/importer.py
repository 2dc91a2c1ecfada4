"""A source becomes a named set: every recording is decoded once and kept, every utterance is listed or named with its reason.

An import that was interrupted goes on where it stopped when it is asked for again; one that was cancelled leaves nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.datasets.dataset import Dataset
from studio.datasets.keeping import MAX_SECONDS, MIN_SECONDS, keep_recording, measured_while_slicing, new_utterance
from studio.datasets.library import DatasetLibrary
from studio.datasets.sources import Found, SourceOptions, read_source
from studio.engine.prompt import refuse_control_tokens
from studio.errors import StudioError
from studio.files import is_disk_full, shown_name
from studio.store import datasets as queries
from studio.store.tables import RecordingRecord, UtteranceRecord
from studio.voices.naming import checked_name, name_key

if TYPE_CHECKING:
    from studio.listening.transcriber import Transcriber

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
) -> Dataset:
    """Import a source as a set of this name, or go on with an import of the same that was interrupted.

    Args:
        language: of what does not say its own.
        transcriber: writes what is said in recordings that are sliced; None leaves their texts empty, or to the script.
        shown: what people call the source; "" is its name on the disk.

    Raises:
        StudioError: the source cannot be read, the name is taken, nothing in it can be used, or the disk is full. Nothing is
            left behind then, but after a kill or a full disk: asking again goes on.
        ImportCancelled: ``stopped`` said so; nothing is left behind.
    """
    shown = shown or shown_name(source)
    about = {"type": kind, "name": shown, "path": str(source.absolute()), "options": options.as_json()}
    dataset = _begun(library, name, about) or library.create(name, language=language, source=about)
    work = _Import(library, dataset.id, language, transcriber, stopped)
    try:
        for found in read_source(kind, source, options):
            if kind == "recordings":
                work.slice(found, announce)
            elif found.place not in work.known:
                work.take(found)
            if stopped():  # behind the work, which a stop cuts short
                raise ImportCancelled(f"The import of {name} was stopped: nothing of it was kept.")
            announce(work.report.used + sum(work.report.left_out.values()), found.name)
        work.write()
        if not work.report.used:
            raise StudioError(f"Nothing in {shown} can be used ({work.report.table()}): {work.first_reason()}")
    except (StudioError, ValueError) as error:
        if not _disk_is_full(error):  # where the disk was full, asking again goes on
            library.delete(dataset.id)
        raise
    return library.finish(dataset.id, work.report.as_json())


class _Import:
    """What is read, on its way into the store."""

    def __init__(
        self, library: DatasetLibrary, dataset_id: str, language: str, transcriber: Transcriber | None,
        stopped: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._library, self._id, self._language = library, dataset_id, language
        self._transcriber, self._stopped = transcriber, stopped
        self.report = ImportReport()
        self._waiting: list[UtteranceRecord] = []
        self._stored: dict[Path, RecordingRecord | StudioError] = {}
        with library.store.reading() as session:
            self.known = queries.places(session, dataset_id)
            self._position = queries.last_position(session, dataset_id)
            totals = queries.totals(session, dataset_id)
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

        def tell(seconds: float, total: float) -> None:
            announce(self.report.used, f"{found.name}, {100 * seconds / max(total, 1e-9):.0f} % sliced")

        path = self._library.recording_path(self._id, recording.id)
        language = found.language or self._language or None
        sliced = slice_recording(
            path, recording.seconds, transcriber=self._transcriber, script=script, language=language, announce=tell,
            stopped=self._stopped,
        )  # fmt: skip
        for reason, seconds in sliced.left_out.items():
            self.report.unsliced[reason] = self.report.unsliced.get(reason, 0.0) + seconds
        self.report.notes += [f"{found.name}: {note}" for note in sliced.notes]
        if not sliced.slices:
            self.report.leave_out("flawed", found.place, "Nobody was heard to speak in it.")
        model = self._transcriber.name if self._transcriber else ""
        for each in sliced.slices:
            name = f"{Path(found.name).stem} {each.start:.2f}"
            named = replace(found, place=f"{found.place} at {each.start:.2f} s", name=name)
            text = each.text.strip()
            self._list(named, recording, each.start, each.end, text, speaker, measured_while_slicing(each, model))
        self.write()

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
        name = found.name if measures is not None else Path(found.name).stem
        self._waiting.append(
            new_utterance(
                self._library, recording, start, end, position=self._position, place=found.place, name=name, text=text,
                speaker=speaker, language=found.language or self._language, scene=found.scene, split=found.split,
                measures=measures,
            )
        )  # fmt: skip
        self.report.used += 1
        self.report.seconds += end - start
        if len(self._waiting) >= _AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        with self._library.store.writing() as session:
            queries.save(session, *self._waiting)
        self._waiting = []

    def _recording(self, found: Found) -> RecordingRecord:
        """The recording of an utterance, decoded and kept once. Raises StudioError where it cannot be read."""
        if found.content is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / (Path(found.name).name or "clip")
                path.write_bytes(found.content)
                return keep_recording(self._library, self._id, path, found.name)
        if found.path is None:
            raise StudioError(f"The recording {shown_name(found.name)} does not exist: correct its name.")
        if found.path not in self._stored:
            try:
                self._stored[found.path] = keep_recording(self._library, self._id, found.path, found.path.name)
            except StudioError as error:
                self._stored[found.path] = error
        kept = self._stored[found.path]
        if isinstance(kept, StudioError):
            raise kept
        return kept


def _begun(library: DatasetLibrary, name: str, about: dict[str, Any]) -> Dataset | None:
    """The set of this name, if it is an import of the same source that did not end."""
    with library.store.reading() as session:
        record = queries.dataset_by_key(session, library.owner, name_key(name))
        if record is None or record.state == "ready" or record.source != about:
            return None
        return library.dataset(record.id)


def _disk_is_full(error: BaseException) -> bool:
    return is_disk_full(error) or (error.__cause__ is not None and is_disk_full(error.__cause__))

"""Changing utterances: texts, stretches, who speaks, what is dropped. Every edit is kept with its time and can be undone.

An edit names the revision of the utterance that its maker saw. Where somebody else changed it meanwhile, the edit is refused
instead of undoing theirs unseen; so is undoing what was changed again since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from sqlmodel import Session

from studio.datasets.keeping import new_utterance
from studio.datasets.library import NO_SUCH_UTTERANCE, DatasetLibrary
from studio.datasets.stored_sound import sound_sha256
from studio.engine.prompt import refuse_control_tokens
from studio.errors import StudioError
from studio.store import datasets as queries
from studio.store.tables import DatasetRecord, EditRecord, RecordingRecord, UtteranceRecord, new_id, now
from studio.voices.consent import SpeakerConsent
from studio.voices.naming import checked_name

MIN_SECONDS = 0.2
"""Shortest stretch that an edit may leave."""
MAX_TEXT_CHARS = 5_000
_FIELDS = ("start", "end", "text", "speaker", "state", "split", "sha256", "measures", "suspicions", "suspicion")
"""What an edit may change, and undoing gives back."""
_CHANGED = "Somebody else changed this utterance meanwhile: look at it again, and then change it."
_STATES, _SPLITS = ("kept", "dropped"), ("", "train", "validation")


@dataclass(frozen=True)
class Piece:
    """A part of an utterance that is to be one of its own.

    Attributes:
        start, end: seconds of the recording.
        measures: what is known of it before it is measured.
    """

    start: float
    end: float
    text: str
    measures: dict[str, Any] = field(default_factory=dict)


class _Changes:
    """What one edit does: each record is told before it is changed."""

    def __init__(self, session: Session, dataset: DatasetRecord) -> None:
        self.session, self.dataset = session, dataset
        self._before: dict[str, tuple[UtteranceRecord, dict[str, Any]]] = {}

    def of(self, record: UtteranceRecord) -> UtteranceRecord:
        """The record, which is about to be changed."""
        self._before.setdefault(record.id, (record, {name: getattr(record, name) for name in _FIELDS}))
        return record

    def keep(self, what: str) -> int:
        """Write them; returns how many utterances are others now."""
        changes = []
        for record, before in self._before.values():
            after = {name: getattr(record, name) for name in _FIELDS if getattr(record, name) != before[name]}
            if after:
                record.revision += 1
                changes.append({"id": record.id, "before": {name: before[name] for name in after}, "after": after})
                queries.save(self.session, record)
        if changes:
            queries.save(self.session, EditRecord(dataset_id=self.dataset.id, what=what, changes=changes))
        return len(changes)


class Editor:
    """Edits the utterances of one set.

    Every method that takes a ``revision`` raises StudioError where the utterance is gone or has another one by now.
    """

    def __init__(self, library: DatasetLibrary, dataset_id: str) -> None:
        self.library, self.dataset_id = library, dataset_id

    def change(
        self, utterance_id: str, revision: int, *, text: str | None = None, start: float | None = None,
        end: float | None = None, speaker: str | None = None, state: str | None = None, split: str | None = None,
    ) -> None:  # fmt: skip
        """Change one utterance; what is None stays.

        Args:
            revision: that its maker saw.
            start, end: seconds of the recording.

        Raises:
            StudioError: a value that cannot be.
        """
        wishes = {"text": text, "speaker": speaker, "state": state, "split": split}
        with self._changing(utterance_id, revision) as (changes, record):
            for name, value in wishes.items():
                if value is not None:
                    setattr(record, name, _checked(name, value))
            if start is not None or end is not None:
                self._stretch(
                    changes, record, record.start if start is None else start, record.end if end is None else end
                )
            verb = {"dropped": "dropped", "kept": "kept"}.get(state or "", "changed")
            changes.keep(f"{verb} {_shown(record)}")

    def split(self, utterance_id: str, revision: int, at: float) -> str:
        """Make two of one, the words parted as the time is; returns the id of the second.

        Args:
            at: seconds of the recording.

        Raises:
            StudioError: too near to an end.
        """
        with self._changing(utterance_id, revision) as (changes, record):
            if not record.start + MIN_SECONDS <= at <= record.end - MIN_SECONDS:
                raise StudioError(
                    f"Split at a time between {record.start + MIN_SECONDS:.2f} and {record.end - MIN_SECONDS:.2f} s."
                )
            first, second = _parted(record.text, (at - record.start) / (record.end - record.start))
            after = queries.following(changes.session, record)
            new = UtteranceRecord(
                id=new_id(), dataset_id=record.dataset_id, recording_id=record.recording_id,
                position=(record.position + after.position) / 2 if after else record.position + 1, place=record.place,
                name=f"{record.name}+", start=at, end=record.end, text=second, speaker=record.speaker,
                language=record.language, scene=record.scene, state="gone", split=record.split, sha256="",
            )  # fmt: skip
            changes.of(new).state = "kept"
            self._stretch(changes, new, at, record.end)
            self._stretch(changes, record, record.start, at)
            record.text = first
            changes.keep(f"split {_shown(record)}")
            return new.id

    def add(
        self, recording: RecordingRecord, *, place: str, name: str, text: str, speaker: str, language: str, scene: str,
        consent: SpeakerConsent,
    ) -> str:  # fmt: skip
        """Add a recording of the set as an utterance behind all others; returns its id.

        Args:
            place: where it came from; what came from there is added once.
            consent: by what right the speaker's voice is used, where they did not speak in this set before.

        Raises:
            StudioError: it is there already, or the consent of its speaker in this set was withdrawn or never recorded.
        """
        with self.library.store.writing() as session:
            dataset = self.library.record(session, self.dataset_id)
            if (present := queries.present(session, dataset.id, place, recording.sha256)) is not None:
                raise StudioError(
                    f"{dataset.name} has this sound already, as {_shown(present)}"
                    + (", which was dropped: keep it again in the review." if present.state == "dropped" else ".")
                )
            self.library.carry_consent(session, dataset, speaker, consent)
            changes = _Changes(session, dataset)
            new = new_utterance(
                self.library, recording, 0.0, recording.seconds, position=queries.last_position(session, dataset.id) + 1,
                place=place, name=name, text=_checked("text", text), speaker=speaker, language=language, scene=scene,
                state="gone",
            )  # fmt: skip
            changes.of(new).state = "kept"
            changes.keep(f"added {_shown(new)}")
            return new.id

    def merge_with_next(self, utterance_id: str, revision: int) -> None:
        """Make one of an utterance and the kept one after it.

        Raises:
            StudioError: there is none after it in the same recording, or it is by another speaker.
        """
        with self._changing(utterance_id, revision) as (changes, record):
            after = queries.following(changes.session, record)
            if after is None or after.recording_id != record.recording_id or after.start < record.start:
                raise StudioError("No utterance of the same recording comes after it: only neighbours can be merged.")
            if after.speaker != record.speaker:
                raise StudioError("The next utterance is by another speaker: only those of one speaker can be merged.")
            self._stretch(changes, record, record.start, max(record.end, after.end))
            record.text = _joined(record.text, after.text)
            changes.of(after).state = "gone"
            changes.keep(f"merged {_shown(record)} with the next")

    def slice(self, found: Mapping[str, tuple[int, Sequence[Piece]]], what: str) -> list[str]:
        """Put several utterances in the place of one, for many at once as one edit; returns the ids of those left alone.

        Args:
            found: by id of the utterance, the revision that was sliced, and its parts in order. One that somebody changed
                meanwhile is left alone.
        """
        left = []
        with self.library.store.writing() as session:
            changes = _Changes(session, self.library.record(session, self.dataset_id))
            recordings = {each.id: each for each in queries.recordings(session, changes.dataset.id)}
            records = queries.utterances_by_ids(session, changes.dataset.id, found)
            for utterance_id, (revision, pieces) in found.items():
                record = records.get(utterance_id)
                if record is None or record.revision != revision or record.state != "kept":
                    left.append(utterance_id)
                    continue
                after = queries.following(session, record)
                room = (after.position if after else record.position + 1) - record.position
                for number, piece in enumerate(pieces, start=1):
                    new = new_utterance(
                        self.library, recordings[record.recording_id], piece.start, piece.end,
                        position=record.position + room * number / (len(pieces) + 1), place=record.place,
                        name=f"{record.name}-{number}", text=piece.text, speaker=record.speaker, language=record.language,
                        scene=record.scene, split=record.split, measures=piece.measures, state="gone",
                    )  # fmt: skip
                    changes.of(new).state = "kept"
                changes.of(record).state = "gone"
            changes.keep(what)
        return left

    def change_all(self, ids: Sequence[str], what: str, *, state: str | None = None, split: str | None = None) -> int:
        """Change many at once, as one edit; returns how many became others.

        Args:
            what: how the edit is told, such as "dropped all that are noisy".
        """
        return self.change_each({utterance_id: {"state": state, "split": split} for utterance_id in ids}, what)

    def change_each(self, wishes: dict[str, dict[str, str | None]], what: str) -> int:
        """Change many at once, each in its own way, as one edit; returns how many became others.

        Args:
            wishes: by id of the utterance, text, speaker, state and split as for :meth:`change`.
        """
        with self.library.store.writing() as session:
            changes = _Changes(session, self.library.record(session, self.dataset_id))
            for record in queries.utterances_by_ids(session, changes.dataset.id, wishes).values():
                changes.of(record)
                for name, value in wishes[record.id].items():
                    if value is not None:
                        setattr(record, name, _checked(name, value))
            return changes.keep(what)

    def undo(self) -> str:
        """Take the last edit back, and tell what it was.

        Raises:
            StudioError: there is none, or what it changed was changed again since.
        """
        with self.library.store.writing() as session:
            dataset = self.library.record(session, self.dataset_id)
            edit = queries.last_edit(session, dataset.id)
            if edit is None:
                raise StudioError("There is no edit to undo.")
            records = queries.utterances_by_ids(session, dataset.id, [change["id"] for change in edit.changes])
            for change in edit.changes:
                record = records.get(change["id"])
                # Figures may have been measured since: they belong to the sound that they were measured on.
                kept = {name: value for name, value in change["after"].items() if name not in _MEASURED}
                if record is None or any(getattr(record, name) != value for name, value in kept.items()):
                    raise StudioError(_CHANGED)
                for name, value in change["before"].items():
                    setattr(record, name, value)
                record.revision += 1
                queries.save(session, record)
            edit.undone_at = now()
            queries.save(session, edit)
            return edit.what

    @contextmanager
    def _changing(self, utterance_id: str, revision: int) -> Iterator[tuple[_Changes, UtteranceRecord]]:
        """One utterance under the write lock, at the revision that its maker saw."""
        with self.library.store.writing() as session:
            changes = _Changes(session, self.library.record(session, self.dataset_id))
            record = queries.utterances_by_ids(session, changes.dataset.id, [utterance_id]).get(utterance_id)
            if record is None or record.state == "gone":
                raise StudioError(NO_SUCH_UTTERANCE)
            if record.revision != revision:
                raise StudioError(_CHANGED)
            yield changes, changes.of(record)

    def _stretch(self, changes: _Changes, record: UtteranceRecord, start: float, end: float) -> None:
        """Another stretch of the recording; what was measured of the old one goes."""
        recordings = {each.id: each for each in queries.recordings(changes.session, record.dataset_id)}
        whole = recordings[record.recording_id].seconds
        asked = (float(start), float(end))
        start, end = max(0.0, asked[0]), min(asked[1], whole)
        if not (isfinite(asked[0]) and isfinite(asked[1]) and end - start >= MIN_SECONDS):
            raise StudioError(
                f"An utterance lasts at least {MIN_SECONDS} s: choose an end behind its beginning, within the {whole:.2f} s "
                "of the recording."
            )
        record.start, record.end = start, end
        record.sha256 = sound_sha256(self.library.recording_path(record.dataset_id, record.recording_id), start, end)
        record.measures, record.suspicions, record.suspicion = {}, [], 0.0


_MEASURED = ("measures", "suspicions", "suspicion")


def _shown(record: UtteranceRecord) -> str:
    return record.name or record.place or "an utterance"


def _checked(name: str, value: str) -> str:
    """A value as it is kept. Raises StudioError for one that cannot be."""
    if name == "state" and value not in _STATES:
        raise StudioError("An utterance is kept or dropped: choose one of these.")
    if name == "split" and value not in _SPLITS:
        raise StudioError("An utterance is of train or of validation, or of neither: choose one of these.")
    if name == "speaker":
        return checked_name(value) if value.strip() else ""
    if name == "text":
        value = value.strip()
        if len(value) > MAX_TEXT_CHARS:
            raise StudioError(f"The transcript has {len(value):,} characters: use at most {MAX_TEXT_CHARS:,}.")
        refuse_control_tokens(value, "transcript")
    return value


def _parted(text: str, share: float) -> tuple[str, str]:
    """A text in two, at the gap between words that lies nearest to ``share`` of its length."""
    wanted = share * len(text)
    # Scripts without spaces are parted between any two characters.
    gaps = [place for place, character in enumerate(text) if character.isspace()] or list(range(len(text) + 1))
    place = min(gaps, key=lambda gap: abs(gap - wanted), default=0)
    return text[:place].strip(), text[place:].strip()


def _joined(first: str, second: str) -> str:
    """Two texts as one, with a space between them where the script has spaces."""
    spaced = any(character.isspace() for character in first + second) or (first + second).isascii()
    return (" " if spaced else "").join(part for part in (first, second) if part)

"""The named sets of one owner."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlmodel import Session

from studio.audio import Waveform
from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.exports.pairing import Pairing
from studio.datasets.records import dataset_of, recording_path, utterance_of
from studio.datasets.stored_sound import encoded, waveform_of
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import adapters as adapter_queries
from studio.store import comparisons as comparison_queries
from studio.store import datasets as queries
from studio.store import voices as voice_queries
from studio.store.store import Store
from studio.store.tables import DatasetRecord, SpeakerRecord, now
from studio.voices.consent import SpeakerConsent, speaker_id
from studio.voices.languages import LANGUAGES
from studio.voices.naming import checked_name, name_key

NO_SUCH_SET = "There is no such dataset, or no longer: look at the list of datasets."
NO_SUCH_UTTERANCE = "There is no such utterance in this dataset, or no longer: look at the list again."


class DatasetLibrary:
    """Sets of an owner: found, made, deleted, and who speaks in them. Knows no sets of others.

    Args:
        owner: "" is whoever runs the studio.
    """

    def __init__(self, settings: Settings, store: Store, owner: str = "") -> None:
        self.settings, self.store, self.owner = settings, store, owner

    def folder(self, dataset_id: str) -> Path:
        """Where the files of a set lie; ids are random and come from the store."""
        return self.settings.sets_folder / dataset_id

    def upload_folder(self, dataset_id: str) -> Path:
        """Where what was uploaded for a set lies until its import ends."""
        return self.folder(dataset_id) / "upload"

    # Looking

    def datasets(self) -> list[Dataset]:
        """All sets, the newest first."""
        if not self.store.path.exists():
            return []
        with self.store.reading() as session:
            return [self._given(session, record) for record in queries.datasets(session, self.owner)]

    def dataset(self, wanted: str) -> Dataset:
        """The set of this id or name. Raises StudioError where there is none."""
        with self.store.reading() as session:
            return self._given(session, self.record(session, wanted))

    def utterances(
        self, dataset_id: str, *, states: Sequence[str] = ("kept",), speaker: str = "", kind: str = "", search: str = "",
        split: str = "", synthetic: bool = False, order: queries.Order = "position", limit: int | None = None,
        offset: int = 0,
    ) -> list[Utterance]:  # fmt: skip
        """Utterances of a set; see :func:`studio.store.datasets.utterances`."""
        with self.store.reading() as session:
            record = self.record(session, dataset_id)
            found = queries.utterances(
                session, record.id, states=states, speaker=speaker, kind=kind, search=search, split=split,
                synthetic=synthetic, order=order, limit=limit, offset=offset,
            )  # fmt: skip
            recordings = {each.id: each for each in queries.recordings(session, record.id)}
            return [utterance_of(each, self.folder(record.id), recordings) for each in found]

    def utterance(self, dataset_id: str, utterance_id: str) -> Utterance:
        """One utterance of a set. Raises StudioError where there is none."""
        with self.store.reading() as session:
            record = self.record(session, dataset_id)
            found = queries.utterances_by_ids(session, record.id, [utterance_id]).get(utterance_id)
            if found is None:
                raise StudioError(NO_SUCH_UTTERANCE)
            recordings = {each.id: each for each in queries.recordings(session, record.id)}
            return utterance_of(found, self.folder(record.id), recordings)

    def waveform(self, utterance: Utterance) -> Waveform:
        """The sound of an utterance. Raises StudioError where its recording is gone or damaged."""
        return waveform_of(utterance.recording, utterance.start, utterance.end)

    def encoded(self, utterance: Utterance) -> bytes:
        """The same as the bytes of a WAV file."""
        return encoded(utterance.recording, utterance.start, utterance.end, ".wav", synthetic=utterance.synthetic)

    def version(self, dataset_id: str) -> str:
        """A hash over the content of kept utterances: sounds, texts, and who speaks with whom; 64 hexadecimal digits.

        What a speaker is called and in which order or layout utterances lie is no content: a set that was exported and
        imported again has the same version.
        """
        utterances = self.utterances(dataset_id)
        first: dict[str, str] = {}
        for each in sorted(utterances, key=lambda each: (each.sha256, each.text)):
            first.setdefault(each.speaker, each.sha256)
        content = sorted([each.sha256, each.text, first[each.speaker]] for each in utterances)
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    # Making, deleting

    def create(self, name: str, *, language: str = "", source: dict[str, Any] | None = None) -> Dataset:
        """A new set without utterances, in the state importing.

        Raises:
            StudioError: the name is taken or cannot be used, or the language is unknown.
        """
        try:
            tidy = checked_name(name)
        except StudioError as error:
            raise StudioError(str(error).replace("The voice", "The dataset")) from None
        if language and language not in LANGUAGES:
            raise StudioError(f"'{language}' is no language code that the studio knows: give one such as en, de or zh.")
        with self.store.writing() as session:
            if queries.dataset_by_key(session, self.owner, name_key(tidy)) is not None:
                raise StudioError(f"There is a dataset '{tidy}' already: choose another name, or delete that one.")
            record = DatasetRecord(
                owner=self.owner, name=tidy, name_key=name_key(tidy), language=language, source=source or {}
            )
            queries.save(session, record)
            return self._given(session, record)

    def finish(self, dataset_id: str, report: dict[str, Any]) -> Dataset:
        """The import is over: the set can be used."""
        with self.store.writing() as session:
            record = self.record(session, dataset_id)
            record.state, record.report = "ready", report
            queries.save(session, record)
            return self._given(session, record)

    def set_pairing(self, dataset_id: str, pairing: Pairing) -> Dataset:
        """How rows of a set get their reference turns from now on. Raises StudioError where there is no such set."""
        with self.store.writing() as session:
            record = self.record(session, dataset_id)
            record.pairing = pairing.as_json()
            queries.save(session, record)
            return self._given(session, record)

    def delete(self, dataset_id: str) -> Dataset:
        """Delete a set with its recordings; returns what was deleted. Raises StudioError where there is none."""
        with self.store.writing() as session:
            record = self.record(session, dataset_id)
            found = self._given(session, record)
            for speaker in found.speakers:
                if speaker.consent and speaker.consent.withdrawn_at:
                    adapter_queries.mark_withdrawn(
                        session, self.owner, speaker_id(found.id, speaker.name), speaker.consent.withdrawn_at
                    )
            queries.delete(session, record)
        shutil.rmtree(self.folder(found.id), ignore_errors=True)  # after the record, which must not name what is gone
        return found

    # Consent

    def record_consent(self, dataset_id: str, speaker: str, consent: SpeakerConsent) -> Dataset:
        """Record by what right a speaker's voice is used, in place of what stood there.

        Raises:
            StudioError: nobody of this name speaks in the set.
        """
        with self.store.writing() as session:
            record, found = self._speaker(session, dataset_id, speaker)
            queries.save(session, _agreed(found, consent))
            return self._given(session, record)

    def carry_consent(self, session: Session, record: DatasetRecord, speaker: str, consent: SpeakerConsent) -> None:
        """Take over by what right a voice of the library is used, for the first utterance of it in a set.

        What was recorded for somebody of this name in the set stays, and goes for all that they say.

        Raises:
            StudioError: it was withdrawn there, or somebody of this name speaks in the set without any: the voice's own
                consent says nothing of those recordings.
        """
        known = {each.name: each for each in queries.speakers(session, record.id)}.get(speaker)
        if known is not None and known.consent_ground:
            if known.consent_withdrawn_at is not None:
                raise StudioError(
                    f"The consent of {speaker} was withdrawn in {record.name}: nothing of this speaker can be added to it."
                )
            return
        if any(name == speaker and state != "gone" for name, state, _, _ in queries.totals(session, record.id)):
            raise StudioError(
                f"{speaker} speaks in {record.name} already, and by what right is not recorded there: record it on Dataset, "
                "or with `python -m studio dataset consent`, and add it then."
            )
        queries.save(session, _agreed(known or SpeakerRecord(dataset_id=record.id, name=speaker), consent))

    def withdraw_consent(self, dataset_id: str, speaker: str) -> Dataset:
        """From now on the speaker's utterances are neither trained on nor exported.

        Raises:
            StudioError: nobody of this name speaks in the set, or no consent was recorded.
        """
        with self.store.writing() as session:
            record, found = self._speaker(session, dataset_id, speaker)
            if not found.consent_ground:
                raise StudioError(f"No consent of {speaker or 'this speaker'} is recorded: there is none to withdraw.")
            found.consent_withdrawn_at = now()
            queries.save(session, found)
            # What a voice that learnt from this speaker said in a comparison outlives the set.
            comparison_queries.mark_withdrawn(
                session, self.owner, speaker_id(record.id, speaker), found.consent_withdrawn_at
            )
            return self._given(session, record)

    def require_consent(self, dataset: Dataset) -> None:
        """Raise StudioError where a speaker of kept utterances has given none."""
        if dataset.troubles:
            more = len(dataset.troubles) - 1
            raise StudioError(dataset.troubles[0] + (f" ({more} more speakers lack one.)" if more else ""))

    # What the modules beside this one share

    def record(self, session: Session, wanted: str) -> DatasetRecord:
        """The record of a set by id or name. Raises StudioError where there is none in this library."""
        found = queries.dataset_by_id(session, self.owner, wanted) or queries.dataset_by_key(
            session, self.owner, name_key(wanted)
        )
        if found is None:
            raise StudioError(NO_SUCH_SET)
        return found

    def recording_path(self, dataset_id: str, recording_id: str) -> Path:
        """Where a recording of a set lies."""
        return recording_path(self.folder(dataset_id), recording_id)

    def _given(self, session: Session, record: DatasetRecord) -> Dataset:
        synthetic = queries.synthetic_totals(session, record.id)
        voices = {voice for _, needed, _, _ in synthetic for voice in needed}
        return dataset_of(
            record,
            queries.totals(session, record.id),
            queries.speakers(session, record.id),
            queries.languages(session, record.id),
            synthetic,
            # Asked of the voices each time: nobody remembers a consent.
            voice_queries.withdrawn(session, voices) if voices else {},
        )

    def _speaker(self, session: Session, dataset_id: str, name: str) -> tuple[DatasetRecord, SpeakerRecord]:
        record = self.record(session, dataset_id)
        named = {each.name: each for each in queries.speakers(session, record.id)}
        present = {speaker for speaker, _, _, _ in queries.totals(session, record.id)} | set(named)
        if name not in present:
            known = ", ".join(sorted(each for each in present if each)[:8]) or "nobody by name"
            raise StudioError(f"Nobody called '{name}' speaks in {record.name}: there are {known}.")
        return record, named.get(name) or SpeakerRecord(dataset_id=record.id, name=name)


def _agreed(record: SpeakerRecord, consent: SpeakerConsent) -> SpeakerRecord:
    """The record of a speaker with a consent in place of what stood there."""
    record.who, record.consent_ground, record.consent_wording = consent.who, consent.ground, consent.wording
    record.consent_statement, record.consent_recorded_at = consent.statement, consent.recorded_at
    record.consent_withdrawn_at = None
    return record


def clear_remains(settings: Settings, store: Store) -> int:
    """Remove folders of sets that no library knows, and uploads of sets that are ready, as a killed process leaves them.

    Returns how many went.
    """
    if not settings.sets_folder.is_dir():
        return 0
    folders = [path for path in settings.sets_folder.iterdir() if path.is_dir()]
    with store.reading() as session:
        states = queries.states(session)
    removed = 0
    for path in folders:
        if path.name in states:
            path = path / "upload" if states[path.name] == "ready" else None
        if path is not None and path.is_dir():
            with suppress(OSError):
                shutil.rmtree(path)
                removed += 1
    return removed

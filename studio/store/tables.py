"""The tables. What a column means is said here; how it came to be is in ``migrations``."""

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, UniqueConstraint
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, Relationship, SQLModel


def new_id() -> str:
    """A name for a record and its files that nobody can guess and that is safe in any path."""
    return secrets.token_hex(12)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """SQLite knows no time zones: times go in as UTC and come out as UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class ClipRecord(SQLModel, table=True):
    """A reference clip of a voice.

    Attributes:
        file: its name in the folder of the voice.
        words: ``[text, start, end]`` for each word, in seconds; empty where no times are known.
        transcript_model: what wrote the transcript; "" where a person did.
        needs_check: the clip was cut and its transcript could not be cut with it.
        report: what the coach said.
        denoised_with: the method; "" for the recording as it was.
    """

    __tablename__ = "clip"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    voice_id: str = Field(foreign_key="voice.id", index=True, ondelete="CASCADE")
    position: int
    file: str
    seconds: float
    sample_rate: int
    transcript: str
    words: list[Any] = Field(default_factory=list, sa_type=JSON)
    transcript_model: str = ""
    needs_check: bool = False
    report: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    denoised_with: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class VoiceRecord(SQLModel, table=True):
    """A voice of somebody's library.

    Attributes:
        owner: whose library; "" is that of whoever runs the studio.
        name_key: the name as it is compared: unique within a library.
        language: ISO 639-1 code; "" where nobody said.
        adapter: id of the trained voice that it is spoken with, which may be gone; "" for none.
        adapter_strength: share of what was trained that is added to the base.
    """

    __tablename__ = "voice"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("owner", "name_key", name="uq_voice_owner_name"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    owner: str = Field(index=True)
    name: str
    name_key: str
    language: str = ""
    notes: str = ""
    adapter: str = ""
    adapter_strength: float = 1.0
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    who: str
    """Who speaks, in the words of whoever saved the voice."""
    consent_ground: str
    consent_wording: str
    """The sentence that was agreed to."""
    consent_statement: str = ""
    consent_recorded_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    consent_withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    clips: list[ClipRecord] = Relationship(
        sa_relationship_kwargs={
            "lazy": "selectin",
            "cascade": "all, delete-orphan",
            "order_by": "ClipRecord.position",
        }
    )


class TakeRecord(SQLModel, table=True):
    """A generation that was kept, with everything that decides how it sounds.

    Attributes:
        voices: for each voice ``{"id", "name", "speaker"}``; speaker is the name in the script or None.
        settings: scene, temperature, top_p, top_k, ras_window, ras_max_repeats, language, descriptions.
        seconds, elapsed: duration and computing time.
        report: frames, ended, shortcomings and chunks as ``speak --json`` tells them.
        consent_withdrawn_at: when the consent of one of its voices was withdrawn.
    """

    __tablename__ = "take"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    owner: str = Field(index=True)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    text: str
    voices: list[Any] = Field(default_factory=list, sa_type=JSON)
    checkpoint: str
    adapter: str = ""
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    seed: int
    seconds: float
    sample_rate: int
    elapsed: float
    report: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    starred: bool = False
    consent_withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class JobRecord(SQLModel, table=True):
    """A training run: what was asked for, and where it is. How far it got stands in its folder.

    Attributes:
        device: "cpu", "mps" or "cuda:N"; jobs of one device run one after the other.
        state: queued, running, stopping, completed, stopped, failed or lost.
        queued_at: its place in the queue of its device.
        pid, pid_started: of the supervisor, and when that process began (seconds since 1970): a pid alone may by now
            be another program's.
        exit_code: of the trainer; negative for the signal that ended it.
        sentence: why it failed, was lost, or what else there is to know; "" for nothing.
        spec: everything it was started with, see ``studio.training.spec``.
        runs: how often it was started: 1, and 1 for each time it was resumed.
        retry_of: the job that it repeats; "" for none.
    """

    __tablename__ = "job"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    owner: str = Field(index=True)
    name: str
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    device: str = Field(index=True)
    state: str = Field(default="queued", index=True)
    queued_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pid: int | None = None
    pid_started: float | None = None
    exit_code: int | None = None
    sentence: str = ""
    spec: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    runs: int = 0
    retry_of: str = ""


class AdapterRecord(SQLModel, table=True):
    """A checkpoint of a training run that can be spoken with.

    Attributes:
        step: of the run; there is one adapter for each saved step.
        folder: of the checkpoint, from the studio's home.
        card: data, command, base, metrics, samples, consent and the comparison with the base.
    """

    __tablename__ = "adapter"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("job_id", "step", name="uq_adapter_job_step"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    owner: str = Field(index=True)
    job_id: str = Field(foreign_key="job.id", index=True, ondelete="CASCADE")
    step: int
    name: str
    folder: str
    card: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class DatasetRecord(SQLModel, table=True):
    """A named set of utterances.

    Attributes:
        owner: whose library; "" is that of whoever runs the studio.
        name_key: the name as it is compared: unique within a library.
        language: ISO 639-1 code of what does not say its own; "" where nobody said.
        source: what it was imported from: ``type``, ``name`` and options.
        report: what the import used and left out.
        pairing: how rows get their reference turns; what is not said is as by default.
        state: importing or ready.
    """

    __tablename__ = "dataset"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("owner", "name_key", name="uq_dataset_owner_name"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    owner: str = Field(index=True)
    name: str
    name_key: str
    language: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    source: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    report: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    pairing: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    state: str = "importing"


class SpeakerRecord(SQLModel, table=True):
    """Somebody who speaks in a set, and by what right it is used; without a ground nobody said."""

    __tablename__ = "speaker"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("dataset_id", "name", name="uq_speaker_dataset_name"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    dataset_id: str = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    name: str
    who: str = ""
    consent_ground: str = ""
    consent_wording: str = ""
    consent_statement: str = ""
    consent_recorded_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    consent_withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RecordingRecord(SQLModel, table=True):
    """A sound file of a set, mono FLAC of 16 bits: utterances are stretches of it, and it never changes.

    Attributes:
        name: as its source named it.
        sha256: of the samples and their rate.
        synthetic: a model spoke it.
        voices: ids of library voices whose consent it needs: who speaks in a take, and whom its trained voice learnt from.
    """

    __tablename__ = "recording"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("dataset_id", "sha256", name="uq_recording_dataset_sha256"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    dataset_id: str = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    name: str
    seconds: float
    sample_rate: int
    sha256: str
    synthetic: bool = False
    voices: list[str] = Field(default_factory=list, sa_type=JSON)


class UtteranceRecord(SQLModel, table=True):
    """A stretch of a recording with what is said in it.

    Attributes:
        position: its place in the set.
        place: where its source says so: file and line.
        name: its id in the source.
        start, end: seconds of the recording.
        imported_text: as the source had it.
        state: kept, dropped, or gone (merged into another, sliced, or its making was undone).
        split: "train", "validation", or "" where nobody said.
        sha256: of the samples of the stretch and their rate.
        measures: figures, see ``studio.datasets.measures``; empty until they were measured.
        suspicions: kind, evidence and weight of each.
        suspicion: the largest weight.
        revision: counts its changes, so that two people do not undo each other's unseen.
    """

    __tablename__ = "utterance"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    dataset_id: str = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    recording_id: str = Field(foreign_key="recording.id", index=True, ondelete="CASCADE")
    position: float
    place: str = ""
    name: str = ""
    start: float
    end: float
    text: str = ""
    imported_text: str = ""
    speaker: str = ""
    language: str = ""
    scene: str = ""
    state: str = Field(default="kept", index=True)
    split: str = ""
    sha256: str
    measures: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    suspicions: list[Any] = Field(default_factory=list, sa_type=JSON)
    suspicion: float = Field(default=0.0, index=True)
    revision: int = 0


class EditRecord(SQLModel, table=True):
    """One change that a person made, to one utterance or to many at once.

    Attributes:
        what: in words, as the page tells it.
        changes: for each utterance its id, the fields before and after, and its revision after.
    """

    __tablename__ = "edit"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: str = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    made_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    what: str
    changes: list[Any] = Field(default_factory=list, sa_type=JSON)
    undone_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

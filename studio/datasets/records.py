"""Between sets as the store has them and sets as the library gives them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from studio.datasets.dataset import Dataset, Speaker, Utterance
from studio.datasets.exports.pairing import Pairing
from studio.store.tables import DatasetRecord, RecordingRecord, SpeakerRecord, UtteranceRecord
from studio.voices.consent import SpeakerConsent, is_of_set
from studio.voices.records import stored_consent

SUFFIX = ".flac"


def recording_path(folder: Path, recording_id: str) -> Path:
    """Where a recording lies in the folder of its set."""
    return folder / "recordings" / f"{recording_id}{SUFFIX}"


def consent_of(record: SpeakerRecord) -> SpeakerConsent | None:
    """The consent of a speaker, if anybody recorded one."""
    if not record.consent_ground or record.consent_recorded_at is None:
        return None
    return stored_consent(record, record.consent_recorded_at)


def dataset_of(
    record: DatasetRecord,
    totals: Iterable[tuple[str, str, int, float]],
    speakers: Sequence[SpeakerRecord],
    languages: Sequence[str],
    synthetic: Sequence[tuple[str, tuple[str, ...], int, float]],
    withdrawn: Mapping[str, datetime | None],
) -> Dataset:
    """A stored set.

    Args:
        totals: what is counted in it: speaker, state, utterances, seconds.
        synthetic: what a model made of the kept: speaker, voices whose consent it needs, utterances, seconds.
        withdrawn: of these voices that exist: when their consent was withdrawn, or None.
    """
    kept: dict[str, tuple[int, float]] = {}
    dropped = 0
    for speaker, state, count, seconds in totals:
        if state == "kept":
            kept[speaker] = (count, seconds)
        elif state == "dropped":
            dropped += count
    consents = {each.name: consent_of(each) for each in speakers}
    names = sorted({*kept, *consents})
    return Dataset(
        id=record.id,
        owner=record.owner,
        name=record.name,
        language=record.language,
        languages=tuple(languages or ([record.language] if record.language else [])),
        created_at=record.created_at,
        state=record.state,
        num_utterances=sum(count for count, _ in kept.values()),
        num_dropped=dropped,
        seconds=sum(seconds for _, seconds in kept.values()),
        speakers=tuple(Speaker(name, *kept.get(name, (0, 0.0)), consents.get(name)) for name in names),
        num_synthetic=sum(count for _, _, count, _ in synthetic),
        synthetic_seconds=sum(seconds for *_, seconds in synthetic),
        voice_troubles=tuple(_voice_troubles(synthetic, withdrawn)),
        source=record.source,
        report=record.report,
        pairing=Pairing(**record.pairing),
    )


def _voice_troubles(
    synthetic: Sequence[tuple[str, tuple[str, ...], int, float]], withdrawn: Mapping[str, datetime | None]
) -> Iterator[str]:  # fmt: skip
    """A sentence for each speaker that a voice lent its sound to which may not be used any more."""
    for speaker, voices, count, _ in synthetic:
        for voice in voices:
            gone = voice not in withdrawn and not is_of_set(voice)
            if gone or withdrawn.get(voice) is not None:
                happened = "was deleted from the library" if gone else "had its consent withdrawn"
                yield (
                    f"The voice behind {count} utterances of {speaker or 'a speaker'} that a model made {happened}: drop "
                    "these utterances."
                )
                break


def utterance_of(record: UtteranceRecord, folder: Path, recordings: Mapping[str, RecordingRecord]) -> Utterance:
    """A stored utterance of the set whose files lie in ``folder``."""
    recording = recordings[record.recording_id]
    shared = {
        name: getattr(record, name)
        for name in (
            "id", "dataset_id", "place", "name", "start", "end", "text", "imported_text", "speaker", "language", "scene",
            "state", "split", "sha256", "revision", "position", "measures",
        )
    }  # fmt: skip
    return Utterance(
        **shared,
        recording=recording_path(folder, recording.id),
        recording_name=recording.name,
        recording_seconds=recording.seconds,
        synthetic=recording.synthetic,
        suspicions=tuple(record.suspicions),
    )

"""Whose voices the clips of rows are, and whether they may be trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from studio.datasets.library import DatasetLibrary
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import datasets as dataset_queries
from studio.store import voices as voice_queries
from studio.store.store import Store
from studio.voices.consent import VoiceConsent, is_of_set, speaker_id
from studio.voices.presets import preset_voices


def consent_of(
    numbered: Iterable[tuple[int, Path]], settings: Settings, store: Store, owner: str
) -> tuple[list[VoiceConsent], int, list[str]]:
    """The consent of the voices among clips, how many clips have none recorded, and why voices may not be used.

    Args:
        numbered: clips, each with the number of its row.
    """
    voices, sets = settings.voices_folder.resolve(), settings.sets_folder.resolve()
    presets = {clip.path.resolve(): voice for voice in preset_voices() for clip in voice.clips}
    clips: dict[Path, int] = {}
    for number, clip in numbered:
        clips.setdefault(clip.resolve(), number)
    found: dict[str, VoiceConsent] = {}
    refusals: dict[str, str] = {}
    by_set: dict[str, int] = {}
    unrecorded = 0
    for clip, number in clips.items():
        if (preset := presets.get(clip)) is not None:
            found[preset.id] = VoiceConsent(
                voice_id=preset.id, name=preset.name, ground=preset.consent.ground, statement=preset.consent.statement,
                recorded_at=preset.consent.recorded_at.isoformat(),
            )  # fmt: skip
        elif clip.is_relative_to(voices):
            voice_id = clip.relative_to(voices).parts[0]
            if voice_id in found or voice_id in refusals:
                continue
            told = _library_consent(store, owner, voice_id, number)
            if isinstance(told, str):
                refusals[voice_id] = told
            else:
                found[voice_id] = told
        elif clip.is_relative_to(sets):
            by_set.setdefault(clip.relative_to(sets).parts[0], number)
        else:
            unrecorded += 1
    for dataset_id, number in by_set.items():
        theirs, told = _set_consent(settings, store, owner, dataset_id, number)
        found |= {consent.voice_id: consent for consent in theirs}
        refusals |= {dataset_id: told} if told else {}
    return list(found.values()), unrecorded, list(refusals.values())


def _library_consent(store: Store, owner: str, voice_id: str, number: int) -> VoiceConsent | str:
    with store.reading() as session:
        row = voice_queries.voice_by_id(session, owner, voice_id)
    if row is None:
        return (
            f"Row {number} uses a clip of a voice ({voice_id[:24]}) that was deleted from the library: take out its rows, or "
            "save the voice again with its consent."
        )
    if row.consent_withdrawn_at is not None:
        return (
            f"The consent for {row.name}, whose clip row {number} uses, was withdrawn: take out the rows of this voice."
        )
    return VoiceConsent(
        voice_id=row.id, name=row.name, ground=row.consent_ground, statement=row.consent_statement,
        recorded_at=row.consent_recorded_at.isoformat(),
    )  # fmt: skip


def _set_consent(
    settings: Settings, store: Store, owner: str, dataset_id: str, number: int
) -> tuple[list[VoiceConsent], str]:  # fmt: skip
    """The consent of all who speak in a named set, and why it may not be trained on."""
    try:
        dataset = DatasetLibrary(settings, store, owner).dataset(dataset_id)
    except StudioError:
        return [], f"Row {number} uses a clip of a dataset that was deleted: import it again, or take out its rows."
    if dataset.troubles:
        return [], f"Row {number} uses a clip of {dataset.name}. {dataset.troubles[0]}"
    with store.reading() as session:
        synthetic = dataset_queries.synthetic_totals(session, dataset.id)
    # What takes were spoken with is told by its own name, too, so that its withdrawal reaches what is trained.
    asked = dict.fromkeys(voice for _, voices, _, _ in synthetic for voice in voices if not is_of_set(voice))
    behind = [_library_consent(store, owner, voice, number) for voice in asked]
    speaking = [speaker for speaker in dataset.speakers if speaker.num_utterances and speaker.consent]
    return [
        VoiceConsent(
            voice_id=speaker_id(dataset.id, speaker.name), name=speaker.name or dataset.name, ground=speaker.consent.ground,
            statement=speaker.consent.statement, recorded_at=speaker.consent.recorded_at.isoformat(),
        )
        for speaker in speaking
        if speaker.consent
    ] + [each for each in behind if isinstance(each, VoiceConsent)], ""  # fmt: skip

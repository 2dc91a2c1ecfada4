"""A take becomes an utterance of a named set, marked as made by a model, under the consent of the voice that speaks in it."""

from __future__ import annotations

from studio.adapters.adapter import voices_in
from studio.adapters.library import AdapterLibrary
from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.editing import Editor
from studio.datasets.keeping import MAX_SECONDS, MIN_SECONDS, keep_recording
from studio.datasets.library import NO_SUCH_SET, DatasetLibrary
from studio.engine.prompt import DEFAULT_SCENE
from studio.engine.text import Script
from studio.errors import StudioError
from studio.formatting import seconds
from studio.store import voices as voice_queries
from studio.takes.library import TakeLibrary
from studio.takes.take import Take
from studio.voices.consent import is_of_set
from studio.voices.library import VoiceLibrary
from studio.voices.presets import preset_voices
from studio.voices.voice import Voice

_NAME_CHARS = 8
"""Of a take's id: as many as a person needs to tell it from others."""


def add_take(takes: TakeLibrary, datasets: DatasetLibrary, take_id: str, wanted: str) -> tuple[Dataset, Utterance]:
    """Add a take to a set, as an edit that can be undone; the consent of its voice goes along.

    The voice's consent is asked for again whenever the set is trained on or exported, and with it that of the voices that the
    trained voice of the take learnt from.

    Args:
        takes, datasets: of one owner.
        wanted: id or name of the set.

    Raises:
        StudioError: no such take or set in these libraries, or its import goes on; not one voice of the library speaks in the
            take, or it may not be used any more; it is too long or too short, its sound is gone, or the set has it already.
    """
    dataset = datasets.dataset(wanted)
    if dataset.state != "ready":
        raise StudioError(NO_SUCH_SET)
    take = takes.take(take_id)
    voice = _who_speaks(take, VoiceLibrary(datasets.settings, datasets.store, datasets.owner))
    _refuse_length(take)
    needed = _needed(take, voice, AdapterLibrary(datasets.settings, datasets.store, datasets.owner))
    _refuse_withdrawn(needed, datasets)
    takes.waveform(take)  # it is there, and whole
    recording = keep_recording(
        datasets, dataset.id, take.path, f"take {take.id[:_NAME_CHARS]}", synthetic=True, voices=needed
    )
    settings = take.settings
    scene = str(settings.get("scene") or "")
    added = Editor(datasets, dataset.id).add(
        recording,
        place=f"take {take.id}",
        name=f"take-{take.id[:_NAME_CHARS]}",
        text=" ".join(" ".join(line.text for line in Script(take.text).lines).split()),
        speaker=voice.name,
        language=str(settings.get("language") or voice.language or dataset.language),
        scene="" if scene == DEFAULT_SCENE else scene,
        consent=voice.consent,
    )
    return datasets.dataset(dataset.id), datasets.utterance(dataset.id, added)


def _who_speaks(take: Take, library: VoiceLibrary) -> Voice:
    """The one voice of a take, which may still be used."""
    if take.consent_withdrawn_at is not None:
        raise StudioError(
            "The consent for a voice of this take was withdrawn: it cannot be trained on, so choose another take."
        )
    if len(take.voices) != 1 or take.settings.get("descriptions"):
        found = "several voices speak" if len(take.voices) > 1 else "the model's own voice speaks"
        raise StudioError(
            f"In this take {found}, and an utterance has one speaker whose consent is recorded: choose a take of one voice "
            "of the library."
        )
    (spoken,) = take.voices
    if not spoken.id:
        raise StudioError(
            f"This take was spoken with a clip that is not in the library ({spoken.name}): save the clip as a voice with its "
            "consent, and speak it again."
        )
    try:
        voice = library.voice(spoken.id)
    except StudioError as error:
        raise StudioError(
            f"{spoken.name}, who speaks in this take, is no longer in the library, and the consent went with it: choose "
            "another take."
        ) from error
    if voice.consent.withdrawn_at is not None:
        raise StudioError(
            f"The consent for {voice.name} was withdrawn: it cannot be trained on, so choose another take."
        )
    return voice


def _needed(take: Take, voice: Voice, adapters: AdapterLibrary) -> list[str]:
    """Voices of the library whose consent an utterance of this take needs, without those that come with the studio."""
    learnt = [
        name for adapter in adapters.adapters() if adapter.id == take.adapter_id for name, _ in voices_in(adapter.card)
    ]
    presets = {preset.id for preset in preset_voices()}
    return [name for name in dict.fromkeys([voice.id, *learnt]) if name not in presets]


def _refuse_withdrawn(needed: list[str], datasets: DatasetLibrary) -> None:
    with datasets.store.reading() as session:
        known = voice_queries.withdrawn(session, needed)
    if any(known.get(each) is not None or not (each in known or is_of_set(each)) for each in needed):
        raise StudioError(
            "The trained voice of this take learnt from a voice that was deleted or whose consent was withdrawn: it cannot "
            "be trained on, so choose another take."
        )


def _refuse_length(take: Take) -> None:
    if take.seconds > MAX_SECONDS:
        raise StudioError(
            f"This take lasts {seconds(take.seconds)}, and an utterance at most {MAX_SECONDS:g} s: download it, and import "
            "it on Dataset as recordings, which slices it and sees that a model made it."
        )
    if take.seconds < MIN_SECONDS:
        raise StudioError(
            f"This take lasts {seconds(take.seconds)}, and an utterance at least {MIN_SECONDS:g} s: choose another take."
        )

"""Takes of the library, and files, as what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.audio.reading import read_audio
from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.evaluation.measures.subject import Subject
from studio.takes.library import TakeLibrary
from studio.takes.take import Take
from studio.voices.drafts import MAX_SOURCE_SECONDS
from studio.voices.library import VoiceLibrary


@dataclass(frozen=True)
class Given:
    """What whoever measures says of takes; it comes before what a take itself tells.

    Attributes:
        reference: a clip of the voice; None for the take's own voices.
        reference_text: what is said in it.
        recording: a real recording of the text.
    """

    text: str = ""
    language: str = ""
    reference: Waveform | None = None
    reference_text: str = ""
    recording: Waveform | None = None


def subject_of_file(path: Path, given: Given) -> Subject:
    """Any sound that the studio reads. Raises StudioError for what it does not."""
    return _subject(read_audio(path, max_seconds=MAX_SOURCE_SECONDS), given)


def subject_of_take(take: Take, takes: TakeLibrary, voices: VoiceLibrary, given: Given = Given()) -> Subject:
    """A take with its text, its language and the clips of its voice, for which consent is asked now.

    Without consent, with a voice that is gone, or with more than one voice, there is no similarity, for that reason.

    Raises:
        StudioError: the sound of the take is gone.
    """
    references: tuple[Waveform, ...] = ()
    said, absent = given.reference_text, dict[str, str]()
    if given.reference is None:
        try:
            references, said = _own_references(take, voices)
        except StudioError as error:
            absent = dict.fromkeys(("similarity", "leaked_reference_words"), str(error))
    own = Given(
        given.text or take.text, given.language or str(take.settings.get("language") or ""), given.reference, said,
        given.recording,
    )  # fmt: skip
    ended = take.report.get("ended")
    return _subject(takes.waveform(take), own, references=references, ended=ended, rtf=take.rtf, absent=absent)


def _own_references(take: Take, voices: VoiceLibrary) -> tuple[tuple[Waveform, ...], str]:
    """The clips of the voice that speaks in a take, and what is said in them."""
    voice = next(iter(take.voices), None)
    if voice is None:
        raise StudioError("The model picked the voice of this take, so there is no reference to compare it with.")
    if len(take.voices) > 1:
        raise StudioError(
            "More than one voice speaks in this take: compare the parts of each with a reference of its own."
        )
    if not voice.id:
        raise StudioError(f"This take was spoken with {voice.name}, a clip of no library: give it as the reference.")
    found = voices.references(voice.id)
    return tuple(each.clip for each in found), " ".join(each.transcript for each in found)


def _subject(sound: Waveform, given: Given, *, references: tuple[Waveform, ...] = (), **known: object) -> Subject:
    clips = (given.reference,) if given.reference is not None else references
    return Subject(
        sound, given.text, given.language, clips, given.reference_text, given.recording, **known  # type: ignore[arg-type]
    )  # fmt: skip

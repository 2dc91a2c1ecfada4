"""An utterance as a reference clip of a voice: its sound, what is said in it, and by what right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.library import DatasetLibrary
from studio.errors import StudioError
from studio.voices.consent import SpeakerConsent


@dataclass(frozen=True)
class UtteranceClip:
    """What a voice is made from.

    Attributes:
        wav: the bytes of a WAV file.
        text: what is said in it; "" where nobody wrote it down.
        language: ISO 639-1 code; "" where nobody said.
        speaker: as the set names them; "" where it names nobody.
        synthetic: a model made it.
        consent: as it was recorded for the speaker in the set; None where nobody did.
    """

    wav: bytes
    text: str
    language: str
    speaker: str
    synthetic: bool
    consent: SpeakerConsent | None

    @property
    def warning(self) -> str:
        """What there is to know before a voice is made of it; "" for nothing."""
        return (
            "A model made this utterance: a voice that is cloned from it has its faults, too." if self.synthetic else ""
        )


def clip_of(library: DatasetLibrary, dataset: Dataset, utterance: Utterance) -> UtteranceClip:
    """An utterance of a set, to be cloned.

    Raises:
        StudioError: the consent of who speaks was withdrawn, or the recording is gone.
    """
    speaker = next((each for each in dataset.speakers if each.name == utterance.speaker), None)
    consent = speaker.consent if speaker else None
    if consent is not None and consent.withdrawn_at is not None:
        raise StudioError(
            f"The consent of {utterance.speaker or 'the speaker'} was withdrawn: no voice can be made of this utterance."
        )
    if utterance.synthetic and dataset.voice_troubles:
        raise StudioError(dataset.voice_troubles[0])
    language = utterance.language or dataset.language
    wav = library.encoded(utterance)
    return UtteranceClip(wav, utterance.text, language, utterance.speaker, utterance.synthetic, consent)


def find_utterance(utterances: Sequence[Utterance], wanted: str) -> Utterance | None:
    """The one utterance of this name; None where there is none or several."""
    found = [each for each in utterances if each.name == wanted]
    return found[0] if len(found) == 1 else None

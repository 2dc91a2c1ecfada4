"""What a user asks to be spoken, checked before anything slow begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from studio.audio.checks import require_speech_like
from studio.audio.editing import trim
from studio.audio.reading import read_audio
from studio.engine.model.sampling import Sampling, check_seed
from studio.engine.prompt import DEFAULT_SCENE
from studio.engine.speech.reference import Consent, Reference, require_transcript
from studio.engine.speech.retrying import MAX_RETRIES
from studio.engine.text import Script
from studio.errors import StudioError
from studio.voices.drafts import MAX_SOURCE_SECONDS

MAX_STRENGTH = 2.0
"""Of a trained voice; beyond this it says nothing that can be understood."""


@dataclass(frozen=True)
class ReferenceClip:
    """A reference as the user gives it.

    Attributes:
        path: the recording, in any format.
        speaker: its name in a dialogue script.
        start, end: seconds; None for the clip's own.
        voices: id and name of those whose consent has to hold while it is used, where a library or a set knows them.
    """

    path: Path
    transcript: str
    consent: Consent
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    voices: tuple[tuple[str, str], ...] = ()

    def load(self, *, max_seconds: float) -> Reference:
        """Read and check the clip.

        Raises:
            StudioError: no transcript, unreadable, too short or long, silent.
        """
        require_transcript(self.transcript)  # before the clip is decoded
        clip = trim(read_audio(self.path, max_seconds=MAX_SOURCE_SECONDS), self.start, self.end)
        require_speech_like(clip, max_seconds=max_seconds)
        return Reference(clip, self.transcript, self.consent, self.speaker)


@dataclass(frozen=True)
class VoiceChoice:
    """A voice of the library that is to speak.

    Attributes:
        voice: its id or name.
        speaker: its name in a dialogue script; None: its own name where the script has it, else the next that is free.
    """

    voice: str
    speaker: str | None = None


@dataclass(frozen=True)
class SpeakRequest:
    """Everything that decides how a take sounds, besides the checkpoint.

    Attributes:
        references: clips that are in no library, each with its consent.
        scene: where it is spoken, in words; empty for none.
        seed: None draws a new one.
        language: ISO 639-1 code for numbers and sentence boundaries; None finds it from the script.
        descriptions: voices given in words, by the name used in the script.
        voices: voices of the library of whoever asks.
        adapter: id of a trained voice of whoever asks; "" for the base alone.
        adapter_folder: a LoRA checkpoint that is in no library, in place of ``adapter``; never from a browser.
        adapter_strength: share of what was trained that is added to the base; 1 for all of it.
        retry: a part that comes out badly is spoken again at most so often; 0 never. None is twice for a
            text of more than one part where somebody can hear it back, and else never.
    """

    text: str
    references: tuple[ReferenceClip, ...] = ()
    scene: str = DEFAULT_SCENE
    sampling: Sampling = field(default_factory=Sampling)
    seed: int | None = None
    language: str | None = None
    descriptions: dict[str, str] = field(default_factory=dict)
    voices: tuple[VoiceChoice, ...] = ()
    adapter: str = ""
    adapter_folder: Path | None = None
    adapter_strength: float = 1.0
    retry: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.adapter_strength <= MAX_STRENGTH:
            raise StudioError(
                f"The strength of the trained voice is {self.adapter_strength:g}: choose one above 0 and up to "
                f"{MAX_STRENGTH:g}."
            )
        if self.retry is not None and not 0 <= self.retry <= MAX_RETRIES:
            raise StudioError(f"Parts cannot be spoken again {self.retry} times: choose 0 (never) to {MAX_RETRIES}.")
        if self.seed is not None:
            check_seed(self.seed)  # here, so that no model is loaded to find it out

    @cached_property
    def script(self) -> Script:
        """The text as everybody on its way reads it, so that it is parsed once."""
        return Script(self.text)

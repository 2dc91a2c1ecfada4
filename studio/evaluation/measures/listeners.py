"""The models that takes are measured with, each loaded once, when it is first needed; what they hear is kept by content."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from studio.audio.quality.clip_quality import speech_lufs
from studio.audio.waveform import Span, Waveform
from studio.errors import StudioError
from studio.evaluation.measures import pitch
from studio.evaluation.measures.encoders import IncludedEncoder, chosen_encoder
from studio.evaluation.measures.kept import Kept
from studio.evaluation.measures.voice_encoder import VoiceEncoder
from studio.listening import speech_quality
from studio.listening.transcriber import NothingHeard, Transcriber
from studio.listening.vad import find_speech
from studio.settings import Settings

Sounds = Mapping[str, Waveform]
"""Sounds by their content, see :func:`studio.evaluation.measures.kept.content_of`."""


_LEFT_OUT = "It was not asked for."


class Listeners:
    """Hears many sounds at once.

    Args:
        transcriber: writes down what is said; None for none, and then ``why_silent`` says why.
        leave_out: ``dnsmos`` and ``pitch`` cost most after the recogniser, and not everybody needs them.
        folder: where what was heard is kept; None keeps it for this object only.
    """

    def __init__(
        self, encoder: VoiceEncoder | None = None, transcriber: Transcriber | None = None, *,
        why_silent: str = "No recogniser was asked for.", leave_out: Collection[str] = (), folder: Path | None = None,
    ) -> None:  # fmt: skip
        self.encoder: VoiceEncoder = encoder or IncludedEncoder()
        self._transcriber, self.why_silent, self._leave_out = transcriber, why_silent, frozenset(leave_out)
        self._kept = Kept(folder)

    @classmethod
    def from_settings(
        cls, settings: Settings, *, asr_model: str = "", recognise: bool = True, leave_out: Collection[str] = (),
        keep: bool = True,
    ) -> Listeners:  # fmt: skip
        """The models of the settings. A recogniser that cannot be had is none, for the reason that it gives.

        Args:
            asr_model: another recogniser than the settings'.
            recognise: False leaves the recogniser out, which costs most.
            keep: what was heard, under the studio's home.

        Raises:
            StudioError: the speaker model of the settings is not there.
        """
        folder = settings.evaluation_folder if keep else None
        encoder = chosen_encoder(settings.speaker_model or "")
        if not recognise:
            return cls(encoder, leave_out=leave_out, folder=folder)
        transcriber = Transcriber(asr_model or settings.asr_model, device=settings.device)
        try:
            transcriber.version()
        except StudioError as error:
            return cls(encoder, why_silent=str(error), leave_out=leave_out, folder=folder)
        return cls(encoder, transcriber, leave_out=leave_out, folder=folder)

    @cached_property
    def models(self) -> dict[str, str]:
        """Who makes which group of figures, with versions."""
        models = {
            "similarity": self.encoder.name,
            "loudness": f"ITU-R BS.1770-4 (pyloudnorm {version('pyloudnorm')})",
            "speech": f"Silero VAD {version('silero-vad')}",
        }
        if self.why_no_pitch is None:
            models["pitch"] = pitch.model_name()
        if self.why_no_quality is None:
            models["dnsmos"] = speech_quality.model_name()
        if self._transcriber is not None:
            models["wer"] = f"{self._transcriber.name} ({self._transcriber.version()})"
        return models

    @cached_property
    def why_no_quality(self) -> str | None:
        """Why speech is not rated, in a sentence; None where it is."""
        if "dnsmos" in self._leave_out:
            return _LEFT_OUT
        try:
            speech_quality.model_name()
        except StudioError as error:
            return str(error)
        return None

    @property
    def why_no_pitch(self) -> str | None:
        return _LEFT_OUT if "pitch" in self._leave_out else None

    @property
    def recognises(self) -> bool:
        return self._transcriber is not None

    def speech(self, sounds: Sounds) -> dict[str, list[Span]]:
        """Where somebody speaks, by content."""
        found = self._kept.all(
            "speech", self.models["speech"], sounds, lambda given: [find_speech(each) for each in given]
        )
        return {content: [Span(*each) for each in spans] for content, spans in found.items()}

    def voices(self, sounds: Sounds, speech: Mapping[str, Sequence[Span]]) -> dict[str, np.ndarray | None]:
        """Voices as unit vectors, in batches; None with under a second of speech."""

        def compute(given: list[tuple[Waveform, Sequence[Span]]]) -> list[list[float] | None]:
            return [None if each is None else each.tolist() for each in self.encoder.vectors(given)]

        wanted = {content: (sound, speech[content]) for content, sound in sounds.items()}
        found = self._kept.all("voice", self.models["similarity"], wanted, compute)
        return {content: None if each is None else np.array(each, dtype=np.float32) for content, each in found.items()}

    def qualities(self, sounds: Sounds) -> dict[str, dict[str, float] | None]:
        """``ovrl``, ``sig`` and ``bak``, in batches; None for what is too short for them."""

        def compute(given: list[Waveform]) -> list[dict[str, float] | None]:
            return [None if each is None else each.as_json() for each in speech_quality.speech_quality(given)]

        return self._kept.all("quality", self.models["dnsmos"], sounds, compute)

    def contours(self, sounds: Sounds) -> dict[str, np.ndarray]:
        """Pitch in Hz every 10 ms; NaN where there is none."""

        def compute(given: list[Waveform]) -> list[list[float]]:
            return [np.nan_to_num(pitch.pitch_contour(each)).round(2).astype(float).tolist() for each in given]

        found = self._kept.all("pitch", self.models["pitch"], sounds, compute)
        contours = {content: np.array(each, dtype=np.float32) for content, each in found.items()}
        return {content: np.where(each > 0, each, np.float32(np.nan)) for content, each in contours.items()}

    def melodies(
        self, pairs: Mapping[str, tuple[Waveform, np.ndarray, Waveform, np.ndarray]]
    ) -> dict[str, float | None]:
        """Correlations of pitch, for two sounds with their contours each, by the content of both."""
        return self._kept.all(
            "melody", self.models["pitch"], pairs, lambda given: [pitch.pitch_correlation(*each) for each in given]
        )

    def loudness(self, sounds: Sounds, speech: Mapping[str, Sequence[Span]]) -> dict[str, float | None]:
        """In LUFS; None for silence."""
        wanted = {content: (sound, speech[content]) for content, sound in sounds.items()}
        return self._kept.all(
            "loudness", self.models["loudness"], wanted, lambda given: [speech_lufs(*each) for each in given]
        )

    def transcripts(self, wanted: Mapping[str, tuple[Waveform, str]]) -> dict[str, dict[str, Any] | StudioError]:
        """``text`` and ``last_word_end`` (seconds; None where no word has a time), or why there is none.

        Args:
            wanted: sounds with their languages, ISO 639-1 codes, by the content of both; "" lets the recogniser find it.
        """
        return self._kept.all(
            "words", self.models["wer"], wanted, lambda given: [self._transcribed(*each) for each in given]
        )

    def _transcribed(self, sound: Waveform, language: str) -> dict[str, Any] | StudioError:
        assert self._transcriber is not None
        try:
            transcript = self._transcriber.transcribe(sound, language=language or None)
        except NothingHeard:
            return {"text": "", "last_word_end": None}
        except StudioError as error:
            return error
        return {"text": transcript.text, "last_word_end": transcript.words[-1].end if transcript.words else None}

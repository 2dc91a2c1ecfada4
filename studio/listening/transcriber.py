"""Writes down what is said in a clip, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from studio.audio import Waveform
from studio.listening.transcript import Transcript


class Transcriber:
    """Being written: only the signatures hold."""

    def __init__(
        self, model: str, *, device: Literal["auto", "cpu", "cuda", "mps"] = "auto", cache: Path | None = None
    ) -> None:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The model's name."""
        raise NotImplementedError

    @property
    def is_available(self) -> bool:
        """Whether the model is on this machine; no network is asked."""
        raise NotImplementedError

    def missing(self) -> str | None:
        """The sentence for why the model is not on this machine and what to do; None when it is here."""
        raise NotImplementedError

    def transcribe(self, waveform: Waveform, *, language: str | None = None) -> Transcript:
        """What is said in the clip. Raises StudioError."""
        raise NotImplementedError

    def unload(self) -> None:
        """Give the memory back; the next transcription loads the model again."""
        raise NotImplementedError

"""Speaking on request: the one service behind the page and the command line."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.audio.writing import refuse_bad_target, write_audio
from studio.engine.host import EngineHost
from studio.engine.speech import Speech, SpeechStream
from studio.engine.text import prepare_text
from studio.settings import Settings
from studio.takes.request import SpeakRequest


@dataclass(frozen=True)
class Take:
    """Speech that was written to a file, and how it came about."""

    path: Path
    speech: Speech
    checkpoint: str

    def as_json(self) -> dict[str, Any]:
        """The take as one JSON object; durations in seconds, rates in Hz."""
        speech = self.speech
        return {
            "path": str(self.path),
            "sample_rate": speech.waveform.sample_rate,
            "seconds": round(speech.seconds, 6),
            "frames": speech.num_frames,
            "rtf": round(speech.rtf, 4),
            "ended": speech.ended,
            "shortcomings": speech.shortcomings(),
            "seed": speech.seed,
            "checkpoint": self.checkpoint,
            "temperature": speech.sampling.temperature,
            "top_p": speech.sampling.top_p,
            "top_k": speech.sampling.top_k,
            "chunks": [
                {
                    "text": c.text,
                    "speaker": c.speaker,
                    "frames": c.num_frames,
                    "budget": c.budget_frames,
                    "ended": c.ended,
                }
                for c in speech.chunks
            ],
        }


class TakeService:
    """Speaks requests with the host's engine.

    Args:
        host: where the engine is.
        settings: limits.
    """

    def __init__(self, host: EngineHost, settings: Settings) -> None:
        self.host, self._settings = host, settings

    @classmethod
    def from_settings(cls, settings: Settings, **host_options: Any) -> TakeService:
        """A service with a host of its own; nothing is loaded yet."""
        host = EngineHost(
            settings.checkpoint,
            checkpoints_folder=settings.checkpoints_folder,
            code_cache=settings.code_cache_folder,
            device=settings.device,
            precision=settings.precision,
            max_text_chars=settings.max_text_chars,
            **host_options,
        )
        return cls(host, settings)

    def stream(self, request: SpeakRequest, *, cancel: threading.Event | None = None) -> SpeechStream:
        """Begin to speak. What can be refused is refused here; the pieces come from the stream.

        Args:
            cancel: set by anybody at any time, it stops the stream within one frame.

        Raises:
            StudioError: anything about the request, the clips or the checkpoint that the user should mend.
        """
        prepare_text(request.text, max_chars=self._settings.max_text_chars)  # before anything slow
        limit = self._settings.max_reference_seconds
        references = [clip.load(max_seconds=limit) for clip in request.references]
        return self.host.engine().stream(
            request.text,
            references,
            scene=request.scene,
            sampling=request.sampling,
            seed=request.seed,
            descriptions=request.descriptions,
            language=request.language,
            cancel=cancel,
        )

    def speak(self, request: SpeakRequest, path: Path) -> Take:
        """Speak a request into a file (format by its suffix: .wav, .flac, .mp3).

        Raises:
            StudioError: as :meth:`stream`, or the file cannot be written; then nothing of it is left.
        """
        refuse_bad_target(path)  # before minutes of work, not after
        stream = self.stream(request)
        for _ in stream:
            pass
        return self.keep(stream.speech, path)

    def keep(self, speech: Speech, path: Path) -> Take:
        """Write finished speech to a file."""
        write_audio(speech.waveform, path)
        return Take(path, speech, self.host.status.name)

"""Speaking on request: the one service behind the page and the command line."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.adapters.library import AdapterLibrary
from studio.audio.writing import refuse_bad_target, write_audio
from studio.engine.host import EngineHost
from studio.engine.speech.reference import Reference, require_transcript
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.result import Speech
from studio.engine.speech.retrying import DEFAULT_RETRIES, Retrying
from studio.errors import StudioError
from studio.settings import Settings
from studio.store.store import Store
from studio.takes.casting import Cast, TakeAdapter
from studio.takes.library import TakeLibrary
from studio.takes.precedence import first
from studio.takes.request import SpeakRequest
from studio.takes.stream import ConsentWatch, TakeStream
from studio.takes.take import Take
from studio.voices.library import VoiceLibrary

if TYPE_CHECKING:
    from studio.listening.transcriber import Transcriber


@dataclass(frozen=True)
class SpokenFile:
    """Speech that was written to a file.

    Attributes:
        take: as the library keeps it; its id is "" where it was not kept.
    """

    path: Path
    speech: Speech
    take: Take

    def as_json(self) -> dict[str, Any]:
        """The take as one JSON object, with the path of the file; durations in seconds, rates in Hz."""
        return {**self.take.as_json(), "path": str(self.path), "missing": not self.path.is_file()}


class TakeService:
    """Speaks requests with the host's engine, and gives out the libraries they need.

    Args:
        store: None takes that of the settings' home.
        transcriber: who hears parts back; None makes one of the settings.
    """

    def __init__(
        self, host: EngineHost, settings: Settings, store: Store | None = None, transcriber: Transcriber | None = None
    ) -> None:
        self.host, self.settings, self._transcriber = host, settings, transcriber
        self.store = store or Store(settings.store_file)

    @classmethod
    def from_settings(
        cls, settings: Settings, *, store: Store | None = None, transcriber: Transcriber | None = None, **host_options: Any
    ) -> TakeService:  # fmt: skip
        """A service with a host of its own; nothing is loaded or opened yet."""
        host = EngineHost(
            settings.checkpoint,
            checkpoints_folder=settings.checkpoints_folder,
            code_cache=settings.code_cache_folder,
            device=settings.device,
            precision=settings.precision,
            max_text_chars=settings.max_text_chars,
            leases=settings.leases_folder,
            **host_options,
        )
        return cls(host, settings, store, transcriber)

    def takes(self, owner: str = "") -> TakeLibrary:
        return TakeLibrary(self.settings, self.store, owner)

    def voices(self, owner: str = "") -> VoiceLibrary:
        return VoiceLibrary(self.settings, self.store, owner)

    def adapters(self, owner: str = "") -> AdapterLibrary:
        return AdapterLibrary(self.settings, self.store, owner)

    def load_adapter(self, wanted: str, *, owner: str = "") -> bool:
        """Load a trained voice now, so that the next request with it begins at once. Nobody speaks with it by that: each
        request says itself what it is spoken with, so those of others are not touched.

        Returns:
            False where it has to wait for the request, because somebody gave the memory of the checkpoint back, or it
            failed to load: to choose something is no reason to load it again.

        Raises:
            StudioError: there is none, it may not be used, it belongs to another checkpoint, or it cannot be read.
        """
        adapter = TakeAdapter.of(self.adapters(owner).usable(wanted))
        if self.host.status.state in ("unloaded", "failed"):
            return False
        adapter.load(self.host.engine())
        return True

    def check(self, request: SpeakRequest, *, owner: str = "") -> Cast:
        """Refuse what can be refused at once, before a request waits for its turn; returns who is to speak.

        Raises:
            StudioError: nothing to say, too long, a voice, trained or not, that is not there or may not speak, no
                transcript.
        """
        request.script.require_speakable(max_chars=self.settings.max_text_chars)
        for clip in request.references:
            require_transcript(clip.transcript)
        return Cast.of(request, self.voices(owner), self.adapters(owner))

    def stream(self, request: SpeakRequest, *, owner: str = "", cancel: threading.Event | None = None) -> TakeStream:
        """Begin to speak. What can be refused is refused here; the pieces come from the stream.

        Args:
            owner: whose voices may be used.
            cancel: set by anybody at any time, it stops the stream within one frame.

        Raises:
            StudioError: anything about the request, the voices, the clips or the checkpoint that the user should mend.
        """
        cast, library = self.check(request, owner=owner), self.voices(owner)  # again: it may have waited since
        references = cast.references(request, library, max_seconds=self.settings.max_reference_seconds)
        watch = ConsentWatch(library, cast.in_library, cancel)
        engine = self.host.engine()
        stream = engine.stream(
            SpeechRequest(
                request.script,
                references,
                scene=request.scene,
                sampling=request.sampling,
                seed=request.seed,
                descriptions=request.descriptions,
                language=request.language,
                # Of this request alone: others that speak meanwhile keep theirs, and without one it is the base itself.
                adapter=cast.adapter.load(engine) if cast.adapter else None,
                retrying=self._retrying(request, references),
            ),
            cancel=watch,
        )
        return TakeStream(stream, watch, request, cast, engine.files.shown_name)

    @cached_property
    def transcriber(self) -> Transcriber:
        """Who hears parts back; nothing is loaded yet."""
        from studio.listening.transcriber import Transcriber

        return self._transcriber or Transcriber(self.settings.asr_model, device=self.settings.device)

    def _retrying(self, request: SpeakRequest, references: Sequence[Reference]) -> Retrying | None:
        """How parts are spoken again; a recogniser that is not on this machine is not fetched for it."""
        if request.retry == 0:
            return None
        hears = self.transcriber.missing() is None
        if request.retry is None and not hears:
            return None
        from studio.takes.hearing_back import HearingBack

        judge = HearingBack(self.transcriber if hears else None, references, request.language)
        return Retrying(request.retry or DEFAULT_RETRIES, judge, long_only=request.retry is None)

    def speak(self, request: SpeakRequest, path: Path, *, owner: str = "", keep: bool = True) -> SpokenFile:
        """Speak a request into a file (format by its suffix: .wav, .flac, .mp3).

        Args:
            keep: the take also goes into the owner's library.

        Raises:
            StudioError: as :meth:`stream`, or the file cannot be written, and then nothing of it is left; or the library
                cannot keep the take, and then the sentence says that the file is there.
        """
        refuse_bad_target(path)  # before minutes of work, not after
        library = self.takes(owner)
        if keep:
            library.refuse_unkeepable()
        with first(self.settings.leases_folder):
            stream = self.stream(request, owner=owner)
            for _ in stream:
                pass
        spoken = stream.spoken
        write_audio(spoken.speech.waveform, path, synthetic=True)
        if not stream.may_speak():  # withdrawn while it was being written
            path.unlink(missing_ok=True)
            stream.refuse_withdrawn()
        if not keep:
            return SpokenFile(path, spoken.speech, Take.of(spoken, owner=owner, path=path))
        try:
            take = library.keep(spoken)
        except StudioError as error:
            if not stream.may_speak():
                path.unlink(missing_ok=True)
                raise
            raise StudioError(f"{error} The speech itself was written to {path.name}.") from error
        return SpokenFile(path, spoken.speech, take)

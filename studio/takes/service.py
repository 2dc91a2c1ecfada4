"""Speaking on request: the one service behind the page and the command line."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.adapters.adapter import TrainedAdapter, require_fitting
from studio.adapters.library import AdapterLibrary
from studio.audio.writing import refuse_bad_target, write_audio
from studio.engine.checkpoints import shown_name
from studio.engine.host import EngineHost
from studio.engine.model.adapter_files import signature
from studio.engine.speech.reference import Reference, require_transcript
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.result import Speech
from studio.errors import StudioError
from studio.settings import Settings
from studio.store.store import Store
from studio.takes.casting import cast
from studio.takes.library import TakeLibrary
from studio.takes.request import SpeakRequest
from studio.takes.stream import ConsentWatch, TakeStream
from studio.takes.take import Take, TakeAdapter, TakeVoice, row_of, take_of
from studio.voices.library import VoiceLibrary

if TYPE_CHECKING:
    from studio.engine.model.adapter import Adapter
    from studio.engine.voice_engine import VoiceEngine


@dataclass(frozen=True)
class SpokenFile:
    """Speech that was written to a file.

    Attributes:
        path: the file.
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
        host: where the engine is.
        settings: limits and folders.
        store: what is remembered of voices and takes; None takes that of the settings' home.
    """

    def __init__(self, host: EngineHost, settings: Settings, store: Store | None = None) -> None:
        self.host, self.settings = host, settings
        self.store = store or Store(settings.store_file)

    @classmethod
    def from_settings(cls, settings: Settings, *, store: Store | None = None, **host_options: Any) -> TakeService:
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
        return cls(host, settings, store)

    def takes(self, owner: str = "") -> TakeLibrary:
        """The takes of an owner."""
        return TakeLibrary(self.settings, self.store, owner)

    def voices(self, owner: str = "") -> VoiceLibrary:
        """The voices of an owner."""
        return VoiceLibrary(self.settings, self.store, owner)

    def adapters(self, owner: str = "") -> AdapterLibrary:
        """The trained voices of an owner."""
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
        adapter = self.adapters(owner).usable(wanted)
        if self.host.status.state in ("unloaded", "failed"):
            return False
        self._load(self.host.engine(), adapter.folder, adapter)
        return True

    def _load(self, engine: VoiceEngine, folder: Path, trained: TrainedAdapter | None) -> Adapter:
        if trained is not None:
            require_fitting(trained, engine.files)
        return engine.load_adapter(folder)

    def _trained(self, request: SpeakRequest, owner: str) -> TrainedAdapter | None:
        """The trained voice of a request, if it is one of the library; asked anew each time, as with voices."""
        library = self.adapters(owner)
        if request.adapter:
            return library.usable(request.adapter)
        if request.adapter_folder is None:
            return None
        signature(request.adapter_folder, shown_name(str(request.adapter_folder)))  # is it one at all
        found = library.at(request.adapter_folder)  # by its folder, too, it needs the consent of its voices
        return library.usable(found.id) if found is not None else None

    def check(self, request: SpeakRequest, *, owner: str = "") -> None:
        """Refuse what can be refused at once, before a request waits for its turn.

        Raises:
            StudioError: nothing to say, too long, a voice, trained or not, that is not there or may not speak, no
                transcript.
        """
        request.script.require_speakable(max_chars=self.settings.max_text_chars)
        for clip in request.references:
            require_transcript(clip.transcript)
        for choice in request.voices:
            voice = self.voices(owner).voice(choice.voice)
            if voice.trouble:
                raise StudioError(voice.trouble)
        self._trained(request, owner)

    def stream(self, request: SpeakRequest, *, owner: str = "", cancel: threading.Event | None = None) -> TakeStream:
        """Begin to speak. What can be refused is refused here; the pieces come from the stream.

        Args:
            owner: whose voices may be used.
            cancel: set by anybody at any time, it stops the stream within one frame.

        Raises:
            StudioError: anything about the request, the voices, the clips or the checkpoint that the user should mend.
        """
        self.check(request, owner=owner)  # before anything slow
        library, trained = self.voices(owner), self._trained(request, owner)
        adapter = _take_adapter(request, trained)
        found = [(library.voice(choice.voice), choice.speaker) for choice in request.voices]
        chosen = cast(
            request.script,
            [TakeVoice(voice.id, voice.name, speaker) for voice, speaker in found],
            taken=[clip.speaker for clip in request.references],
        )
        limit = self.settings.max_reference_seconds
        references: list[Reference] = []
        for voice in chosen:
            references += library.references(voice.id, speaker=voice.speaker)
        references += [clip.load(max_seconds=limit) for clip in request.references]
        raw = [TakeVoice("", clip.path.name, clip.speaker) for clip in request.references]
        watch = ConsentWatch(library, [*chosen, *(adapter.voices if adapter else ())], cancel)
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
                adapter=self._load(engine, adapter.folder, trained) if adapter else None,
            ),
            cancel=watch,
        )
        return TakeStream(stream, watch, (*chosen, *raw), engine.files.shown_name, adapter)

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
        stream = self.stream(request, owner=owner)
        for _ in stream:
            pass
        speech = stream.speech
        write_audio(speech.waveform, path)
        if not stream.may_speak():  # withdrawn while it was being written
            path.unlink(missing_ok=True)
            stream.refuse_withdrawn()
        if not keep:
            row = row_of(speech, request, stream.voices, stream.checkpoint, owner=owner, adapter=stream.adapter)
            row.id = ""
            return SpokenFile(path, speech, take_of(row, path))
        try:
            take = library.keep(speech, request, stream.voices, stream.checkpoint, adapter=stream.adapter)
        except StudioError as error:
            if not stream.may_speak():
                path.unlink(missing_ok=True)
                raise
            raise StudioError(f"{error} The speech itself was written to {path.name}.") from error
        return SpokenFile(path, speech, take)


def _take_adapter(request: SpeakRequest, trained: TrainedAdapter | None) -> TakeAdapter | None:
    if trained is not None:
        voices = tuple(TakeVoice(voice_id, name) for voice_id, name in trained.voices)
        return TakeAdapter(trained.id, trained.name, trained.folder, voices)
    folder = request.adapter_folder
    return TakeAdapter("", shown_name(str(folder)), folder) if folder is not None else None

"""Who speaks a request: voices of the library and loose clips, each with its name in the script, and a trained voice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.adapters.adapter import TrainedAdapter, require_fitting
from studio.adapters.library import AdapterLibrary
from studio.engine.checkpoints import shown_name
from studio.engine.model.adapter_files import signature
from studio.engine.speech.reference import Reference
from studio.engine.text import Script
from studio.errors import StudioError
from studio.takes.request import SpeakRequest
from studio.voices.library import VoiceLibrary

if TYPE_CHECKING:
    from studio.engine.model.adapter import Adapter
    from studio.engine.voice_engine import VoiceEngine


@dataclass(frozen=True)
class TakeVoice:
    """A voice that speaks in a take, as it was called then.

    Attributes:
        id: in the library; "" for a clip that was in none.
        name: of the voice, or of the clip's file.
        speaker: the name in the script; None where nobody is named.
    """

    id: str
    name: str
    speaker: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is stored, and for ``--json``."""
        return {"id": self.id, "name": self.name, "speaker": self.speaker}


@dataclass(frozen=True)
class TakeAdapter:
    """What was trained and is spoken with, as it was called then.

    Attributes:
        folder: of its files.
        trained: as the library has it; None for a folder that is in none.
        strength: share of what was trained that is added to the base.
    """

    name: str
    folder: Path
    trained: TrainedAdapter | None = None
    strength: float = 1.0

    @classmethod
    def of(cls, trained: TrainedAdapter, strength: float = 1.0) -> TakeAdapter:
        """One of the library."""
        return cls(trained.name, trained.folder, trained, strength)

    @classmethod
    def asked_for(cls, request: SpeakRequest, adapters: AdapterLibrary) -> TakeAdapter | None:
        """The one of a request, asked for anew each time, as with voices; None for the base alone.

        Raises:
            StudioError: there is none, or it may not be used.
        """
        if request.adapter:
            return cls.of(adapters.usable(request.adapter), request.adapter_strength)
        folder = request.adapter_folder
        if folder is None:
            return None
        name = shown_name(str(folder))
        signature(folder, name)  # is it one at all
        found = adapters.at(folder)  # by its folder, too, it needs the consent of its voices
        if found is not None:
            return cls.of(adapters.usable(found.id), request.adapter_strength)
        return cls(name, folder, strength=request.adapter_strength)

    def load(self, engine: VoiceEngine) -> Adapter:
        """Read it for single requests. Raises StudioError for another base than the loaded one, or unusable files."""
        if self.trained is not None:
            require_fitting(self.trained, engine.files)
        return engine.load_adapter(self.folder, self.strength)


@dataclass(frozen=True)
class Cast:
    """Who speaks a request.

    Attributes:
        voices: those of the library, and then clips that are in none.
        adapter: what it is spoken with on top of the checkpoint; None for the base alone.
        behind_clips: id and name of those who are heard in clips that are in no library.
    """

    voices: tuple[TakeVoice, ...] = ()
    adapter: TakeAdapter | None = None
    behind_clips: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, request: SpeakRequest, voices: VoiceLibrary, adapters: AdapterLibrary) -> Cast:
        """Find everybody whom a request asks for.

        Raises:
            StudioError: a voice, trained or not, that is not there or may not speak, or a script that cannot be read.
        """
        chosen: list[TakeVoice] = []
        for choice in request.voices:
            voice = voices.voice(choice.voice)
            if voice.trouble:
                raise StudioError(voice.trouble)
            chosen.append(TakeVoice(voice.id, voice.name, choice.speaker))
        clips = [TakeVoice("", clip.path.name, clip.speaker) for clip in request.references]
        named = with_speakers(request.script, chosen, taken=[clip.speaker for clip in clips])
        behind = tuple(dict.fromkeys(voice for clip in request.references for voice in clip.voices))
        voices.require_consent(behind)
        return cls((*named, *clips), TakeAdapter.asked_for(request, adapters), behind)

    @property
    def in_library(self) -> list[tuple[str, str]]:
        """Id and name of the voices whose consent has to hold, those that the adapter was trained on included."""
        trained = self.adapter.trained.voices if self.adapter and self.adapter.trained else []
        own = [(voice.id, voice.name) for voice in self.voices if voice.id]
        return list(dict.fromkeys([*own, *self.behind_clips, *trained]))

    def references(self, request: SpeakRequest, voices: VoiceLibrary, *, max_seconds: float) -> list[Reference]:
        """Every clip to speak after, read and checked.

        Raises:
            StudioError: a voice that may no longer speak, or a clip that cannot be used.
        """
        references: list[Reference] = []
        for voice in self.voices:
            references += voices.references(voice.id, speaker=voice.speaker) if voice.id else []
        return references + [clip.load(max_seconds=max_seconds) for clip in request.references]


def with_speakers(script: Script, voices: Sequence[TakeVoice], taken: Iterable[str | None] = ()) -> list[TakeVoice]:
    """The voices with their names in the script.

    A voice without one takes its own name where the script has it, and else the next that is free. The engine would give
    clips without a name to the speakers left over, one clip each; a voice may have several clips, so it is settled here.
    Voices too many stay without a name, which the engine then refuses.

    Args:
        taken: names that clips outside the library speak for.

    Raises:
        StudioError: the script cannot be read.
    """
    if len(script.speakers) < 2:  # one voice needs no name
        return list(voices)
    given = {name.casefold() for name in (*taken, *(voice.speaker for voice in voices)) if name is not None}
    free = {name.casefold(): name for name in script.speakers if name.casefold() not in given}
    by_own_name = [
        voice if voice.speaker is not None else replace(voice, speaker=free.pop(voice.name.casefold(), None))
        for voice in voices
    ]
    rest = iter(list(free.values()))
    return [voice if voice.speaker is not None else replace(voice, speaker=next(rest, None)) for voice in by_own_name]

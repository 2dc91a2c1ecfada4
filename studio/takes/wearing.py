"""The trained voice that a voice of the library is spoken with, unless somebody asks for another, or for the base."""

from __future__ import annotations

from dataclasses import dataclass, replace

from studio.adapters.adapter import TrainedAdapter
from studio.adapters.library import AdapterLibrary
from studio.errors import StudioError
from studio.takes.request import MAX_STRENGTH, SpeakRequest
from studio.voices.library import VoiceLibrary
from studio.voices.voice import Voice


@dataclass(frozen=True)
class Worn:
    """What a voice is spoken with.

    Attributes:
        adapter: None for the base alone.
        strength: share of what was trained that is added to the base.
        notice: why it is the base though the voice has an adapter, in a sentence; "" for nothing.
    """

    adapter: TrainedAdapter | None = None
    strength: float = 1.0
    notice: str = ""


def put_on(voices: VoiceLibrary, adapters: AdapterLibrary, voice: str, adapter: str, strength: float = 1.0) -> Voice:
    """Let a voice be spoken with an adapter from now on.

    Args:
        adapter: its id, how that begins, or its name; "" lets the voice be spoken with the base again.

    Raises:
        StudioError: there is no such voice, it comes with the studio, or the adapter may not be used.
    """
    if not adapter:
        return voices.wear(voice, "")
    if not 0.0 < strength <= MAX_STRENGTH:
        raise StudioError(f"The strength is {strength:g}: choose one above 0 and up to {MAX_STRENGTH:g}.")
    return voices.wear(voice, adapters.usable(adapter).id, strength)


def worn_by(voice: Voice, adapters: AdapterLibrary) -> Worn:
    """What a voice is spoken with now. An adapter that is gone, or may not be used, is none, for a reason that is told."""
    if not voice.adapter:
        return Worn()
    found = next((each for each in adapters.adapters() if each.id == voice.adapter), None)
    if found is None:
        return Worn(notice=f"The trained voice that {voice.name} was spoken with was deleted: this is the base alone.")
    if found.trouble:
        return Worn(notice=f"{voice.name} is spoken with the base alone. {found.trouble}")
    return Worn(found, voice.adapter_strength)


def dressed(request: SpeakRequest, voices: VoiceLibrary, adapters: AdapterLibrary) -> tuple[SpeakRequest, str]:
    """A request for which nobody chose an adapter, with that of its voice; in a dialogue everybody speaks with the base.

    Returns:
        The request, and what has to be told of it; "" for nothing.

    Raises:
        StudioError: there is no such voice.
    """
    if len(request.voices) != 1 or request.references or request.adapter or request.adapter_folder is not None:
        return request, ""
    worn = worn_by(voices.voice(request.voices[0].voice), adapters)
    if worn.adapter is None:
        return request, worn.notice
    return replace(request, adapter=worn.adapter.id, adapter_strength=worn.strength), ""

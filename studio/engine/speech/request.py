"""What the engine is asked to speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from studio.engine.model.adapter import Adapter
from studio.engine.model.sampling import Sampling
from studio.engine.prompt import DEFAULT_SCENE
from studio.engine.speech.reference import Reference
from studio.engine.speech.retrying import Retrying
from studio.engine.text import Script


@dataclass(frozen=True)
class SpeechRequest:
    """Everything that decides how a text sounds, besides the checkpoint.

    Attributes:
        script: plain text of any length, or a dialogue.
        references: clips of the voice; several are allowed; none lets the model pick a voice. In a dialogue each names
            its speaker.
        scene: where it is spoken, in words; empty for none.
        seed: 0 to 2**32 - 1; None draws one and reports it.
        descriptions: voices given in words instead of a clip, by the name used in the script.
        language: ISO 639-1 code for numbers and sentence boundaries; None finds it from the script.
        adapter: one of :meth:`SpeechModel.load_adapter`; None for the base alone, whatever others speak with.
        retrying: parts that come out badly are spoken again; None speaks each once.
        first_seconds, piece_seconds: duration of the first piece of a stream and of the later ones.
    """

    script: Script
    references: Sequence[Reference] = ()
    scene: str = DEFAULT_SCENE
    sampling: Sampling = field(default_factory=Sampling)
    seed: int | None = None
    descriptions: Mapping[str, str] = field(default_factory=dict)
    language: str | None = None
    adapter: Adapter | None = None
    retrying: Retrying | None = None
    first_seconds: float = 0.4
    piece_seconds: float = 1.0

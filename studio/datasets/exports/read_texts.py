"""What the model reads where a transcript is written otherwise: the transcript itself stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from studio.datasets.dataset import Utterance
from studio.datasets.editing import MAX_TEXT_CHARS
from studio.engine.text import prepare_text
from studio.errors import StudioError


@dataclass(frozen=True)
class ReadText:
    """A transcript as it is written, and as the model is asked to say it, in training as when speaking.

    Attributes:
        read: "" where it cannot be said.
        refusal: why it cannot.
    """

    id: str
    name: str
    written: str
    read: str
    refusal: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def read_text(utterance: Utterance) -> ReadText:
    """What the model reads of an utterance."""
    name = utterance.name or utterance.place
    try:
        read = prepare_text(utterance.text, max_chars=MAX_TEXT_CHARS)
    except StudioError as error:
        return ReadText(utterance.id, name, utterance.text, "", str(error))
    return ReadText(utterance.id, name, utterance.text, read)


def read_otherwise(utterances: Iterable[Utterance]) -> list[ReadText]:
    """Those that are read otherwise than they are written, or cannot be read; what has no transcript yet is left out."""
    return [each for each in map(read_text, utterances) if each.written and each.read != each.written]

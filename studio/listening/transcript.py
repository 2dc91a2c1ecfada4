"""What was said in a recording, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One word as it is written, with the seconds from the beginning of the clip between which it is heard."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Transcript:
    """What was said.

    Attributes:
        text: all of it, with punctuation.
        language: ISO 639-1 code, given or detected.
        words: in order, with their times; empty where no times are known.
        model: the name of the model that wrote it; None where a person did.
    """

    text: str
    language: str | None = None
    words: tuple[Word, ...] = ()
    model: str | None = None

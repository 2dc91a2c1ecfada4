"""What was heard in a take beside what was to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from studio.datasets.measures.words import both_compared, character_error_rate, compared, word_error_rate

_RUN = 2
"""Words in a row of a reference that, heard where they are not to be said, are no chance."""


@dataclass(frozen=True)
class Difference:
    """Words that were to be said, and what was heard in their place; "" for none."""

    said: str
    heard: str

    def as_json(self) -> dict[str, str]:
        """For ``--json``."""
        return {"said": self.said, "heard": self.heard}


@dataclass(frozen=True)
class Wording:
    """How well the words came out.

    Attributes:
        wer, cer: word and character error rate, 0 and up; None where there is nothing to be said.
        differences: where they differ, as they are compared: numbers in words, no marks, no capitals.
        leaked: words of the reference that were heard though they are not in the text, runs as they were heard; None where
            the reference's words are not known.
    """

    wer: float | None
    cer: float | None
    differences: tuple[Difference, ...]
    leaked: tuple[str, ...] | None


def wording(text: str, heard: str, *, language: str = "", reference_text: str = "") -> Wording:
    """Compare a transcript with a text.

    Args:
        language: ISO 639-1 code, in which numbers are read.
        reference_text: what is said in the reference clip.
    """
    wanted, found = both_compared(text, heard, language)
    pieces = _pieces(wanted, found)
    return Wording(
        word_error_rate(text, heard, language),
        character_error_rate(text, heard, language),
        tuple(Difference(" ".join(said), " ".join(instead)) for said, instead, _ in pieces),
        leaked_words(pieces, compared(reference_text, language)) if reference_text.strip() else None,
    )


def leaked_words(
    pieces: Sequence[tuple[list[str], list[str], bool]], reference: Sequence[str]
) -> tuple[str, ...]:  # fmt: skip
    """Runs of words that stand in the reference and were heard where the text has others or none.

    Two words in a row count; one alone only where it is the reference's last and comes before all others, which is how a
    reference runs on into a take.
    """
    leaked: list[str] = []
    for _, heard, is_first in pieces:
        matcher = SequenceMatcher(None, list(reference), heard, autojunk=False)
        for place, start, size in matcher.get_matching_blocks():
            runs_on = is_first and start == 0 and size == 1 and place + size == len(reference)
            if size >= _RUN or runs_on:
                leaked.append(" ".join(heard[start : start + size]))
    return tuple(leaked)


def _pieces(wanted: list[str], found: list[str]) -> list[tuple[list[str], list[str], bool]]:
    """What differs: words wanted, words found, and whether it is the beginning of what was heard."""
    matcher = SequenceMatcher(None, wanted, found, autojunk=False)
    return [(wanted[a:b], found[c:d], c == 0) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"]


def as_json(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """For ``--json``."""
    return [each.as_json() for each in differences]

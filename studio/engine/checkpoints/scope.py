"""What a small checkpoint can say: ``scope.json`` beside its weights. Checkpoints without one speak whatever is typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from studio.files import read_json

SCOPE_FILE = "scope.json"
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_TAG = re.compile(r"^\s*\[[^\[\]\n]{1,60}\]|\[[a-z ]+\]", re.MULTILINE)
"""Speakers of a script and sound effects, which are not spoken as words."""
_NEAREST = 2


@dataclass(frozen=True)
class Scope:
    """The words that a checkpoint was taught.

    Attributes:
        words: in lower case.
        examples: lines of them.
        voices: names of the voices that it heard in training.
        figures: how well it does, as measured; see ``tools/demo_checkpoint/evaluate.py``.
        longest_seconds: of the turns of a long line, at a normal pace; None: as any other checkpoint.
        whole_seconds: a line that is expected to be no longer is one turn all the same.
    """

    words: frozenset[str]
    examples: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    longest_seconds: float | None = None
    whole_seconds: float | None = None

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not among them, each once, as they are written."""
        found = {
            match.group().casefold().replace("’", "'"): match.group() for match in _WORD.finditer(_TAG.sub(" ", text))
        }
        return [written for word, written in found.items() if word not in self.words]

    def nearest(self, word: str) -> list[str]:
        """Words of the scope that one might have meant, the likeliest first; [] where none is near.

        A number in digits gives its words, if all of them are known.
        """
        if word[:1].isdigit():
            return _number_in_words(word, self.words)
        return get_close_matches(word.casefold(), sorted(self.words), n=_NEAREST, cutoff=0.6)


def read_scope(folder: Path) -> Scope | None:
    """The scope of the checkpoint in a folder; None where it has none, or none that can be read."""
    try:
        content = read_json(folder / SCOPE_FILE)
        words = frozenset(str(word).casefold() for word in content["words"])
        examples, voices = (tuple(map(str, content.get(name) or ())) for name in ("examples", "voices"))
        figures = content.get("figures")
        longest, whole = (_seconds(content.get(name)) for name in ("longest_seconds", "whole_seconds"))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    figures = figures if isinstance(figures, dict) else {}
    return Scope(words, examples, voices, figures, longest, whole) if words else None


def _seconds(value: Any) -> float | None:
    """Raises TypeError and ValueError for what is no number."""
    return float(value) if value is not None and float(value) > 0 else None


def _number_in_words(number: str, words: frozenset[str]) -> list[str]:
    from num2words import num2words  # loads every language: only when there is a number

    try:
        said = str(num2words(int(number))).replace("-", " ").replace(",", "")
    except (ValueError, OverflowError):
        return []
    return [said] if all(word in words for word in said.split()) else []

"""Transcripts as they are compared: numbers as words, no marks, no capitals."""

from __future__ import annotations

import unicodedata

from studio.datasets.slicing.scripts import units
from studio.engine.text.numbers import with_numbers_read

_PARTING = str.maketrans("-‐‑–—/", "      ")
"""Some write "well-known", others "well known"."""


def compared(text: str, language: str = "", *, years: bool = False) -> list[str]:
    """The words of a text as they are compared; in scripts without spaces its characters.

    Args:
        language: ISO 639-1 code, in which numbers are read; "" is English.
        years: read 1975 as a year.
    """
    found = []
    read = with_numbers_read(unicodedata.normalize("NFKC", text), language, years=years)
    for unit in units(read.translate(_PARTING)):
        # Marks that vowels carry in Arabic and Hebrew are written by few; they are no letters.
        plain = "".join(each for each in unicodedata.normalize("NFKD", unit) if unicodedata.category(each) != "Mn")
        word = "".join(each for each in plain.casefold() if each.isalnum())
        if word:
            found.append(word)
    return found


def both_compared(said: str, heard: str, language: str = "") -> tuple[list[str], list[str]]:
    """The words of two transcripts as they are compared, numbers read in the way that makes them differ least.

    A recogniser writes 1975 whether "nineteen seventy-five" or "one thousand nine hundred and seventy-five" was said.
    """
    plain = compared(said, language), compared(heard, language)
    if not any(character.isdigit() for character in said + heard):
        return plain
    as_years = compared(said, language, years=True), compared(heard, language, years=True)
    return min((plain, as_years), key=lambda pair: _error_rate(*pair) or 0.0)


def word_error_rate(said: str, heard: str, language: str = "") -> float | None:
    """Substitutions, deletions and insertions for each word that is said; None where nothing is."""
    return _error_rate(*both_compared(said, heard, language))


def character_error_rate(said: str, heard: str, language: str = "") -> float | None:
    """The same for characters, spaces left out: words that were written together are no errors."""
    import jiwer

    wanted, found = ("".join(words) for words in both_compared(said, heard, language))
    return float(jiwer.cer(wanted, found)) if wanted else None


def _error_rate(wanted: list[str], found: list[str]) -> float | None:
    import jiwer

    return float(jiwer.wer(" ".join(wanted), " ".join(found))) if wanted else None


def differing_words(said: str, heard: str) -> list[tuple[str, str]]:
    """Where two transcripts differ: words of the one, words of the other, as they are written."""
    from difflib import SequenceMatcher

    one, other = units(said), units(heard)
    matcher = SequenceMatcher(None, [_key(unit) for unit in one], [_key(unit) for unit in other], autojunk=False)
    return [
        (" ".join(one[a:b]), " ".join(other[c:d])) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"
    ]  # fmt: skip


def _key(unit: str) -> str:
    return "".join(compared(unit))

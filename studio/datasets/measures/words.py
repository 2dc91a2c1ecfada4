"""Transcripts as they are compared: numbers as words, no marks, no capitals."""

from __future__ import annotations

import re
import unicodedata

from studio.datasets.slicing.scripts import units

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?(?:st|nd|rd|th)?")


def compared(text: str, language: str = "") -> list[str]:
    """The words of a text as they are compared; in scripts without spaces its characters.

    Args:
        language: ISO 639-1 code, in which numbers are read; "" is English.
    """
    found = []
    for unit in units(_NUMBER.sub(lambda match: f" {_read(match[0], language)} ", unicodedata.normalize("NFKC", text))):
        # Marks that vowels carry in Arabic and Hebrew are written by few; they are no letters.
        plain = "".join(each for each in unicodedata.normalize("NFKD", unit) if unicodedata.category(each) != "Mn")
        word = "".join(each for each in plain.casefold() if each.isalnum())
        if word:
            found.append(word)
    return found


def _read(number: str, language: str) -> str:
    from num2words import num2words

    digits = number.rstrip("stndrh")
    kind = "ordinal" if digits != number else "cardinal"
    try:
        value = float(digits.replace(",", ".")) if re.search(r"[.,]", digits) else int(digits)
        return num2words(value, lang=language or "en", to=kind).replace("-", " ")
    except (NotImplementedError, ValueError, OverflowError, TypeError):  # a language or number that it cannot read
        return digits


def word_error_rate(said: str, heard: str, language: str = "") -> float | None:
    """Substitutions, deletions and insertions for each word that is said; None where nothing is."""
    import jiwer

    wanted, found = compared(said, language), compared(heard, language)
    return float(jiwer.wer(" ".join(wanted), " ".join(found))) if wanted else None


def character_error_rate(said: str, heard: str, language: str = "") -> float | None:
    """The same for characters, spaces left out: words that were written together are no errors."""
    import jiwer

    wanted, found = "".join(compared(said, language)), "".join(compared(heard, language))
    return float(jiwer.cer(wanted, found)) if wanted else None


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

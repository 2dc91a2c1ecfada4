"""Numbers as they are read: digits to words, in the language of the text."""

from __future__ import annotations

import re
from functools import lru_cache

COMMA_DECIMALS = {
    "de", "fr", "es", "it", "pt", "nl", "da", "nb", "no", "sv", "fi", "is", "pl", "cs", "sk", "sl", "hr", "sr", "hu",
    "ro", "bg", "el", "tr", "id", "vi", "ru", "uk",
}  # fmt: skip
"""Languages where "1.234" is one thousand and "1,234" a fraction."""

_NUMBER = re.compile(
    r"(?P<currency>[$€£])?(?P<digits>\d{1,3}(?:[.,]\d{3})+(?![\d])(?:[.,]\d+)?|\d+(?:[.,]\d+)?)(?P<ordinal>st|nd|rd|th)?"
    r"(?P<percent>\s?[%٪])?",
)
# Some say "one hundred and five", others "one hundred five": both are read without it.
_ENGLISH_AND = re.compile(
    r"\b(hundred|thousand|million|billion),? and (?=(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    r"thir|four|fif|six|seven|eigh|nine|twenty|forty|eighty))",
    re.IGNORECASE,
)
_ENGLISH_MONEY = {"$": ("dollar", "dollars"), "€": ("euro", "euros"), "£": ("pound", "pounds")}


def number_words(number: float, language: str = "en", kind: str = "cardinal") -> str:
    """A number in words, without hyphens.

    Args:
        language: ISO 639-1 code.
        kind: ``cardinal``, ``ordinal`` or ``year``.

    Raises:
        LookupError: nobody knows how it is read in that language.
    """
    from num2words import num2words  # Loads every language: only when there is a number to read.

    try:
        return str(num2words(number, lang=language, to=kind)).replace("-", " ")
    except (NotImplementedError, AttributeError, LookupError, ValueError, TypeError, ArithmeticError) as error:
        raise LookupError(f"{number} cannot be read in {language}") from error


def is_year_like(number: int, language: str) -> bool:
    """Whether it is read in pairs of digits where it is a year ("nineteen seventy-five")."""
    return 1100 <= number < 2100 and language in ("en", "de")


def with_numbers_read(text: str, language: str = "", *, years: bool = False) -> str:
    """The text with its numbers in words; what cannot be read stays in digits.

    "1,234" is one thousand where the language parts thousands so, "3rd" the third, and in English "$5" five dollars and
    "5 %" five percent.

    Args:
        language: ISO 639-1 code; "" is English.
        years: read 1975 as a year.
    """
    code = re.split("[-_]", language.lower(), maxsplit=1)[0] or "en"
    read = _NUMBER.sub(lambda match: f" {_read(match, code, years)} ", text)
    return _ENGLISH_AND.sub(r"\1 ", read) if code == "en" else read


def _read(match: re.Match[str], language: str, years: bool) -> str:
    digits, is_ordinal = match["digits"], bool(match["ordinal"])
    value = _value(digits, language)
    kind = "ordinal" if is_ordinal else "cardinal"
    if years and not is_ordinal and digits.isdigit() and is_year_like(int(digits), language):
        kind = "year"
    try:
        words = _words(value, language, kind)
    except LookupError:
        return digits
    if language == "en" and match["currency"]:
        words += f" {_ENGLISH_MONEY[match['currency']][value != 1]}"
    if language == "en" and match["percent"]:
        words += " percent"
    return words


@lru_cache(maxsize=4096)
def _words(value: float, language: str, kind: str) -> str:
    return number_words(value, language, kind)


def _value(digits: str, language: str) -> float:
    """ "1,234.5" as a number: the mark that parts thousands is the one that is there twice, before another one, or not the
    language's own decimal mark."""
    marks = [each for each in digits if not each.isdigit()]
    if not marks:
        return int(digits)
    decimal = "," if language in COMMA_DECIMALS else "."
    last = max(digits.rfind(","), digits.rfind("."))
    is_grouped = re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits) is not None
    if is_grouped and len(set(marks)) == 1 and (len(marks) > 1 or marks[0] != decimal):
        return int("".join(filter(str.isdigit, digits)))
    whole = "".join(filter(str.isdigit, digits[:last])) or "0"
    return float(f"{whole}.{digits[last + 1 :]}")

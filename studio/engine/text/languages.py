"""Scripts and the languages that they suggest."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import Counter

from studio.engine.text.markup import MARKUP

# First code point of each run of letters, and its script (Unicode 15 blocks). What no run names is "Latin": the
# fallback for everything that has no rule of its own. "Han" includes the ideographs of planes 2 and 3.
_RUNS: list[tuple[int, str]] = [
    (0x0000, "Latin"), (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"), (0x0590, "Hebrew"),
    (0x0600, "Arabic"), (0x0700, "Latin"), (0x0750, "Arabic"), (0x0780, "Thaana"), (0x07C0, "Latin"),
    (0x0870, "Arabic"), (0x0900, "Devanagari"), (0x0980, "Bengali"), (0x0A00, "Gurmukhi"), (0x0A80, "Gujarati"),
    (0x0B00, "Oriya"), (0x0B80, "Tamil"), (0x0C00, "Telugu"), (0x0C80, "Kannada"), (0x0D00, "Malayalam"),
    (0x0D80, "Sinhala"), (0x0E00, "Thai"), (0x0E80, "Lao"), (0x0F00, "Tibetan"), (0x1000, "Myanmar"),
    (0x10A0, "Georgian"), (0x1100, "Hangul"), (0x1200, "Ethiopic"), (0x13A0, "Latin"), (0x1780, "Khmer"),
    (0x1800, "Latin"), (0x1C80, "Cyrillic"), (0x1C90, "Georgian"), (0x1CC0, "Latin"), (0x1F00, "Greek"),
    (0x2000, "Latin"), (0x2D00, "Georgian"), (0x2D30, "Latin"), (0x2D80, "Ethiopic"), (0x2DE0, "Cyrillic"),
    (0x2E00, "Latin"), (0x2E80, "Han"), (0x3000, "Latin"), (0x3005, "Han"), (0x3008, "Latin"), (0x3021, "Han"),
    (0x3030, "Latin"), (0x3041, "Kana"), (0x3100, "Han"), (0x3130, "Hangul"), (0x3190, "Han"), (0x31F0, "Kana"),
    (0x3200, "Latin"), (0x3400, "Han"), (0x4DC0, "Latin"), (0x4E00, "Han"), (0xA000, "Latin"), (0xA640, "Cyrillic"),
    (0xA6A0, "Latin"), (0xA8E0, "Devanagari"), (0xA900, "Latin"), (0xA960, "Hangul"), (0xA980, "Latin"),
    (0xAC00, "Hangul"), (0xD800, "Latin"), (0xF900, "Han"), (0xFB00, "Latin"), (0xFB1D, "Hebrew"), (0xFB50, "Arabic"),
    (0xFE00, "Latin"), (0xFE70, "Arabic"), (0xFF00, "Latin"), (0xFF66, "Kana"), (0xFFA0, "Hangul"), (0xFFE0, "Latin"),
    (0x1B000, "Kana"), (0x1B170, "Latin"), (0x20000, "Han"), (0x323B0, "Latin"),
]  # fmt: skip
_RUN_STARTS = [start for start, _ in _RUNS]

_LANGUAGES = {
    "Latin": "en", "Greek": "el", "Cyrillic": "ru", "Armenian": "hy", "Hebrew": "he", "Arabic": "ar", "Thaana": "dv",
    "Devanagari": "hi", "Bengali": "bn", "Gurmukhi": "pa", "Gujarati": "gu", "Oriya": "or", "Tamil": "ta",
    "Telugu": "te", "Kannada": "kn", "Malayalam": "ml", "Sinhala": "si", "Thai": "th", "Lao": "lo", "Tibetan": "bo",
    "Myanmar": "my", "Georgian": "ka", "Hangul": "ko", "Ethiopic": "am", "Khmer": "km", "Kana": "ja", "Han": "zh",
}  # fmt: skip

# Letters that only one language of a script has. One stray letter (a foreign name) does not decide: see _SHARE.
_TELLING_LETTERS = {"ar": (("ur", "ٹڈڑےںھہ"), ("fa", "پچژگ")), "ru": (("uk", "іїєґІЇЄҐ"),)}

_SHARE = 0.02


def script_of(character: str) -> str:
    """The script of one letter, e.g. ``"Latin"`` or ``"Han"``; ``"Latin"`` for what has no entry of its own."""
    return _RUNS[bisect_right(_RUN_STARTS, ord(character)) - 1][1]


def detect_language(text: str) -> str:
    """The ISO 639-1 code that the script of most letters of ``text`` suggests; ``"en"`` for Latin or no letters.

    The script tells Chinese from Arabic but not French from English: where the user knows, the user's choice wins.
    Kana among Han make the text Japanese; letters of their own tell Persian and Urdu from Arabic and Ukrainian from
    Russian.
    """
    letters = [character for character in MARKUP.sub(" ", text) if character.isalpha()]
    counts = Counter(map(script_of, letters))
    kana = counts.pop("Kana", 0)
    if kana > 0.05 * (kana + counts["Han"]):
        counts["Kana"] = kana + counts.pop("Han", 0)
    language = _LANGUAGES[max(counts, key=counts.__getitem__, default="Latin")]
    for narrower, telling in _TELLING_LETTERS.get(language, ()):
        if sum(letter in telling for letter in letters) > _SHARE * counts[script_of(telling[0])]:
            return narrower
    return language


def is_right_to_left(text: str) -> bool:
    """Whether most letters of ``text`` are of a script written from right to left (Arabic, Hebrew, …)."""
    directions = Counter(unicodedata.bidirectional(character) for character in MARKUP.sub(" ", text))
    return directions["R"] + directions["AL"] > directions["L"]

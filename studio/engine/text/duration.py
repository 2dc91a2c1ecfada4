"""How long a text takes to say: seconds to expect, and the most audio frames to allow.

Everything is counted as it is *read*: digits become words, capitals are spelled, vowel marks have no time of their own.
A budget that counts written characters cuts ``في عام 1975`` in half.

The rates below are those inside a phrase; pauses are added at punctuation. Their sources:

* Latin: reading aloud in English runs at 183 words/min (Brysbaert 2019, doi:10.1016/j.jml.2019.104047), with 5.7
  characters a word (space included) 17.4 characters/s. Checked on 350 recorded utterances (tests/unit/engine).
* Other scripts: IReST (Trauzettel-Klosinski & Dietz 2012, doi:10.1167/iovs.11-8284) measured reading aloud in 17
  languages: English 228 words/min, Arabic 138 words or 612 letters/min, Hebrew 187 or 833, Chinese 255 characters/min,
  Japanese 357 characters/min. Its young readers were quick, so the figures are scaled by 17/20.2, what makes its
  English (20.2 characters/s with spaces) equal to ours; Hebrew is kept a little below that.
* Chinese: 255/min scaled would be slow for a prepared voice; 5.2 syllables/s of speech without any pause (Pellegrino
  et al. 2011, doi:10.1353/lan.2011.0057) is its upper end: 4.5 lies between. Japanese (7.8 morae/s there) likewise: 7.
* The rest (Devanagari, Thai, …) follow from 5–6 syllables/s and the base letters their script spends on a syllable.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from studio.engine.text.languages import detect_language, script_of
from studio.engine.text.markup import SOUND_TAG_PATTERN, SOUND_TAGS, SPEAKER_TAG_PATTERN
from studio.engine.text.numbers import COMMA_DECIMALS, is_year_like, number_words

LATIN_RATE = 17.0
_RATES = {  # Base letters per second; for Hangul and Han syllables, for kana morae.
    "Latin": LATIN_RATE, "Greek": 16.0, "Cyrillic": 15.5, "Armenian": 15.0, "Georgian": 15.0, "Hebrew": 13.0,
    "Arabic": 10.5, "Thaana": 9.0, "Han": 4.5, "Kana": 7.0, "Hangul": 5.0, "Ethiopic": 5.5, "Thai": 11.0, "Lao": 11.0,
    "Khmer": 8.0, "Myanmar": 7.0, "Tibetan": 9.0,
}  # fmt: skip
_INDIC_RATE = 7.0  # Devanagari, Bengali, Tamil, …: one letter is a consonant with its vowel, about a syllable.
_SPACED = {"Latin", "Greek", "Cyrillic", "Armenian", "Georgian", "Hebrew", "Arabic"}  # Rates that count the spaces.
_KANJI_MORAE = 2.0
_SMALL_KANA = set("ぁぃぅぇぉゃゅょゎァィゥェォャュョヮ")  # Part of the mora before them.

EDGE_SECONDS = 0.5  # The breath before and the decay after: the constant of the regression over the Kathleen voice.
STOP_SECONDS, CLAUSE_SECONDS, LINE_SECONDS = 0.45, 0.2, 0.45
SPELLED_LETTER_SECONDS = 0.3
SPOKEN_DIGIT_SECONDS = 0.35
EMOJI_SECONDS = 0.5  # A short word, should the model choose to read it.
SOUND_SECONDS = 2.0  # A laugh, a cough: as long as a short phrase.
_URL_RATE = 9.0  # Letters of an address: partly words, partly spelled.

# Signs that are read, as the word that takes their time. "" is never read (brackets left by 《》, Markdown).
_SIGNS = {
    "%": "percent", "٪": "percent", "‰": "per mille", "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen",
    "+": "plus", "=": "equals", "@": "at", "&": "and", "#": "number", "°": "degrees", "×": "times", "÷": "divided by",
    "±": "plus or minus", "−": "minus", "/": "over", "§": "section", "½": "one half", "~": "", "*": "", "_": "",
    "|": "", "^": "", "`": "", "<": "", ">": "", "´": "", "¨": "",
}  # fmt: skip

_DIGIT_BY_DIGIT = 10  # Digit strings from this length on are read as a telephone number is.

_TOKENS = re.compile(
    rf"""
    (?P<sound>{SOUND_TAG_PATTERN}|{"|".join(re.escape(tag) for tag in SOUND_TAGS)})
  | (?P<speaker>{SPEAKER_TAG_PATTERN})
  | (?P<address>(?:https?://|www\.)[^\s<>"]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+
      |(?<![\w.+-])[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*\.(?:com|org|net|edu|gov|io|ai|co|info|dev)\b(?:/[^\s<>"]*)?)
  | (?P<grouped>(?<!\d)\d{{1,3}}(?P<mark>[,.'’ \u00a0\u202f])\d{{3}}(?:(?P=mark)\d{{3}})*(?!\d)(?:[.,]\d+)?)
  | (?P<phone>(?<!\d)\+?\d{{1,4}}(?:[ .-]?\(?\d{{2,4}}\)?){{1}}(?:[ .-]\d{{2,4}})+(?!\d)|\d{{{_DIGIT_BY_DIGIT},}}|0\d+)
  | (?P<number>\d+(?:[.,]\d+)?)
  | (?P<minus>(?<![^\s(])[-−](?=\d))
  | (?P<caps>(?:[A-Z]\.){{2,}}|(?<![^\W\d_])[A-Z]{{2,}}(?![^\W\d_]))
  | (?P<stop>(?:[.!?…。！？｡؟۔।॥]|\.\.\.)+(?![a-zA-Z0-9]))
  | (?P<clause>(?:[,;:](?![a-zA-Z0-9])|[，；：、､،؛—–]|\s-+(?=\s)|--)+)
  | (?P<line>\s*\n\s*)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def expected_seconds(text: str, language: str | None = None) -> float:
    """The time in seconds that ``text`` takes to say at a normal pace, with the breath around it; 0 for no text.

    It grows with every sound added and takes raw text and prepared text alike.

    Scripts may be mixed. ``language`` is the ISO 639-1 code of the one that numbers are read in; by default the one the
    script suggests.
    """
    text = _with_ascii_digits(text).rstrip()
    if not text:
        return 0.0
    language = (language or detect_language(text)).replace("_", "-").split("-")[0].lower()
    spells_capitals = not _is_all_capitals(text)
    seconds, pause, previous = EDGE_SECONDS, 0.0, ""
    for match in _TOKENS.finditer(text):
        kind, token = match.lastgroup or "other", match.group()
        if kind in _PAUSES:
            pause = max(pause, _PAUSES[kind])  # A full stop and the line end after it are one pause.
            continue
        if kind == "space":
            added = 1 / _rate(previous, language) if previous and script_of(previous) in _SPACED else 0.0
        elif kind == "caps" and not spells_capitals:
            added = _letters_seconds(token, language)
        elif kind == "other":
            added = 0.0 if token == previous and not token.isalnum() else _character_seconds(token, language)
        else:
            added = _READERS[kind](token, language)
        if added and kind != "space":
            seconds += pause if seconds > EDGE_SECONDS else 0.0  # Nothing is paused for before the first sound.
            pause = 0.0
        seconds, previous = seconds + added, token[-1]
    return seconds


def frame_budget(text: str, *, frame_rate: float, language: str | None = None) -> int:
    """The most audio frames to generate for ``text``: a stop for a model that rambles, never for one that reads.

    Twice the expected time plus 2.5 s: half the normal pace is as slow as natural speech gets (the slowest of 350
    recorded utterances takes 1.7 times its expected length), and the seconds leave room for pauses around a short
    text. At least 3 s. Frames of speech only: a delay pattern needs its extra steps on top. ``frame_rate`` is that of
    the checkpoint's codec, in frames per second (25 for Higgs Audio v2).
    """
    if not frame_rate > 0:
        raise ValueError(f"frame_rate must be positive, not {frame_rate}")
    return math.ceil(frame_rate * max(3.0, 2.0 * expected_seconds(text, language) + 2.5))


def _with_ascii_digits(text: str) -> str:
    """Arabic-Indic, Devanagari and full-width digits as 0–9, and the Arabic decimal and thousands signs."""
    text = text.replace("٫", ".").replace("٬", ",")
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in text)


def _is_all_capitals(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    return not any(map(str.islower, letters)) and 2 * sum(map(str.isupper, letters)) > len(letters)


def _rate(letter: str, language: str) -> float:
    script = script_of(letter)
    if script == "Han" and language == "ja":
        return _RATES["Kana"] / _KANJI_MORAE
    return _RATES.get(script, _INDIC_RATE)


def _letters_seconds(words: str, language: str) -> float:
    """Time of plain words: letters, and the spaces between them where the script's rate counts these."""
    seconds, latest = 0.0, ""
    for character in words:
        if character.isalpha() and character not in _SMALL_KANA and character != "ـ":
            latest = character
            seconds += 1 / _rate(character, language)
        elif character == " " and latest and script_of(latest) in _SPACED:
            seconds += 1 / _rate(latest, language)
    return seconds


def _character_seconds(character: str, language: str) -> float:
    if character.isalpha():
        return _letters_seconds(character, language)
    if character in _SIGNS:
        return len(_SIGNS[character]) / LATIN_RATE
    category = unicodedata.category(character)
    if category == "So":
        return EMOJI_SECONDS
    return 0.4 if category in ("Sc", "Sm", "No", "Nl") else 0.0  # "rupees", "is less than", "third", "squared".


@lru_cache(maxsize=4096)
def _read_seconds(number: int, language: str) -> float:
    """Time of a whole number below 10**9 in words; in English words where num2words lacks the language."""
    # A number like a year is read as one where that differs ("nineteen seventy-five").
    try:
        words = number_words(number, language, "year" if is_year_like(number, language) else "cardinal")
    except LookupError:
        language, words = "en", number_words(number)
    return _letters_seconds(words, language) + 1 / LATIN_RATE


def _number_seconds(token: str, language: str) -> float:
    whole, *fraction = re.split("[.,]", token)
    is_long = len(whole) >= _DIGIT_BY_DIGIT
    seconds = _digits_seconds(whole, language) if is_long else _read_seconds(int(whole), language)
    if fraction:
        seconds += SPOKEN_DIGIT_SECONDS + _digits_seconds(fraction[0], language)  # "point", then each digit.
    return seconds


def _grouped_seconds(token: str, language: str) -> float:
    """Time of ``1,234,567``, ``1.234,5`` or ``1 234``: a single group after a decimal mark is a fraction instead."""
    mark = next(character for character in token if not character.isdigit())
    decimal = "," if language in COMMA_DECIMALS else "."
    if mark == decimal and token.count(mark) == 1:
        return _number_seconds(token, language)
    last = max(token.rfind("."), token.rfind(","))
    has_fraction = last > 0 and token[last] != mark
    whole = "".join(filter(str.isdigit, token[:last] if has_fraction else token))
    return _number_seconds(whole + ("." + token[last + 1 :] if has_fraction else ""), language)


def _digits_seconds(token: str, language: str) -> float:
    return SPOKEN_DIGIT_SECONDS * sum(map(str.isdigit, token))


def _address_seconds(token: str, language: str) -> float:
    """Time of a URL or e-mail address: its signs are named ("dot", "slash"), its digits read one by one."""
    signs = len(re.findall(r"://|[^\w\s]|_", token))
    letters = sum(map(str.isalpha, token))
    return signs * SPELLED_LETTER_SECONDS + letters / _URL_RATE + _digits_seconds(token, language)


_PAUSES = {"stop": STOP_SECONDS, "clause": CLAUSE_SECONDS, "line": LINE_SECONDS}
_READERS: dict[str, Callable[[str, str], float]] = {
    "sound": lambda token, language: SOUND_SECONDS,
    "speaker": lambda token, language: 0.0,
    "address": _address_seconds,
    "grouped": _grouped_seconds,
    "phone": _digits_seconds,
    "number": _number_seconds,
    "minus": lambda token, language: SPELLED_LETTER_SECONDS,
    "caps": lambda token, language: SPELLED_LETTER_SECONDS * sum(map(str.isalpha, token)),
}

"""What the model is given to read: languages by script, and the text normalised the way the model was shown text.

The rules of the normalisation are those of the example script of Higgs Audio v2 (``examples/generation.py`` of
boson-ai/higgs-audio): the model was only ever demonstrated on text that had gone through them. What is added here is
what that script lacks: Unicode clean-up, closing punctuation of scripts other than Latin, and refusals a user
understands.

The stages are separate functions because ``sentences.py`` needs a cut between them (full-width punctuation, which the
normalisation removes, is what tells sentences apart in Chinese and Japanese)::

    raw text → paragraphs() → normalise() → tidy() → close()
"""

import re
import unicodedata
from bisect import bisect_right
from collections import Counter

from studio.engine.prompt import CONTROL_TOKEN
from studio.errors import StudioError

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

SOUND_TAGS = {
    "[laugh]": "<SE>[Laughter]</SE>",
    "[humming start]": "<SE>[Humming]</SE>",  # Not <SE_s>: so in the original.
    "[humming end]": "<SE_e>[Humming]</SE_e>",
    "[music start]": "<SE_s>[Music]</SE_s>",
    "[music end]": "<SE_e>[Music]</SE_e>",
    "[music]": "<SE>[Music]</SE>",
    "[sing start]": "<SE_s>[Singing]</SE_s>",
    "[sing end]": "<SE_e>[Singing]</SE_e>",
    "[applause]": "<SE>[Applause]</SE>",
    "[cheering]": "<SE>[Cheering]</SE>",
    "[cough]": "<SE>[Cough]</SE>",
}
"""The sound effects a user can ask for, and the tags the model knows them by."""

SOUND_TAG_PATTERN = r"<SE(?:_[se])?>\[[^\]\n]*\]</SE(?:_[se])?>"
SPEAKER_TAG_PATTERN = r"\[SPEAKER\d+\]"

_SOUND_NAME = re.compile("|".join(re.escape(tag) for tag in SOUND_TAGS), re.IGNORECASE)
_MARKUP = re.compile(f"{SOUND_TAG_PATTERN}|{SPEAKER_TAG_PATTERN}|{_SOUND_NAME.pattern}", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<=\d)，(?=\d{3}(?!\d))")
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028]")
# Arabic letters in their presentation forms, as copied from PDF files: the same letters, drawn.
_PRESENTATION_FORMS = re.compile(r"[\uFB50-\uFD3D\uFD50-\uFDFF\uFE70-\uFEFC]+")

# Full-width ASCII first, so that the table of the original overrides it ("，" gains a space there).
_PUNCTUATION = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | str.maketrans(
    {
        "，": ", ", "。": ".", "：": ":", "；": ";", "？": "?", "！": "!", "（": "(", "）": ")", "【": "[", "】": "]",
        "《": "<", "》": ">", "“": '"', "”": '"', "‘": "'", "’": "'", "、": ",", "—": "-", "…": "...", "·": ".",
        "「": '"', "」": '"', "『": '"', "』": '"', "｡": ".", "､": ",", "｢": '"', "｣": '"', "〈": "<", "〉": ">",
        "〔": "(", "〕": ")", "℃": "°C", "℉": "°F",
    }
)  # fmt: skip
_UNITS = (("(", " "), (")", " "), ("°F", " degrees Fahrenheit"), ("°C", " degrees Celsius"))

# The original accepts . ! ? , ; " ' and the tags that end a sound. The rest are the ends of other scripts.
_CLOSINGS = (*".!?,;:\"'»›”’」』؟۔،؛।॥։።፧။៕;·。！？", "</SE>", "</SE_e>")


def script_of(character: str) -> str:
    """The script of one letter, e.g. ``"Latin"`` or ``"Han"``; ``"Latin"`` for what has no entry of its own."""
    return _RUNS[bisect_right(_RUN_STARTS, ord(character)) - 1][1]


def detect_language(text: str) -> str:
    """The ISO 639-1 code that the script of most letters of ``text`` suggests; ``"en"`` for Latin or no letters.

    The script tells Chinese from Arabic but not French from English: where the user knows, the user's choice wins.
    Kana among Han make the text Japanese; letters of their own tell Persian and Urdu from Arabic and Ukrainian from
    Russian.
    """
    letters = [character for character in _MARKUP.sub(" ", text) if character.isalpha()]
    counts = Counter(map(script_of, letters))
    kana = counts.pop("Kana", 0)
    if kana > 0.05 * (kana + counts["Han"]):
        counts["Kana"] = kana + counts.pop("Han", 0)
    language = _LANGUAGES[max(counts, key=counts.__getitem__, default="Latin")]
    for narrower, telling in _TELLING_LETTERS.get(language, ()):
        script_letters = counts[script_of(telling[0])]
        if sum(letter in telling for letter in letters) > _SHARE * script_letters:
            return narrower
    return language


def is_right_to_left(text: str) -> bool:
    """Whether most letters of ``text`` are of a script written from right to left (Arabic, Hebrew, …)."""
    directions = Counter(unicodedata.bidirectional(character) for character in _MARKUP.sub(" ", text))
    return directions["R"] + directions["AL"] > directions["L"]


def is_pronounceable(text: str) -> bool:
    """Whether ``text`` has anything to say: a letter, a digit or a sound effect (a speaker tag alone is nothing)."""
    text = re.sub(SPEAKER_TAG_PATTERN, " ", text)
    return any(character.isalnum() and character != "ـ" for character in text)


def paragraphs(text: str) -> list[str]:
    """The raw paragraphs of ``text`` (what blank lines part), in Unicode NFC, with ``\\n`` for every line end.

    Invisible characters (zero-width, bidi controls, variation selectors, stray control codes) are removed, since they
    have no sound but do change the tokens; paragraphs with nothing to pronounce, such as ``* * *``, are left out.
    """
    text = _LINE_ENDS.sub("\n", text).replace("\u2029", "\n\n")
    text = _PRESENTATION_FORMS.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    visible = (character for character in text if not _is_invisible(character))
    text = unicodedata.normalize("NFC", "".join(visible))
    return [part.strip() for part in re.split(r"\n\s*\n", text) if is_pronounceable(part)]


def _is_invisible(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") or "\ufe00" <= character <= "\ufe0f"


def normalise(text: str) -> str:
    """Punctuation, units and sound tags of a stretch of text, as the model knows them; white space is left alone.

    It acts on characters and tags alone, so that the parts of a text, normalised, make up the text normalised.
    """
    text = _THOUSANDS.sub(",", text).translate(_PUNCTUATION)
    for written, read in _UNITS:
        text = text.replace(written, read)
    return _SOUND_NAME.sub(lambda match: SOUND_TAGS[match.group().lower()], text)


def tidy(text: str) -> str:
    """``text`` with one space between the words of a line and without blank lines."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def close(text: str) -> str:
    """``text`` with a final ``.`` where it does not end in closing punctuation of any script: the model stops there."""
    return text if text.endswith(_CLOSINGS) else text + "."


def refuse_unspeakable(text: str) -> None:
    """Raise for a text that cannot be spoken whatever its length.

    Raises:
        StudioError: the text is empty, has nothing to pronounce, or holds a control token of the model.
    """
    if not text.strip():
        raise StudioError("There is no text: type what the voice should say.")
    # On what the model would get: full-width brackets and zero-width characters can hide a token in the raw text.
    prepared = "\n".join(normalise(part) for part in paragraphs(text))
    if not prepared:
        raise StudioError("There is nothing to say in this text: it has no letters or digits, only signs; add words.")
    if token := CONTROL_TOKEN.search(prepared) or CONTROL_TOKEN.search(text):
        raise StudioError(f'The text contains "{token.group()}", a control token of the model: take it out.')


def prepare_text(text: str, *, max_chars: int) -> str:
    """The text as the model is given it, whole: one line per line of ``text``, blank lines dropped.

    Args:
        text: what the user typed. Lines may start with ``[SPEAKER0]``-style tags, which are left as they are.
        max_chars: the most characters accepted, counted without the white space around the text.

    Raises:
        StudioError: the text is empty, too long, has nothing to pronounce or holds a control token of the model.
    """
    if (length := len(text.strip())) > max_chars:
        raise StudioError(
            f"The text has {length:,} characters and the limit is {max_chars:,}: "
            "split it and speak the parts one after the other."
        )
    refuse_unspeakable(text)
    return "\n".join(close(tidy(normalise(part))) for part in paragraphs(text))

"""What the model is given to read: the text normalised the way the model was shown text.

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

from studio.engine.prompt import CONTROL_TOKEN
from studio.engine.text.markup import SOUND_NAME, SOUND_TAGS, SPEAKER_TAG_PATTERN
from studio.errors import StudioError

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
    text = unicodedata.normalize("NFC", "".join(character for character in text if not _is_invisible(character)))
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
    return SOUND_NAME.sub(lambda match: SOUND_TAGS[match.group().lower()], text)


def tidy(text: str) -> str:
    """``text`` with one space between the words of a line and without blank lines."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def close(text: str) -> str:
    """``text`` with a final ``.`` where it does not end in closing punctuation of any script: the model stops there."""
    return text if text.endswith(_CLOSINGS) else text + "."


def refuse_too_long(text: str, max_chars: int) -> None:
    """Raise StudioError for a text of more characters, counted without the white space around it."""
    if (length := len(text.strip())) > max_chars:
        raise StudioError(
            f"The text has {length:,} characters and the limit is {max_chars:,}: "
            "split it and speak the parts one after the other."
        )


def refuse_unspeakable(text: str) -> None:
    """Raise StudioError for a text that is empty, has nothing to pronounce, or holds a control token of the model."""
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

    Lines may start with ``[SPEAKER0]``-style tags, which are left as they are.

    Raises:
        StudioError: the text is empty, too long, has nothing to pronounce or holds a control token of the model.
    """
    refuse_too_long(text, max_chars)
    refuse_unspeakable(text)
    return "\n".join(close(tidy(normalise(part))) for part in paragraphs(text))

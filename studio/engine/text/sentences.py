"""Long text in parts the model can say in one breath: sentences, packed up to a duration, cut only where it must be.

``sentencex`` finds the sentences (about 300 languages, its own abbreviations for the larger ones); what it gets wrong
is mended by joining again, which costs nothing, since neighbouring sentences are packed together anyway. Sentences are
told apart on the raw text, where Chinese and Japanese still have their own full stops, and normalised one by one.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from studio.engine.text.duration import expected_seconds
from studio.engine.text.languages import detect_language
from studio.engine.text.markup import SOUND_TAG_PATTERN, SPEAKER_TAG_PATTERN
from studio.engine.text.normalisation import close, is_pronounceable, normalise, paragraphs, refuse_unspeakable, tidy


@dataclass(frozen=True)
class Chunk:
    """One part of a text, to be generated in one go.

    Attributes:
        text: what the model reads, prepared by the rules of ``studio.engine.text.normalisation``.
        paragraph_end: whether a paragraph (or the text) ends here: the place for a longer pause.
        language: ISO 639-1 code: the one given, or what the script of the paragraph suggests.
    """

    text: str
    paragraph_end: bool
    language: str


# Abbreviations that stand before a name or a number, so never end a sentence: those sentencex 1.0.32 does not know, and
# the commonest of those it does, because inside quoted speech it looks for no sentences.
_ABBREVIATIONS = {
    "en": {"dr", "mr", "mrs", "ms", "prof", "st", "no", "fig", "vs", "approx", "messrs", "capt", "lt", "col",
           "sgt", "hon", "gov", "sen", "rep", "nos", "pp", "vol"},
    "de": {"dr", "prof", "hr", "fr", "nr", "st", "bzw", "ca", "evtl", "ggf", "inkl", "sog", "tel", "vgl", "zzgl"},
    "fr": {"dr", "m", "mm", "mme", "mmes", "mlle", "mlles", "mgr", "me", "pr", "st", "ste", "env", "tél"},
    "es": {"sr", "sra", "srta", "sres", "dr", "dra", "d", "dña", "ud", "uds", "núm", "pág", "aprox"},
    "hi": {"डॉ", "श्री", "श्रीमती", "सुश्री", "प्रो", "पं", "सं", "रु"},
}  # fmt: skip

_CLOSERS = r"[\"'”’»)\]]*"
# Letters that are not parted by spaces, so that a cut between any two is possible: Thai, Lao, Tibetan, Myanmar, Khmer
# (their digits excepted), kana and ideographs. Hangul has spaces.
_UNSPACED = (
    r"\u0E00-\u0E4F\u0E5A-\u0ECF\u0EDA-\u0F1F\u0F34-\u103F\u104A-\u108F\u109A-\u109F\u1780-\u17DF\u17EA-\u17FF"
    r"\u3005-\u3007\u3040-\u30FF\u3400-\u9FFF\uF900-\uFAFF\U00020000-\U000323AF"
)
_SENTENCE_END = re.compile(rf"[.!?؟۔।॥]+{_CLOSERS}(?:\s+|(?=[{_UNSPACED}]))")
_CLAUSE_END = re.compile(
    rf"[,;:،؛–—]+{_CLOSERS}(?:\s+|(?=[{_UNSPACED}]))|\.\.\.{_CLOSERS}\s*|(?<=\s)-+\s+|[^\S\n]*\n\s*"
)
_SPACES = re.compile(r"\s+")
# Digits that belong together although there is white space between them: 1 234 567 or 06 12 34 56 78.
_SPACED_NUMBER = re.compile(r"(?<!\d)\d{1,4}(?:[ \u00a0\u202f]+\d{2,4}){1,4}(?!\d)")
# The smallest parts of unspaced script: a letter with its marks (Thai vowels that stand first stay with their
# consonant) and the punctuation after it, or a number written in ideographs; anything else is one part.
_LETTERS = re.compile(
    rf"{SOUND_TAG_PATTERN}|{SPEAKER_TAG_PATTERN}|[零〇一二三四五六七八九十百千万萬亿億两兩]{{2,}}[.,!?;:%]*"
    rf"|[\"'<\[]*[\u0E40-\u0E44\u0EC0-\u0EC4]?[{_UNSPACED}][\u0E30-\u0E3A\u0E45-\u0E4E\u0EB0-\u0EBC\u0EC8-\u0ECE"
    rf"\u0F71-\u0FBC\u102B-\u103E\u1056-\u108F\u17B4-\u17D3\u3099\u309Aーっッぁぃぅぇぉゃゅょァィゥェォャュョ]*[.,!?;:%]*\s*"
    rf"|[^{_UNSPACED}]+|.",
    re.DOTALL,
)

_CONTEXT = 64  # Characters on each side of a sentence end that are looked at.


def split_text(text: str, *, language: str | None = None, max_seconds: float = 20.0) -> list[Chunk]:
    """Cut ``text`` into chunks that take at most ``max_seconds`` each to say; one chunk where the whole text does.

    The chunks together are ``prepare_text(text)``, up to white space. They end, by preference, with a paragraph, a
    sentence, a clause, a word; in script without spaces with a letter. Never inside a number, a word or a sound tag:
    one word longer than ``max_seconds`` stays whole. Speaker tags stay where they stand; they are not repeated when a
    turn is cut, so a dialogue is best split turn by turn.

    Args:
        text: the raw text: blank lines part paragraphs, which the prepared text no longer shows.
        language: ISO 639-1 code; by default told from the script of each paragraph.
        max_seconds: the longest duration of a chunk, as of :func:`expected_seconds`.

    Raises:
        StudioError: as ``prepare_text`` does, except for length: the caller has a limit, or none.
    """
    if not max_seconds > 0:
        raise ValueError(f"max_seconds must be positive, not {max_seconds}")
    refuse_unspeakable(text)
    language = re.split("[-_]", language)[0].lower() if language else None  # "en-US" is read as "en".
    parts = paragraphs(text)
    whole = "\n".join(close(tidy(normalise(part))) for part in parts)
    whole_language = language or detect_language(whole)
    if expected_seconds(whole, whole_language) <= max_seconds:
        return [Chunk(whole, paragraph_end=True, language=whole_language)]
    chunks = []
    for part in parts:
        spoken_in = language or detect_language(part)

        def fits(stretch: str, spoken_in: str = spoken_in) -> bool:
            return expected_seconds(tidy(stretch), spoken_in) <= max_seconds

        packed = [tidy(stretch) for stretch in _join_silent(_pack(_sentences(part, spoken_in), fits, spoken_in))]
        packed[-1] = close(packed[-1])
        chunks += [Chunk(stretch, number == len(packed), spoken_in) for number, stretch in enumerate(packed, 1)]
    return chunks


def _sentences(paragraph: str, language: str) -> list[str]:
    """The sentences of a raw paragraph, normalised, each with the white space after it."""
    from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without stubs

    # A line break is white space to sentencex (text may be hard-wrapped), unless someone else speaks after it.
    blocks = re.split(rf"(?=\n{SPEAKER_TAG_PATTERN})", paragraph)
    sentences: list[str] = [part for block in blocks for part in segment(language, block)]
    assert "".join(sentences) == paragraph, "sentencex lost a part of the text"
    joined: list[str] = []
    for sentence in sentences:
        if joined and _is_continued(joined[-1], sentence, language):
            joined[-1] += sentence
        else:
            joined.append(sentence)
    return [normalise(sentence) for sentence in joined]


def _is_continued(left: str, right: str, language: str) -> bool:
    """Whether the sentence goes on after ``left``, although it ends as a sentence does."""
    left, right = left[-_CONTEXT:].rstrip(), right[:_CONTEXT].lstrip()
    if not is_pronounceable(right):
        return True
    if re.search(r"[.!?。！？][\"'”’»」』)]+$", left) and re.match(r"[^\W\d_]", right):
        return right[0].islower() or right.startswith(("と", "って"))  # "Stop!" he said. 「行こう。」と言った。
    if not left.endswith("."):
        return False
    word = re.split(r"[\s(\[«\"'“’]", left[:-1])[-1]
    if word.lower() in _ABBREVIATIONS.get(language, ()):
        return True
    if re.fullmatch(r"[^\W\d_](?:[.-]+[^\W\d_])*", word):  # An initial (J.-P., د.) or an abbreviation with points.
        return word != "I" if "." not in word else "-" in word or not right[0].isupper()
    return False


def _pack(sentences: list[str], fits: Callable[[str], bool], language: str) -> list[str]:
    """Neighbouring sentences together while they fit; one that is too long alone starts anew and is cut."""
    packed: list[str] = []
    for sentence in sentences:
        if packed and fits(packed[-1] + sentence):
            packed[-1] += sentence
        else:
            packed += _cut(sentence, fits, language)
    return packed


def _cut(stretch: str, fits: Callable[[str], bool], language: str, level: int = 0) -> list[str]:
    """``stretch`` in pieces that fit, cut at the best places that exist: see the order of ``_CUTS``."""
    if fits(stretch) or level == len(_CUTS):
        return [stretch]
    pieces: list[str] = []
    for part in _CUTS[level](stretch, language):
        if pieces and fits(pieces[-1] + part):
            pieces[-1] += part
        else:
            pieces += _cut(part, fits, language, level + 1)
    return pieces


def _cut_after(stretch: str, ends: Iterable[int]) -> list[str]:
    places = [0, *(end for end in ends if 0 < end < len(stretch)), len(stretch)]
    return [stretch[start:end] for start, end in pairwise(places)]


def _at_sentences(stretch: str, language: str) -> list[str]:
    """Parts at sentence ends that do not end the sentence around them: quoted speech."""
    ends = (match.end() for match in _SENTENCE_END.finditer(stretch))

    def is_end(place: int) -> bool:
        return not _is_continued(stretch[max(0, place - _CONTEXT) : place], stretch[place : place + _CONTEXT], language)

    return _cut_after(stretch, filter(is_end, ends))


def _at_clauses(stretch: str, language: str) -> list[str]:
    return _cut_after(stretch, (match.end() for match in _CLAUSE_END.finditer(stretch)))


def _at_spaces(stretch: str, language: str) -> list[str]:
    numbers = [match.span() for match in _SPACED_NUMBER.finditer(stretch)]
    ends = (match.end() for match in _SPACES.finditer(stretch))
    return _cut_after(stretch, (end for end in ends if not any(start < end < stop for start, stop in numbers)))


def _at_letters(stretch: str, language: str) -> list[str]:
    return _LETTERS.findall(stretch)


_CUTS = (_at_sentences, _at_clauses, _at_spaces, _at_letters)


def _join_silent(stretches: list[str]) -> list[str]:
    """Stretches with nothing to pronounce (a dash that was cut off) joined to the one before, or after."""
    joined: list[str] = []
    for stretch in stretches:
        if joined and not (is_pronounceable(stretch) and is_pronounceable(joined[-1])):
            joined[-1] += stretch
        else:
            joined.append(stretch)
    return joined

"""What becomes of a transcript when a person cuts its clip or corrects its text.

All of it is text work on times that a model once measured; nothing here listens. The spacing is always the text's own, so
that languages written without spaces stay as they were.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import NamedTuple

from studio.audio.waveform import Span
from studio.listening.transcript import Transcript, Word

# Scripts that put no space between words. A unit of time is one letter there, because what a word is would need a lexicon.
_UNSPACED = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Myanmar
    ("\u1780", "\u17ff"),  # Khmer
    ("\u3005", "\u3007"),  # 々〆〇
    ("\u3040", "\u30ff"),  # Hiragana, Katakana
    ("\u31f0", "\u31ff"),
    ("\u3400", "\u9fff"),  # Han
    ("\uf900", "\ufaff"),
    ("\uff66", "\uff9f"),  # Katakana of half width
    ("\U00020000", "\U0003ffff"),
)


class _Unit(NamedTuple):
    """A stretch of a text that is said in one go: a word, or a letter of a script without spaces, with its punctuation."""

    low: int
    high: int


def has_times(transcript: Transcript) -> bool:
    """Whether all that is said has a time: the words, in order, account for every letter and digit of the text."""
    return bool(transcript.words) and _located(transcript) is not None


def trimmed(transcript: Transcript, start: float | None, end: float | None) -> Transcript:
    """The words inside the cut, with the punctuation between them and times that count from its start.

    A word belongs to the cut when its middle lies inside; what of it sticks out is no part of its time any more.

    Args:
        transcript: one that ``has_times``; without text it comes back as it is.
        start: seconds from the beginning of the clip; None for its beginning.
        end: likewise; None for its end.

    Returns:
        The transcript of the cut; without text where no word is inside.

    Raises:
        ValueError: the transcript has no times. The caller's bug: ``cut_text`` asks.
    """
    if not transcript.text.strip():
        return replace(transcript, text="", words=())
    places = _located(transcript)
    if places is None:
        raise ValueError("a transcript without times cannot be trimmed")
    first, last = start or 0.0, math.inf if end is None else end
    inside = [
        index
        for index, word in enumerate(transcript.words)
        if first - 1e-6 <= (word.start + word.end) / 2 <= last + 1e-6
    ]
    if not inside:
        return replace(transcript, text="", words=())
    kept = range(inside[0], inside[-1] + 1)
    text = transcript.text[places[kept[0]].low : places[kept[-1]].high]
    words = []
    for index in kept:
        word = transcript.words[index]
        low, high = (round(min(max(time, first), last) - first, 3) for time in (word.start, word.end))
        words.append(Word(word.text, low, high))
    return replace(transcript, text=text, words=tuple(words))


def cut_text(transcript: Transcript, start: float | None, end: float | None) -> tuple[Transcript, bool]:
    """What is said in a cut, as far as it can be known.

    Args:
        transcript: of the whole clip, with times or without.
        start, end: as for :func:`trimmed`.

    Returns:
        The transcript of the cut, and whether a person has to check it: where times are missing the text is still the
        whole one, without words.
    """
    if not start and end is None:
        return transcript, False
    if not transcript.text.strip() or has_times(transcript):
        return trimmed(transcript, start, end), False
    return replace(transcript, words=()), True


def retimed(transcript: Transcript, text: str, *, duration: float | None = None) -> Transcript:
    """The transcript after a person edited its text, with a time for every word of the new text.

    Words that are still there keep their times; what differs only in case, punctuation, accents or vowel marks is the same
    word. Words put in place of others share the time of those; words put between others share the pause between them.

    Args:
        transcript: with the times that a model measured. Without any, the new one has none either.
        text: the corrected text; spaces around it are dropped.
        duration: length of the clip in seconds: what is added behind the last word cannot be timed without it.

    Returns:
        The new text, its words each a word as it is written (a letter where the script puts no spaces).
    """
    text = text.strip()
    if text == transcript.text:
        return transcript
    old_keys, old = _said(transcript)
    if not old:
        return replace(transcript, text=text, words=())
    units = _units(text)
    keys = [_key(text[unit.low : unit.high]) for unit in units]
    letters = [max(len(key), 1) for key in keys]
    times: list[Span | None] = [None] * len(units)
    for tag, low, high, new_low, new_high in _differences(old_keys, keys):
        if tag == "equal" or (tag == "replace" and high - low == new_high - new_low):
            times[new_low:new_high] = old[low:high]  # one for one: the pauses between them stay where they are
        elif tag == "replace":
            times[new_low:new_high] = _shares(old[low].start, old[high - 1].end, letters[new_low:new_high])
    pace = sum(span.duration for span in old) / max(sum(map(len, old_keys)), 1)
    filled = _filled(times, letters, pace, duration)
    words = tuple(
        Word(text[unit.low : unit.high], round(span.start, 3), round(span.end, 3))
        for unit, span in zip(units, filled, strict=True)
    )
    return replace(transcript, text=text, words=words)


def _filled(times: Sequence[Span | None], letters: Sequence[int], pace: float, duration: float | None) -> list[Span]:
    """A time for all: those without one share what lies between their neighbours.

    Args:
        letters: how many each has, to share by.
        pace: seconds a letter takes, for what is added at an edge, where there is only one neighbour.
    """
    filled: list[Span] = []
    for index, span in enumerate(times):
        if span is not None:
            filled.append(span)
        elif len(filled) == index:  # the first of a run
            behind = next((place for place in range(index, len(times)) if times[place]), len(times))
            needed = pace * sum(letters[index:behind])
            following = times[behind] if behind < len(times) else None
            if filled and following:
                low, high = filled[-1].end, following.start
            elif following:
                low, high = max(following.start - needed, 0.0), following.start
            else:
                low = filled[-1].end if filled else 0.0
                # Never behind the clip's end, which may not be known.
                high = low if duration is None else min(low + needed, duration)
            filled += _shares(low, max(low, high), letters[index:behind])
    return filled


def _shares(start: float, end: float, letters: Sequence[int]) -> list[Span]:
    """The stretch from ``start`` to ``end`` divided in proportion to ``letters``."""
    total, before = sum(letters), 0
    shares = []
    for count in letters:
        shares.append(Span(start + (end - start) * before / total, start + (end - start) * (before + count) / total))
        before += count
    return shares


def _differences(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """difflib's opcodes. What both texts begin and end with is set aside first: in a long one it is nearly everything."""
    shorter = min(len(old), len(new))
    head = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    rest = shorter - head
    tail = next((place for place in range(rest) if old[-1 - place] != new[-1 - place]), rest)
    middle = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False)
    return [
        ("equal", 0, head, 0, head),
        *((tag, low + head, high + head, a + head, b + head) for tag, low, high, a, b in middle.get_opcodes()),
        ("equal", len(old) - tail, len(old), len(new) - tail, len(new)),
    ]


def _located(transcript: Transcript) -> list[_Unit] | None:
    """Where each word stands in the text; None where the words are not all that the text says."""
    places: list[_Unit] = []
    text, position = transcript.text, 0
    for word in transcript.words:
        low = text.find(word.text, position)
        if low < 0 or _speaks(text[position:low]):
            return None
        position = low + len(word.text)
        places.append(_Unit(low, position))
    return None if _speaks(text[position:]) else places


def _said(transcript: Transcript) -> tuple[list[str], list[Span]]:
    """The keys of the units that the words make, and when each is said: one inside a word has a share of the word's time."""
    text, places = transcript.text, _located(transcript)
    if places is None:  # the text was changed under its words: they say themselves what was heard
        text, places = " ".join(word.text for word in transcript.words), []
        for word in transcript.words:
            low = places[-1].high + 1 if places else 0
            places.append(_Unit(low, low + len(word.text)))
    keys: list[str] = []
    times: list[Span] = []
    index = 0
    for unit in _units(text):
        # A unit may be part of a word, or several words: Whisper takes "well-known" for two.
        while places[index].high <= unit.low:
            index += 1
        first = index
        while places[index].high < unit.high and index + 1 < len(places) and places[index + 1].low < unit.high:
            index += 1
        start = _moment(unit.low, places[first], transcript.words[first])
        end = _moment(unit.high, places[index], transcript.words[index])
        keys.append(_key(text[unit.low : unit.high]))
        times.append(Span(start, end))
    return keys, times


def _moment(position: int, place: _Unit, word: Word) -> float:
    """When the letter at ``position`` of the text is said, in a word at ``place``."""
    share = (position - place.low) / max(place.high - place.low, 1)
    return word.start + (word.end - word.start) * min(max(share, 0.0), 1.0)


def _units(text: str) -> list[_Unit]:
    """The units of a text in order; together they cover all of it but spaces, if it says anything at all.

    Closing punctuation and dashes belong to what is before them, opening punctuation to what follows.
    """
    units: list[_Unit] = []
    lead: int | None = None  # where punctuation began that waits for its word
    growing = lone = False  # whether the last unit is still being written, and whether it is a single letter
    for position, letter in enumerate(text):
        if letter.isspace():
            growing = False
            if lead is not None and units and not _opens(text[lead:position]):
                units[-1] = _Unit(units[-1].low, position)
                lead = None
        elif letter.isalnum():
            alone = _is_unspaced(letter)
            if growing and not alone and not lone:
                units[-1] = _Unit(units[-1].low, position + 1)
            else:
                units.append(_Unit(position if lead is None else lead, position + 1))
                lead = None
            growing, lone = True, alone
        elif growing and not (lone and _opens(letter)):
            units[-1] = _Unit(units[-1].low, position + 1)
        else:
            growing = False
            lead = position if lead is None else lead
    if lead is not None and units:
        units[-1] = _Unit(units[-1].low, len(text.rstrip()))
    return units


def _is_unspaced(letter: str) -> bool:
    return letter >= "\u0e00" and any(low <= letter <= high for low, high in _UNSPACED)


def _opens(punctuation: str) -> bool:
    return all(unicodedata.category(letter) in ("Ps", "Pi") or letter in "¿¡" for letter in punctuation)


def _speaks(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


def _key(text: str) -> str:
    """What makes a word the same word: letters and digits, without case, accents, vowel marks and Arabic's tatweel."""
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text.casefold()) if letter.isalnum() and letter != "\u0640"
    )

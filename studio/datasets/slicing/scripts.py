"""What is said in a recording, as somebody wrote it down: plain text, or subtitles with times."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

from studio.datasets.sources.texts import read_text
from studio.errors import StudioError
from studio.files import shown_name

_TIMES = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")

_NEAR_SHARE = 0.1
"""Of the letters of a script: so far from where the time would part it a sentence may end."""


@dataclass(frozen=True)
class Line:
    """A line of a script.

    Attributes:
        start, end: seconds of the recording; None in plain text.
    """

    text: str
    start: float | None = None
    end: float | None = None


def read_script(path: Path) -> list[Line]:
    """The lines of a .txt, .srt or .vtt.

    Raises:
        StudioError: it cannot be read, holds nothing, or is of another kind.
    """
    suffix = path.suffix.lower()
    if suffix not in (".txt", ".srt", ".vtt"):
        raise StudioError(f"{shown_name(path)} is no script: give a .txt, .srt or .vtt.")
    content = read_text(path)
    lines = (
        _subtitles(content)
        if suffix != ".txt"
        else [Line(each.strip()) for each in content.split("\n") if each.strip()]
    )
    if not lines:
        raise StudioError(f"{shown_name(path)} holds no text: give another script, or none.")
    return lines


def _subtitles(content: str) -> list[Line]:
    found = []
    for block in re.split(r"\n\s*\n", content):
        times = _TIMES.search(block)
        if times is None:
            continue
        text = " ".join(_MARKUP.sub("", block[times.end() :].partition("\n")[2]).split())
        if text:
            found.append(Line(text, _seconds(times.groups()[:4]), _seconds(times.groups()[4:])))
    return found


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def by_time(lines: Sequence[Line], stretches: Sequence[tuple[float, float]]) -> list[str]:
    """For each stretch of a recording the subtitles of which it holds most."""
    texts: list[list[str]] = [[] for _ in stretches]
    for line in lines:
        assert line.start is not None and line.end is not None
        shared = [min(end, line.end) - max(start, line.start) for start, end in stretches]
        if shared and max(shared) > 0:
            texts[shared.index(max(shared))].append(line.text)
    return [joined(parts) for parts in texts]


def by_words(lines: Sequence[Line], heard: Sequence[str]) -> list[str]:
    """For each stretch the part of the script that is said in it, found by what a recogniser heard there.

    Words of the script between two that were recognised go to the stretch of the nearer one; what lies before the first or
    behind the last recognised word of a stretch goes to the stretch whose end of a line it completes.
    """
    script, owner = _recognised(lines, heard)
    _fill(owner, _line_ends(lines))
    return [joined([script[at] for at, number in enumerate(owner) if number == index]) for index in range(len(heard))]


def recognised_share(lines: Sequence[Line], heard: Sequence[str]) -> float:
    """Which share of a script was heard where it should be, 0 to 1: of little, :func:`by_words` knows nothing."""
    script, owner = _recognised(lines, heard)
    return sum(number is not None for number in owner) / max(1, len(script))


def _recognised(lines: Sequence[Line], heard: Sequence[str]) -> tuple[list[str], list[int | None]]:
    """The units of a script, and for each the stretch in which it was heard."""
    script = [unit for line in lines for unit in units(line.text)]
    spoken = [(key(unit), number) for number, text in enumerate(heard) for unit in units(text)]
    matcher = SequenceMatcher(None, [key(unit) for unit in script], [word for word, _ in spoken], autojunk=False)
    owner: list[int | None] = [None] * len(script)
    for a, b, size in matcher.get_matching_blocks():
        for offset in range(size):
            owner[a + offset] = spoken[b + offset][1]
    return script, owner


def by_share(lines: Sequence[Line], stretches: Sequence[tuple[float, float]]) -> list[str]:
    """For each stretch of a recording the part of a script that has as large a share of its letters as of the time.

    Sentences are kept whole where one ends within a tenth of the script of that place. Nobody listened: it may be wrong by
    words.
    """
    script = [unit for line in lines for unit in units(line.text)]
    ends, letters = _line_ends(lines), [0]
    for unit in script:
        letters.append(letters[-1] + max(1, len(key(unit))))
    whole, spoken = letters[-1], sum(end - start for start, end in stretches)
    borders, passed = [0], 0.0
    for start, end in stretches[:-1]:
        passed += end - start
        wanted = whole * passed / spoken
        near = [place for place in ends if abs(letters[place] - wanted) <= _NEAR_SHARE * whole]
        places = near or range(len(letters))
        borders.append(max(borders[-1], min(places, key=lambda place: abs(letters[place] - wanted))))
    borders.append(len(script))
    return [joined(script[first:last]) for first, last in pairwise(borders)]


def _line_ends(lines: Sequence[Line]) -> set[int]:
    """Places in the list of units behind which a line or sentence ends."""
    found, at = set(), 0
    for line in lines:
        for unit in units(line.text):
            at += 1
            if unit[-1:] in ".?!。？！؟":
                found.add(at)
        found.add(at)
    return found


def _fill(owner: list[int | None], ends: set[int]) -> None:
    """Give the words that nobody recognised to a neighbour: parted where a sentence ends, else in the middle."""
    at = 0
    while at < len(owner):
        if owner[at] is not None:
            at += 1
            continue
        last = at
        while last < len(owner) and owner[last] is None:
            last += 1
        before, after = owner[at - 1] if at else None, owner[last] if last < len(owner) else None
        middle = (at + last) // 2
        cut = min((end for end in ends if at <= end <= last), key=lambda end: abs(end - middle), default=middle)
        if before is None or after is None:
            cut = last if after is None else at
        for place in range(at, last):
            owner[place] = before if place < cut else after
        at = last


def units(text: str) -> list[str]:
    """Words; in scripts without spaces each character, with the marks behind it."""
    found: list[str] = []
    for word in text.split():
        if any(_is_unspaced(character) for character in word):
            for character in word:
                if found and not character.isalnum() and found[-1]:
                    found[-1] += character
                else:
                    found.append(character)
        else:
            found.append(word)
    return found


def key(unit: str) -> str:
    """A unit as it is compared: letters and digits, whatever their capitals and width."""
    plain = unicodedata.normalize("NFKC", unit).casefold()
    return "".join(character for character in plain if character.isalnum())


def joined(parts: Sequence[str]) -> str:
    """Units or texts as one text, with spaces where the script has them."""
    text = ""
    for part in parts:
        spaced = text and not (_is_unspaced(text[-1]) or text[-1] in "，。？！、" or _is_unspaced(part[:1]))
        text += (" " if spaced else "") + part
    return text


def _is_unspaced(character: str) -> bool:
    """Chinese, Japanese, Thai, Lao and Khmer are written without spaces."""
    return bool(character) and any(
        low <= ord(character[:1]) <= high
        for low, high in ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x0E00, 0x0EFF), (0x1780, 0x17FF))
    )

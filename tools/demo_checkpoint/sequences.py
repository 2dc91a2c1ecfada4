"""What the language model is shown: turns of text and codes, drawn anew for every batch.

A turn is either an utterance as the teacher spoke it, or words cut out of several utterances of one voice and joined. Of
both it is known which word, or which mark, is being said in every frame; frames of silence belong to the mark that makes the
pause, or to the word that is about to come.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tools.demo_checkpoint.codes import Clip
from tools.demo_checkpoint.scope import word_spans


@dataclass(frozen=True)
class Line:
    """A text, its codes, and what is being said when.

    Attributes:
        codes: int64, shape (num_codebooks, num_frames).
        units: character spans of words and of the marks that end or part them, in reading order.
        owner: for each frame the number of its unit, shape (num_frames,).
        sounds: for each frame its phoneme's number, shape (num_frames,).
    """

    voice: str
    text: str
    codes: np.ndarray
    units: list[tuple[int, int]]
    owner: np.ndarray
    sounds: np.ndarray

    @property
    def num_frames(self) -> int:
        """Length in frames."""
        return self.codes.shape[1]


_MARK = re.compile(r"[.,?!]")


def units_of(text: str) -> tuple[list[tuple[int, int]], list[int], dict[int, int]]:
    """Units of a text; the unit of each word; and, by word, the unit of the mark that follows it."""
    units: list[tuple[int, int]] = []
    of_word: list[int] = []
    mark_after: dict[int, int] = {}
    for number, (start, end) in enumerate(word_spans(text)):
        of_word.append(len(units))
        units.append((start, end))
        if end < len(text) and _MARK.match(text[end]):
            mark_after[number] = len(units)
            units.append((end, end + 1))
    return units, of_word, mark_after


def owners(num_frames: int, words: np.ndarray, of_word: list[int], mark_after: dict[int, int]) -> np.ndarray:
    """The unit of each frame, see :class:`Line`. ``words``: frames of each word, shape (num_words, 2)."""
    found = np.zeros(num_frames, np.int64)
    for number, (start, end) in enumerate(words):
        before = int(words[number - 1, 1]) if number else 0
        gap = mark_after.get(number - 1, of_word[number])
        # A gap of one frame is no pause that anybody would hear: the next word has begun.
        found[before:start] = gap if start - before > 1 else of_word[number]
        found[start:end] = of_word[number]
    found[int(words[-1, 1]) :] = mark_after.get(len(words) - 1, of_word[-1])
    return found


def natural(clip: Clip) -> Line:
    """An utterance as it was spoken."""
    units, of_word, mark_after = units_of(clip.text)
    owner = owners(clip.codes.shape[1], clip.words, of_word, mark_after)
    return Line(clip.voice, clip.text, clip.codes.astype(np.int64), units, owner, clip.sounds.astype(np.int64))


class Store:
    """The clips of all voices, to draw lines from.

    Args:
        clips: encodings; utterances of kind "open" serve as references only, since their words are not of the scope.
    """

    def __init__(self, clips: Iterable[Clip]) -> None:
        self._spoken: dict[str, list[Clip]] = defaultdict(list)
        self._all: dict[str, list[Clip]] = defaultdict(list)
        self._words: dict[str, dict[str, list[tuple[Clip, int]]]] = defaultdict(lambda: defaultdict(list))
        for clip in clips:
            self._all[clip.voice].append(clip)
            if clip.kind == "open":
                continue
            self._spoken[clip.voice].append(clip)
            for number, (start, end) in enumerate(word_spans(clip.text)):
                self._words[clip.voice][clip.text[start:end].lower()].append((clip, number))
        self.voices = sorted(voice for voice, spoken in self._spoken.items() if len(spoken) >= 4)
        self.vocabulary = sorted({word for words in self._words.values() for word in words})

    def line(self, rng: np.random.Generator, voice: str, num_words: int, joined: float) -> Line:
        """A line of about ``num_words`` words: joined with probability ``joined``, else as it was spoken."""
        if rng.random() < joined:
            return self.join(rng, voice, num_words)
        spoken = self._spoken[voice]
        drawn = [spoken[rng.integers(len(spoken))] for _ in range(6)]
        return natural(min(drawn, key=lambda clip: abs(len(clip.words) - num_words)))

    def reference(self, rng: np.random.Generator, voice: str, num_frames: int, opened: float) -> tuple[Line, bool]:
        """A clip of at least ``num_frames`` as people upload them, several utterances in one, and whether it can be learnt.

        Args:
            opened: share of clips of whatever this voice said; words outside the scope are heard and not learnt.
        """
        spoken = self._all[voice] if rng.random() < opened else self._spoken[voice]
        drawn: list[Clip] = []
        while not drawn or sum(clip.codes.shape[1] for clip in drawn) < num_frames:
            drawn.append(spoken[rng.integers(len(spoken))])
        return together(drawn), all(clip.kind != "open" for clip in drawn)

    def join(self, rng: np.random.Generator, voice: str, num_words: int) -> Line:
        """Words of this voice drawn with equal chances, each with up to two that were spoken around it."""
        known = self._words[voice]
        names = list(known)
        parts: list[Clip] = []
        total = 0
        while total < num_words:
            places = known[names[rng.integers(len(names))]]
            clip, at = places[rng.integers(len(places))]
            last = min(len(clip.words), at + int(rng.integers(1, 3)), at + num_words - total)
            parts.append(_cut(clip, at, last, first=not parts, final=total + last - at >= num_words))
            total += last - at
        return _joined(voice, parts)


def _cut(clip: Clip, first_word: int, after: int, *, first: bool, final: bool) -> Clip:
    """Words ``first_word`` to ``after`` of a clip. The first part keeps a breath of silence, the last one its fading."""
    start = int(clip.words[first_word, 0])
    end = int(clip.words[after - 1, 1])
    if first:
        start = max(0, start - 1)
    if final:
        end = min(clip.codes.shape[1], end + 1)
    spans = word_spans(clip.text)
    text = " ".join(clip.text[a:b] for a, b in spans[first_word:after])
    return replace(
        clip,
        text=text,
        codes=clip.codes[:, start:end],
        words=clip.words[first_word:after] - start,
        sounds=clip.sounds[start:end],
    )


def _joined(voice: str, parts: list[Clip]) -> Line:
    text = " ".join(part.text for part in parts) + "."
    text = text[0].upper() + text[1:]
    starts = np.cumsum([0, *(part.codes.shape[1] for part in parts[:-1])])
    words = np.concatenate([part.words + start for part, start in zip(parts, starts, strict=True)])
    codes = np.concatenate([part.codes for part in parts], axis=1).astype(np.int64)
    units, of_word, mark_after = units_of(text)
    sounds = np.concatenate([part.sounds for part in parts]).astype(np.int64)
    return Line(voice, text, codes, units, owners(codes.shape[1], words, of_word, mark_after), sounds)


def together(clips: Sequence[Clip]) -> Line:
    """Utterances of one voice one after the other, as one line."""
    lines = [natural(clip) for clip in clips]
    units: list[tuple[int, int]] = []
    owner: list[np.ndarray] = []
    text = ""
    for line in lines:
        text += " " * bool(text)
        owner.append(line.owner + len(units))
        units += [(start + len(text), end + len(text)) for start, end in line.units]
        text += line.text
    codes, sounds = (
        np.concatenate(parts, axis=-1) for parts in zip(*((e.codes, e.sounds) for e in lines), strict=True)
    )
    return Line(lines[0].voice, text, codes, units, np.concatenate(owner), sounds)


def corrupted(rows: np.ndarray, rng: np.random.Generator, share: float, *, num_codes: int) -> np.ndarray:
    """History with stretches replaced by random codes, so that it cannot be continued by heart.

    Args:
        rows: shape (num_rows, num_codebooks), in the delay pattern; stream-BOS and -EOS (from ``num_codes`` up) stay.
        share: about how much is replaced.
    """
    rows = rows.copy()
    hit = np.zeros(len(rows), bool)
    while hit.mean() < share:
        length = int(rng.integers(1, 9))
        start = int(rng.integers(0, len(rows)))
        hit[start : start + length] = True
    cells = hit[:, None] & (rows < num_codes)
    # Single codes too: what speaks later errs here and there.
    cells |= (rng.random(rows.shape) < 0.25 * share) & (rows < num_codes)
    rows[cells] = rng.integers(0, num_codes, int(cells.sum()))
    return rows

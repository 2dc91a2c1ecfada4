"""The teacher's phonemes as numbers, and which of them is heard when."""

from __future__ import annotations

import numpy as np

SOUNDS = ' !,.?;:—“”"()AIOQSTWYabcdefhijklmnopqstuvwxyzæçðøŋœɐɑɒɔɕɖəɚɛɜɟɡɣɤɥɨɪɯɰɲɳɴɸɹɻɽɾʁʂʃʈʊʋʌʎʒʔʝʣʤʥʦʧʨʰʲˈˌː̃βθχᵊᵝᵻ'
"""Kokoro's signs; a sound's number is its place plus one, and 0 is silence."""
NUM_SOUNDS = len(SOUNDS) + 1
UNKNOWN = -1
"""Of recordings whose phonemes nobody knows."""


def sounds_of(phonemes: str, times: np.ndarray, count: int, step_seconds: float) -> np.ndarray:
    """The phoneme in the middle of each step, by its number; a stress mark counts as what follows, a length mark as before.

    Args:
        times: seconds, shape (len(phonemes), 2).

    Returns:
        int16, shape (count,).
    """
    found = np.zeros(count, np.int16)
    middle = (np.arange(count) + 0.5) * step_seconds
    last = 0
    for place, (sign, (start, end)) in enumerate(zip(phonemes, times, strict=True)):
        if sign in "ˈˌ":
            sign = phonemes[place + 1 : place + 2] or " "
        last = last if sign == "ː" else 0 if sign in " .,?!" else SOUNDS.find(sign) + 1
        found[slice(*np.searchsorted(middle, (start, end)))] = last
    return found

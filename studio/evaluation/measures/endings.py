"""How a take ends: silence, and what is heard after the last word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.audio.quality.frames import FRAME_SECONDS, frame_powers, frames_in
from studio.audio.quality.noise import noise_power
from studio.audio.waveform import Span, Waveform

DECAY_SECONDS = 0.25
"""The last word rings on so long after the end that a recogniser gives it; its times are no finer."""
_LATE_SECONDS = 0.6
"""Speech may be noticed so much longer than the recogniser's last word lasts; what is longer is something else."""
_RING_SECONDS = 0.1
_LEAST_SECONDS = 0.1
_WINDOW_FRAMES = 5
NOISE_DB = -28.0
"""A tenth of a second after the last word that comes so close to the level of the speech is no room and no breath."""
OVER_BACKGROUND_DB = 6.0
"""So far over what is heard between the words: noise that was there all along is the recording's, not the ending's."""
_FLOOR_DB = -90.0


@dataclass(frozen=True)
class AfterLastWord:
    """What follows the last word.

    Attributes:
        seconds: from when the last word has rung out to the end of the take.
        level_db: the loudest tenth of a second there against the level of the speech; None where nothing follows.
        background_db: what is heard between the words, against the same.
    """

    seconds: float
    level_db: float | None = None
    background_db: float | None = None

    @property
    def is_noise(self) -> bool:
        """Whether more is heard there than room, breath and the background of the whole take."""
        if self.level_db is None or self.background_db is None:
            return False
        return self.level_db > max(NOISE_DB, self.background_db + OVER_BACKGROUND_DB)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        levels = {"level_db": self.level_db, "background_db": self.background_db}
        shown = {name: None if level is None else round(level, 1) for name, level in levels.items()}
        return {"seconds": round(self.seconds, 3), **shown, "flag": self.is_noise}


def after_last_word(sound: Waveform, speech: Sequence[Span], last_word_end: float | None) -> AfterLastWord | None:
    """What is heard after the last word.

    Args:
        last_word_end: by a recogniser, in seconds; None takes the end of the last speech.

    Returns:
        None where nobody speaks.
    """
    if not speech:
        return None
    powers = frame_powers(sound)
    spoken = powers[frames_in(speech, len(powers))]
    begins = _end_of_words(speech, last_word_end)
    first = round(begins / FRAME_SECONDS)
    seconds, rest = max(0.0, sound.duration - begins), powers[first:]
    if not len(spoken) or not spoken.any() or len(rest) * FRAME_SECONDS < _LEAST_SECONDS:
        return AfterLastWord(seconds)
    windows = np.convolve(rest, np.full(_WINDOW_FRAMES, 1 / _WINDOW_FRAMES), mode="valid")
    level = float(spoken.mean())
    before = noise_power(powers[:first], [span for span in speech if span.start < begins])
    return AfterLastWord(seconds, _decibels(float(windows.max()) / level), _decibels(before / level))


def _end_of_words(speech: Sequence[Span], last_word_end: float | None) -> float:
    """When the last word has rung out, in seconds."""
    if last_word_end is None:
        return speech[-1].end + DECAY_SECONDS
    ends = [span.end for span in speech if span.start <= last_word_end <= span.end <= last_word_end + _LATE_SECONDS]
    return max([last_word_end + DECAY_SECONDS, *(end + _RING_SECONDS for end in ends)])


def _decibels(ratio: float) -> float:
    return max(_FLOOR_DB, float(10.0 * np.log10(max(ratio, 1e-20))))

"""How a take ends: silence, and what is heard after the last word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.audio.quality.frames import FRAME_SECONDS, frame_powers, frames_in
from studio.audio.waveform import Span, Waveform

DECAY_SECONDS = 0.25
"""The last word rings on so long, and a recogniser's times are no finer."""
_LEAST_SECONDS = 0.1
_WINDOW_FRAMES = 5
NOISE_DB = -28.0
"""A tenth of a second after the last word that comes so close to the level of the speech is no room and no breath."""
_FLOOR_DB = -90.0


@dataclass(frozen=True)
class AfterLastWord:
    """What follows the last word.

    Attributes:
        seconds: from 0.25 s after the last word to the end of the take.
        level_db: the loudest tenth of a second there against the level of the speech; None where nothing follows.
    """

    seconds: float
    level_db: float | None

    @property
    def is_noise(self) -> bool:
        return self.level_db is not None and self.level_db > NOISE_DB

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        level = None if self.level_db is None else round(self.level_db, 1)
        return {"seconds": round(self.seconds, 3), "level_db": level, "flag": self.is_noise}


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
    begins = (speech[-1].end if last_word_end is None else last_word_end) + DECAY_SECONDS
    rest = powers[round(begins / FRAME_SECONDS) :]
    seconds = max(0.0, sound.duration - begins)
    if not len(spoken) or not spoken.any() or len(rest) * FRAME_SECONDS < _LEAST_SECONDS:
        return AfterLastWord(seconds, None)
    windows = np.convolve(rest, np.full(_WINDOW_FRAMES, 1 / _WINDOW_FRAMES), mode="valid")
    level = 10.0 * np.log10(max(float(windows.max()), 1e-20) / float(spoken.mean()))
    return AfterLastWord(seconds, max(_FLOOR_DB, float(level)))

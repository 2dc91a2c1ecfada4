"""How far the voice stands out of the background: signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studio.audio.quality.frames import FRAME_SECONDS, frames_in
from studio.audio.waveform import Span

# Below this power a frame holds no recorded background: the dither of 16 bits alone is 2.5e-10. It was gated or joined.
_DIGITAL_SILENCE = 1e-10
# The end of a word rings into the pause, and speech detection is not exact.
_MARGIN_SECONDS = 0.1
_ENOUGH_SECONDS = 0.3
# Minimum statistics (Martin 2001, doi:10.1109/89.928915): even fluent speech falls to the background every now and then.
_FLOOR_PERCENTILE = 3.0
_HIGHEST_DB, _LOWEST_DB = 80.0, -10.0


def signal_to_noise_db(speech: Sequence[Span], powers: np.ndarray) -> float | None:
    """Return the ratio of speech to background power in dB, over the full band and while somebody speaks.

    The background is the larger of two readings. One is the median frame of the pauses: at least 0.3 s of them that
    are farther than 0.1 s from speech and not digital silence. The other is the 3rd percentile of the frames within
    speech. It serves where there are no pauses, and where a gate or an editor made the pauses quieter than the
    background under the words.

    Args:
        speech: where somebody speaks, in seconds.
        powers: :func:`frame_powers` of the clip.

    Returns:
        dB between −10 and 80; None without a frame of speech.
    """
    spoken = powers[frames_in(speech, len(powers))]
    if not len(spoken) or not spoken.any():
        return None
    noise = noise_power(powers, speech)
    voice = float(np.mean(spoken)) - noise
    if noise <= 0.0:
        return _HIGHEST_DB
    if voice <= 0.0:
        return _LOWEST_DB
    return float(np.clip(10.0 * np.log10(voice / noise), _LOWEST_DB, _HIGHEST_DB))


def noise_power(powers: np.ndarray, speech: Sequence[Span]) -> float:
    """Power of the background from the powers of the frames; 0.0 where everything is digital silence."""
    inside = frames_in(speech, len(powers))
    recorded = powers > _DIGITAL_SILENCE
    within = powers[inside & recorded]
    floor = float(np.percentile(within, _FLOOR_PERCENTILE)) if len(within) else 0.0
    pauses = powers[~frames_in(speech, len(powers), grow=_MARGIN_SECONDS) & recorded]
    if len(pauses) * FRAME_SECONDS < _ENOUGH_SECONDS:
        return floor
    return max(floor, float(np.median(pauses)))


def steady_share(powers: np.ndarray) -> float:
    """Return the share (0–1) of frames within 3 dB of the quietest: how much of the clip rests on a constant floor.

    It tells a hiss from a room. Below 20 dB of signal-to-noise, steady noise reads 0.11–0.65, while a reverberant room,
    which fills the pauses just as well, falls all the time and reads 0.02–0.15; so do other voices.
    """
    recorded = powers[powers > _DIGITAL_SILENCE]
    if not len(recorded):
        return 0.0
    return float(np.mean(recorded < 2.0 * np.percentile(recorded, 2.0)))

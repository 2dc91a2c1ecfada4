"""What can be measured about a recording of a voice, without judging it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio.audio.loudness import integrated_lufs
from studio.audio.quality.bandwidth import effective_bandwidth
from studio.audio.quality.clipping import clipped_share
from studio.audio.quality.frames import cut, frame_powers, spread
from studio.audio.quality.noise import signal_to_noise_db, steady_share
from studio.audio.quality.reverberation import reverberation_seconds
from studio.audio.waveform import Span, Waveform, total_seconds

# Loudness of more than this is measured on evenly spread pieces of the speech: the filters need 20 bytes a sample.
_LOUDNESS_SECONDS = 120.0


@dataclass(frozen=True)
class ClipQuality:
    """Figures about one clip; see the functions that measure them.

    Attributes:
        duration: length in seconds.
        lead_seconds: seconds before the first speech; the whole clip where there is none.
        trail_seconds: seconds after the last speech; 0.0 where there is none.
        snr_db: speech over background, in dB.
        steady: share (0–1) of the clip that rests on a constant floor.
        clipped: share (0–1) of samples on flat tops.
        lufs: integrated loudness in LUFS; None for silence, so that it is a number wherever it is one.
        bandwidth_hz: up to which frequency speech is heard, in Hz.
        masked: whether steady noise hides what may lie above that.
        reverberation: estimated RT60 in seconds.
    """

    duration: float
    speech_seconds: float
    lead_seconds: float
    trail_seconds: float
    snr_db: float | None
    steady: float
    clipped: float
    lufs: float | None
    bandwidth_hz: float | None
    masked: bool
    reverberation: float | None


def measured(waveform: Waveform, speech: Sequence[Span]) -> ClipQuality:
    """Measure a clip of any length in bounded memory; 20 minutes take a few seconds.

    ``speech`` is in order and may be empty. A figure is None where there is too little to measure, and never NaN.
    """
    powers = frame_powers(waveform)
    lead, trail = edge_silence(waveform, speech)
    bandwidth = effective_bandwidth(waveform, speech)
    return ClipQuality(
        duration=waveform.duration,
        speech_seconds=float(total_seconds(speech)),
        lead_seconds=lead,
        trail_seconds=trail,
        snr_db=signal_to_noise_db(speech, powers),
        steady=steady_share(powers),
        clipped=clipped_share(waveform),
        lufs=speech_lufs(waveform, speech),
        bandwidth_hz=bandwidth.hz if bandwidth else None,
        masked=bandwidth is not None and bandwidth.masked,
        reverberation=reverberation_seconds(waveform, speech),
    )


def edge_silence(waveform: Waveform, speech: Sequence[Span]) -> tuple[float, float]:
    """Seconds before the first and after the last speech; the whole clip and 0.0 where nobody speaks."""
    if not speech:
        return waveform.duration, 0.0
    return max(speech[0].start, 0.0), max(waveform.duration - speech[-1].end, 0.0)


def speech_lufs(waveform: Waveform, speech: Sequence[Span]) -> float | None:
    """Integrated loudness in LUFS of the clip (over 2 minutes: of evenly spread speech); None for silence.

    The standard's gate leaves pauses out, so that both mean the same.
    """
    if waveform.duration > _LOUDNESS_SECONDS and speech:
        pieces = list(cut(waveform, spread(speech, _LOUDNESS_SECONDS)))
        waveform = Waveform(np.concatenate(pieces), waveform.sample_rate)
    elif waveform.duration > _LOUDNESS_SECONDS:
        size = round(_LOUDNESS_SECONDS * waveform.sample_rate)
        waveform = Waveform(waveform.samples[:size], waveform.sample_rate)
    lufs = integrated_lufs(waveform)
    return lufs if np.isfinite(lufs) else None

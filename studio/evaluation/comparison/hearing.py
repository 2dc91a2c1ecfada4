"""What of a comparison may be heard, and how loud: consent is asked each time, and two takes are played equally loud."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from sqlmodel import Session

from studio.audio.loudness import integrated_lufs
from studio.audio.reading import read_audio
from studio.audio.waveform import Waveform
from studio.audio.writing import encode_audio
from studio.store import voices as voice_queries
from studio.store.comparison_tables import ComparedTakeRecord, SystemRecord
from studio.voices.presets import preset_voices

PLAYED_LUFS = -23.0
"""Integrated loudness after ITU-R BS.1770 at which takes are played, where their peaks allow it (EBU R 128)."""
_CEILING = 10 ** (-1 / 20)
"""Largest sample of what is played, 1 dB below full scale."""


def withheld_takes(session: Session, takes: Iterable[ComparedTakeRecord]) -> set[str]:
    """Ids of those that may no longer be heard: the consent of a voice in them was withdrawn, at whatever time.

    As with takes of the library, a voice that was only deleted is no reason: what it said stays.
    """
    takes = list(takes)
    withdrawn = _withdrawn(session, (voice["id"] for take in takes for voice in take.voices))
    return {
        take.id
        for take in takes
        if take.consent_withdrawn_at is not None or any(voice["id"] in withdrawn for voice in take.voices)
    }


def withheld_systems(
    session: Session, systems: Iterable[SystemRecord], takes: Iterable[ComparedTakeRecord]
) -> set[str]:
    """Ids of those that are no longer shown."""
    systems, takes = list(systems), list(takes)
    hidden = withheld_takes(session, takes)
    withdrawn = _withdrawn(session, (voice["id"] for system in systems for voice in system.voices))
    return {take.system_id for take in takes if take.id in hidden} | {
        system.id for system in systems if any(voice["id"] in withdrawn for voice in system.voices)
    }


def _withdrawn(session: Session, voice_ids: Iterable[str]) -> set[str]:
    asked = set(voice_ids) - {preset.id for preset in preset_voices()}
    found = voice_queries.withdrawn(session, asked) if asked else {}
    return {voice_id for voice_id, when in found.items() if when is not None}


def equally_loud(sounds: Sequence[Waveform]) -> list[Waveform]:
    """The sounds at one rate and one loudness, so that neither tells which is which.

    All are resampled to the lowest rate among them. They get the loudness of :data:`PLAYED_LUFS`, or the highest below that
    which the peaks of every one allow; a sound too quiet to measure keeps its level.
    """
    rate = min(sound.sample_rate for sound in sounds)
    sounds = [sound.resampled(rate) for sound in sounds]
    levels = [integrated_lufs(sound) for sound in sounds]
    # At most what brings the peak of each to the ceiling: one gain for the whole sound, no limiter.
    reachable = [
        level + 20 * np.log10(_CEILING / sound.peak)
        for level, sound in zip(levels, sounds, strict=True)
        if np.isfinite(level)
    ]
    target = min([PLAYED_LUFS, *reachable])
    return [
        _scaled(sound, 10 ** ((target - level) / 20) if np.isfinite(level) else 1.0)
        for sound, level in zip(sounds, levels, strict=True)
    ]


def _scaled(sound: Waveform, gain: float) -> Waveform:
    samples = np.clip(sound.samples * np.float32(gain), -_CEILING, _CEILING)
    return Waveform(samples.astype(np.float32, copy=False), sound.sample_rate)


def played(take: Path, other: Path, *, marked: bool) -> bytes:
    """One take of a pair as a listener gets it: WAV.

    Args:
        other: the take beside it.
        marked: the file says that a model made it. Beside a real recording it would tell which is which.

    Raises:
        StudioError: a file is gone or damaged.
    """
    return encode_audio(equally_loud([read_audio(take), read_audio(other)])[0], "wav", synthetic=marked)


def samples_sha256(sound: Waveform) -> str:
    """Of the samples as 16 bits and their rate, however the file names itself."""
    steps = np.rint(np.clip(sound.samples, -1.0, 1.0) * 32767.0).astype("<i2")
    return hashlib.sha256(f"{sound.sample_rate}\n".encode() + steps.tobytes()).hexdigest()

"""Faults planted in good recordings, with a known size: what the coach must find, for its tests and its figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studio.audio.waveform import Span, Waveform


def joined(clips: Sequence[Waveform], gap: float = 0.0) -> Waveform:
    """One clip after the other with ``gap`` seconds of digital silence between them, at the rate of the first."""
    rate = clips[0].sample_rate
    silence = np.zeros(round(gap * rate), dtype=np.float32)
    parts = [part for clip in clips for part in (clip.resampled(rate).samples, silence)]
    return Waveform(np.concatenate(parts[:-1]), rate)


def white_noise(count: int, seed: int = 0) -> np.ndarray:
    """The same power at all frequencies."""
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def pink_noise(count: int, seed: int = 0) -> np.ndarray:
    """The same power in each octave, like wind or traffic."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    frequencies = np.fft.rfftfreq(count)
    spectrum /= np.sqrt(np.maximum(frequencies, frequencies[-1] / 1000))
    return np.fft.irfft(spectrum, count).astype(np.float32)


def babble(voices: Sequence[Waveform], count: int, rate: int, seed: int = 0) -> np.ndarray:
    """Eight voices at once, each beginning somewhere in one of the clips."""
    random = np.random.default_rng(seed)
    total = np.zeros(count, dtype=np.float32)
    for _ in range(8):
        order = random.permutation(len(voices))[:4]
        voice = np.concatenate([voices[index].resampled(rate).samples for index in order])
        voice = np.resize(np.roll(voice, int(random.integers(len(voice)))), count)
        total += voice / np.std(voice)
    return total


def with_noise(clip: Waveform, noise: np.ndarray, snr_db: float, speech: Sequence[Span]) -> Waveform:
    """Noise so loud that the power of the speech, where there is speech, is ``snr_db`` over it; peak at most 0.95."""
    spoken = np.concatenate(
        [clip.samples[round(span.start * clip.sample_rate) : round(span.end * clip.sample_rate)] for span in speech]
    )
    gain = np.sqrt(np.mean(np.square(spoken)) / np.mean(np.square(noise))) * 10.0 ** (-snr_db / 20.0)
    mixed = clip.samples + gain * noise
    return Waveform((mixed * min(1.0, 0.95 / np.max(np.abs(mixed)))).astype(np.float32), clip.sample_rate)


def clipped(clip: Waveform, drive: float, *, ceiling: float = 0.99, turned_down: float = 1.0) -> Waveform:
    """The peak driven to ``drive`` times the ceiling and cut off there; then the whole turned down."""
    driven = clip.samples * (drive * ceiling / clip.peak)
    return Waveform((np.clip(driven, -ceiling, ceiling) * turned_down).astype(np.float32), clip.sample_rate)


def telephone(clip: Waveform, highest: float = 3400.0, rate: int = 48000) -> Waveform:
    """Nothing above ``highest`` Hz (steep filter), in a file of ``rate`` Hz."""
    from scipy.signal import butter, sosfiltfilt

    wide = clip.resampled(rate)
    filtered = sosfiltfilt(butter(8, highest, fs=rate, output="sos"), wide.samples)
    return Waveform(filtered.astype(np.float32), rate)


def in_room(clip: Waveform, rt60: float, *, direct_db: float = 0.0, seed: int = 0) -> Waveform:
    """The clip in a room: exponentially decaying noise after the direct sound, which is ``direct_db`` over it."""
    from scipy.signal import fftconvolve

    rate = clip.sample_rate
    times = np.arange(int(1.2 * rt60 * rate)) / rate
    response = np.random.default_rng(seed).standard_normal(len(times)) * 10.0 ** (-3.0 * times / rt60)
    response[: round(0.002 * rate)] = 0.0  # The first wall is further away than the mouth.
    response *= 10.0 ** (-direct_db / 20.0) / np.sqrt(np.sum(np.square(response)))
    response[0] = 1.0
    heard = fftconvolve(clip.samples, response)[: clip.num_samples]
    return Waveform((heard * (0.7 / np.max(np.abs(heard)))).astype(np.float32), rate)


def other_voice(clip: Waveform, factor: float = 0.78) -> Waveform:
    """A larger person: pitch and formants lowered together, by playing the clip slower."""
    slower = clip.resampled(round(clip.sample_rate / factor)).samples
    return Waveform(slower, clip.sample_rate)

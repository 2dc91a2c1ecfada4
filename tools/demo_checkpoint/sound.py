"""Speech as a stranger's microphone hears it: other speakers, rooms, noise, levels. For training the codec."""

from __future__ import annotations

import numpy as np


class Pool:
    """Utterances to cut pieces from.

    Args:
        seconds: length of a piece.
    """

    def __init__(self, rate: int, seconds: float) -> None:
        self._rate, self.size = rate, round(rate * seconds)
        self._clips: list[np.ndarray] = []
        self._weights: list[int] = []

    def add(self, samples: np.ndarray) -> None:
        """Add an utterance, int16."""
        self._clips.append(samples)
        self._weights.append(len(samples))

    def __len__(self) -> int:
        return len(self._clips)

    def piece(self, rng: np.random.Generator) -> np.ndarray:
        """A piece of speech as it was recorded, float32, shape (size,); clips follow each other after short silences."""
        parts: list[np.ndarray] = []
        total = 0
        while total < self.size + 4000:
            clip = self._clips[rng.integers(len(self._clips))]
            parts += [clip, np.zeros(rng.integers(0, 1200), np.int16)]
            total += len(clip) + len(parts[-1])
        joined = np.concatenate(parts)
        start = rng.integers(0, len(joined) - self.size)
        return joined[start : start + self.size].astype(np.float32) / 32768

    def pair(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What the codec hears and what it has to give back: the same but for the noise."""
        speech = self._other_speaker(rng) if rng.random() < 0.3 else self.piece(rng)
        if rng.random() < 0.2:
            speech = _tilted(speech, rng.uniform(-0.4, 0.4))
        if rng.random() < 0.2:
            speech = _in_a_room(speech, self._rate, rng)
        speech = speech * np.float32(10 ** (rng.uniform(-14, 3) / 20))
        peak = np.abs(speech).max()
        if peak > 0.98:
            speech = speech * np.float32(0.98 / peak)
        heard = speech
        if rng.random() < 0.2:
            heard = speech + _noise(len(speech), rng) * speech.std() * np.float32(10 ** (-rng.uniform(10, 38) / 20))
        return heard.astype(np.float32), speech.astype(np.float32)

    def _other_speaker(self, rng: np.random.Generator) -> np.ndarray:
        """Played faster or slower: pitch and vocal tract of somebody else."""
        factor = rng.uniform(0.86, 1.16)
        long = np.concatenate([self.piece(rng), self.piece(rng)])
        at = np.arange(self.size) * factor
        return np.interp(at, np.arange(len(long)), long).astype(np.float32)


def _tilted(samples: np.ndarray, amount: float) -> np.ndarray:
    """Brighter or duller by a first difference."""
    shifted = np.concatenate([samples[:1], samples[:-1]])
    return ((samples - amount * shifted) / (1 + abs(amount))).astype(np.float32)


def _in_a_room(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """With the decaying echoes of a small room: a random tail of 0.1 to 0.4 s, 4 to 16 dB below the direct sound."""
    length = round(rate * rng.uniform(0.1, 0.4))
    tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: rng.integers(16, 160)] = 0
    tail *= 10 ** (-rng.uniform(4, 16) / 20) / max(1e-9, np.sqrt((tail**2).sum()))
    tail[0] = 1.0
    size = 1 << (len(samples) + length - 1).bit_length()
    mixed = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    return mixed.astype(np.float32)


def _noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit power with a random slope of its spectrum, from white to brown."""
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum *= (np.arange(len(spectrum)) + 8.0) ** -rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, size)[:length]
    return (noise / max(1e-9, noise.std())).astype(np.float32)

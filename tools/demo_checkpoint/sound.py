"""Speech as a stranger's microphone hears it: other speakers, rooms, noise, levels. For training the codec."""

from __future__ import annotations

import numpy as np

from tools.demo_checkpoint.phonemes import UNKNOWN


class Pool:
    """Utterances to cut pieces from.

    Args:
        seconds: length of a piece.
    """

    def __init__(self, rate: int, seconds: float) -> None:
        self._rate, self.size = rate, round(rate * seconds)
        self._clips: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, samples: np.ndarray, sounds: np.ndarray | None = None) -> None:
        """Add an utterance, int16, and the number of the phoneme at each sample where it is known."""
        known = np.full(len(samples), UNKNOWN, np.int8) if sounds is None else sounds.astype(np.int8)
        self._clips.append((samples, known))

    def __len__(self) -> int:
        return len(self._clips)

    def piece(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Speech as it was recorded, float32, and its phonemes, shape (size,); clips follow after short silences."""
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        total = 0
        while total < self.size + 4000:
            silence = rng.integers(0, 1200)
            parts += [
                self._clips[rng.integers(len(self._clips))],
                (np.zeros(silence, np.int16), np.zeros(silence, np.int8)),
            ]
            total += len(parts[-2][0]) + silence
        start = rng.integers(0, total - self.size)
        samples, sounds = (np.concatenate(side)[start : start + self.size] for side in zip(*parts, strict=True))
        return samples.astype(np.float32) / 32768, sounds

    def pair(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the codec hears, what it has to give back (the same but for the noise), and the phonemes."""
        speech, sounds = self._other_speaker(rng) if rng.random() < 0.3 else self.piece(rng)
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
        return heard.astype(np.float32), speech.astype(np.float32), sounds

    def _other_speaker(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Played faster or slower: pitch and vocal tract of somebody else."""
        factor = rng.uniform(0.86, 1.16)
        long, sounds = (np.concatenate(side) for side in zip(self.piece(rng), self.piece(rng), strict=True))
        at = np.arange(self.size) * factor
        return np.interp(at, np.arange(len(long)), long).astype(np.float32), sounds[at.astype(np.int64)]


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

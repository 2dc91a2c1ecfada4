"""Joins the chunks of a long text: natural pauses, steady loudness, no clicks.

Works on samples as they come and gives the same result however they are cut into pieces, so that streaming and
generating at once sound the same. A text that is one chunk passes through untouched.
"""

from __future__ import annotations

import numpy as np

from studio.audio.loudness import integrated_lufs
from studio.audio.waveform import Waveform

SENTENCE_PAUSE_SECONDS = 0.25
PARAGRAPH_PAUSE_SECONDS = 0.6
TURN_PAUSE_SECONDS = 0.35
"""Silence put between two chunks: within a paragraph, between paragraphs, between the turns of a dialogue."""

_SILENCE_DBFS = -50.0
_LEAD_SECONDS, _TAIL_SECONDS = 0.04, 0.10
"""Quiet kept at either end of a chunk, so that soft onsets and releases are not cut."""
_FADE_SECONDS = 0.005
_LOUDNESS_SECONDS = 2.0
"""Speech looked at before a chunk's gain is fixed."""
_MAX_GAIN_DB = 6.0
_RAISED_PEAK = 0.7

_NOTHING = np.zeros(0, np.float32)


class _EdgeTrim:
    """Takes away the quiet before and after the speech of a chunk, in blocks of 10 ms."""

    def __init__(self, rate: int) -> None:
        self._block = max(1, round(0.01 * rate))
        self._lead, self._tail = round(_LEAD_SECONDS * rate), round(_TAIL_SECONDS * rate)
        self._threshold = 10 ** (_SILENCE_DBFS / 20)
        self._rest = self._quiet = _NOTHING
        self._heard = False

    def push(self, samples: np.ndarray) -> np.ndarray:
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self._block * self._block
        self._rest = samples[whole:]
        if whole == 0:
            return _NOTHING
        blocks = samples[:whole].reshape(-1, self._block)
        loud = np.flatnonzero(np.sqrt(np.mean(np.square(blocks, dtype=np.float64), axis=1)) > self._threshold)
        if len(loud) == 0:
            self._quiet = self._kept(np.concatenate([self._quiet, samples[:whole]]))
            return _NOTHING
        before = np.concatenate([self._quiet, samples[: loud[0] * self._block]])
        last = (loud[-1] + 1) * self._block
        speech = samples[loud[0] * self._block : last]
        ready = np.concatenate([self._kept(before), speech])
        self._heard, self._quiet = True, samples[last:whole]
        return ready

    def _kept(self, quiet: np.ndarray) -> np.ndarray:
        """All of a pause within speech; before speech, its last few milliseconds."""
        return quiet if self._heard else quiet[max(0, len(quiet) - self._lead) :]

    def end(self) -> np.ndarray:
        if not self._heard:
            return _NOTHING
        return np.concatenate([self._quiet, self._rest])[: self._tail]


class _Level:
    """Brings a chunk to the loudness of the first one (ITU-R BS.1770 over its first two seconds of speech)."""

    def __init__(self, rate: int, target_lufs: float | None) -> None:
        self._rate, self._window_size = rate, round(_LOUDNESS_SECONDS * rate)
        self.target_lufs = target_lufs
        self._held = _NOTHING
        self._gain: float | None = None

    def push(self, samples: np.ndarray) -> np.ndarray:
        if self._gain is not None:
            return samples * np.float32(self._gain)
        self._held = np.concatenate([self._held, samples])
        return self._settle() if len(self._held) >= self._window_size else _NOTHING

    def end(self) -> np.ndarray:
        return self._settle() if self._gain is None else _NOTHING

    def _settle(self) -> np.ndarray:
        held, self._held = self._held, _NOTHING
        window = held[: self._window_size]
        lufs = integrated_lufs(Waveform(window, self._rate)) if len(window) else float("-inf")
        self._gain = 1.0
        if np.isfinite(lufs) and self.target_lufs is None:
            self.target_lufs = lufs
        elif np.isfinite(lufs) and self.target_lufs is not None:
            gain = 10 ** (float(np.clip(self.target_lufs - lufs, -_MAX_GAIN_DB, _MAX_GAIN_DB)) / 20)
            # Raised only as far as leaves room for a louder passage after the window.
            self._gain = (
                max(1.0, min(gain, _RAISED_PEAK / max(float(np.abs(window).max()), 1e-6))) if gain > 1 else gain
            )
        return held * np.float32(self._gain)


class _Fade:
    """Ramps of a few milliseconds at either end of a chunk: a cut into running sound would click."""

    def __init__(self, rate: int) -> None:
        self._size = max(1, round(_FADE_SECONDS * rate))
        self._ramp = (np.arange(self._size, dtype=np.float32) + 0.5) / self._size
        self._seen, self._held = 0, _NOTHING

    def push(self, samples: np.ndarray) -> np.ndarray:
        if self._seen < self._size and len(samples):
            samples = samples.copy()
            rising = self._ramp[self._seen : self._seen + len(samples)]
            samples[: len(rising)] *= rising
        self._seen += len(samples)
        samples = np.concatenate([self._held, samples])
        split = max(0, len(samples) - self._size)
        self._held = samples[split:]
        return samples[:split]

    def end(self) -> np.ndarray:
        return self._held * self._ramp[: len(self._held)][::-1]


class ChunkJoiner:
    """Call :meth:`push` with samples of the current chunk and :meth:`end_chunk` at its end; both return samples ready to
    be heard.

    Args:
        sample_rate: in Hz.
        num_chunks: chunks to come; with one nothing is changed.
    """

    def __init__(self, sample_rate: int, num_chunks: int) -> None:
        self._rate, self._untouched = sample_rate, num_chunks == 1
        self._stages: list[_EdgeTrim | _Level | _Fade] = []
        self._start(None)

    def _start(self, target_lufs: float | None) -> None:
        self._level = _Level(self._rate, target_lufs)
        self._stages = [_EdgeTrim(self._rate), self._level, _Fade(self._rate)]

    def push(self, samples: np.ndarray) -> np.ndarray:
        if self._untouched:
            return samples
        for stage in self._stages:
            samples = stage.push(samples)
        return samples

    def end_chunk(self, pause_seconds: float) -> np.ndarray:
        """Close the current chunk and add the pause that follows it (0 after the last one)."""
        if self._untouched:
            return _NOTHING
        rest = _NOTHING
        for stage in self._stages:
            rest = np.concatenate([stage.push(rest), stage.end()])
        self._start(self._level.target_lufs)
        return np.concatenate([rest, np.zeros(round(pause_seconds * self._rate), np.float32)])

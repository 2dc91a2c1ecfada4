"""Small made-up speech for the tests of tools/demo_checkpoint."""

from __future__ import annotations

import numpy as np

from tools.demo_checkpoint.codes import Clip
from tools.demo_checkpoint.corpus import Utterance
from tools.demo_checkpoint.scope import word_spans


def clip(text: str, *, voice: str = "af_heart", frames_each: int = 4, seed: int = 0) -> Clip:
    """Words of ``frames_each`` frames, two frames of silence before and after, codes that tell the frame."""
    count = len(word_spans(text))
    num_frames = 4 + count * frames_each
    rng = np.random.default_rng(seed)
    words = np.array([[2 + n * frames_each, 2 + (n + 1) * frames_each] for n in range(count)])
    codes = rng.integers(0, 512, (8, num_frames)).astype(np.int16)
    return Clip(voice, text, "sentence", codes, words, np.arange(num_frames, dtype=np.int16) % 5)


def utterance(text: str) -> Utterance:
    """A tenth of a second for each word."""
    count = len(word_spans(text))
    times = np.array([[n / 10, (n + 1) / 10] for n in range(count)], np.float32)
    samples = np.arange(count * 1600, dtype=np.int16)
    return Utterance("af_heart", text, "sentence", samples, times, "ab" * count, np.repeat(times, 2, axis=0))

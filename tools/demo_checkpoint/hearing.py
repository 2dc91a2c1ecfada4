"""What takes are judged by: Whisper base for the words, Resemblyzer for the voice; both belong to the tests' environment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from tests.asr_model import joined_model

RATE = 16_000


@cache
def _recogniser() -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(joined_model()), device="cpu", compute_type="int8", cpu_threads=1)


@cache
def _normaliser() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


def normalised(text: str) -> str:
    """A text as it is compared: numbers as figures whichever way they were written, no case, no marks."""
    return _normaliser()(text)


def transcribed(samples: np.ndarray) -> str:
    """What Whisper hears in 16 kHz samples."""
    segments, _ = _recogniser().transcribe(samples.astype(np.float32), language="en", beam_size=2)
    return " ".join(segment.text.strip() for segment in segments)


def word_error_rate(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Errors in all texts together over words in all texts together."""
    import jiwer

    return float(jiwer.wer([normalised(text) for text in wanted], [normalised(text) for text in heard]))


@cache
def _voice_encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


def voice(samples: np.ndarray) -> np.ndarray:
    """A unit vector for the voice in 16 kHz samples, shape (256,); needs a second of speech to mean anything."""
    level = np.abs(samples).max() + 1e-9
    return _voice_encoder().embed_utterance((samples / level * 0.7).astype(np.float32))

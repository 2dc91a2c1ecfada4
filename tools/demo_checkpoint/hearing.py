"""What takes are judged by: Whisper base for the words, the studio's speaker encoder for the voice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from studio.audio.waveform import Span, Waveform
from studio.listening.speaker_encoder import WINDOW_SECONDS
from studio.listening.speakers import voice_vector
from studio.listening.vad import find_speech
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


def voice(samples: np.ndarray) -> np.ndarray:
    """A unit vector for the voice in 16 kHz samples, shape (256,); needs a second of speech to mean anything."""
    least = round(WINDOW_SECONDS * RATE) + 1
    if len(samples) < least:  # one window of the encoder; a shorter take is heard more than once
        samples = np.tile(samples, -(-least // max(len(samples), 1)))
    waveform = Waveform(np.ascontiguousarray(samples, dtype=np.float32), RATE)
    found = voice_vector(waveform, find_speech(waveform))
    if found is None:
        found = voice_vector(waveform, [Span(0.0, waveform.duration)])
    assert found is not None
    return found / max(float(np.linalg.norm(found)), 1e-9)

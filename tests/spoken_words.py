"""How much of a text can be understood: by Whisper base, word by word."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np


def understood(text: str, samples: np.ndarray, model: Path) -> float:
    """Share of the words of ``text`` that the recogniser hears, each as often as it stands there; numbers as words.

    Args:
        samples: float32 at 16 kHz, shape (num_samples,).
        model: folder of the recogniser, see tests/asr_model.py.
    """
    from faster_whisper import WhisperModel

    recogniser = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    segments, _ = recogniser.transcribe(samples, language="en", beam_size=1, temperature=0.0)
    said, heard = (Counter(_words(each)) for each in (text, " ".join(segment.text for segment in segments)))
    return (said & heard).total() / said.total()


def _words(text: str) -> list[str]:
    from num2words import num2words

    spelled = re.sub(r"\d+", lambda number: f" {num2words(int(number[0]))} ", text)
    return re.findall(r"[a-z]+(?:'[a-z]+)?", spelled.lower().replace("-", " "))

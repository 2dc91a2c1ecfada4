"""Where somebody speaks: voice activity by Silero VAD."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from studio.audio.waveform import Span, Waveform

RATE = 16000  # The rate the model was trained at; everything below is resampled to it.
THRESHOLD = 0.5  # Silero's own default for the probability of speech.
MIN_SPEECH_SECONDS = 0.25
MIN_PAUSE_SECONDS = 0.1
PAD_SECONDS = 0.03


def find_speech(waveform: Waveform) -> list[Span]:
    """Return the stretches in which somebody speaks.

    Silero VAD (https://github.com/snakers4/silero-vad, MIT) in its ONNX form that takes many frames at once: the same
    probabilities as the streaming form, without a state in the model, so that threads need not wait for each other. One
    core hears 20 minutes in about 3 s.

    Args:
        waveform: any rate and length. The level does not matter much, but a voice under −60 dBFS is not heard.

    Returns:
        Spans in seconds, in order, not overlapping, inside the clip. Pauses under 0.1 s do not split a span, sounds
        under 0.25 s do not make one, and a span reaches 0.03 s into the pause on either side. Empty where nobody
        speaks.
    """
    if waveform.peak == 0.0:
        return []
    model, timestamps = _detector()
    found = timestamps(
        waveform.resampled(RATE).samples,
        model,
        threshold=THRESHOLD,
        sampling_rate=RATE,
        min_speech_duration_ms=round(1000 * MIN_SPEECH_SECONDS),
        min_silence_duration_ms=round(1000 * MIN_PAUSE_SECONDS),
        speech_pad_ms=round(1000 * PAD_SECONDS),
    )
    # Resampling may round the length up by a sample.
    return [Span(part["start"] / RATE, min(part["end"] / RATE, waveform.duration)) for part in found]


@lru_cache(maxsize=1)
def _detector() -> tuple[Any, Any]:
    """The model (2 MB, in the package itself) and the function that turns its probabilities into stretches."""
    import torch

    threads = torch.get_num_threads()
    try:
        from silero_vad import load_silero_vad
        from silero_vad.sequence_vad import get_speech_timestamps_sequence
    finally:
        # Importing silero_vad limits torch to one thread in the whole process; the engine would suffer for it.
        torch.set_num_threads(threads)
    return load_silero_vad(onnx=True, sequence=True), get_speech_timestamps_sequence

"""Does an adapter do anything, and does it speak? The base and the adapter say the same sentence from the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.engine.rows import TrainingRow
from studio.engine.speech.spoken_sentence import SpokenSentence, prompt_logits, speak_sentence

if TYPE_CHECKING:
    import torch

    from studio.engine.model.speech_model import SpeechModel


@dataclass(frozen=True)
class BaseSpeech:
    """What the base alone says, to which any number of adapters are held.

    Attributes:
        logits: of the audio head at the end of the prompt, shape (num_codebooks, codebook_size).
    """

    spoken: SpokenSentence
    logits: torch.Tensor


def speak_base(engine: SpeechModel, row: TrainingRow, text: str, *, seed: int) -> BaseSpeech:
    """Let the base speak alone. Raises StudioError as :func:`studio.engine.speech.spoken_sentence.speak_sentence`."""
    return BaseSpeech(speak_sentence(engine, row, text, seed=seed), prompt_logits(engine, row, text))


def compare(
    engine: SpeechModel, row: TrainingRow, text: str, folder: Path, *, seed: int, base: BaseSpeech | None = None
) -> dict[str, Any]:
    """Speak with an adapter and hold it against the base.

    Args:
        engine: with the base that the adapter was trained on.
        row: in whose voice, see :func:`studio.engine.speech.spoken_sentence.speak_sentence`.
        folder: of the adapter.
        base: what :func:`speak_base` gave for the same row, text and seed; None lets the base speak first.

    Returns:
        What an adapter's card says of it, ready for JSON. ``applied``: its weights change the numbers from which speech is
        drawn; ``logit_change``: by how much, as the largest difference over the largest number of the base. ``ok``:
        applied, to be heard, and ended by itself; ``sentence``: the same in words.

    Raises:
        StudioError: an adapter that cannot be loaded, or as :func:`studio.engine.speech.spoken_sentence.speak_sentence`.
    """
    base = base or speak_base(engine, row, text, seed=seed)
    adapter = engine.load_adapter(folder)
    spoken = speak_sentence(engine, row, text, seed=seed, adapter=adapter)
    change = float((prompt_logits(engine, row, text, adapter) - base.logits).abs().max())
    applied = change > 0
    return {
        "applied": applied,
        "logit_change": change / max(float(base.logits.abs().max()), 1e-9),
        "loudness_dbfs": round(spoken.loudness_dbfs, 2),
        "silent": spoken.silent,
        "ended": spoken.ended,
        "seconds": round(spoken.seconds, 3),
        "seed": seed,
        "text": text,
        "base": {
            "loudness_dbfs": round(base.spoken.loudness_dbfs, 2),
            "ended": base.spoken.ended,
            "seconds": round(base.spoken.seconds, 3),
        },
        "sentence": _sentence(spoken, base.spoken, applied=applied),
        "ok": applied and not spoken.silent and spoken.ended,
    }


def _sentence(spoken: SpokenSentence, base: SpokenSentence, *, applied: bool) -> str:
    if not applied:
        return (
            "Makes no difference: with its weights the base says exactly what it says without them; train longer, or with a "
            "higher learning rate."
        )
    if spoken.silent:
        heard = (
            f"in {spoken.seconds:.1f} s there is nothing to hear" if spoken.num_frames else "it ends before it begins"
        )
        return f"Is silent: {heard}; choose an earlier checkpoint, or train with a lower learning rate."
    if not spoken.ended:
        also = "" if base.ended else ", as the base does"
        return (
            f"Does not stop by itself: it ran to its budget of {spoken.budget_seconds:.1f} s{also}; choose another "
            "checkpoint, or train longer."
        )
    return f"Speaks with its weights applied, {spoken.seconds:.1f} s, and ends by itself."

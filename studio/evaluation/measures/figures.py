"""The figures of one take, each with the model that made it, and why those that are absent are. Zero is always a figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from studio.errors import StudioError

MODEL_OF = {
    "similarity": "similarity", "wer": "wer", "cer": "wer", "word_differences": "wer", "leaked_reference_words": "wer",
    "ovrl": "dnsmos", "sig": "dnsmos", "bak": "dnsmos", "duration_ratio": "duration_ratio", "pitch": "pitch",
    "pitch_correlation": "pitch", "loudness_lufs": "loudness", "speech_rate": "speech", "silence_at_end_seconds": "speech",
}  # fmt: skip
"""Which model a figure comes from, as :attr:`Figures.models` names it. What is not here needs none."""


@dataclass(frozen=True)
class Figures:
    """What was measured of a take. None is absent, and :attr:`absent` says why.

    Attributes:
        similarity: cosine of the voices of take and reference, −1 to 1.
        wer, cer: word and character error rate, 0 and up.
        heard: what the recogniser wrote; "" where it heard nothing.
        word_differences: ``{"said", "heard"}`` wherever the two differ, as they are compared.
        leaked_reference_words: runs of words of the reference that were heard and are not in the text.
        ovrl, sig, bak: DNSMOS P.835, 1–5: overall, speech, background.
        duration_ratio: seconds spoken over those of the recording, or over those that the text should take; which of them is
            in :attr:`models`.
        speech_rate: letters and digits, as they are read, for each second of speech.
        pitch: ``mean_hz``, ``low_hz``, ``high_hz``, ``range_semitones``, ``voiced_seconds``.
        pitch_correlation: of the melodies of take and recording, −1 to 1.
        silence_at_end_seconds: from the last speech to the end.
        noise_after_last_word: ``seconds``, ``level_db`` and ``background_db`` against the speech, and ``flag``.
        ended: whether the model ended every part by itself.
        rtf: seconds of computing for each second of sound.
        models: the model of each group of figures, with its version.
        absent: figure → a sentence that says why it is absent.
    """

    duration_seconds: float
    similarity: float | None = None
    wer: float | None = None
    cer: float | None = None
    heard: str | None = None
    word_differences: tuple[dict[str, str], ...] | None = None
    leaked_reference_words: tuple[str, ...] | None = None
    ovrl: float | None = None
    sig: float | None = None
    bak: float | None = None
    duration_ratio: float | None = None
    speech_rate: float | None = None
    pitch: dict[str, float] | None = None
    pitch_correlation: float | None = None
    loudness_lufs: float | None = None
    silence_at_end_seconds: float | None = None
    noise_after_last_word: dict[str, Any] | None = None
    ended: bool | None = None
    rtf: float | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Of the models: figures with the same key may all be compared."""
        return "; ".join(f"{name}: {model}" for name, model in sorted(self.models.items()))

    def as_json(self) -> dict[str, Any]:
        """For ``--json``; :meth:`from_json` gives the same back, to the fourth digit."""
        models = dict(self.models)
        dnsmos = {"ovrl": self.ovrl, "sig": self.sig, "bak": self.bak, "model": models.get("dnsmos")}
        return _rounded(
            {
                "similarity": self.similarity,
                "similarity_model": models.get("similarity"),
                "wer": self.wer,
                "cer": self.cer,
                "wer_model": models.get("wer"),
                "heard": self.heard,
                "word_differences": None if self.word_differences is None else list(self.word_differences),
                "leaked_reference_words": None
                if self.leaked_reference_words is None
                else list(self.leaked_reference_words),
                "dnsmos": None if self.ovrl is None else dnsmos,
                "duration_seconds": self.duration_seconds,
                "duration_ratio": self.duration_ratio,
                "duration_ratio_to": models.get("duration_ratio"),
                "speech_rate": self.speech_rate,
                "pitch": self.pitch,
                "pitch_correlation": self.pitch_correlation,
                "loudness_lufs": self.loudness_lufs,
                "silence_at_end_seconds": self.silence_at_end_seconds,
                "noise_after_last_word": self.noise_after_last_word,
                "ended": self.ended,
                "rtf": self.rtf,
                "models": models,
                "absent": dict(self.absent),
            }
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Figures:
        """What :meth:`as_json` gave, and nothing else that may lie beside it."""
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        known |= {name: (content.get("dnsmos") or {}).get(name) for name in ("ovrl", "sig", "bak")}
        for name in ("word_differences", "leaked_reference_words"):
            known[name] = None if known.get(name) is None else tuple(known[name])
        return cls(**known)

    def without(self, figure: str, reason: str) -> Figures:
        """The same without one figure, for the reason in a sentence."""
        return replace(self, **{figure: None}, absent={**self.absent, figure: reason})


def common_model(figure: str, of: Iterable[Figures]) -> str:
    """The one model that made a figure in all of them; "" where the figure needs none, or none of them has it.

    Raises:
        StudioError: there are several: what they say must not be compared.
    """
    group = MODEL_OF.get(figure)
    if group is None:
        return ""
    models = sorted({each.models.get(group, "") for each in of if getattr(each, figure) is not None})
    if len(models) > 1:
        raise StudioError(
            f"The figure {figure} was measured by different models ({' and by '.join(models)}), so it cannot be compared: "
            "measure all takes with one of them."
        )
    return models[0] if models else ""


def mean_of(figure: str, of: Iterable[Figures]) -> float | None:
    """The mean of a figure over the takes that have it; None where none has.

    Raises:
        StudioError: different models made it.
    """
    given = list(of)
    common_model(figure, given)
    values = [float(value) for each in given if (value := getattr(each, figure)) is not None]
    return math.fsum(values) / len(values) if values else None


def _rounded(content: Any) -> Any:
    if isinstance(content, float):
        return round(content, 4)
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    return [_rounded(each) for each in content] if isinstance(content, list) else content

"""What a list came to, and what may be called Seed-TTS-eval."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from studio.evaluation.seed_tts.results import Results

PUBLISHED = {"model": "Higgs Audio v2", "wer_percent": 2.44, "similarity_percent": 67.7}
"""What boson-ai publish of their model on the English list (README of boson-ai/higgs-audio)."""
_RECOGNISER = re.compile(r"(openai/|Systran/)?(faster-)?(whisper-)?large-v3 \(")
_ENCODER = re.compile(r"WavLM-large SV \(")


@dataclass(frozen=True)
class Summary:
    """The figures of a list, in percent. Every line counts: a missing take has lost all its words and its voice.

    Attributes:
        wer_percent: the mean of the utterances' word error rates.
        similarity_percent: the mean of the cosines; a take that is missing, or has under a second of speech, counts 0.
        missing: takes that are not there; the authors' own scripts leave them out, which makes a figure better.
        voiceless: takes without a similarity, missing ones included.
        wer_of_found_percent, similarity_of_voiced_percent: the means over the others; None where there are none.
    """

    results: Results
    wer_percent: float
    similarity_percent: float
    missing: int
    voiceless: int
    wer_of_found_percent: float | None
    similarity_of_voiced_percent: float | None

    @classmethod
    def of(cls, results: Results) -> Summary | None:
        """None as long as no line is scored."""
        scores = list(results.scores.values())
        if not scores:
            return None
        found = [each.wer for each in scores if not each.missing]
        voiced = [each.similarity for each in scores if each.similarity is not None]
        return cls(
            results,
            100 * math.fsum(each.wer for each in scores) / len(scores),
            100 * math.fsum(voiced) / len(scores),
            len(scores) - len(found),
            len(scores) - len(voiced),
            100 * math.fsum(found) / len(found) if found else None,
            100 * math.fsum(voiced) / len(voiced) if voiced else None,
        )

    @property
    def wer_name(self) -> str:
        """How the word error rate is called: Seed-TTS-eval only with the recogniser of its authors."""
        header = self.results.header
        is_theirs = header.language == "en" and _RECOGNISER.match(header.wer_model)
        return "Seed-TTS-eval WER" if is_theirs else f"mean WER by {header.wer_model}"

    @property
    def similarity_name(self) -> str:
        model = self.results.header.similarity_model
        return "Seed-TTS-eval SIM" if _ENCODER.match(model) else f"mean similarity by {model}"

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        header = self.results.header
        done = not self.results.unscored and header.parts == 1
        theirs = [name for name in (self.wer_name, self.similarity_name) if name.startswith("Seed-TTS-eval")]
        return {
            "list": header.list_name,
            "list_digest": header.list_digest,
            "language": header.language,
            "part": f"{header.part}/{header.parts}",
            "lines": len(header.names),
            "scored": len(self.results.scores),
            "missing": self.missing,
            "voiceless": self.voiceless,
            "wer_percent": round(self.wer_percent, 3),
            "wer_name": self.wer_name,
            "wer_model": header.wer_model,
            "wer_of_found_percent": _rounded(self.wer_of_found_percent),
            "similarity_percent": round(self.similarity_percent, 3),
            "similarity_name": self.similarity_name,
            "similarity_model": header.similarity_model,
            "similarity_of_voiced_percent": _rounded(self.similarity_of_voiced_percent),
            "spoken_with": header.spoken_with or None,
            "whole_list": done,
            "published": {**PUBLISHED, "may_be_compared": theirs if done else []},
        }

    def lines(self) -> list[str]:
        """In words."""
        header, published = self.results.header, PUBLISHED
        whole = "" if header.parts == 1 else f" (part {header.part} of {header.parts})"
        lines = [
            f"{header.list_name}{whole}: {len(self.results.scores)} of {len(header.names)} lines scored, "
            f"{self.missing} takes missing.",
            f"{self.wer_name}: {self.wer_percent:.2f} % (published for {published['model']} as Seed-TTS-eval WER: "
            f"{published['wer_percent']} %)",
            f"{self.similarity_name}: {self.similarity_percent:.1f} % (published as Seed-TTS-eval SIM: "
            f"{published['similarity_percent']} %)",
        ]
        if not (self.wer_name.startswith("Seed") and self.similarity_name.startswith("Seed")):
            lines.append(
                "What other models than those of its authors heard is not Seed-TTS-eval, and not to be compared."
            )
        if self.missing and self.wer_of_found_percent is not None:
            lines.append(
                f"Without the missing ones, as the authors' scripts count: WER {self.wer_of_found_percent:.2f} %."
            )
        return lines


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)

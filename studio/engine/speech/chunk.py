"""What the model says in one turn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpokenChunk:
    """One turn of the model.

    Attributes:
        text: what is spoken, normalised.
        prompt_text: the same with its speaker tag.
        speaker: the name in the script; None where nobody is named.
        budget_frames: frames after which it is stopped.
        pause_seconds: silence after it.
    """

    text: str
    prompt_text: str
    speaker: str | None
    budget_frames: int
    pause_seconds: float
    expected_seconds: float

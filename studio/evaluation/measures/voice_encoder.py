"""What any encoder of voices does, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from studio.audio.waveform import Span, Waveform

LEAST_SECONDS = 1.0
"""Of speech. What is shorter says little about who speaks, whatever the encoder makes of it."""

Heard = tuple[Waveform, Sequence[Span]]
"""A sound and where somebody speaks in it."""


class VoiceEncoder(Protocol):
    """Turns voices into vectors whose cosine tells how alike they are. Vectors of two encoders have nothing in common.

    Attributes:
        name: of the model, with its version.
    """

    @property
    def name(self) -> str: ...

    def vectors(self, sounds: Sequence[Heard]) -> list[np.ndarray | None]:
        """A unit vector for each, float32 of shape ``(size,)``; None where there is too little speech for it."""
        ...

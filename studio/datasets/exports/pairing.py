"""How the rows of a set get their reference turns, as somebody chose it for the set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from studio.engine.prompt import refuse_control_tokens
from studio.errors import StudioError

MAX_VARIANTS = 16
MAX_SCENE_CHARS = 1_000


@dataclass(frozen=True)
class Pairing:
    """What decides the reference turns.

    Attributes:
        seed: another number chooses other references.
        without: share of the utterances that are spoken after no reference, 0 to 1.
        variants: rows for each trained utterance, each after another reference. A run that passes over the rows once has then
            heard each utterance so often, and never after the same clip, as far as the speaker has others.
        scene: of utterances that say none; "" is the engine's own.
    """

    seed: int = 42
    without: float = 0.1
    variants: int = 1
    scene: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.without <= 1:
            raise StudioError("The share without a reference must lie between 0 and 1: give one such as 0.1.")
        if not 1 <= self.variants <= MAX_VARIANTS:
            raise StudioError(f"An utterance can stand in 1 to {MAX_VARIANTS} rows: give a number in between.")
        if not 0 <= self.seed < 2**63:
            raise StudioError("The seed must be a whole number from 0 on: give one such as 42.")
        if len(self.scene) > MAX_SCENE_CHARS:
            raise StudioError(f"The scene has more than {MAX_SCENE_CHARS:,} characters: shorten it.")
        refuse_control_tokens(self.scene, "scene")

    @property
    def sentence(self) -> str:
        """What it comes to, for people."""
        rows = "one row for each utterance" if self.variants == 1 else f"{self.variants} rows for each utterance"
        after = "" if self.without == 1 else ", after another utterance of its speaker"
        share = f", {100 * self.without:.3g} % after none" if self.without else ""
        scene = f"; scene: {self.scene}" if self.scene else ""
        return f"{rows[0].upper()}{rows[1:]}{after}{share}; seed {self.seed}{scene}."

    def as_json(self) -> dict[str, Any]:
        """For the store and ``--json``."""
        return asdict(self)

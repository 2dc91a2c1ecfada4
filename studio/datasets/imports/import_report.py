"""What an import did: used, left out and why, in no slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_LISTED = 1_000
"""Lines that were left out and are kept with the set, by place and reason."""
_REASONS = ("short", "long", "unreadable", "flawed")


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        used: utterances in the set.
        seconds: of these.
        left_out: by reason, how many.
        listed: line of the source, and place and sentence of each that was left out, the first thousand.
        unsliced: of sliced recordings, seconds that are in no utterance, by reason.
        notes: sentences about sliced recordings, each with its line.
    """

    used: int = 0
    seconds: float = 0.0
    left_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_REASONS, 0))
    listed: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    unsliced: dict[str, float] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)

    def leave_out(self, reason: str, line: int, place: str, sentence: str) -> None:
        """Count and name one that cannot be used."""
        self.left_out[reason] += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append((line, {"place": place, "reason": reason, "sentence": sentence}))

    def as_json(self) -> dict[str, Any]:
        """For the store and ``--json``."""
        unsliced = {reason: round(seconds, 2) for reason, seconds in self.unsliced.items()}
        return {
            "used": self.used,
            "seconds": round(self.seconds, 3),
            "left_out": {reason: count for reason, count in self.left_out.items() if count},
            "listed": [entry for _, entry in sorted(self.listed, key=_line)],
            **({"unsliced": unsliced} if unsliced else {}),
            **({"notes": [note for _, note in sorted(self.notes, key=_line)]} if self.notes else {}),
        }

    def table(self) -> str:
        """Used, short, long, unreadable and flawed on one line."""
        return " · ".join([f"{self.used} used", *(f"{self.left_out[reason]} {reason}" for reason in _REASONS)])


def _line(entry: tuple[int, Any]) -> int:
    return entry[0]

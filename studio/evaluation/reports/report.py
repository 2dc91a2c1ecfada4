"""A comparison at this moment, with everything that may be told of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studio import __version__
from studio.audio.synthetic_mark import MARK
from studio.evaluation.blind.tallying import CastVote, tally, tally_lines, votes_of
from studio.evaluation.comparison.comparison import ComparedTake, Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.voting.tally import Tally
from studio.store.tables import now


@dataclass(frozen=True)
class Report:
    """What is told. Consent was asked when it was made: a voice that was withdrawn by then is not in it.

    Attributes:
        takes: those that may be heard or told of.
        lines: what the votes say, a sentence each.
    """

    comparison: Comparison
    takes: tuple[ComparedTake, ...]
    votes: tuple[CastVote, ...]
    tally: Tally
    lines: tuple[str, ...]
    made_at: datetime

    @property
    def plan_sha256(self) -> str:
        """Of texts, seeds and the settings of all systems that are told of."""
        told = [self.comparison.texts, self.comparison.plan.seeds]
        told += [system.settings for system in self.comparison.systems if not system.withheld]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """All of it; times in UTC."""
        return {
            "studio": __version__,
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "synthetic_mark": MARK,
            "plan_sha256": self.plan_sha256,
            "comparison": self.comparison.as_json(),
            "says": list(self.lines),
            "tally": self.tally.as_json(),
            "takes": [take.as_json() for take in self.takes],
            "votes": [vote.as_json() for vote in self.votes],
        }


def report_of(library: ComparisonLibrary, comparison_id: str) -> Report:
    """A report as of now. Raises StudioError where there is no such comparison."""
    comparison = library.comparison(comparison_id)
    hidden = {system.id for system in comparison.systems if system.withheld}
    takes = [take for take in library.takes(comparison_id) if not take.withheld and take.system_id not in hidden]
    counted = tally(library, comparison)
    cast = votes_of(library, comparison).cast
    return Report(comparison, tuple(takes), cast, counted, tuple(tally_lines(comparison, counted)), now())

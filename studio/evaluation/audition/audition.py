"""An audition as it is given out: the comparison, its table, and what is proposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studio.evaluation.audition.choosing import Proposal
from studio.evaluation.audition.table import FIGURES, AuditionTable, SystemFigures
from studio.evaluation.comparison.comparison import Comparison


@dataclass(frozen=True)
class Audition:
    """Base and checkpoints of a run on texts that it did not learn.

    Attributes:
        run: id of the job, which may be gone.
        run_name: as it was called then.
        texts_from: where the texts come from, in words.
        proposal: None as long as takes are made or measured.
    """

    comparison: Comparison
    run: str
    run_name: str
    texts_from: str
    table: AuditionTable
    proposal: Proposal | None

    @property
    def id(self) -> str:
        """Of the comparison."""
        return self.comparison.id

    @property
    def winner(self) -> SystemFigures | None:
        """The checkpoint that is proposed."""
        chosen = self.proposal.winner if self.proposal else None
        return next((each for each in self.table.systems if each.id == chosen), None)

    @property
    def sentence(self) -> str:
        """What came of it so far."""
        if self.proposal is not None:
            return self.proposal.sentence
        comparison = self.comparison
        measured = comparison.counts.get("made", 0) - comparison.unmeasured
        return (
            f"{comparison.state}: {comparison.num_done} of {comparison.num_takes} takes made, {measured} measured."
            + (f" {comparison.sentence}" if comparison.sentence else "")
        )

    def as_json(self) -> dict[str, Any]:
        """All that may be told of it."""
        return {
            **self.comparison.as_json(),
            "run": self.run,
            "run_name": self.run_name,
            "texts_from": self.texts_from,
            "table": [each.as_json() for each in self.table.systems],
            "figures": dict(FIGURES),
            "models": dict(self.table.models),
            "proposal": self.proposal and self.proposal.as_json(),
            "says": self.sentence,
        }

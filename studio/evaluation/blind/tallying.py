"""The votes of a comparison as the store has them, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.hearing import withheld_takes
from studio.evaluation.comparison.library import ComparisonLibrary, compared_systems
from studio.evaluation.voting.tally import Tally, sentence_of, tally_of
from studio.evaluation.voting.votes import Vote, known_choice
from studio.store import comparisons as queries


@dataclass(frozen=True)
class CastVote:
    """A vote with all that was written down of it.

    Attributes:
        vote: its sentence is the number of the text.
        listener: "owner", or "listener N", and how they call themselves.
        left_take, right_take: the takes in the order of presentation.
        position: of the trial among those of its listener, from 0.
    """

    vote: Vote
    listener: str
    left_take: str
    right_take: str
    position: int
    reason: str
    made_at: datetime

    def as_json(self) -> dict[str, Any]:
        """One vote for ``--json`` and reports; times in UTC."""
        vote = self.vote
        return {
            "trial": vote.trial, "listener": self.listener, "position": self.position, "text": int(vote.sentence),
            "left": vote.left, "right": vote.right, "left_take": self.left_take, "right_take": self.right_take,
            "choice": vote.choice, "preferred": vote.winner or None, "reason": self.reason,
            "repeat_of": vote.repeat_of or None, "made_at": self.made_at.isoformat(timespec="seconds"),
        }  # fmt: skip


@dataclass(frozen=True)
class Votes:
    """Every vote that may be told of, in the order in which they were cast.

    Attributes:
        left_out: how many there are besides, about voices whose consent was withdrawn.
    """

    cast: tuple[CastVote, ...]
    left_out: int


def votes_of(library: ComparisonLibrary, comparison: Comparison) -> Votes:
    """The votes of a comparison about systems that are heard. Consent is asked now."""
    with library.store.reading() as session:
        takes = {take.id: take for take in queries.takes(session, comparison.id)}
        withheld = withheld_takes(session, takes.values())
        names = {
            listener.id: "you"
            if not listener.secret
            else f"listener {number}" + (f" ({listener.name})" if listener.name else "")
            for number, listener in enumerate(queries.listeners(session, comparison.id), 1)
        }
        stored = queries.votes(session, comparison.id)
    hidden = {system.id for system in comparison.systems if system.withheld}
    heard = {system.id for system in comparison.heard_systems}
    stored = [
        (vote, trial) for vote, trial in stored
        if {takes[trial.left_take].system_id, takes[trial.right_take].system_id} <= heard
    ]  # fmt: skip
    found = []
    for vote, trial in stored:
        left, right = takes[trial.left_take], takes[trial.right_take]
        if {left.id, right.id} & withheld or {left.system_id, right.system_id} & hidden:
            continue
        told = Vote(
            trial.id, trial.listener_id, str(left.text), left.system_id, right.system_id, known_choice(vote.choice),
            trial.repeat_of,
        )  # fmt: skip
        found.append(
            CastVote(told, names[trial.listener_id], left.id, right.id, trial.position, vote.reason, vote.made_at)
        )
    return Votes(tuple(found), len(stored) - len(found))


def tally(library: ComparisonLibrary, comparison: Comparison) -> Tally:
    """What the votes of a comparison say now; systems by their ids, listeners as they are shown."""
    votes = votes_of(library, comparison)
    systems = [system.id for system in compared_systems(comparison)]
    shown = {each.vote.listener: each.listener for each in votes.cast}
    counted = tally_of(systems, [each.vote for each in votes.cast], seed=comparison.seed, left_out=votes.left_out)
    return Tally(
        counted.systems, counted.pairs, counted.ranking,
        tuple(type(each)(**{**vars(each), "listener": shown[each.listener]}) for each in counted.listeners),
        counted.num_votes, counted.left_out,
    )  # fmt: skip


def tally_lines(comparison: Comparison, counted: Tally) -> list[str]:
    """The tally in words for people, a sentence each."""
    label = {system.id: system.shown_label for system in comparison.systems}
    lines = [sentence_of(pair, label[pair.first], label[pair.second], of_one=counted.of_one) for pair in counted.pairs]
    for place, ranked in enumerate(counted.ranking, 1):
        lines.append(
            f"{place}. {label[ranked.system]}: strength {ranked.strength:+.2f} ({ranked.low:+.2f} to {ranked.high:+.2f})"
        )
    for habits in counted.listeners:
        if habits.repeats:
            lines.append(
                f"{habits.listener}: the same answer in {habits.agreements} of {habits.repeats} pairs that came again."
            )
        if habits.warning:
            lines.append(f"{habits.listener}: {habits.warning}")
    if counted.left_out:
        lines.append(f"{counted.left_out} votes are left out: the consent for a voice in them was withdrawn.")
    return lines

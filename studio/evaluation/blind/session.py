"""One listener of one comparison: the next pair, its sounds, a vote. Nothing that is given out here names a system."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session

from studio.errors import StudioError
from studio.evaluation.blind.trials import Heard, Past, Presented, next_trial, num_trials, pairs_of
from studio.evaluation.comparison.comparison import sound_file
from studio.evaluation.comparison.hearing import played, withheld_takes
from studio.evaluation.comparison.library import NO_SUCH
from studio.evaluation.comparison.plan import ComparisonPlan
from studio.evaluation.voting.votes import known_choice
from studio.settings import Settings
from studio.store import comparisons as queries
from studio.store.comparison_tables import (
    ComparedTakeRecord,
    ComparisonRecord,
    ListenerRecord,
    TrialRecord,
    VoteRecord,
)
from studio.store.store import Store
from studio.store.tables import now

MAX_NAME_CHARS, MAX_REASON_CHARS = 60, 1000
_GONE = "This sound can no longer be heard: reload the page for the next pair."


@dataclass(frozen=True)
class OpenTrial:
    """A pair that waits for a vote.

    Attributes:
        id: for :meth:`BlindSession.vote`.
        text: what is said in both.
        left, right: for :meth:`BlindSession.sound`; new names for each trial, which tell nothing of who speaks.
        number, of: which of the trials of this listener it is, from 1, and how many there are now.
    """

    id: str
    text: str
    left: str
    right: str
    number: int
    of: int

    def as_json(self) -> dict[str, Any]:
        """All that a browser gets."""
        return dict(vars(self))


@dataclass(frozen=True)
class Revealed:
    """A pair that was voted on, with names."""

    text: str
    left: str
    right: str
    choice: str
    reason: str
    repeated: bool


class BlindSession:
    """A listener's way through a comparison; made by :meth:`of_owner`, :meth:`join` or :meth:`go_on`."""

    def __init__(self, settings: Settings, store: Store, comparison_id: str, listener_id: str) -> None:
        self._settings, self._store = settings, store
        self.comparison_id, self.listener_id = comparison_id, listener_id

    @classmethod
    def of_owner(cls, settings: Settings, store: Store, comparison_id: str, owner: str = "") -> BlindSession:
        """The owner's own, the same each time. Raises StudioError where there is no such comparison."""
        with store.writing() as session:
            if queries.comparison_by_id(session, comparison_id, owner) is None:
                raise StudioError(NO_SUCH)
            listener = next((each for each in queries.listeners(session, comparison_id) if not each.secret), None)
            if listener is None:
                listener = ListenerRecord(comparison_id=comparison_id)
                queries.save(session, listener)
        return cls(settings, store, comparison_id, listener.id)

    @classmethod
    def join(cls, settings: Settings, store: Store, link: str, name: str = "") -> tuple[BlindSession, str]:
        """A new listener by the token of a link; with the secret that lets them go on, for their browser alone.

        Raises:
            StudioError: the link leads nowhere, or no longer.
        """
        secret = secrets.token_urlsafe(24)
        with store.writing() as session:
            record = queries.comparison_by_link(session, link)
            if record is None:
                raise StudioError("This link leads to no comparison, or no longer: ask whoever sent it for a new one.")
            called = " ".join(name.split())[:MAX_NAME_CHARS]
            listener = ListenerRecord(comparison_id=record.id, name=called, secret=_hashed(secret))
            queries.save(session, listener)
        return cls(settings, store, record.id, listener.id), secret

    @classmethod
    def go_on(cls, settings: Settings, store: Store, secret: str, link: str | None = None) -> BlindSession | None:
        """The session of a listener who was here before; None for an unknown secret, or one of another comparison.

        Args:
            link: the token by which they come now, where it is to be the same comparison.
        """
        with store.reading() as session:
            listener = queries.listener_by_secret(session, _hashed(secret))
            record = queries.comparison_by_id(session, listener.comparison_id) if listener else None
        if listener is None or record is None or not record.link or link not in (None, record.link):
            return None
        return cls(settings, store, record.id, listener.id)

    @classmethod
    def is_open(cls, store: Store, link: str) -> bool:
        """Whether a link leads to a comparison."""
        with store.reading() as session:
            return queries.comparison_by_link(session, link) is not None

    # Listening

    def next(self) -> OpenTrial | None:
        """The pair that waits for a vote: the same one until it is voted on, also after a reload; else the next.

        It is written down before it is given out. None where there is nothing more to hear now, or names were revealed.
        """
        with self._store.writing() as session:
            record, listener = self._records(session)
            if listener.revealed_at is not None:
                return None
            trials, votes = queries.trials(session, listener.id), queries.votes_of(session, listener.id)
            takes = {take.id: take for take in self._heard(session, record)}
            heard = [Heard(take.id, take.system_id, take.text, take.seed) for take in takes.values()]
            voted = [trial for trial in trials if trial.id in votes]
            waiting = [trial for trial in trials if trial.id not in votes]
            # One of which a voice was withdrawn meanwhile stays without a vote.
            trial = next((each for each in waiting if each.left_take in takes and each.right_take in takes), None)
            if trial is None:
                past = [Past(each.id, each.left_take, each.right_take, each.repeat_of) for each in voted]
                presented = next_trial(heard, past, seed=record.seed, listener=listener.id)
                if presented is None:
                    return None
                trial = _written(presented, listener, len(trials))
                queries.save(session, trial)
            plan = ComparisonPlan.model_validate(record.plan)
            return OpenTrial(
                trial.id, plan.texts[takes[trial.left_take].text], trial.left_key, trial.right_key, len(voted) + 1,
                num_trials(len(pairs_of(heard))),
            )  # fmt: skip

    def sound(self, key: str) -> bytes:
        """A sound of this listener's pairs, WAV, as loud as the one beside it and at the same rate.

        Raises:
            StudioError: no pair of this listener has it, a voice in it was withdrawn, or its file is gone.
        """
        with self._store.reading() as session:
            record, _ = self._records(session)
            trial = queries.trial_with_key(session, self.listener_id, key)
            if trial is None:
                raise StudioError(_GONE)
            pair = [queries.take_by_id(session, take_id) for take_id in (trial.left_take, trial.right_take)]
            one, two = pair if key == trial.left_key else pair[::-1]
            if one is None or two is None or withheld_takes(session, [one, two]):
                raise StudioError(_GONE)
            marked = all(take.synthetic for take in queries.takes(session, record.id))
        return played(self._path(one), self._path(two), marked=marked)

    def vote(self, trial_id: str, choice: str, reason: str = "") -> bool:
        """Keep a vote. False where this pair has one already, which then stays: a vote is counted once.

        Args:
            choice: left, right, tie or both_bad.
            reason: in the listener's words; "" for none.

        Raises:
            StudioError: no such choice or pair, names were revealed, or a voice in it was withdrawn.
        """
        chosen, reason = known_choice(choice), " ".join(reason.split())[:MAX_REASON_CHARS]
        with self._store.writing() as session:
            _, listener = self._records(session)
            trial = next((each for each in queries.trials(session, listener.id) if each.id == trial_id), None)
            if trial is None:
                raise StudioError("There is no such pair for you: reload the page for the next one.")
            if trial.id in queries.votes_of(session, listener.id):
                return False
            if listener.revealed_at is not None:
                raise StudioError("You have seen which system is which: votes after that would not be blind.")
            takes = [queries.take_by_id(session, take_id) for take_id in (trial.left_take, trial.right_take)]
            if withheld_takes(session, [take for take in takes if take is not None]):
                raise StudioError(
                    "The consent for a voice in this pair was withdrawn: reload the page for the next one."
                )
            return queries.cast(session, VoteRecord(trial_id=trial.id, choice=chosen, reason=reason))

    # After listening

    def num_votes(self) -> int:
        """How many pairs this listener voted on."""
        with self._store.reading() as session:
            return len(queries.votes_of(session, self.listener_id))

    def has_revealed(self) -> bool:
        """Whether this listener knows which system is which, and so votes no more."""
        with self._store.reading() as session:
            return self._records(session)[1].revealed_at is not None

    def reveal(self) -> list[Revealed]:
        """Which system was which in every pair that was voted on, in order; this listener's votes end with it.

        Raises:
            StudioError: the comparison is somebody else's, who alone can reveal it.
        """
        with self._store.writing() as session:
            record, listener = self._records(session)
            if listener.secret:
                raise StudioError("Only whoever made this comparison can see which system is which.")
            listener.revealed_at = listener.revealed_at or now()
            queries.save(session, listener)
            plan = ComparisonPlan.model_validate(record.plan)
            labels = {system.id: system.label for system in queries.systems(session, record.id)}
            all_takes = queries.takes(session, record.id)
            hidden, takes = withheld_takes(session, all_takes), {take.id: take for take in all_takes}
            votes = queries.votes_of(session, listener.id)
            return [
                Revealed(
                    plan.texts[takes[trial.left_take].text], labels[takes[trial.left_take].system_id],
                    labels[takes[trial.right_take].system_id], votes[trial.id].choice, votes[trial.id].reason,
                    bool(trial.repeat_of),
                )
                for trial in queries.trials(session, listener.id)
                if trial.id in votes and not {trial.left_take, trial.right_take} & hidden
            ]  # fmt: skip

    # Inside

    def _records(self, session: Session) -> tuple[ComparisonRecord, ListenerRecord]:
        record = queries.comparison_by_id(session, self.comparison_id)
        listener = next((e for e in queries.listeners(session, self.comparison_id) if e.id == self.listener_id), None)
        if record is None or listener is None:
            raise StudioError("This comparison was deleted.")
        return record, listener

    def _heard(self, session: Session, record: ComparisonRecord) -> list[ComparedTakeRecord]:
        """Takes that may be heard and are there, of the systems that are heard."""
        heard = ComparisonPlan.model_validate(record.plan).heard
        systems = {each.id for each in queries.systems(session, record.id) if not heard or each.position in heard}
        takes = queries.takes(session, record.id)
        takes = [take for take in takes if take.state == "made" and take.system_id in systems]
        withheld = withheld_takes(session, takes)
        return [take for take in takes if take.id not in withheld and self._path(take).is_file()]

    def _path(self, take: ComparedTakeRecord) -> Path:
        return sound_file(self._settings.comparisons_folder / take.comparison_id, take.id)


def _written(presented: Presented, listener: ListenerRecord, position: int) -> TrialRecord:
    return TrialRecord(
        listener_id=listener.id, position=position, left_take=presented.left, right_take=presented.right,
        repeat_of=presented.repeat_of,
    )  # fmt: skip


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

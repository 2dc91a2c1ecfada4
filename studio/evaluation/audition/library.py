"""The auditions of one owner: begun, looked at, and what came of one made the adapter of a voice."""

from __future__ import annotations

from dataclasses import replace

from studio.adapters.library import AdapterLibrary
from studio.errors import StudioError
from studio.evaluation.audition.asking import AuditionRequest, plan_for
from studio.evaluation.audition.audition import Audition
from studio.evaluation.audition.choosing import proposal_of
from studio.evaluation.audition.table import table_of
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.settings import Settings
from studio.store.store import Store
from studio.takes.wearing import put_on
from studio.training.library import JobLibrary
from studio.voices.consent import is_of_set
from studio.voices.library import VoiceLibrary
from studio.voices.voice import Voice


class AuditionLibrary:
    """The auditions of one owner. Each is a comparison, which is stopped, resumed, voted on, reported and deleted as one.

    Args:
        owner: whose; "" is whoever runs the studio. Another owner's runs and auditions do not exist here.
    """

    def __init__(self, settings: Settings, store: Store, owner: str = "") -> None:
        self._settings, self._store, self.owner = settings, store, owner
        self.comparisons = ComparisonLibrary(settings, store, owner)

    def auditions(self, run: str | None = None) -> list[Comparison]:
        """The comparisons that are auditions, the newest first; of one run, or of all."""
        return [
            each for each in self.comparisons.comparisons()
            if each.plan.audition is not None and run in (None, each.plan.audition.run)
        ]  # fmt: skip

    def start(self, run: str, request: AuditionRequest | None = None, *, start: bool = True) -> Audition:
        """Begin one in the background, behind the comparisons that wait.

        Args:
            run: id of a job that has ended.
            request: None asks for what most need.
            start: False only puts it into the queue, for whoever looks next.

        Raises:
            StudioError: as :func:`plan_for` and :meth:`ComparisonLibrary.create`.
        """
        job = JobLibrary(self._settings, self._store, self.owner).job(run)
        adapters = [
            each for each in AdapterLibrary(self._settings, self._store, self.owner).adapters() if each.job_id == job.id
        ]
        plan = plan_for(job, adapters, request or AuditionRequest(), settings=self._settings, store=self._store)
        return self._given(self.comparisons.create(plan, start=start))

    def audition(self, comparison_id: str) -> Audition:
        """One as it is at this moment. Once it is complete, listeners hear the two that are worth a vote, unless they were
        let hear others before.

        Raises:
            StudioError: there is none of that id.
        """
        found = self._given(self.comparisons.comparison(comparison_id))
        pair = found.proposal.pair if found.proposal else ()
        if pair and not found.comparison.plan.heard:
            found = replace(found, comparison=self.comparisons.let_hear(comparison_id, pair))
        return found

    def use(self, comparison_id: str, system_id: str = "", *, voice: str = "") -> Voice:
        """Make a checkpoint the adapter that a voice is spoken with.

        Args:
            system_id: of a checkpoint at its strength; "" for the one that is proposed.
            voice: name or id in the library; "" for the one voice of the library that the run learnt, or that it was heard
                after.

        Raises:
            StudioError: nothing is proposed, the system is no checkpoint, it is gone or may not be used, or it is not plain
                which voice is meant.
        """
        found = self.audition(comparison_id)
        if not system_id and found.winner is None:
            raise StudioError(f"No checkpoint is proposed, so say which one is to be used. {found.sentence}")
        wanted = system_id or (found.winner.id if found.winner else "")
        system = next((each for each in found.comparison.systems if each.id == wanted), None)
        if system is None:
            raise StudioError("There is no such system in this audition: reload the page.")
        plan = found.comparison.plan.systems[found.comparison.systems.index(system)]
        if not plan.adapter:
            raise StudioError("The base is no trained voice: a voice without one speaks with it anyway.")
        adapters = AdapterLibrary(self._settings, self._store, self.owner)
        voices = VoiceLibrary(self._settings, self._store, self.owner)
        chosen = voice or self._voice_of(found.comparison, adapters.usable(plan.adapter).voices)
        return put_on(voices, adapters, chosen, plan.adapter, plan.strength)

    def _voice_of(self, comparison: Comparison, learnt: list[tuple[str, str]]) -> str:
        if comparison.plan.voice:
            return comparison.plan.voice
        own = [voice_id for voice_id, _ in learnt if not is_of_set(voice_id)]
        if len(own) != 1:
            raise StudioError(
                "Say which voice of the library is to be spoken with it: save one first, if there is none."
            )
        return own[0]

    def _given(self, comparison: Comparison) -> Audition:
        of = comparison.plan.audition
        if of is None:
            raise StudioError(f"{comparison.name} is a comparison and no audition of a run.")
        table = table_of(comparison, self.comparisons.takes(comparison.id))
        complete = comparison.state == "completed" and not comparison.unmeasured
        proposal = proposal_of(table) if complete else None
        return Audition(comparison, of.run, of.name, of.texts_from, table, proposal)

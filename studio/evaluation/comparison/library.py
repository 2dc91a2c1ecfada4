"""The comparisons of one owner: begun, looked at, stopped, resumed, shared, heard, deleted."""

from __future__ import annotations

import secrets
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session

from studio.adapters.adapter import TrainedAdapter
from studio.adapters.library import AdapterLibrary
from studio.engine.model.sampling import MAX_SEED
from studio.errors import StudioError
from studio.evaluation.comparison.beginning import begun
from studio.evaluation.comparison.comparison import (
    PRESENT,
    WAITING,
    ComparedSystem,
    ComparedTake,
    Comparison,
    comparison_of,
    sound_file,
    system_of,
    take_of,
)
from studio.evaluation.comparison.hearing import withheld_systems, withheld_takes
from studio.evaluation.comparison.plan import MAX_NAME_CHARS, ComparisonPlan, SystemPlan
from studio.evaluation.comparison.running import tidy
from studio.evaluation.comparison.systems import PlannedSystem, engine_settings, planned
from studio.files import write_advice
from studio.settings import Settings
from studio.store import comparisons as queries
from studio.store.comparison_tables import ComparedTakeRecord, ComparisonRecord, SystemRecord
from studio.store.store import Store
from studio.store.tables import new_id, now
from studio.takes.service import TakeService

NO_SUCH = "There is no such comparison, or no longer: look at the list of comparisons."
_YOUNG_SECONDS = 3600.0


class ComparisonLibrary:
    """The comparisons of one owner.

    Args:
        owner: whose; "" is whoever runs the studio. Another owner's comparisons do not exist here.
    """

    def __init__(self, settings: Settings, store: Store, owner: str = "") -> None:
        self.settings, self.store, self.owner = settings, store, owner

    # Looking

    def comparisons(self) -> list[Comparison]:
        """The newest first, as they are at this moment."""
        tidy(self.settings, self.store)
        with self.store.reading() as session:
            return [self._given(session, record) for record in queries.comparisons(session, self.owner)]

    def comparison(self, comparison_id: str) -> Comparison:
        """One as it is at this moment. Raises StudioError where there is none of that id."""
        tidy(self.settings, self.store)
        with self.store.reading() as session:
            return self._given(session, self._record(session, comparison_id))

    def takes(self, comparison_id: str) -> list[ComparedTake]:
        """Its takes: by text, then seed, then system. Consent is asked now. Raises StudioError where there is none."""
        with self.store.reading() as session:
            self._record(session, comparison_id)
            records = queries.takes(session, comparison_id)
            withheld = withheld_takes(session, records)
        folder = self.folder(comparison_id)
        return [take_of(record, folder, withheld=record.id in withheld) for record in records]

    def take(self, comparison_id: str, take_id: str) -> ComparedTake:
        """One that may be heard. Raises StudioError where there is none, or its voice was withdrawn."""
        found = next((take for take in self.takes(comparison_id) if take.id == take_id), None)
        if found is None:
            raise StudioError("There is no such take in this comparison: reload the page.")
        if found.withheld:
            raise StudioError("The consent for a voice of this take was withdrawn: it can no longer be heard.")
        if not found.can_play:
            raise StudioError(found.failure or "The sound of this take is gone from the disk, or was not made yet.")
        return found

    def folder(self, comparison_id: str) -> Path:
        """Where its sounds lie."""
        return self.settings.comparisons_folder / comparison_id

    # Changing

    def create(self, plan: ComparisonPlan, *, start: bool = True) -> Comparison:
        """Keep what is asked for, and begin to make its takes where no other comparison is being made.

        Args:
            start: False only puts it into the queue, for whoever looks next.

        Raises:
            StudioError: a voice, trained or not, that is not there or may not speak, a recording that cannot be read, or
                the disk is full, with its place in the plan.
        """
        service = TakeService.from_settings(engine_settings(self.settings, plan, plan.systems[0]), store=self.store)
        found = planned(plan, service, self.owner)
        comparison_id, seed = new_id(), plan.shuffle if plan.shuffle is not None else secrets.randbelow(MAX_SEED + 1)
        wanted = self.settings
        fixed = plan.model_copy(
            update={
                "systems": tuple(_without_paths(each.plan) for each in found),
                "checkpoint": plan.checkpoint or wanted.checkpoint,
                "precision": plan.precision or wanted.precision,
                "device": plan.device or wanted.device,
                "shuffle": seed,
            }
        )
        record = ComparisonRecord(
            id=comparison_id, owner=self.owner, name=_name(plan, found), seed=seed, plan=fixed.model_dump(mode="json")
        )
        folder = self.folder(comparison_id)
        try:
            folder.mkdir(parents=True)
            records = [each for at, system in enumerate(found) for each in begun(folder, plan, system, at)]
            with self.store.writing() as session:
                service.voices(self.owner).require_consent([voice for each in found for voice in each.voices])
                record.queued_at = now()
                queries.save(session, record)
                queries.save(session, *(each for each in records if isinstance(each, SystemRecord)))
                queries.save(session, *(each for each in records if isinstance(each, ComparedTakeRecord)))
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise StudioError(f"The folder of the comparison cannot be made {write_advice(error)}") from error
            raise
        if start:
            return self.comparison(comparison_id)
        with self.store.reading() as session:
            return self._given(session, self._record(session, comparison_id))

    def stop(self, comparison_id: str) -> Comparison:
        """Stop making takes; those that were made stay. Raises StudioError where it has ended."""
        with self.store.writing() as session:
            record = self._record(session, comparison_id)
            if record.state in WAITING:
                record.state, record.ended_at, record.sentence = "stopped", now(), "Stopped before it began."
            elif record.state in PRESENT:
                record.state = "stopping"
            else:
                raise StudioError(f"{record.name} has ended already ({record.state}): there is nothing to stop.")
            queries.save(session, record)
        return self.comparison(comparison_id)

    def resume(self, comparison_id: str, *, start: bool = True) -> Comparison:
        """Make the takes that were not made, those that failed too, and measure what should be and is not.

        Raises:
            StudioError: nothing is left to do.
        """
        tidy(self.settings, self.store)
        with self.store.writing() as session:
            record = self._record(session, comparison_id)
            if record.state in (*WAITING, *PRESENT):
                raise StudioError(f"{record.name} has not ended ({record.state}): there is nothing to resume.")
            left = [take for take in queries.takes(session, record.id) if take.state != "made"]
            if not left and not self._given(session, record).can_resume:
                raise StudioError(f"{record.name} is complete: there is nothing to resume.")
            for take in left:
                take.state, take.failure = "waiting", ""
            record.state, record.queued_at, record.ended_at, record.sentence = "queued", now(), None, ""
            queries.save(session, record, *left)
        if not start:
            with self.store.reading() as session:
                return self._given(session, self._record(session, comparison_id))
        return self.comparison(comparison_id)

    def delete(self, comparison_id: str) -> Comparison:
        """Delete a comparison with its takes and votes; returns what was deleted. Raises StudioError while it is made."""
        tidy(self.settings, self.store)
        with self.store.writing() as session:
            record = self._record(session, comparison_id)
            found = self._given(session, record)
            if found.state in PRESENT:
                raise StudioError(f"{found.name} is being made ({found.state}): stop it first.")
            queries.delete(session, record)
        shutil.rmtree(
            self.folder(comparison_id), ignore_errors=True
        )  # after its record, which must not name what is gone
        return found

    def share(self, comparison_id: str, on: bool = True) -> str:
        """Let others vote: returns the token of the link, the same each time; or end that, and the link leads nowhere."""
        with self.store.writing() as session:
            record = self._record(session, comparison_id)
            record.link = (record.link or secrets.token_urlsafe(24)) if on else ""
            queries.save(session, record)
            return record.link

    def add_figures(self, take_id: str, figures: Mapping[str, Any]) -> None:
        """Keep what was measured of a take, beside what is known of it already. Raises StudioError where there is none."""
        with self.store.writing() as session:
            take = queries.take_by_id(session, take_id)
            if take is None:
                raise StudioError("There is no such take in a comparison, or no longer.")
            self._record(session, take.comparison_id)
            take.figures = {**take.figures, **figures}
            queries.save(session, take)

    def let_hear(self, comparison_id: str, system_ids: Sequence[str]) -> Comparison:
        """Let listeners hear these systems alone from now on; without any, all of them. Votes about others are not counted
        meanwhile.

        Raises:
            StudioError: there is no such system, or only one is named.
        """
        with self.store.writing() as session:
            record = self._record(session, comparison_id)
            position = {system.id: system.position for system in queries.systems(session, record.id)}
            if any(each not in position for each in system_ids) or len(set(system_ids)) == 1:
                raise StudioError("Name two or more of the systems of this comparison, or none for all of them.")
            record.plan = {**record.plan, "heard": sorted({position[each] for each in system_ids})}
            queries.save(session, record)
            return self._given(session, record)

    # Inside

    def _record(self, session: Session, comparison_id: str) -> ComparisonRecord:
        record = queries.comparison_by_id(session, comparison_id, self.owner)
        if record is None:
            raise StudioError(NO_SUCH)
        return record

    def _given(self, session: Session, record: ComparisonRecord) -> Comparison:
        records, takes = queries.systems(session, record.id), queries.takes(session, record.id)
        withheld, hidden = withheld_systems(session, records, takes), withheld_takes(session, takes)
        plan, ahead = ComparisonPlan.model_validate(record.plan), 0
        adapters = self._adapters() if any(system.adapter for system in plan.systems) else {}
        systems = [
            system_of(each, gone=self._gone(plan, plan.systems[each.position], adapters), withheld=each.id in withheld)
            for each in records
        ]
        unfinished = [take for take in takes if take.state == "made" and not take.figures and take.id not in hidden]
        unmeasured = sum(sound_file(self.folder(record.id), take.id).is_file() for take in unfinished)
        if record.state in WAITING:
            before = queries.in_states(session, (*PRESENT, *WAITING))
            ahead = [each.id for each in before].index(record.id)
        counts = dict(Counter(take.state for take in takes))
        return comparison_of(
            record, systems, counts, ahead=ahead, seconds_left=_seconds_left(takes), unmeasured=unmeasured
        )

    def _adapters(self) -> dict[str, TrainedAdapter]:
        return {each.id: each for each in AdapterLibrary(self.settings, self.store, self.owner).adapters()}

    def _gone(self, plan: ComparisonPlan, system: SystemPlan, found: Mapping[str, TrainedAdapter]) -> str | None:
        """Why a system could not speak again."""
        if system.adapter:
            if system.adapter not in found:
                return "Its trained voice was deleted and is no longer there."
            return found[system.adapter].trouble
        folders = (system.adapter_folder, plan.said(system, "checkpoint") or "")
        if any(folder.startswith("/") and not Path(folder).is_dir() for folder in folders):
            return "Its files are no longer there."
        return None


def _seconds_left(takes: list[ComparedTakeRecord]) -> float | None:
    waiting = sum(take.state == "waiting" for take in takes)
    known = [float(take.report["elapsed"]) for take in takes if "elapsed" in take.report]
    return round(waiting * sum(known) / len(known), 1) if waiting and known else None


def compared_systems(comparison: Comparison) -> list[ComparedSystem]:
    """Those that listeners hear and that may be shown."""
    return [system for system in comparison.heard_systems if not system.withheld]


def clear_remains(settings: Settings, store: Store) -> int:
    """Remove folders of comparisons that no record names, left behind by killed processes; returns how many went."""
    root = settings.comparisons_folder
    old = [
        path for path in (root.iterdir() if root.is_dir() else ())
        if path.is_dir() and time.time() - path.stat().st_mtime > _YOUNG_SECONDS
    ]  # fmt: skip
    if not old:
        return 0
    with store.reading() as session:
        known = queries.known(session, [path.name for path in old])
    gone = [path for path in old if path.name not in known]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _name(plan: ComparisonPlan, systems: list[PlannedSystem]) -> str:
    name = " ".join(plan.name.split()) or " or ".join(system.label for system in systems)
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 1].rstrip()}…"


def _without_paths(system: SystemPlan) -> SystemPlan:
    """Recordings are copied, so where they lay is nobody's business."""
    return system.model_copy(update={"recordings": tuple(each and Path(each).name for each in system.recordings)})

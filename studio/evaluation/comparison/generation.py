"""Makes the takes of a comparison, one after the other, each with the engine of its system; stands back for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from studio.audio.loudness import integrated_lufs
from studio.audio.writing import write_audio
from studio.engine.leases import numbered
from studio.errors import StudioError
from studio.evaluation.comparison.comparison import sound_file
from studio.evaluation.comparison.hearing import samples_sha256
from studio.evaluation.comparison.plan import ComparisonPlan
from studio.evaluation.comparison.systems import engine_settings, request_of
from studio.settings import Settings
from studio.store import comparisons as queries
from studio.store import jobs as job_queries
from studio.store.comparison_tables import ComparedTakeRecord, ComparisonRecord, SystemRecord
from studio.store.store import Store
from studio.store.tables import now
from studio.takes.precedence import somebody_waits
from studio.takes.request import SpeakRequest
from studio.takes.service import TakeService
from studio.takes.take import Spoken, Take
from studio.training.job import PRESENT as TRAINING

LOOK_SECONDS = 0.5
"""How often it is asked whether somebody wants this to stop."""
_WAIT_SECONDS = 0.1
STOPPED = "Stopped; the takes that were made are kept, and it can be resumed."


@dataclass(frozen=True)
class Ended:
    """How making the takes ended: a state of the comparison, and why."""

    state: str
    sentence: str = ""


class Patience(threading.Event):
    """A cancel signal that the engine asks before each step. While somebody waits for *Speak*, the answer takes that long.

    Args:
        stopped: whether somebody wants the comparison to stop.
    """

    def __init__(self, settings: Settings, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self._leases, self._stopped, self._next = settings.leases_folder, stopped, 0.0
        self.waited = 0.0
        """Seconds that were spent standing back."""

    @classmethod
    def of(
        cls, settings: Settings, store: Store, comparison_id: str, stop: threading.Event | None = None
    ) -> Patience:  # fmt: skip
        """Of the process that works on a comparison; ``stop`` is set by a signal to it."""

        def stopped() -> bool:
            if stop is not None and stop.is_set():
                return True
            try:
                with store.reading() as session:
                    return queries.state_of(session, comparison_id) in ("stopping", "")
            except StudioError:  # locked for a moment: asked again
                return False

        return cls(settings, stopped)

    def is_set(self) -> bool:
        """Whether to stop; returns once nobody waits for speech."""
        began, stood = time.monotonic(), False
        while not self._is_stopped() and somebody_waits(self._leases):
            stood = True
            time.sleep(_WAIT_SECONDS)
        if stood:
            self.waited += time.monotonic() - began
        return super().is_set()

    def _is_stopped(self) -> bool:
        if not super().is_set() and time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_SECONDS
            if self._stopped():
                self.set()
        return super().is_set()


class TakeMaker:
    """Makes what is still to be made of one comparison.

    Args:
        stop: set by a signal to this process.
        service_of: makes the service of an engine; one for each checkpoint, device and precision.
    """

    def __init__(
        self, settings: Settings, store: Store, comparison_id: str, *, stop: threading.Event | None = None,
        service_of: Callable[..., TakeService] = TakeService.from_settings,
    ) -> None:  # fmt: skip
        self._settings, self._store, self._id = settings, store, comparison_id
        self._service_of = service_of
        self._folder = settings.comparisons_folder / comparison_id
        self._patience = Patience.of(settings, store, comparison_id, stop)

    def run(self) -> Ended:
        """Make the takes that wait. Each is kept at once, so whatever ends this process costs the present one alone."""
        with self._store.reading() as session:
            record = queries.comparison_by_id(session, self._id)
            if record is None:
                return Ended("stopped")
            systems = {system.id: system for system in queries.systems(session, self._id)}
            waiting = [take for take in queries.takes(session, self._id) if take.state == "waiting"]
        plan = ComparisonPlan.model_validate(record.plan)

        def engine(take: ComparedTakeRecord) -> tuple[str, ...]:
            wanted = engine_settings(self._settings, plan, plan.systems[systems[take.system_id].position])
            return (str(wanted.checkpoint or ""), wanted.precision, wanted.device)

        # Stable: within an engine by text, then seed, then system, so that whole pairs can be heard early.
        for _, group in groupby(sorted(waiting, key=engine), key=engine):
            takes = list(group)
            first = plan.systems[systems[takes[0].system_id].position]
            service = self._service_of(engine_settings(self._settings, plan, first), store=self._store)
            try:
                self._make_all(service, record, plan, takes, systems)
            finally:
                service.host.unload()
            if self._patience.is_set():
                return Ended("stopped", STOPPED)
        return self._ended()

    def _make_all(
        self, service: TakeService, record: ComparisonRecord, plan: ComparisonPlan, takes: list[ComparedTakeRecord],
        systems: dict[str, SystemRecord],
    ) -> None:  # fmt: skip
        for take in takes:
            if self._patience.is_set() or not self._device_is_free(service):
                return
            try:
                service.host.engine()
            except StudioError as error:  # the same for all of them
                for each in takes:
                    self._fail(each.id, str(error))
                return
            system = plan.systems[systems[take.system_id].position]
            self._make(service, record.owner, take, request_of(plan, system, plan.texts[take.text], take.seed))

    def _device_is_free(self, service: TakeService) -> bool:
        """Wait while a training has the device, with the memory given back; False where it was stopped meanwhile."""
        while device := service.host.status.device or service.settings.device:
            with self._store.reading() as session:
                training = job_queries.in_states(session, TRAINING)
            # Before the first engine "auto" says nothing yet of the device: any training may be on it.
            if not any(device == "auto" or numbered(job.device) == numbered(device) for job in training):
                return True
            service.host.unload()
            if self._patience.is_set():
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def _make(self, service: TakeService, owner: str, take: ComparedTakeRecord, request: SpeakRequest) -> None:
        before = self._patience.waited
        try:
            stream = service.stream(request, owner=owner, cancel=self._patience)
            try:
                for _ in stream:
                    pass
                if self._patience.is_set():
                    return
                self._keep(service, owner, take.id, stream.spoken, waited=self._patience.waited - before)
            finally:
                stream.close()
        except StudioError as error:
            if not self._patience.is_set():
                self._fail(take.id, str(error))

    def _keep(self, service: TakeService, owner: str, take_id: str, spoken: Spoken, *, waited: float) -> None:
        path, sound = sound_file(self._folder, take_id), spoken.speech.waveform
        take = Take.of(spoken, owner=owner, path=path)
        elapsed = spoken.speech.elapsed - waited
        lufs = integrated_lufs(sound)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_audio(sound, path, synthetic=True)  # before its record, which never names what is not there
        try:
            with self._store.writing() as session:
                # Under the write lock, as for takes of the library: a withdrawal comes before, or finds this to mark.
                service.voices(owner).require_consent(spoken.cast.in_library)
                record = queries.take_by_id(session, take_id)
                if record is None:
                    raise StudioError("The comparison was deleted in the meantime.")
                record.state, record.failure, record.made_at = "made", "", now()
                record.sha256, record.synthetic = samples_sha256(sound), True
                record.voices = [{"id": voice_id, "name": name} for voice_id, name in spoken.cast.in_library]
                record.request = {
                    **_told(take.settings), "text": take.text, "seed": take.seed, "checkpoint": take.checkpoint,
                    "adapter": take.adapter or None, "adapter_id": take.adapter_id or None,
                    "device": service.host.status.device, "precision": service.host.status.precision,
                    "voices": [voice.as_json() for voice in take.voices],
                }  # fmt: skip
                record.report = {
                    **take.report, "seconds": round(take.seconds, 6), "sample_rate": take.sample_rate,
                    "elapsed": round(elapsed, 4), "rtf": round(elapsed / take.seconds, 4),
                    "lufs": round(lufs, 2) if lufs > float("-inf") else None,
                }  # fmt: skip
                queries.save(session, record)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _fail(self, take_id: str, sentence: str) -> None:
        with self._store.writing() as session:
            record = queries.take_by_id(session, take_id)
            if record is not None and record.state == "waiting":
                record.state, record.failure = "failed", sentence
                queries.save(session, record)

    def _ended(self) -> Ended:
        with self._store.reading() as session:
            counts = queries.count_by_state(session, self._id)
            failures = [take.failure for take in queries.takes(session, self._id) if take.state == "failed"]
        if not failures:
            return Ended("completed")
        told = f"{len(failures)} of {sum(counts.values())} takes could not be made: {failures[0]}"
        spoke = counts.get("made", 0) > 0
        return Ended("completed" if spoke else "failed", told)


def _told(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a take without folders of the server."""
    return {name: value for name, value in settings.items() if name != "adapter_folder"}

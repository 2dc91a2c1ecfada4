"""The compute target of a training: where it can run, what is free there, and who is before it."""

from __future__ import annotations

from dataclasses import dataclass

from studio.engine.devices import devices, memory_of
from studio.engine.leases import holders, numbered
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import jobs as queries
from studio.store.store import Store

_ACTIVE = ("queued", "running", "stopping")


@dataclass(frozen=True)
class Target:
    """A device for a run.

    Attributes:
        device: "cpu", "mps" or "cuda:N".
        free_bytes, total_bytes: memory now and in all.
        jobs: that wait or run on it.
        held: whether a model of this home is in its memory, which is given back before the run.
    """

    device: str
    name: str
    free_bytes: int
    total_bytes: int
    jobs: int
    held: bool

    @property
    def shared(self) -> bool:
        """Whether part of the memory that is taken now will be free by then."""
        return self.held or self.jobs > 0

    @property
    def room_bytes(self) -> int:
        """Memory that can be had by then."""
        return self.total_bytes if self.shared else self.free_bytes

    @property
    def waits(self) -> str:
        """For whom it waits, as the end of a sentence; "" for nobody."""
        return f", after waiting for {self.jobs} job{'s' * (self.jobs != 1)}" if self.jobs else ""

    @property
    def sentence(self) -> str:
        busy = f": in use, waits for {self.jobs} job{'s' * (self.jobs != 1)}" if self.jobs else ""
        held = "; the voice model on it gives its memory back first" if self.held and not self.jobs else ""
        return f"{self.device}{f' ({self.name})' if self.name else ''}{busy}{held}"


def target_for(wanted: str, settings: Settings, store: Store) -> Target:
    """The device for a run: of several GPUs the one with the fewest jobs.

    Args:
        wanted: "auto" (as the studio's own setting; else a GPU, MPS, the CPU), "cpu", "mps", "cuda" or "cuda:N".

    Raises:
        StudioError: there is no such device.
    """
    there = devices()
    with store.reading() as session:
        rows = queries.in_states(session, _ACTIVE)
    jobs = {device: sum(numbered(row.device) == device for row in rows) for device in there}
    if wanted == "auto" and settings.device != "auto":
        wanted = settings.device
    gpus = [device for device in there if device.startswith("cuda")]
    if wanted == "auto":
        fitting = gpus or [device for device in there if device == "mps"] or ["cpu"]
    else:
        fitting = gpus if wanted == "cuda" else [device for device in there if device == wanted]
    if not fitting:
        raise StudioError(f"This machine has no device '{wanted[:20]}': use {', '.join(there)} or auto.")
    device = min(fitting, key=lambda each: jobs[each])
    free, total, name = memory_of(device)
    return Target(device, name, free, total, jobs[device], bool(holders(settings.leases_folder, device)))

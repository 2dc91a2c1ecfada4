"""The running studio gives its memory back before a training starts on the same device, and looks after the queue."""

import sys
from pathlib import Path

import pytest

from studio.engine.host import EngineHost
from studio.engine.leases import Lease, holders
from studio.settings import Settings
from studio.store.store import Store
from studio.training.execution.scheduler import GIVEN_BACK, Scheduler
from studio.training.library import JobLibrary
from tests.jobs import checked, ended, status, until


@pytest.fixture
def settings(tmp_path: Path, tiny_checkpoint: Path) -> Settings:
    return Settings(home=tmp_path / "home", checkpoint=str(tiny_checkpoint), device="cpu")


@pytest.fixture
def host(settings: Settings) -> EngineHost:
    return EngineHost(
        settings.checkpoint,
        checkpoints_folder=settings.checkpoints_folder,
        code_cache=settings.code_cache_folder,
        device="cpu",
        leases=settings.leases_folder,
    )


def test_the_engine_gives_its_memory_back_before_a_job_begins_and_says_so(settings: Settings, host: EngineHost) -> None:
    speaking = True
    store = Store(settings.store_file)
    scheduler, jobs = Scheduler(settings, store, host, lambda: speaking), JobLibrary(settings, store)
    host.engine()
    elsewhere = jobs.start(checked("steps=2", device="cuda:1"))
    assert ended(jobs, elsewhere).state == "completed"
    scheduler.look()
    assert host.status.state == "ready", "a training on another device needs nothing from it"

    job = jobs.start(checked("steps=2"))
    until(lambda: job.folder.status_file.exists() and status(job)["stage"] == "waiting")
    scheduler.look()
    assert host.status.state == "ready", "whoever is being spoken to may hear it to the end"
    assert jobs.progress(jobs.job(job.id)).stage == "waiting"
    assert not job.folder.metrics_file.exists()

    speaking = False
    scheduler.look()
    assert host.status.state == "unloaded"
    assert host.status.notices == (GIVEN_BACK,)
    assert ended(jobs, job).state == "completed"
    assert "the voice model gave back its memory on cpu" in jobs.log_tail(job)

    host.engine()
    scheduler.look()
    assert host.status.state == "ready"
    assert GIVEN_BACK not in host.status.notices
    host.unload()


def test_a_job_that_waits_for_memory_can_be_stopped(settings: Settings, host: EngineHost) -> None:
    jobs = JobLibrary(settings, Store(settings.store_file))
    host.engine()
    job = jobs.start(checked("steps=2"))
    until(lambda: job.folder.status_file.exists() and status(job)["stage"] == "waiting")
    jobs.stop(job.id)
    stopped = ended(jobs, job)
    assert (stopped.state, stopped.sentence) == ("stopped", "Stopped before it began.")
    host.unload()


def test_a_lease_ends_with_its_process(tmp_path: Path) -> None:
    import subprocess

    from tests.conftest import DATA

    code = "import sys, pathlib, studio.engine.leases as leases; leases.Lease(pathlib.Path(sys.argv[1])).hold('cuda')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=DATA.parents[1], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    assert holders(tmp_path, "cuda:0") == []
    assert list(tmp_path.iterdir()) == []
    own = Lease(tmp_path)
    own.hold("cuda:1")
    assert holders(tmp_path, "cuda:0") == []
    assert len(holders(tmp_path, "cuda:1")) == 1
    own.release()
    assert holders(tmp_path, "cuda:1") == []

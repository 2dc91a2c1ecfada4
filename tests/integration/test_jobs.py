"""Jobs that meet with accidents: a small real trainer under the real supervisor, the real queue and the real store."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.processes import Process, process_of
from studio.settings import Settings
from studio.store import jobs as records
from studio.store.store import Store
from studio.training.job import Job
from studio.training.library import JobLibrary
from tests.conftest import DATA
from tests.disks import disk_that_holds
from tests.jobs import checked, ended, of_jobs, status, stored, supervisor_of, until
from tests.refusals import refusal

PROJECT = DATA.parents[1]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", device="cpu")


@pytest.fixture
def jobs(settings: Settings) -> Iterator[JobLibrary]:
    """A library whose jobs leave nothing behind, whatever the test did."""
    library = JobLibrary(settings, Store(settings.store_file))
    yield library
    ids = {path.name for path in settings.jobs_folder.glob("*")} if settings.jobs_folder.exists() else set()
    try:
        until(lambda: not of_jobs(ids), 5.0)  # a supervisor says how it ended before it ends itself
    finally:
        for process in of_jobs(ids):
            os.kill(process.pid, signal.SIGKILL)


def reached(jobs: JobLibrary, job: Job, step: int) -> None:
    until(lambda: jobs.run_log(job).step >= step)


def trainer_of(job: Job) -> Process:
    told = until(lambda: job.folder.status_file.exists() and status(job).get("trainer"))
    return Process(told["pid"], told["started"])


def steps_logged(jobs: JobLibrary, job: Job) -> list[float]:
    return jobs.run_log(job).series("loss")[0].tolist()


def test_a_job_runs_to_its_end_and_says_so(jobs: JobLibrary, settings: Settings) -> None:
    job = jobs.start(checked("steps=12", "save=5"), "  my   first ")
    assert (job.name, job.state) == ("my first", "running")
    done = ended(jobs, job)
    assert (done.state, done.exit_code, done.sentence) == ("completed", 0, "")
    assert list(done.folder.checkpoints()) == [5, 10, 12]
    assert steps_logged(jobs, done) == list(range(1, 13))
    progress = jobs.progress(done)
    assert (progress.stage, progress.step, progress.max_steps, progress.eta_seconds) == ("ended", 12, 12, None)
    assert "training begins" in jobs.log_tail(done)
    assert json.loads(done.folder.outcome_file.read_text())["state"] == "completed"
    assert stored(settings, done.id).pid is None
    assert refusal(lambda: jobs.resume(job.id)).startswith("my first is completed")


def test_two_jobs_on_one_device_take_turns_and_the_second_needs_nobody(jobs: JobLibrary, settings: Settings) -> None:
    first = jobs.start(checked("steps=20"))
    second = jobs.start(checked("steps=4"))
    third = jobs.start(checked("steps=4"))
    elsewhere = jobs.start(checked("steps=4", device="cuda:1"))
    assert [jobs.job(job.id).state for job in (first, second, third, elsewhere)] == [
        "running", "queued", "queued", "running",
    ]  # fmt: skip
    assert [jobs.job(job.id).ahead for job in (first, second, third)] == [0, 1, 2]
    # From here on nobody looks: only what the supervisors themselves do counts.
    until(lambda: stored(settings, third.id).state == "completed", 60)
    rows = [stored(settings, job.id) for job in (first, second, third)]
    assert [row.state for row in rows] == ["completed"] * 3
    for before, after in pairwise(rows):
        assert before.ended_at <= after.started_at


def test_a_job_that_waits_is_stopped_and_never_starts(jobs: JobLibrary, settings: Settings) -> None:
    first, second = (jobs.start(checked("steps=8")) for _ in range(2))
    stopped = jobs.stop(second.id)
    assert (stopped.state, stopped.sentence) == ("stopped", "Stopped before it began.")
    ended(jobs, first)
    time.sleep(0.5)
    assert jobs.job(second.id).state == "stopped"
    assert not second.folder.log_file.exists()
    assert refusal(lambda: jobs.resume(second.id)).endswith("retry it to begin anew.")


def test_stopping_saves_and_stopping_again_changes_nothing(jobs: JobLibrary) -> None:
    job = jobs.start(checked("steps=500", "save=400"))
    reached(jobs, job, 3)
    assert jobs.stop(job.id).state == "stopping"
    assert jobs.stop(job.id).state in ("stopping", "stopped")
    done = ended(jobs, job)
    step = jobs.run_log(done).step
    assert (done.state, done.exit_code, done.sentence) == ("stopped", 0, "")
    assert list(done.folder.checkpoints()) == [step]
    assert "has ended already" in refusal(lambda: jobs.stop(job.id))


def test_a_trainer_that_does_not_listen_is_ended_at_once_when_asked_to(jobs: JobLibrary) -> None:
    job = jobs.start(checked("steps=500", "save=2", "deaf=yes", "stray=yes"))
    reached(jobs, job, 3)
    jobs.stop(job.id)
    time.sleep(0.6)
    assert jobs.job(job.id).state == "stopping"
    jobs.stop(job.id, now=True)
    done = ended(jobs, job)
    assert done.state == "stopped"
    assert done.sentence.startswith("Stopped without saving; its last checkpoint is that of step ")


def test_a_resumed_job_goes_on_with_its_curve(jobs: JobLibrary) -> None:
    job = jobs.start(checked("steps=14", "save=4", "then=cut", "at=6"))
    killed = ended(jobs, job)
    assert killed.state == "failed"
    assert killed.can_resume
    broken = killed.folder.output / "checkpoint-6"
    broken.mkdir()
    (broken / "adapter_model.safetensors").write_bytes(b"half of it")
    assert list(killed.folder.checkpoints()) == [4]
    resumed = ended(jobs, jobs.resume(job.id))
    assert (resumed.id, resumed.state, resumed.runs) == (job.id, "completed", 2)
    assert steps_logged(jobs, resumed) == list(range(1, 15)), "steps 5 and 6 were logged twice, and a line was cut"
    assert list(resumed.folder.checkpoints()) == [4, 8, 12, 14]


@pytest.mark.parametrize(
    ("then", "says"),
    [
        ("memory", "Memory ran out: set per_device_train_batch_size=1"),
        ("disk", "The disk or quota is full: free some space"),
        ("raise", "The training failed (RuntimeError: the gradient went for a walk): its log has the details."),
    ],
)
def test_a_trainer_that_fails_says_why_and_what_it_wrote_stays(jobs: JobLibrary, then: str, says: str) -> None:
    job = ended(jobs, jobs.start(checked("save=2", f"then={then}", "at=5", "stray=yes")))
    assert (job.state, job.exit_code) == ("failed", 1)
    assert job.sentence.startswith(says)
    assert list(job.folder.checkpoints()) == [2, 4]
    assert steps_logged(jobs, job) == [1, 2, 3, 4, 5]


def test_a_killed_trainer_is_a_failed_job_and_what_it_started_goes_with_it(jobs: JobLibrary) -> None:
    job = jobs.start(checked("steps=500", "save=2", "stray=yes"))
    reached(jobs, job, 3)
    stray = process_of(int((job.folder.root / "stray").read_text()))
    assert stray is not None
    os.kill(trainer_of(job).pid, signal.SIGKILL)
    failed = ended(jobs, job)
    assert (failed.state, failed.exit_code) == ("failed", -signal.SIGKILL)
    assert "killed from outside (SIGKILL)" in failed.sentence
    assert not stray.is_alive


def test_a_job_whose_supervisor_is_killed_saves_and_is_lost_and_the_queue_goes_on(
    jobs: JobLibrary, settings: Settings
) -> None:
    job = jobs.start(checked("steps=500", "save=400", "stray=yes"))
    waiting = jobs.start(checked("steps=3"))
    reached(jobs, job, 3)
    trainer = trainer_of(job)
    os.kill(supervisor_of(settings, job.id).pid, signal.SIGKILL)
    until(lambda: not trainer.is_alive)
    lost = ended(jobs, job)
    assert lost.state == "lost"
    assert lost.sentence.startswith("Its supervisor disappeared")
    assert list(lost.folder.checkpoints()) == [jobs.run_log(lost).step], "the trainer saved before it ended"
    assert ended(jobs, waiting).state == "completed"
    assert jobs.resume(job.id).state in ("queued", "running")
    jobs.stop(job.id)
    ended(jobs, job)


def test_a_job_does_not_need_the_program_that_started_it(jobs: JobLibrary, settings: Settings) -> None:
    starter = (
        "import json, sys, time\nfrom pathlib import Path\nfrom studio.settings import Settings\n"
        "from studio.store.store import Store\nfrom studio.training.library import JobLibrary\n"
        "from tests.jobs import checked\n"
        "settings = Settings(home=Path(sys.argv[1]))\nlibrary = JobLibrary(settings, Store(settings.store_file))\n"
        "print(library.start(checked('steps=30')).id, flush=True)\ntime.sleep(600)\n"
    )
    app = subprocess.Popen(
        [sys.executable, "-c", starter, str(settings.home)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert app.stdout is not None
    job = jobs.job(app.stdout.readline().strip())
    reached(jobs, job, 2)
    app.kill()
    app.wait()
    assert jobs.job(job.id).state == "running"
    assert ended(jobs, job).state == "completed"


def test_another_program_with_the_old_pid_is_left_alone(jobs: JobLibrary, settings: Settings) -> None:
    job = ended(jobs, jobs.start(checked("steps=2")))
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with Store(settings.store_file).writing() as session:
            row = records.job_by_id(session, job.id)
            assert row is not None
            row.state, row.pid, row.pid_started = "running", bystander.pid, time.time() - 86_400
        job.folder.outcome_file.unlink()
        assert ended(jobs, job).state == "lost"
        time.sleep(0.3)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_end_of_a_job_is_told_to_a_store_that_was_locked(jobs: JobLibrary, settings: Settings) -> None:
    job = jobs.start(checked("steps=16"))
    waiting = jobs.start(checked("steps=2"))
    reached(jobs, job, 2)
    with closing(sqlite3.connect(settings.store_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        until(job.folder.outcome_file.exists)
        assert json.loads(job.folder.outcome_file.read_text())["state"] == "completed"
        assert "in use by another program" in refusal(lambda: jobs.stop(waiting.id))
        assert stored(settings, job.id).state == "running", "nobody could write yet"
        other.execute("ROLLBACK")
    assert ended(jobs, job).state == "completed"
    assert ended(jobs, waiting).state == "completed"


def test_the_end_of_a_job_is_told_once_a_full_disk_has_room_again(jobs: JobLibrary, settings: Settings) -> None:
    ended(jobs, jobs.start(checked("steps=1")))
    job = jobs.start(checked("steps=16", "save=100"))
    supervisor = supervisor_of(settings, job.id)
    reached(jobs, job, 2)
    limits = resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
    until(lambda: not trainer_of(job).is_alive)
    time.sleep(2)
    assert stored(settings, job.id).state == "running"
    resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, limits)
    assert ended(jobs, job).state == "completed"


def test_a_job_that_cannot_be_written_is_not_half_there(jobs: JobLibrary, settings: Settings) -> None:
    ended(jobs, jobs.start(checked("steps=1")))
    with disk_that_holds(64):
        assert "disk or quota is full" in refusal(lambda: jobs.start(checked("steps=1")))
    assert len(jobs.jobs()) == 1
    assert len(list(settings.jobs_folder.iterdir())) == 1


def test_a_job_is_repeated_and_deleted(jobs: JobLibrary, settings: Settings) -> None:
    job = jobs.start(checked("steps=8"), "again")
    assert "stop it first" in refusal(lambda: jobs.delete(job.id))
    assert "stop it first" in refusal(lambda: jobs.retry(job.id))
    ended(jobs, job)
    again = ended(jobs, jobs.retry(job.id))
    assert (again.name, again.retry_of, again.state) == ("again", job.id, "completed")
    assert again.spec == job.spec
    jobs.delete(job.id)
    assert [each.id for each in jobs.jobs()] == [again.id]
    assert [path.name for path in settings.jobs_folder.iterdir()] == [again.id]


def test_a_stranger_sees_and_changes_none_of_it(jobs: JobLibrary, settings: Settings) -> None:
    job = jobs.start(checked("steps=200"))
    stranger = JobLibrary(settings, Store(settings.store_file), "somebody else")
    assert stranger.jobs() == []
    for act in (stranger.job, stranger.stop, stranger.resume, stranger.retry, stranger.delete):
        with pytest.raises(StudioError, match="no such job"):
            act(job.id)
    jobs.stop(job.id, now=True)
    ended(jobs, job)

"""Fine-tuning from the command line with real ms-swift on the tiny checkpoint: killed twice, resumed, exported."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from studio.settings import Settings
from studio.store.store import Store
from studio.training.config.request import TrainRequest
from studio.training.folder import JobFolder
from studio.training.library import JobLibrary
from studio.training.preflight.report import preflight
from tests.integration.in_turn import assert_refused, by_name, document, run
from tests.jobs import ended, of_jobs, supervisor_of, until
from tests.training import EXAMPLES, Example, write_rows

STEPS = 40
SETTINGS = (
    "--set", f"max_steps={STEPS}", "--set", "save_steps=20", "--set", "eval_steps=20", "--set", "learning_rate=1e-2",
    "--set", "per_device_train_batch_size=4", "--set", "gradient_accumulation_steps=1", "--set", "lora_rank=8",
    "--set", "split_dataset_ratio=0", "--no-measure",
)  # fmt: skip


def shown(home: Path, job_id: str) -> dict[str, Any]:
    return document(run(home, "train", "show", job_id, "--json"))


def folder_of(home: Path, job_id: str) -> JobFolder:
    return JobFolder(home / "jobs" / job_id)


def reached(folder: JobFolder, step: int) -> None:
    """The run has logged this step."""
    until(lambda: folder.metrics_file.exists() and f'"{step}/{STEPS}"' in folder.metrics_file.read_text(), 120)


@pytest.fixture(scope="module")
def job(home: Path, rows: Path, tiny_checkpoint: Path) -> dict[str, Any]:
    """A run that was killed twice, and came to its end all the same. (One that is stopped is in ``tests/ui``.)"""
    started = document(
        run(home, "train", "start", rows, "--checkpoint", tiny_checkpoint, *SETTINGS, "--name", "kathleen", "--json")
    )
    job_id, folder = started["id"], folder_of(home, started["id"])
    history = [started]

    reached(folder, 12)
    os.kill(supervisor_of(Settings(home=home), job_id).pid, signal.SIGKILL)
    until(lambda: not of_jobs({job_id}), 60)
    history.append(shown(home, job_id))

    document(run(home, "train", "resume", job_id[:8], "--json"))
    reached(folder, 30)
    told = json.loads(folder.status_file.read_text())["trainer"]
    os.kill(told["pid"], signal.SIGKILL)
    until(lambda: folder.outcome_file.exists(), 60)
    until(lambda: not of_jobs({job_id}), 60)
    history.append(shown(home, job_id))

    history.append(document(run(home, "train", "resume", job_id, "--wait", "--json")))
    return {"id": job_id, "history": history, "folder": folder}


def test_a_run_that_is_killed_twice_comes_to_its_end(job: dict[str, Any], home: Path) -> None:
    started, lost, failed, completed = job["history"]
    assert started["state"] == "running"
    assert started["max_steps"] == STEPS
    assert Path(started["dir"]) == home / "jobs" / job["id"]
    assert [each["state"] for each in (lost, failed, completed)] == ["lost", "failed", "completed"]
    assert "supervisor disappeared" in lost["sentence"]
    # The supervisor's death made the trainer save where it was, which is no step of the schedule.
    assert lost["checkpoints"][-1]["step"] == lost["step"] >= 12
    assert failed["exit_code"] == -signal.SIGKILL
    assert (completed["step"], completed["max_steps"], completed["runs"]) == (STEPS, STEPS, 3)
    assert completed["checkpoints"][-1]["step"] == STEPS
    until(lambda: not of_jobs({job["id"]}), 20)  # the supervisor has told, and goes


def test_the_curve_of_a_resumed_run_has_every_step_once(job: dict[str, Any]) -> None:
    from studio.training.monitoring.run_log import RunLog

    log = RunLog(job["folder"].metrics_file)
    log.refresh()
    steps, losses = log.series("loss")
    assert steps.tolist() == list(range(1, STEPS + 1))
    assert losses[-1] < losses[0] * 0.8


def test_the_settings_of_the_user_stand_above_the_preset(job: dict[str, Any]) -> None:
    command = job["history"][-1]["command"]
    logged = [json.loads(line) for line in job["folder"].metrics_file.read_text().splitlines() if '"loss"' in line]
    rates = [(line["learning_rate"], line["audio_learning_rate"]) for line in logged if "learning_rate" in line]
    assert max(rate for rate, _ in rates) == pytest.approx(1e-2, rel=0.05)
    assert all(audio == pytest.approx(2 * text, rel=1e-3, abs=1e-7) for text, audio in rates)
    assert command[command.index("--split_dataset_ratio") + 1] == "0"
    assert not any("eval_loss" in line for line in job["folder"].metrics_file.read_text().splitlines()[:-1])


def test_each_checkpoint_was_heard_and_compared(job: dict[str, Any], home: Path) -> None:
    completed = job["history"][-1]
    saved = [each["step"] for each in completed["checkpoints"]]
    assert {each["step"] for each in completed["samples"]} == {0, *saved}
    for each in completed["samples"]:
        assert not each["error"]
        assert [Path(file).is_file() for file in each["files"]] == [True, True]
    for each in completed["checkpoints"]:
        assert each["comparison"]["applied"] is True
        assert each["comparison"]["logit_change"] > 0


def test_a_checkpoint_is_exported_spoken_with_and_the_job_deleted(
    job: dict[str, Any], home: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    job_id, adapter, merged = job["id"], tmp_path / "adapter", tmp_path / "merged"
    speak = ("speak", "Good morning.", "--seed", "3", "--no-keep")
    missing = Example("Nobody.", "kathleen_nowhere.flac").row()
    bad_rows = write_rows(tmp_path / "bad.jsonl", [EXAMPLES[0].row(), missing, EXAMPLES[3].row()])
    answers = by_name(home, {
        "list": ["train", "list", "--json"],
        "bad row": ["train", "start", bad_rows, "--checkpoint", tiny_checkpoint, *SETTINGS],
        "adapter": ["train", "export", job_id, "--checkpoint", str(STEPS), "--out", adapter, "--json"],
        "again": ["train", "export", job_id, "--out", adapter],
        "nowhere": ["train", "export", job_id, "--checkpoint", "7", "--out", tmp_path / "none"],
        "merged": ["train", "export", job_id, "--out", merged, "--merge", "--json"],
        "base": [*speak, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "base.wav", "--json"],
        "with": [*speak, "--checkpoint", tiny_checkpoint, "--adapter", adapter, "--out", tmp_path / "a.wav", "--json"],
        "of it": [*speak, "--checkpoint", merged, "--out", tmp_path / "m.wav", "--json"],
        "logs": ["train", "logs", job_id],
        "stop": ["train", "stop", job_id],
        "resume": ["train", "resume", job_id],
        "delete": ["train", "delete", job_id[:8], "--yes", "--json"],
        "gone": ["train", "show", job_id],
    })  # fmt: skip
    assert [each["id"] for each in document(answers["list"])["jobs"]] == [job_id]
    assert_refused(answers["bad row"], "Row 2: The clip 'kathleen_nowhere.flac' does not exist")
    assert "skip_bad_rows=true" in answers["bad row"].stderr
    assert document(answers["adapter"])["kind"] == "adapter"
    assert json.loads((adapter / "studio_adapter.json").read_text())["consent_sentence"] == "consent not recorded"
    assert_refused(answers["again"], "already exists")
    assert_refused(answers["nowhere"], "no checkpoint of step 7")
    assert document(answers["merged"], said="(.|\n)*")["kind"] == "checkpoint"
    frames = {name: document(answers[name], said="(.|\n)*")["frames"] for name in ("base", "with", "of it")}
    sounds = {name: (tmp_path / file).read_bytes() for name, file in (("base", "base.wav"), ("with", "a.wav"))}
    assert sounds["base"] != sounds["with"], "the adapter was not applied"
    assert frames["with"] == frames["of it"]
    assert "train_loss" in answers["logs"].stdout
    assert_refused(answers["stop"], "has ended already")
    assert_refused(answers["resume"], "is completed")
    assert document(answers["delete"])["deleted"] is True
    assert not job["folder"].root.exists()
    assert_refused(answers["gone"], "There is no job")


def test_a_clip_that_goes_after_it_was_checked_is_named_by_the_failed_job(
    home: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.flac"
    clip.write_bytes(Path(EXAMPLES[3].row()["audios"][0]).read_bytes())
    row = EXAMPLES[3].row() | {"audios": [str(clip)]}
    settings = Settings(home=home, device="cpu")
    store = Store(settings.store_file)
    jobs = JobLibrary(settings, store)
    rows = write_rows(tmp_path / "rows.jsonl", [EXAMPLES[0].row(), row])
    request = TrainRequest(rows, checkpoint=str(tiny_checkpoint))
    job = jobs.start(preflight(request, settings, store, measure=False))
    clip.unlink()  # before the trainer has read it
    failed = ended(jobs, job, 90)
    assert failed.state == "failed"
    assert "row 2" in failed.sentence
    assert "clip.flac" in failed.sentence
    until(lambda: not of_jobs({job.id}))

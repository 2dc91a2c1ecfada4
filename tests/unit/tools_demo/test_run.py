"""Stages in the background: paused, resumed and ended by their own process, and by no other that has its number now."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tools.demo_checkpoint import run


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.setenv("HIGGS_DEMO_STATE", str(tmp_path))
    run.logs().mkdir()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield run.record("corpus", process.pid)
    process.kill()
    process.wait()


def _until(stage: run.Stage, state: str) -> None:
    deadline = time.monotonic() + 20
    while stage.state != state:
        assert time.monotonic() < deadline, stage.state
        time.sleep(0.02)


def test_a_stage_is_paused_and_goes_on_and_is_started_once(stage: run.Stage) -> None:
    stage.signal(signal.SIGSTOP)
    _until(stage, "paused")
    stage.signal(signal.SIGCONT)
    _until(stage, "running")
    with pytest.raises(SystemExit, match="already"):
        run.start("corpus", [])
    stage.signal(signal.SIGKILL)
    _until(stage, "ended")


def test_another_process_of_the_same_number_is_left_alone(stage: run.Stage) -> None:
    other = run.Stage("corpus", stage.pid, "1")
    assert other.state == "ended"
    other.signal(signal.SIGKILL)
    assert stage.state == "running"
    assert run.stages() == [stage]

"""What an exit status and the end of a log mean, in a sentence; and the log as a person reads it."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from studio.training.execution.outcome import Outcome, outcome_of
from studio.training.folder import JobFolder
from studio.training.monitoring.log_tail import followed, log_tail, readable


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


def checkpoint(folder: JobFolder, step: int, max_steps: int) -> None:
    path = folder.output / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": max_steps}))


def outcome(
    folder: JobFolder, code: int, said: str = "", *, offset: int = 0, stop: bool = False, killed: bool = False
) -> Outcome:
    folder.log_file.write_text(said)
    return outcome_of(code, folder, log_offset=offset, stop=stop, killed=killed)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("Traceback …\nError: rows.jsonl, row 3: The clip is silent.\n", "rows.jsonl, row 3: The clip is silent."),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "Memory ran out: set per_device"),
        ("DefaultCPUAllocator: can't allocate memory: you tried", "Memory ran out: set per_device"),
        ("OSError: [Errno 28] No space left on device", "The disk or quota is full"),
        ("x\nValueError: nope.\n", "The training failed (ValueError: nope): its log has the details."),
        ("", "The training failed with exit status 1: its log has the details."),
    ],
)
def test_a_failure_names_its_reason(folder: JobFolder, said: str, says: str) -> None:
    found = outcome(folder, 1, said)
    assert found.state == "failed"
    assert found.sentence.startswith(says)


def test_what_an_earlier_run_said_is_no_reason(folder: JobFolder) -> None:
    before = "Error: an old mistake.\n"
    assert "old mistake" not in outcome(folder, 1, before + "nothing\n", offset=len(before)).sentence


def test_a_signal_is_named(folder: JobFolder) -> None:
    assert "SIGSEGV" in outcome(folder, -signal.SIGSEGV).sentence
    assert "memory" in outcome(folder, -signal.SIGKILL).sentence


def test_success_needs_all_steps(folder: JobFolder) -> None:
    assert outcome(folder, 0).state == "completed"
    checkpoint(folder, 10, 20)
    assert outcome(folder, 0).state == "stopped", "somebody else's signal made it save and end"
    checkpoint(folder, 20, 20)
    assert outcome(folder, 0).state == "completed"
    assert outcome(folder, 0, stop=True).state == "completed", "the stop came too late to stop anything"


def test_a_stop_says_what_is_left(folder: JobFolder) -> None:
    assert outcome(folder, -signal.SIGTERM, stop=True) == Outcome(
        "stopped", -signal.SIGTERM, "Stopped before a checkpoint was saved: retry it to begin anew."
    )
    checkpoint(folder, 10, 20)
    assert outcome(folder, 0, stop=True) == Outcome("stopped", 0)
    assert "step 10" in outcome(folder, -signal.SIGKILL, stop=True, killed=True).sentence
    assert outcome(folder, 1, "Error: it could not be saved.", stop=True).state == "failed"


def test_a_checkpoint_that_was_cut_off_does_not_count(folder: JobFolder) -> None:
    checkpoint(folder, 10, 20)
    checkpoint(folder, 15, 20)
    (folder.output / "checkpoint-15" / "trainer_state.json").write_text('{"global_st')
    assert list(folder.checkpoints()) == [10]
    assert [path.name for path in folder.broken_checkpoints()] == ["checkpoint-15"]


def test_a_log_is_read_as_it_stood_on_the_screen(tmp_path: Path) -> None:
    assert readable("\x1b[31mred\x1b[0m\nTrain:  10%\rTrain:  20%\r\nend") == "red\nTrain:  20%\nend"
    log = tmp_path / "train.log"
    assert log_tail(log, 100) == ""
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    tail = log_tail(log, 50).splitlines()
    assert tail[-1] == "line 99"
    assert all(line.startswith("line ") for line in tail), "no half lines"


def test_a_log_is_followed_to_its_end(tmp_path: Path) -> None:
    log, running = tmp_path / "train.log", threading.Event()
    log.write_text("first\nsec")
    running.set()

    def write() -> None:
        time.sleep(0.1)
        with log.open("a") as file:
            file.write("ond\nthird")
        running.clear()

    writer = threading.Thread(target=write)
    writer.start()
    assert list(followed(log, running.is_set, pause=0.02)) == ["first", "second", "third"]
    writer.join()

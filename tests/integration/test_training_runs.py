"""Runs that are interrupted, resumed, spread over processes, or given bad rows."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.conftest import DATA
from tests.training import (
    EXAMPLES,
    LAUNCH,
    PROJECT,
    SCRIPT,
    STEADY,
    TRANSCRIPTS,
    Example,
    Run,
    environment,
    train,
    trained,
    write_rows,
)
from tests.warm import WarmProcess

STEPS = 24
SETTINGS = (
    *STEADY, "--max_steps", STEPS, "--save_steps", 1000, "--logging_steps", 1, "--eval_steps", 12, "--eval_strategy",
    "steps", "--per_device_train_batch_size", 2, "--lora_rank", 4, "--use_dora", "true", "--learning_rate", "1e-3",
    "--dataloader_num_workers", 1, "--report_to", "tensorboard",
    "--codebook_loss_weights", 2, 1, 1, 1, 1, 1, 1, 1, "--auxiliary_loss_weight", "1e-4", "--text_loss_weight", "0.5",
)  # fmt: skip


def many_rows() -> list[Any]:
    """Nine rows in all three formats, one of them text alone."""
    texts = {name: TRANSCRIPTS[name] for name in TRANSCRIPTS}
    a, b, c, *_ = names = list(texts)
    parts = [
        {"type": "text", "text": texts[a]},
        {"type": "audio", "audio_url": str(DATA / a)},
        {"type": "text", "text": f"Please generate speech for given text in reference audio's voice: {texts[b]}"},
    ]
    second = {
        "messages": [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": [{"type": "audio", "audio_url": str(DATA / b)}]},
        ],
        "speaker": "kathleen",
        "misc": {},
    }
    third = {
        "messages": [{"role": "user", "content": texts[c]}, {"role": "assistant", "content": "<audio>"}],
        "audios": [str(DATA / c)],
        "reference_audio": str(DATA / a),
        "reference_text": texts[a],
    }
    text_only = {
        "messages": [{"role": "user", "content": "Who speaks?"}, {"role": "assistant", "content": "Kathleen does."}]
    }
    plain = [Example(texts[name], name).row() for name in names[3:5]]
    return [*[example.row() for example in EXAMPLES], second, third, text_only, *plain]


@pytest.fixture(scope="module")
def rows(home: Path) -> Path:
    """With two rows that cannot be used, in lines 3 and 6."""
    rows = many_rows()
    missing = Example("Nobody.", "kathleen_nowhere.flac").row()
    return write_rows(home / "rows.jsonl", [*rows[:2], missing, *rows[2:4], '{"messages": [', *rows[4:]])


@pytest.fixture(scope="module")
def held_out(home: Path) -> Path:
    return write_rows(home / "held_out.jsonl", [EXAMPLES[2].row(), EXAMPLES[3].row()])


@pytest.fixture(scope="module")
def given(rows: Path, held_out: Path, tiny_checkpoint: Path) -> tuple[object, ...]:
    return (
        "--model", tiny_checkpoint, "--dataset", rows, "--val_dataset", held_out, "--skip_bad_rows", "true", *SETTINGS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def speaking(home: Path, given: tuple[object, ...]) -> tuple[object, ...]:
    """The same, with sentences that are spoken before the first step and at each checkpoint."""
    plan = home / "plan.json"
    row, sentences = EXAMPLES[0].row(), ["The house is small.", "Where do the birds go?"]
    plan.write_text(json.dumps({"folder": str(home / "samples"), "row": row, "sentences": sentences, "seed": 3}))
    return (*given, "--sample_plan", plan)


@pytest.fixture(scope="module")
def straight(home: Path, given: tuple[object, ...]) -> Run:
    """A run that nothing happens to, and that does not speak."""
    return trained(home, home / "straight", *given)


def wait_for(what: Any, process: WarmProcess, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < end, "the run did not get that far"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def stopped(home: Path, speaking: tuple[object, ...], straight: Run) -> Run:
    """The same run, which speaks, ended by SIGTERM to its process group after some steps."""
    folder = home / "stopped"
    log = folder / "logging.jsonl"
    output = home / "stopped.log"
    process = WarmProcess(
        LAUNCH, ["sft", "--output_dir", str(folder), *map(str, speaking)], cwd=PROJECT, env=environment(home),
        output=output, errors=output, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: log.exists() and log.read_text().count("\n") >= 3, process)
        os.killpg(process.pid, signal.SIGTERM)
        status = process.wait(timeout=60)
        with pytest.raises(ProcessLookupError):  # nobody of the group is left
            os.killpg(process.pid, 0)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return Run(folder, status, output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def resumed(home: Path, speaking: tuple[object, ...], stopped: Run) -> Run:
    """What was stopped, taken up again from its checkpoint into the same folder."""
    checkpoint = next(stopped.folder.glob("checkpoint-*"))
    return trained(home, stopped.folder, *speaking, "--resume_from_checkpoint", checkpoint)


def test_bad_rows_are_left_out_when_asked_and_named_and_counted(straight: Run) -> None:
    assert "rows.jsonl, row 3: " in straight.output
    assert "kathleen_nowhere.flac" in straight.output
    assert "rows.jsonl, row 6: " in straight.output
    assert "rows.jsonl: 2 of 11 rows skipped" in straight.output
    assert "rows.jsonl: 9 rows" in straight.output


def test_the_log_has_both_rates_and_the_weighted_total(straight: Run) -> None:
    for entry in straight.log:
        if not entry["learning_rate"]:
            continue
        assert entry["audio_learning_rate"] == pytest.approx(2 * entry["learning_rate"], rel=1e-3)
    both = [entry for entry in straight.log if "audio_loss" in entry]
    assert len(both) >= STEPS - 3  # a batch may hold nothing but the text row
    for entry in both:
        codebooks = [entry[f"audio_loss_cb{index}"] for index in range(8)]
        audio = (sum(codebooks) + codebooks[0]) / 9
        expected = 0.5 * entry["text_loss"] + audio + 1e-4 * entry["z_loss"]
        assert entry["loss"] == pytest.approx(expected, rel=1e-4)


def test_evaluation_logs_the_same_losses(straight: Run) -> None:
    assert [entry["global_step/max_steps"] for entry in straight.evals] == [f"12/{STEPS}", f"{STEPS}/{STEPS}"]
    names = {"eval_text_loss", "eval_audio_loss", *(f"eval_audio_loss_cb{index}" for index in range(8))}
    assert all(names <= entry.keys() for entry in straight.evals)


def test_sigterm_to_the_group_saves_and_ends(stopped: Run) -> None:
    assert stopped.status == 0, stopped.output[-3000:]
    checkpoint = next(stopped.folder.glob("checkpoint-*"))
    step = int(checkpoint.name.removeprefix("checkpoint-"))
    assert 1 <= step < STEPS
    assert len(stopped.log) == step
    assert {"adapter_model.safetensors", "optimizer.pt", "trainer_state.json"} <= {
        file.name for file in checkpoint.iterdir()
    }


def test_a_resumed_run_continues_as_if_it_had_neither_been_stopped_nor_spoken(
    home: Path, straight: Run, stopped: Run, resumed: Run
) -> None:
    step = len(stopped.log)
    spoken = [json.loads(line) for line in (home / "samples" / "samples.jsonl").read_text().splitlines()]
    assert [(entry["step"], len(entry["samples"])) for entry in spoken] == [(0, 2), (step, 2), (STEPS, 2)]
    assert [entry["global_step/max_steps"] for entry in resumed.log] == [f"{n}/{STEPS}" for n in range(1, STEPS + 1)]
    for before, after in zip(straight.log, resumed.log, strict=True):
        for name in ("loss", "learning_rate", "grad_norm"):
            assert after[name] == pytest.approx(before[name], rel=1e-5), (name, after["global_step/max_steps"], step)
    weights = [load_file(run.checkpoint(STEPS) / "adapter_model.safetensors") for run in (straight, resumed)]
    assert weights[0].keys() == weights[1].keys()
    assert max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0]) < 1e-6


def test_each_clip_is_encoded_once_over_all_runs(home: Path, straight: Run, stopped: Run, resumed: Run) -> None:
    assert "7 clips, 7 encoded now" in straight.output  # seven recordings in nine rows, used many times
    for run in (stopped, resumed):
        assert "7 clips, 0 encoded now" in run.output
    assert len(list((home / "cache" / "codes").rglob("*.npy"))) == 7


def test_a_bad_row_stops_the_run_before_training_with_its_number(home: Path, rows: Path, tiny_checkpoint: Path) -> None:
    # Through the script, with the name that guides have for the argument.
    given = ("--model", tiny_checkpoint, "--dataset_path", rows, *STEADY, "--max_steps", 1)
    run = train(home, home / "bad", *given, program=SCRIPT, PYTHON=sys.executable)
    assert run.status == 1
    last = run.output.strip().splitlines()[-1]
    assert last.startswith("Error: rows.jsonl, row 3: ")
    assert "kathleen_nowhere.flac" in last
    assert "Traceback" not in run.output
    assert not run.all_logged
    assert not list(run.folder.glob("checkpoint-*"))


def test_two_processes_train_like_one_that_accumulates(home: Path, tiny_checkpoint: Path) -> None:
    rows = write_rows(home / "spread.jsonl", [row for row in many_rows() if "audios" in row or "speaker" in row][:6])
    given = (
        "--model", tiny_checkpoint, "--dataset", rows, *STEADY, "--max_steps", 3, "--logging_steps", 1,
        "--learning_rate", "1e-3", "--lora_dropout", 0, "--train_dataloader_shuffle", "false", "--dataset_shuffle",
        "false", "--save_steps", 3,
    )  # fmt: skip
    one = trained(home, home / "one", *given, "--gradient_accumulation_steps", 2)
    # Beside that under the other name of the model type, and with gradient checkpointing: neither changes a figure.
    other = ("--model_type", "higgs-audio-v2-3b", "--gradient_checkpointing", "true", "--use_cpu", "true")
    two = trained(home, home / "two", *given, *other, NPROC_PER_NODE="2", MASTER_PORT="29533")
    for name in ("loss", "text_loss", "audio_loss", "audio_loss_cb7", "grad_norm"):
        assert [entry[name] for entry in two.log] == pytest.approx([entry[name] for entry in one.log], rel=1e-4), name
    weights = [load_file(run.checkpoint(3) / "adapter_model.safetensors") for run in (one, two)]
    assert max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0]) < 1e-4


def test_the_record_of_a_run_names_its_options(straight: Run) -> None:
    recorded = json.loads((straight.checkpoint(STEPS) / "args.json").read_text())
    assert recorded["model_type"] == "higgs-audio"
    assert recorded["model_kwargs"]["text_loss_weight"] == "0.5"


def test_tensorboard_has_what_the_log_has(straight: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(straight.folder / "runs"))
    events.Reload()
    names = ["text_loss", "audio_loss", "audio_loss_cb0", "audio_loss_cb7", "learning_rate", "audio_learning_rate"]
    assert {f"{part}/{name}" for part in ("train", "eval") for name in names[:4]} <= set(events.Tags()["scalars"])
    for name in names:
        logged = [entry[name] for entry in straight.log if name in entry]
        # logging.jsonl has eight decimals.
        assert [event.value for event in events.Scalars(f"train/{name}")] == pytest.approx(logged, rel=1e-5, abs=1e-8)

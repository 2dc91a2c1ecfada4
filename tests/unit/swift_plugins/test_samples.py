"""Sentences spoken by the model in training: what is written, that training does not notice, and what can go wrong."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from studio.audio import read_audio
from studio.engine.speech.spoken_sentence import speak_sentence
from studio.engine.voice_engine import VoiceEngine
from swift_plugins.callbacks import HiggsAudioCallback
from swift_plugins.samples import BASE_CODES_FILE, TrainingSamples, undisturbed
from tests.disks import disk_that_holds
from tests.known_adapters import row_of
from tests.training import EXAMPLES

SENTENCES = ["The house is small.", "Where to?"]
SEED = 3


@pytest.fixture
def trainer(training_model: Any, template: Any) -> Any:
    """What of ms-swift's trainer is looked at."""
    return SimpleNamespace(
        model=training_model,
        accelerator=SimpleNamespace(unwrap_model=lambda model: model),
        template=template,
        is_fsdp_enabled=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "samples"


@pytest.fixture
def plan(tmp_path: Path, folder: Path) -> Path:
    return write_plan(tmp_path, folder)


def write_plan(tmp_path: Path, folder: Path, **changes: Any) -> Path:
    path = tmp_path / "plan.json"
    row = row_of(EXAMPLES[0]).as_row()
    path.write_text(json.dumps({"folder": str(folder), "row": row, "sentences": SENTENCES, "seed": SEED, **changes}))
    return path


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def generators() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # pyright: ignore


def test_what_is_written_is_what_the_engine_says(trainer: Any, plan: Path, folder: Path, engine: VoiceEngine) -> None:
    TrainingSamples(plan, trainer).begin(0)
    (entry,) = logged(folder)
    assert entry["step"] == 0
    assert entry["elapsed"] > 0
    assert [sample["text"] for sample in entry["samples"]] == SENTENCES
    for number, sample in enumerate(entry["samples"], 1):
        expected = speak_sentence(engine, row_of(EXAMPLES[0]), sample["text"], seed=SEED)
        assert sample["file"] == f"step-000000-{number}.wav"
        sound = read_audio(folder / sample["file"])
        assert sound.duration == pytest.approx(expected.seconds)
        assert np.abs(sound.samples - expected.waveform.samples).max() < 1e-3  # 16 bits
        assert sample["seconds"] == pytest.approx(expected.seconds, abs=1e-3)
        assert sample["budget_seconds"] == pytest.approx(expected.budget_seconds, abs=1e-3)
        assert sample["loudness_dbfs"] == pytest.approx(expected.loudness_dbfs, abs=0.02)
        assert sample["ended"] is expected.ended
        assert sample["same_as_base"] is True


def test_whether_it_differs_from_the_base_is_told_by_its_codes(
    trainer: Any, plan: Path, folder: Path, training_model: Any
) -> None:
    TrainingSamples(plan, trainer).begin(0)
    TrainingSamples(plan, trainer).speak(1)
    head = training_model.audio_lm_head.weight
    before = head.detach().clone()
    try:
        with torch.no_grad():
            head.add_(0.5 * torch.randn(head.shape, generator=torch.Generator().manual_seed(0)))
        TrainingSamples(plan, trainer).speak(2)
        (folder / BASE_CODES_FILE).write_bytes(b"damaged")
        TrainingSamples(plan, trainer).speak(3)
    finally:
        with torch.no_grad():
            head.copy_(before)
    same = [[sample["same_as_base"] for sample in entry["samples"]] for entry in logged(folder)]
    assert same == [[True, True], [True, True], [False, False], [False, False]]


def test_the_base_is_spoken_once_and_a_step_once(trainer: Any, plan: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "samples.jsonl").write_text('{"step": 0, "samples": [], "error": "Memory ran out."}\n')
    for _ in range(2):
        TrainingSamples(plan, trainer).begin(0)  # an error is no sample
    assert [entry["step"] for entry in logged(folder)] == [0, 0]
    (folder / "samples.jsonl").write_text("")
    for _ in range(2):
        resumed = TrainingSamples(plan, trainer)
        resumed.begin(7)  # the run before was killed when it had saved step 7 and not yet spoken
    resumed.speak(8)
    resumed.speak(8)
    assert [entry["step"] for entry in logged(folder)] == [7, 8]


def test_training_finds_modules_and_random_numbers_as_they_were(
    trainer: Any, plan: Path, folder: Path, training_model: Any
) -> None:
    frozen = training_model.model.layers[1]
    training_model.train()
    frozen.eval()
    try:
        modes, before = [module.training for module in training_model.modules()], generators()
        assert {True, False} == set(modes)
        TrainingSamples(plan, trainer).speak(1)
        assert logged(folder)[0]["samples"]
        assert [module.training for module in training_model.modules()] == modes
        assert generators() == before
        with pytest.raises(ZeroDivisionError), undisturbed(training_model):
            assert not any(module.training for module in training_model.modules())
            assert not torch.is_grad_enabled()
            torch.rand(1)
            random.random()
            np.random.rand()
            raise ZeroDivisionError
        assert [module.training for module in training_model.modules()] == modes
        assert generators() == before
        assert torch.is_grad_enabled()
    finally:
        training_model.eval()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"row": {"messages": []}}, None),
        ({"sentences": "Hello."}, None),
        ({"seed": -1}, None),
        ({"sentences": ["<|eot_id|>"]}, "control token"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_no_reason_to_stop(
    trainer: Any, tmp_path: Path, folder: Path, changes: dict[str, Any], words: str | None
) -> None:
    TrainingSamples(write_plan(tmp_path, folder, **changes), trainer).speak(1)
    if words is None:  # nobody knows where to write
        assert not folder.exists()
    else:
        (entry,) = logged(folder)
        assert (entry["step"], entry["samples"]) == (1, [])
        assert words in entry["error"]


def test_a_plan_that_is_missing_or_empty_is_no_reason_to_stop(trainer: Any, tmp_path: Path, folder: Path) -> None:
    TrainingSamples(tmp_path / "nowhere.json", trainer).speak(1)
    TrainingSamples(write_plan(tmp_path, folder, row=None, sentences=[]), trainer).speak(1)
    assert not folder.exists()


@pytest.fixture
def failing(training_model: Any) -> Iterator[Callable[[Exception], None]]:
    """Makes every pass of the model fail."""
    handles = []

    def fail(error: Exception) -> None:
        def hook(*_: Any) -> None:
            raise error

        handles.append(training_model.register_forward_pre_hook(hook))

    yield fail
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory of cpu ran out"),
        (MemoryError(), "memory of cpu ran out"),
        (ValueError("a\nbug"), "Speaking failed (ValueError: a bug); the training goes on."),
    ],
)
def test_a_failure_becomes_a_line_and_the_model_trains_on(
    trainer: Any, plan: Path, folder: Path, training_model: Any, failing: Any, error: Exception, words: str
) -> None:
    training_model.train()
    try:
        failing(error)
        TrainingSamples(plan, trainer).speak(4)
        assert all(module.training for module in training_model.modules())
    finally:
        training_model.eval()
    (entry,) = logged(folder)
    assert (entry["step"], entry["samples"]) == (4, [])
    assert words in entry["error"]


def test_a_full_disk_leaves_no_half_sound(trainer: Any, plan: Path, folder: Path) -> None:
    with disk_that_holds(1000):
        TrainingSamples(plan, trainer).speak(2)
    (entry,) = logged(folder)
    assert "disk or quota is full" in entry["error"]
    assert [path.name for path in folder.iterdir()] == ["samples.jsonl"]


def test_a_line_that_was_cut_off_does_not_spoil_the_next(trainer: Any, plan: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "samples.jsonl").write_text('{"step": 0, "samp')
    TrainingSamples(plan, trainer).speak(2)
    lines = (folder / "samples.jsonl").read_text().splitlines()
    assert lines[0] == '{"step": 0, "samp'
    assert json.loads(lines[1])["step"] == 2


def test_a_model_in_parts_is_not_spoken_with(trainer: Any, plan: Path, folder: Path) -> None:
    trainer.is_fsdp_enabled = True
    TrainingSamples(plan, trainer).begin(0)
    assert not folder.exists()


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_while_it_speaks_stops_the_run_and_only_a_second_one_the_sentence(
    trainer: Any, plan: Path, folder: Path, training_model: Any, monkeypatch: pytest.MonkeyPatch, signals: int
) -> None:
    def signalled(*_: Any) -> None:
        if sent:
            os.kill(os.getpid(), sent.pop())

    sent = [signal.SIGTERM] * signals
    monkeypatch.setenv("SAMPLE_PLAN", str(plan))
    before = signal.getsignal(signal.SIGTERM)
    hook = training_model.register_forward_pre_hook(signalled)
    try:
        args = SimpleNamespace(output_dir=str(folder), device="cpu")
        callback: Any = HiggsAudioCallback(args, trainer)
        trainer.callback_handler = SimpleNamespace(callbacks=[callback])
        state, control = SimpleNamespace(global_step=0, is_world_process_zero=True), SimpleNamespace()
        callback.on_train_begin(args, state, control)
        callback.on_step_end(args, state, control)
    finally:
        hook.remove()
        signal.signal(signal.SIGTERM, before)
    assert (control.should_save, control.should_training_stop) == (True, True)
    (entry,) = logged(folder)
    assert len(entry["samples"]) == (2 if signals == 1 else 0)
    assert ("told twice to stop" in entry.get("error", "")) is (signals == 2)


def test_other_processes_than_the_first_say_nothing(
    trainer: Any, plan: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMPLE_PLAN", str(plan))
    before = signal.getsignal(signal.SIGTERM)
    try:
        args = SimpleNamespace(output_dir=str(folder), device="cpu")
        callback: Any = HiggsAudioCallback(args, trainer)
        trainer.callback_handler = SimpleNamespace(callbacks=[callback])
        state = SimpleNamespace(global_step=0, is_world_process_zero=False)
        callback.on_train_begin(args, state, SimpleNamespace())
        callback.on_save(args, state, SimpleNamespace())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not folder.exists()

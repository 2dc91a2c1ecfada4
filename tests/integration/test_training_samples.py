"""A real run that speaks at its checkpoints: what it spoke is its own. (That it learns the same: ``test_training_runs``.)"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import read_audio
from studio.datasets.rows.report import RowsSummary
from studio.engine.speech.spoken_sentence import speak_sentence
from studio.engine.voice_engine import VoiceEngine
from studio.settings import Settings
from studio.store import adapters as records
from studio.store.store import Store
from studio.store.tables import JobRecord
from studio.training.execution import registration
from studio.training.folder import JobFolder
from studio.training.monitoring.samples import StepSamples, read_samples
from studio.training.spec import TrainingSpec
from tests.known_adapters import row_of
from tests.training import EXAMPLES, Run, trained, write_rows

SENTENCES = ["The house is small.", "Where do the birds go?"]
SEED, STEPS = 3, 6
# Dropout and checkpointing of gradients, because these are what speaking in between could disturb.
SETTINGS = (
    "--add_version", "false", "--torch_dtype", "float32", "--gradient_accumulation_steps", 1, "--report_to", "none",
    "--max_steps", STEPS, "--save_steps", 3, "--logging_steps", 1, "--per_device_train_batch_size", 2, "--learning_rate",
    "1e-2", "--lora_rank", 8, "--lora_dropout", "0.1", "--gradient_checkpointing", "true",
)  # fmt: skip


@pytest.fixture(scope="module")
def job(home: Path, tiny_checkpoint: Path) -> JobRecord:
    """As the studio stores it."""
    spec = TrainingSpec(
        preset="quick", base=str(tiny_checkpoint), base_shown="tiny", base_folder=str(tiny_checkpoint), base_bytes=1,
        device="cpu", arguments={}, rows=RowsSummary(source="rows.jsonl", count=4, seconds=4.0, sha256="0"),
    )  # fmt: skip
    row = JobRecord(owner="", name="Kathleen", device="cpu", state="running", spec=spec.model_dump())
    with Store(Settings(home=home).store_file).writing() as session:
        session.add(row)
    return row


@pytest.fixture(scope="module")
def folder(home: Path, job: JobRecord) -> JobFolder:
    folder = JobFolder(home / "jobs" / job.id)
    folder.root.mkdir(parents=True)
    plan = {
        "folder": str(folder.samples), "row": row_of(EXAMPLES[0]).as_row(), "sentences": SENTENCES, "seed": SEED,
    }  # fmt: skip
    folder.sample_plan.write_text(json.dumps(plan), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def given(home: Path, tiny_checkpoint: Path) -> tuple[object, ...]:
    rows = write_rows(home / "rows.jsonl", [example.row() for example in EXAMPLES])
    return ("--model", tiny_checkpoint, "--dataset", rows, *SETTINGS)


@pytest.fixture(scope="module")
def spoken(home: Path, given: tuple[object, ...], folder: JobFolder) -> Run:
    return trained(home, folder.output, *given, "--sample_plan", folder.sample_plan)


@pytest.fixture(scope="module")
def steps(spoken: Run, folder: JobFolder) -> list[StepSamples]:
    return read_samples(folder.samples)


def test_it_speaks_the_base_and_every_checkpoint(spoken: Run, steps: list[StepSamples], folder: JobFolder) -> None:
    assert [each.step for each in steps] == [0, *folder.checkpoints()] == [0, 3, STEPS]
    for each in steps:
        assert not each.error
        assert [sample.text for sample in each.samples] == SENTENCES
        assert [sample.same_as_base for sample in each.samples] == [each.step == 0] * 2
        for sample in each.samples:
            assert read_audio(sample.path).duration == pytest.approx(sample.seconds)
            assert not sample.silent


@pytest.mark.parametrize("step", [0, STEPS])
def test_a_sample_is_what_the_engine_says_with_that_checkpoint(
    new_engine: Callable[..., VoiceEngine], spoken: Run, steps: list[StepSamples], step: int
) -> None:
    engine = new_engine()
    adapter = engine.load_adapter(spoken.checkpoint(step)) if step else None
    samples = next(each.samples for each in steps if each.step == step)
    for sentence, sample in zip(SENTENCES, samples, strict=True):
        expected = speak_sentence(engine, row_of(EXAMPLES[0]), sentence, seed=SEED, adapter=adapter)
        assert (sample.ended, sample.seconds) == (expected.ended, pytest.approx(expected.seconds, abs=1e-3))
        difference = np.abs(read_audio(sample.path).samples - expected.waveform.samples)
        assert difference.max() < 1e-3  # 16 bits


def test_its_checkpoints_are_registered_with_what_they_do_and_spoke(
    home: Path, job: JobRecord, spoken: Run, tiny_checkpoint: Path
) -> None:
    settings = Settings(home=home, checkpoint=str(tiny_checkpoint), device="cpu")
    store = Store(settings.store_file)
    assert registration.register(settings, store, job.id, device="cpu") == [3, STEPS]
    with store.reading() as session:
        rows = records.of_job(session, job.id)
    logged: dict[int, dict[str, Any]] = dict(enumerate(spoken.log, 1))
    for row in rows:
        assert row.card["comparison"]["applied"] is True
        assert row.card["comparison"]["logit_change"] > 0.01
        assert row.card["metrics"]["audio_loss"] == pytest.approx(logged[row.step]["audio_loss"])
        for sample in row.card["samples"]:
            assert (home / sample["file"]).is_file()
        # The comparison speaks the first sentence, from the same seed: it is what was heard in training.
        assert row.card["comparison"]["seconds"] == row.card["samples"][0]["seconds"]
        assert row.card["comparison"]["loudness_dbfs"] == pytest.approx(
            row.card["samples"][0]["loudness_dbfs"], abs=0.02
        )

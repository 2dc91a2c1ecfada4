"""What is said of an adapter that works, of one that does nothing, is silent, or does not stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.adapters.comparison import compare, speak_base
from studio.datasets.rows.report import RowsSummary
from studio.engine.speech.spoken_sentence import prompt_logits, speak_sentence
from studio.settings import Settings, get_settings
from studio.store import adapters as records
from studio.store.store import Store
from studio.store.tables import AdapterRecord, JobRecord
from studio.training.execution import registration
from studio.training.folder import JobFolder
from studio.training.spec import TrainingSpec
from studio.voices.consent import VoiceConsent
from tests.known_adapters import row_of, write_adapter
from tests.refusals import refusal
from tests.training import EXAMPLES

ROW = row_of(EXAMPLES[3])
TEXT, SEED = "The house is small.", 3
ENDING = 1.0
"""Added to what the head says of the end: the sentence is spoken, and ends before its budget."""


@pytest.fixture(scope="module")
def adapter(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(**options: float) -> Path:
        return write_adapter(tmp_path_factory.mktemp("adapter"), tiny_checkpoint, **options)

    return make


def compared(engine: Any, folder: Path) -> dict[str, Any]:
    found = compare(engine, ROW, TEXT, folder, seed=SEED)
    json.dumps(found, allow_nan=False)
    assert (found["seed"], found["text"]) == (SEED, TEXT)
    return found


def test_an_adapter_that_speaks_and_ends_is_fine(engine: Any, adapter: Callable[..., Path]) -> None:
    folder = adapter(eos=ENDING, noise=0.05)
    found = compared(engine, folder)
    assert (found["ok"], found["applied"], found["silent"], found["ended"]) == (True, True, False, True)
    assert found["sentence"] == f"Speaks with its weights applied, {found['seconds']:.1f} s, and ends by itself."
    loaded = engine.load_adapter(folder)
    base = prompt_logits(engine, ROW, TEXT)
    largest = (prompt_logits(engine, ROW, TEXT, loaded) - base).abs().max()
    assert found["logit_change"] == pytest.approx(float(largest / base.abs().max()))
    expected = speak_sentence(engine, ROW, TEXT, seed=SEED, adapter=loaded)
    assert found["seconds"] == pytest.approx(expected.seconds, abs=1e-3)
    assert found["loudness_dbfs"] == pytest.approx(expected.loudness_dbfs, abs=0.01)


def test_an_adapter_without_effect_is_told_by_numbers(engine: Any, adapter: Callable[..., Path]) -> None:
    found = compared(engine, adapter())
    assert (found["ok"], found["applied"], found["logit_change"]) == (False, False, 0.0)
    assert found["sentence"].startswith("Makes no difference: ")


def test_the_smallest_effect_is_one(engine: Any, adapter: Callable[..., Path]) -> None:
    found = compared(engine, adapter(eos=1e-5))
    assert found["applied"]
    assert 0 < found["logit_change"] < 1e-4


def test_an_adapter_that_ends_before_it_begins_is_silent(engine: Any, adapter: Callable[..., Path]) -> None:
    found = compared(engine, adapter(eos=1000.0))
    assert (found["ok"], found["silent"], found["ended"], found["seconds"]) == (False, True, True, 0.0)
    assert found["sentence"].startswith("Is silent: it ends before it begins; ")


def test_an_adapter_that_does_not_stop_is_told_with_its_budget(engine: Any, adapter: Callable[..., Path]) -> None:
    found = compared(engine, adapter(eos=-1000.0))
    budget = speak_sentence(engine, ROW, TEXT, seed=SEED).budget_seconds
    assert (found["ok"], found["applied"], found["ended"]) == (False, True, False)
    assert found["sentence"].startswith(f"Does not stop by itself: it ran to its budget of {budget:.1f} s")


def test_the_base_speaks_once_for_all_of_them(engine: Any, adapter: Callable[..., Path]) -> None:
    folder = adapter(eos=ENDING)
    base = speak_base(engine, ROW, TEXT, seed=SEED)
    assert compare(engine, ROW, TEXT, folder, seed=SEED, base=base) == compared(engine, folder)


def test_what_is_no_adapter_is_refused(engine: Any, tmp_path: Path) -> None:
    assert "adapter_config.json" in refusal(lambda: compare(engine, ROW, TEXT, tmp_path, seed=SEED))


# The checkpoints of a run


METRICS = [
    {"loss": 5.0, "text_loss": 1.0, "audio_loss": 4.0, "global_step/max_steps": "1/8", "epoch": 1},
    {"eval_loss": 4.5, "eval_audio_loss": 3.5, "global_step/max_steps": "2/8", "epoch": 1},
    {"loss": 3.0, "text_loss": 0.5, "audio_loss": 2.5, "global_step/max_steps": "3/8", "epoch": 2},
    {"loss": float("nan"), "global_step/max_steps": "5/8", "epoch": 3},
]


@pytest.fixture
def home(tmp_path: Path, tiny_checkpoint: Path) -> Settings:
    return Settings(home=tmp_path / "home", checkpoint=str(tiny_checkpoint), device="cpu")


def job(home: Settings, base: Path, **changes: Any) -> JobRecord:
    """A run that has ended, without a checkpoint."""
    spec = TrainingSpec(
        preset="quick", base="owner/model", base_shown="owner/model", base_folder=str(base), base_bytes=123, device="cpu",
        arguments={"max_steps": ["8"]},
        rows=RowsSummary(
            source="rows.jsonl", count=4, seconds=5.5, synthetic_seconds=2.5, speakers=["Anna"], sha256="ab" * 32
        ),
        consent=[VoiceConsent(voice_id="v1", name="Anna", ground="own")], num_steps=8,
        **changes,
    )  # fmt: skip
    row = JobRecord(owner="me", name="Anna’s voice", device="cpu", state="running", spec=spec.model_dump())
    with Store(home.store_file).writing() as session:
        session.add(row)
    folder = JobFolder(home.jobs_folder / row.id)
    folder.output.mkdir(parents=True)
    plan = {"folder": str(folder.samples), "row": ROW.as_row(), "sentences": [TEXT, "No."], "seed": SEED}
    folder.sample_plan.write_text(json.dumps(plan))
    folder.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in METRICS))
    return row


def checkpoint(home: Settings, row: JobRecord, base: Path, step: int, **options: float) -> Path:
    path = write_adapter(JobFolder(home.jobs_folder / row.id).output / f"checkpoint-{step}", base, **options)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": 8}))
    return path


def saved(home: Settings, row: JobRecord) -> list[AdapterRecord]:
    with Store(home.store_file).reading() as session:
        return records.of_job(session, row.id)


def register(home: Settings, row: JobRecord, device: str = "cpu") -> list[int]:
    return registration.register(home, Store(home.store_file), row.id, device=device)


def test_every_whole_checkpoint_is_registered_with_its_card(home: Settings, tiny_checkpoint: Path) -> None:
    row = job(home, tiny_checkpoint)
    checkpoint(home, row, tiny_checkpoint, 2, eos=ENDING)
    damaged = checkpoint(home, row, tiny_checkpoint, 4, eos=ENDING)
    (damaged / "adapter_model.safetensors").write_bytes(b"cut")
    checkpoint(home, row, tiny_checkpoint, 6)
    (
        checkpoint(home, row, tiny_checkpoint, 8, eos=ENDING) / "trainer_state.json"
    ).unlink()  # cut off while it was written
    sample = {"text": TEXT, "file": "step-000002-1.wav", "seconds": 1.2, "ended": True, "budget_seconds": 5.0,
              "loudness_dbfs": -20.0, "same_as_base": False}  # fmt: skip
    folder = JobFolder(home.jobs_folder / row.id)
    folder.samples.mkdir()
    (folder.samples / "samples.jsonl").write_text(json.dumps({"step": 2, "samples": [sample]}))

    assert register(home, row) == [2, 4, 6]
    first, second, third = saved(home, row)
    assert [each.name for each in (first, second, third)] == [f"Anna’s voice · step {step}" for step in (2, 4, 6)]
    assert (first.owner, first.folder) == ("me", f"jobs/{row.id}/run/checkpoint-2")
    card = first.card
    assert card["comparison"]["ok"] is True
    assert "damaged" in second.card["comparison"]["error"]
    assert third.card["comparison"]["sentence"].startswith("Makes no difference")
    assert (card["step"], card["max_steps"]) == (2, 8)
    assert card["run"] == {"id": row.id, "name": "Anna’s voice", "preset": "quick"}
    assert card["base"] == {
        "name": "owner/model", "checkpoint": "owner/model", "folder": str(tiny_checkpoint), "bytes": 123,
    }  # fmt: skip
    assert card["data"] == {
        "source": "rows.jsonl", "sha256": "ab" * 32, "rows": 4, "seconds": 5.5, "synthetic_seconds": 2.5,
        "speakers": ["Anna"],
    }  # fmt: skip
    assert card["command"] == TrainingSpec.model_validate(row.spec).command(folder)
    assert card["metrics"] == {
        "loss": 5.0, "text_loss": 1.0, "audio_loss": 4.0, "eval_loss": 4.5, "eval_audio_loss": 3.5,
    }  # fmt: skip
    assert second.card["metrics"]["loss"] == 3.0
    assert "loss" not in third.card["metrics"]  # it was no number
    assert card["samples"] == [
        {"text": TEXT, "file": f"jobs/{row.id}/samples/step-000002-1.wav", "seconds": 1.2, "ended": True,
         "loudness_dbfs": -20.0},
    ]  # fmt: skip
    assert second.card["samples"] == []
    assert card["consent"][0]["name"] == "Anna"
    assert card["consent_sentence"] == "Anna: own"
    for each in (first, second, third):
        json.dumps(each.card, allow_nan=False)

    # A resumed run has the same checkpoints and one more: no adapter is there twice, and none gets another id.
    checkpoint(home, row, tiny_checkpoint, 7, eos=ENDING)
    assert register(home, row) == [2, 4, 6, 7]
    again = saved(home, row)
    assert [each.step for each in again] == [2, 4, 6, 7]
    assert [each.id for each in again[:3]] == [each.id for each in (first, second, third)]


def test_a_run_of_all_parameters_registers_nothing(home: Settings, tiny_checkpoint: Path) -> None:
    row = job(home, tiny_checkpoint, full_parameter=True)
    checkpoint(home, row, tiny_checkpoint, 2)
    assert register(home, row) == []
    assert saved(home, row) == []


def test_checkpoints_are_registered_even_where_the_base_cannot_be_loaded(
    home: Settings, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    row = job(home, tmp_path / "gone")
    checkpoint(home, row, tiny_checkpoint, 2)
    sentence = refusal(lambda: register(home, row))
    assert "does not exist" in sentence
    (adapter,) = saved(home, row)
    assert adapter.card["comparison"] == {"error": sentence}


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (None, "sample_plan.json is missing or damaged"),
        ("[", "sample_plan.json is missing or damaged"),
        ('{"folder": "samples", "row": null, "sentences": [], "seed": 0}', "nothing to compare"),
    ],
)
def test_without_a_sentence_to_speak_checkpoints_are_registered_all_the_same(
    home: Settings, tiny_checkpoint: Path, plan: str | None, words: str
) -> None:
    row = job(home, tiny_checkpoint)
    checkpoint(home, row, tiny_checkpoint, 2)
    file = JobFolder(home.jobs_folder / row.id).sample_plan
    file.unlink() if plan is None else file.write_text(plan)
    assert words in refusal(lambda: register(home, row))
    assert words in saved(home, row)[0].card["comparison"]["error"]


@pytest.fixture
def environment(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STUDIO_HOME", str(home.home))
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.usefixtures("environment")
def test_the_command_registers_a_folder_and_says_in_a_line_what_is_wrong(
    home: Settings, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = job(home, tiny_checkpoint)
    checkpoint(home, row, tiny_checkpoint, 2, eos=ENDING)
    assert registration.main([str(home.jobs_folder / row.id)]) == 0
    assert "step 2: Speaks with its weights applied" in capsys.readouterr().out
    assert len(saved(home, row)) == 1
    for arguments in ([], [str(home.jobs_folder / "nobody")], [str(tmp_path)]):
        assert registration.main(arguments) == 1
        error = capsys.readouterr().err
        assert error.startswith("Error: ")
        assert error.count("\n") == 1

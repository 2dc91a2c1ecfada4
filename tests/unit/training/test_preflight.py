"""What is told before a training starts, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import soundfile

from studio.datasets.rows.report import report_rows
from studio.engine.checkpoints import DEMO_FOLDER, TINY_FOLDER, find_checkpoint
from studio.engine.rows import parse_row
from studio.errors import StudioError
from studio.settings import Settings
from studio.store import jobs as records
from studio.store.store import Store
from studio.store.tables import JobRecord
from studio.training.config.request import TrainRequest, parse_overrides
from studio.training.config.run_arguments import RunArguments
from studio.training.folder import JobFolder
from studio.training.library import JobLibrary
from studio.training.preflight import check as check_module
from studio.training.preflight import duration, memory, probe
from studio.training.preflight import target as target_module
from studio.training.preflight.report import NAMED_ROWS, Preflight, preflight
from studio.training.preflight.target import Target, target_for
from tests.jobs import ended
from tests.training import EXAMPLES, write_rows

GIB = 2**30


@pytest.fixture
def settings(tmp_path: Path, tiny_checkpoint: Path) -> Settings:
    return Settings(home=tmp_path / "home", checkpoint=str(tiny_checkpoint), device="cpu")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [example.row() for example in EXAMPLES] * 4)


@pytest.fixture
def check(settings: Settings, rows: Path) -> Callable[..., Preflight]:
    """A preflight that computes and does not measure, as on a GPU."""

    def run(*sets: str, path: Path = rows, settings: Settings = settings, **options: Any) -> Preflight:
        asked = {
            name: options.pop(name) for name in ("checkpoint", "device", "preset", "validation") if name in options
        }
        request = TrainRequest(path, overrides=parse_overrides(sets), **asked)
        return preflight(
            request, settings, Store(settings.store_file), measure=options.pop("measure", False), **options
        )

    return run


def a_target(device: str = "cpu", free: int = 16 * GIB, total: int = 16 * GIB, jobs: int = 0) -> Target:
    return Target(device, "", free, total, jobs, held=False)


@pytest.fixture
def on_target(monkeypatch: pytest.MonkeyPatch) -> Callable[[Target], None]:
    """A machine that this one is not."""
    monkeypatch.setattr(duration, "matmul_rate", lambda device, dtype: 1e14)
    return lambda target: monkeypatch.setattr(check_module, "target_for", lambda *asked: target)


# --- a run that can work --------------------------------------------------------------------------------------------


def test_everything_that_decides_the_run_is_in_the_spec(check: Callable[..., Preflight], tiny_checkpoint: Path) -> None:
    found = check("lora_rank=4", "target_modules=audio_ffn text_ffn", preset="thorough")
    assert found.ok, found.refusals
    spec = found.spec
    assert spec.preset == "thorough"
    assert Path(spec.base_folder) == tiny_checkpoint
    assert (spec.rows.count, spec.rows.source, len(found.rows)) == (16, "rows.jsonl", 16)
    assert spec.overrides == {"lora_rank": ["4"], "target_modules": ["audio_ffn", "text_ffn"]}
    assert spec.device == "cpu"
    assert spec.consent_sentence == "consent not recorded"
    assert {"memory_bytes", "disk_bytes", "seconds"} <= spec.estimate.keys()
    command = " ".join(spec.command(JobFolder(Path("/jobs/1"))))
    assert "--lora_rank 4 " in command
    assert "--target_modules audio_ffn text_ffn" in command
    assert "--lora_alpha 8 " in command
    labels = [label for label, _ in found.facts]
    assert labels == ["Rows", "Base", "Steps", "Device", "Memory", "Disk", "Time", "Voices"]
    assert json.loads(json.dumps(found.as_json()))["ok"] is True
    assert type(spec).model_validate(spec.model_dump(mode="json")) == spec


def test_rows_for_validation_are_checked_evaluated_and_copied_into_the_job(
    check: Callable[..., Preflight], tmp_path: Path, settings: Settings
) -> None:
    trained = write_rows(tmp_path / "trained.jsonl", [EXAMPLES[0].row(), EXAMPLES[1].row()] * 8)
    held = write_rows(tmp_path / "held.jsonl", [EXAMPLES[2].row(), EXAMPLES[3].row()])
    found = check(path=trained, validation=held)
    assert found.ok, found.refusals
    assert "evaluated on 2 rows of held.jsonl" in dict(found.facts)["Steps"]
    assert found.spec.validation is not None
    assert (found.spec.validation.count, found.spec.rows.count) == (2, 16)
    folder = JobFolder(Path("/jobs/1"))
    command = " ".join(found.spec.command(folder))
    assert f"--val_dataset {folder.validation_file} " in command
    assert "--split_dataset_ratio 0 " in command
    assert str(held) not in json.dumps(found.as_json())  # no path of the server for a page to show

    # A job keeps them beside its rows, and so does one that repeats it.
    ends_at_once = found.spec.model_copy(update={"program": [sys.executable, "-c", "pass"]})
    jobs = JobLibrary(settings, Store(settings.store_file))
    job = ended(jobs, jobs.start(replace(found, spec=ends_at_once)))
    again = ended(jobs, jobs.retry(job.id))
    for each in (job, again):
        lines = each.folder.validation_file.read_text(encoding="utf-8").splitlines()
        assert [parse_row(json.loads(line), folder=tmp_path) for line in lines] == found.validation
    with pytest.raises(StudioError, match="validation rows and a val_dataset"):
        check(f"val_dataset={held}", path=trained, validation=held)


def test_what_is_trained_is_not_evaluated_as_well(check: Callable[..., Preflight], tmp_path: Path) -> None:
    """By sound, whatever file it is in; the same words by another sound are only said."""
    trained = write_rows(tmp_path / "trained.jsonl", [example.row() for example in EXAMPLES[2:]] * 4)
    again = tmp_path / "another name.wav"
    samples, rate = soundfile.read(EXAMPLES[3].row()["audios"][-1], dtype="int16")
    soundfile.write(again, samples, rate)
    copied = EXAMPLES[3].row()
    copied["audios"][-1] = str(again)
    copied["messages"][-2]["content"] = "Other words."
    held = write_rows(tmp_path / "held.jsonl", [EXAMPLES[0].row(), copied])
    [sentence] = check(path=trained, validation=held).refusals
    assert (
        "1 row of held.jsonl would be trained on as well, row 2 being the sound of row 2 in trained.jsonl" in sentence
    )

    words = EXAMPLES[0].row()
    words["messages"][-2]["content"] = EXAMPLES[3].text.upper()
    held = write_rows(tmp_path / "words.jsonl", [words])
    found = check(path=trained, validation=held)
    assert found.ok, found.refusals
    assert any("1 row for validation say what is trained on, row 1 what row 2 says" in said for said in found.warnings)


def test_bad_rows_for_validation_are_named(check: Callable[..., Preflight], tmp_path: Path) -> None:
    bad = EXAMPLES[3].row() | {"audios": [str(tmp_path / "nowhere.wav")]}
    held = write_rows(tmp_path / "held.jsonl", [EXAMPLES[2].row(), bad])
    trained = write_rows(tmp_path / "trained.jsonl", [EXAMPLES[0].row(), EXAMPLES[1].row()] * 8)
    [sentence] = check(path=trained, validation=held).refusals
    assert sentence.startswith("1 row of 2 in held.jsonl, for validation, cannot be used")
    assert "nowhere.wav" in sentence
    assert any(
        "max_length" in said and "for validation" in said
        for said in check(
            "max_length=150", path=trained, validation=write_rows(tmp_path / "long.jsonl", [EXAMPLES[2].row()])
        ).refusals
    )


@pytest.mark.parametrize(
    "sets",
    [
        ["learning_rate=1", "lora_rank=1"],
        ["num_train_epochs=500"],
        ["max_steps=1", "save_steps=1000"],
        ["split_dataset_ratio=0"],
        ["neftune_noise_alpha=5", "optim=adamw_torch"],
    ],
    ids=str,
)
def test_unusual_settings_and_tiny_sets_are_never_refused(
    sets: list[str], check: Callable[..., Preflight], tmp_path: Path
) -> None:
    one = write_rows(tmp_path / "one.jsonl", [EXAMPLES[3].row()])
    found = check(*sets, path=one)
    assert found.ok, found.refusals
    for name, value in (entry.split("=") for entry in sets):
        assert found.spec.arguments[name] == [value]


def test_few_rows_are_said_to_be_too_few_to_hold_some_out(check: Callable[..., Preflight], tmp_path: Path) -> None:
    found = check(path=write_rows(tmp_path / "few.jsonl", [example.row() for example in EXAMPLES]))
    assert found.ok
    assert any("hold some out" in warning for warning in found.warnings)
    assert not any("hold some out" in warning for warning in check().warnings)


def test_noise_is_not_promised_to_be_speech(check: Callable[..., Preflight]) -> None:
    assert any("noise" in warning for warning in check().warnings)


def test_without_a_base_it_is_the_one_that_the_studio_speaks_with(
    check: Callable[..., Preflight], settings: Settings
) -> None:
    found = check(settings=settings.with_changes(checkpoint=None))
    assert Path(found.spec.base_folder) == DEMO_FOLDER and found.ok


def test_the_tiny_base_is_made_where_it_is_asked_for(check: Callable[..., Preflight], settings: Settings) -> None:
    said: list[str] = []
    found = check(settings=settings.with_changes(checkpoint=TINY_FOLDER), announce=said.append)
    assert Path(found.spec.base_folder) == settings.checkpoints_folder / "tiny-random"
    assert any("tiny" in sentence for sentence in said)
    assert found.ok
    (settings.checkpoints_folder / "tiny-random" / "config.json").unlink()
    assert check(settings=settings.with_changes(checkpoint=TINY_FOLDER)).ok, "a damaged one is made again"


# --- what cannot work -----------------------------------------------------------------------------------------------


def test_bad_rows_are_refused_by_number_and_left_out_on_request(
    check: Callable[..., Preflight], tmp_path: Path
) -> None:
    broken = EXAMPLES[0].row() | {"audios": ["gone.wav", "gone.wav"]}
    path = write_rows(tmp_path / "some.jsonl", [EXAMPLES[0].row(), broken, EXAMPLES[1].row()])
    refused = check(path=path)
    (sentence,) = refused.refusals
    assert "Row 2" in sentence
    assert "gone.wav" in sentence
    assert "skip_bad_rows=true" in sentence
    for skip in ("skip_bad_rows=true", "strict=false"):
        found = check(skip, path=path)
        assert found.ok
        assert [row.clips[-1].name for row in found.rows] == [EXAMPLES[0].target, EXAMPLES[1].target]
        assert any("Row 2" in warning for warning in found.warnings)


def test_of_many_bad_rows_the_first_are_named(check: Callable[..., Preflight], tmp_path: Path) -> None:
    path = write_rows(tmp_path / "bad.jsonl", [EXAMPLES[0].row(), *["{"] * 40])
    (sentence,) = check(path=path).refusals
    assert sentence.count("Row ") == NAMED_ROWS
    assert f"{40 - NAMED_ROWS} more" in sentence


def test_nothing_good_is_refused_whatever_is_skipped(check: Callable[..., Preflight], tmp_path: Path) -> None:
    path = write_rows(tmp_path / "bad.jsonl", ["{", "{"])
    assert "no row that can be used" in check("skip_bad_rows=true", path=path, measure=True).refusals[0]


def test_rows_that_are_not_there_raise(check: Callable[..., Preflight], tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"none\.jsonl"):
        check(path=tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["lerning_rate=1"], "learning_rate"),
        (["learning_rate=fast"], "number"),
        (["max_length=100"], "max_length="),
        (["split_dataset_ratio=1"], "split_dataset_ratio=0"),
        (["val_dataset=held_out.jsonl"], str(Path("held_out.jsonl").absolute())),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_with_one_that_would(
    sets: list[str], said: str, check: Callable[..., Preflight]
) -> None:
    found = check(*sets)
    assert any(said in sentence for sentence in found.refusals), found.refusals


def test_the_length_that_is_proposed_is_enough(check: Callable[..., Preflight]) -> None:
    sentence = check("max_length=100").refusals[0]
    wanted = re.search(r"--set (max_length=\d+)", sentence)
    assert wanted
    assert check(wanted[1]).ok


def test_a_base_that_is_not_there_or_lacks_its_text_head_is_refused(
    check: Callable[..., Preflight], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    found = check(checkpoint=str(tmp_path / "nowhere"))
    assert "nowhere" in found.refusals[0]
    assert str(tmp_path) not in found.spec.base_shown
    shutil.copytree(tiny_checkpoint, folder := tmp_path / "headless")
    weights = load_file(folder / "model.safetensors")
    del weights["text_lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    found = check(checkpoint=str(folder))
    assert any("text head" in sentence for sentence in found.refusals)


def test_a_device_that_is_not_there_is_refused_with_those_that_are(check: Callable[..., Preflight]) -> None:
    found = check(device="cuda:7")
    assert any("cuda:7" in sentence and "cpu" in sentence for sentence in found.refusals)


# --- memory, disk, devices ------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_with_settings_that_do(
    check: Callable[..., Preflight], on_target: Callable[[Target], None]
) -> None:
    sets = ["per_device_train_batch_size=64", "gradient_checkpointing=false"]
    on_target(a_target("cuda:0"))
    needed = check(*sets).spec.estimate["memory_bytes"]
    least = check("per_device_train_batch_size=1").spec.estimate["memory_bytes"]
    on_target(a_target("cuda:0", free=least + (needed - least) // 10, total=needed - 1))
    (refusal,) = check(*sets).refusals
    proposed = re.findall(r"--set (\S+?)[.\s]*(?= |$)", refusal)
    assert proposed
    changed = [entry for entry in sets if entry.split("=")[0] not in {each.split("=")[0] for each in proposed}]
    assert check(*changed, *proposed).ok


def test_what_others_give_back_first_is_no_reason_to_refuse(
    check: Callable[..., Preflight], on_target: Callable[[Target], None]
) -> None:
    on_target(a_target("cuda:0", free=GIB // 10, total=16 * GIB, jobs=1))
    found = check()
    assert found.ok
    assert any("given back" in warning for warning in found.warnings)
    assert "waits for 1 job" in dict(found.facts)["Device"]
    on_target(a_target("cuda:0", free=GIB // 10, total=16 * GIB))
    assert not check().ok
    on_target(a_target("cuda:0", free=GIB // 10, total=GIB // 5, jobs=1))
    assert not check().ok


def test_a_full_disk_is_refused(check: Callable[..., Preflight], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 1_000_000))  # type: ignore[attr-defined]
    assert any("disk" in sentence and "save_total_limit" in sentence for sentence in check().refusals)


def test_of_several_gpus_the_one_with_the_fewest_jobs_is_taken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_module, "devices", lambda: ["cuda:0", "cuda:1", "cpu"])
    monkeypatch.setattr(target_module, "memory_of", lambda device: (GIB, GIB, "GPU"))
    store, anywhere = Store(settings.store_file), settings.with_changes(device="auto")
    assert target_for("auto", anywhere, store).device == "cuda:0"
    with store.writing() as session:
        for device, state in (("cuda:0", "running"), ("cuda:1", "completed"), ("cpu", "queued"), ("cpu", "running")):
            records.save(session, JobRecord(owner="", name="x", device=device, state=state))
    assert target_for("auto", anywhere, store).device == "cuda:1"
    assert target_for("cuda", anywhere, store).device == "cuda:1"
    assert (target_for("cuda:0", anywhere, store).jobs, target_for("cpu", anywhere, store).jobs) == (1, 2)
    assert target_for("auto", settings, store).device == "cpu"  # as the studio is set
    with pytest.raises(StudioError, match="cuda:0, cuda:1, cpu"):
        target_for("tpu", anywhere, store)


def test_sizes_of_adapters_are_those_that_peft_makes(tiny_checkpoint: Path, native_model: Any) -> None:
    from copy import deepcopy

    from peft import LoraConfig, get_peft_model

    base = memory.base_shape(tiny_checkpoint)
    groups = {
        ("text_attention",): r".*layers.*self_attn\.[qkvo]_proj",
        ("audio_ffn",): r".*layers.*audio_mlp\.\w+_proj",
        (): r".*layers.*_proj",
    }
    for targets, pattern in groups.items():
        model = get_peft_model(deepcopy(native_model), LoraConfig(r=16, target_modules=pattern))
        trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
        assert base.num_adapter(16, targets) == trained
    assert base.num_parameters >= sum(each.numel() for each in native_model.parameters())


def test_more_of_anything_takes_more_memory(check: Callable[..., Preflight]) -> None:
    def memory(*sets: str) -> int:
        return check(*sets, "torch_dtype=float32").spec.estimate["memory_bytes"]

    assert memory() < memory("per_device_train_batch_size=8")
    assert memory() < memory("lora_rank=512") < memory("lora_rank=512", "per_device_train_batch_size=8")
    assert memory("tuner_type=full", "per_device_train_batch_size=8") > memory(
        "per_device_train_batch_size=8", "lora_dropout=0"
    )
    assert check("torch_dtype=bfloat16").spec.estimate["memory_bytes"] < memory()


def test_memory_of_the_3b_is_what_its_dimensions_make_it() -> None:
    """5.77 B parameters in bfloat16, LoRA on all of it; checkpointing is what makes long rows fit."""
    layer = {
        **{
            f"self_attn.{name}_proj": shape
            for name, shape in (("q", (3072, 3072)), ("k", (1024, 3072)), ("v", (1024, 3072)), ("o", (3072, 3072)))
        },
        **{f"{ffn}.{name}_proj": (8192, 3072) for ffn in ("mlp", "audio_mlp") for name in ("gate", "up")},
        **{f"{ffn}.down_proj": (3072, 8192) for ffn in ("mlp", "audio_mlp")},
    }
    shapes = {f"model.layers.{index}.{name}.weight": shape for index in range(28) for name, shape in layer.items()}
    shapes |= {"model.embed_tokens.weight": (128256, 3072), "text_lm_head.weight": (128256, 3072)}
    base = memory.BaseShape(shapes, 3072, 8192, 28, 128256, 8, 1026)

    def gib(tokens: int, **values: str) -> float:
        given = {"torch_dtype": "bfloat16", "lora_rank": "32", "gradient_checkpointing": "true", **values}
        arguments = RunArguments({name: (value,) for name, value in given.items()})
        return memory.memory(base, arguments, tokens=tokens, labels=tokens, device="cuda:0").total / GIB

    assert base.num_adapter(32, ()) == pytest.approx(79e6, rel=0.01)
    assert 12 < gib(500) < 15
    assert gib(2000) < gib(2000, gradient_checkpointing="false") - 5
    assert gib(500, tuner_type="full") > 40
    assert gib(500, quant_bits="4") < 7


def test_checkpoints_of_whole_models_and_with_optimizers_take_more_disk(check: Callable[..., Preflight]) -> None:
    def disk(*sets: str) -> int:
        return check(*sets).spec.estimate["disk_bytes"]

    assert disk("save_only_model=true") < disk() < disk("tuner_type=full")
    assert disk("save_total_limit=1") < disk()


# --- measuring ------------------------------------------------------------------------------------------------------


def left(settings: Settings) -> list[str]:
    return [path.name for path in (settings.home / "cache").glob("probe-*")]


def running(settings: Settings) -> list[int]:
    """Processes that have this home in their command."""
    return [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if str(settings.home) in " ".join(each.info["cmdline"] or ())
    ]


def test_on_a_cpu_memory_and_pace_are_measured_once(check: Callable[..., Preflight], settings: Settings) -> None:
    """The one real probe: two steps of the trainer."""
    said: list[str] = []
    found = check(measure=True, announce=said.append)
    assert found.ok, found.refusals
    memory = found.spec.estimate["memory_bytes"]
    assert 300 * 2**20 < memory < 6 * GIB
    assert "measured" in dict(found.facts)["Memory"]
    assert 1 < found.spec.estimate["seconds"] < 3600
    assert len(said) == 1
    assert left(settings) == []
    again = check("num_train_epochs=9", "learning_rate=1e-3", measure=True, announce=said.append)
    assert again.spec.estimate["memory_bytes"] == memory
    assert again.spec.estimate["seconds"] > found.spec.estimate["seconds"]
    assert len(said) == 1  # nothing slow was done again


def test_what_cannot_fit_is_not_even_tried(
    check: Callable[..., Preflight], on_target: Callable[[Target], None], settings: Settings
) -> None:
    on_target(a_target(free=1_000_000, total=1_000_000))
    said: list[str] = []
    assert not check(measure=True, announce=said.append).ok
    assert not any("Two steps" in sentence for sentence in said)


@pytest.fixture
def probed(settings: Settings, rows: Path, tiny_checkpoint: Path) -> Callable[..., probe.Measured]:
    def run(**options: Any) -> probe.Measured:
        report = report_rows(rows, settings=settings, store=Store(settings.store_file))
        arguments = RunArguments(
            {"per_device_train_batch_size": ("1",), "gradient_accumulation_steps": ("1",)} | options.pop("values", {})
        )
        return probe.probe(
            find_checkpoint(str(tiny_checkpoint)), arguments, report.longest(), settings=settings, **options
        )

    return run


def test_what_the_trainer_refuses_is_said_in_its_words(
    probed: Callable[..., probe.Measured], settings: Settings
) -> None:
    with pytest.raises(StudioError, match="text_loss_weight") as refused:
        probed(values={"text_loss_weight": ("much",)})
    assert "\n" not in str(refused.value)
    assert left(settings) == []


def test_a_probe_that_takes_too_long_leaves_nothing(probed: Callable[..., probe.Measured], settings: Settings) -> None:
    with pytest.raises(StudioError, match="longer than"):
        probed(time_limit=0.3)
    assert left(settings) == []
    assert not running(settings)


def test_a_probe_that_is_interrupted_leaves_nothing(probed: Callable[..., probe.Measured], settings: Settings) -> None:
    # A shell starts what it runs in the background deaf to this signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            probed()
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert left(settings) == []
    assert not running(settings)

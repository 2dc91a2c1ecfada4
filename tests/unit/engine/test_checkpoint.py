"""Finding and loading checkpoints: what is wrong with a folder is said in one sentence, and nothing half-loads."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.engine.checkpoint import (
    HUB_3B,
    CheckpointFiles,
    describe_checkpoint,
    find_checkpoint,
    is_hub_id,
    load_checkpoint,
)
from studio.engine.generation import Sampling
from studio.engine.voice_engine import VoiceEngine
from studio.errors import StudioError

WEIGHTS, CODEC = "model.safetensors", "audio_tokenizer"


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "my voice")


def refusal(do: Callable[[], Any]) -> str:
    with pytest.raises(StudioError) as caught:
        do()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def edit_config(path: Path, **changes: Any) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changes))


# --- finding --------------------------------------------------------------------------------------------------------


def test_a_complete_folder_is_found(tiny_checkpoint: Path) -> None:
    files = find_checkpoint(f" {tiny_checkpoint} ")
    assert files.folder == tiny_checkpoint
    assert files.codec_folder == tiny_checkpoint / CODEC
    sizes = [path.stat().st_size for path in tiny_checkpoint.rglob("*.safetensors")]
    assert files.size_bytes == sum(sizes) > 0


def test_random_weights_are_known_not_to_speak(folder: Path) -> None:
    assert (find_checkpoint(str(folder)).kind, find_checkpoint(str(folder)).speaks) == ("tiny", False)
    marker = folder / "studio_checkpoint.json"
    for content in ("not json", "[]", '{"kind": "unheard of"}'):
        marker.write_text(content)
        assert find_checkpoint(str(folder)).kind == "native"
    marker.unlink()
    assert (find_checkpoint(str(folder)).kind, find_checkpoint(str(folder)).speaks) == ("native", True)


def test_a_home_relative_path_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find_checkpoint("~/my voice").folder == folder


def _shards(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    parts = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    for number, part in enumerate(parts):
        save_file({name: tensors[name] for name in names[number::3]}, folder / part, metadata={"format": "pt"})
    placed = {name: parts[number % 3] for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    (folder / WEIGHTS).unlink()


def _missing_shard(folder: Path) -> None:
    _shards(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()


def _shard_outside(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../elsewhere.safetensors"}}')


def _no_codec(folder: Path) -> None:
    shutil.rmtree(folder / CODEC)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "does not exist; give a folder that holds config.json, or a hub id such as bosonai/"),
        (lambda f: (shutil.rmtree(f), f.write_text("x")), "this checkpoint folder is a file"),
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "config.json").write_text("{oops"), "config.json of .* cannot be read"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json of .* cannot be read"),
        (lambda f: (f / "config.json").write_text("[1]"), "is not a configuration"),
        (lambda f: edit_config(f, model_type="llama"), r"is a 'llama' checkpoint, .*Higgs Audio v2"),
        (lambda f: edit_config(f, model_type=None), "checkpoint, but the studio speaks Higgs Audio v2"),
        (lambda f: edit_config(f, model_type="higgs_audio"), "python -m studio checkpoint convert"),
        (lambda f: (f / WEIGHTS).unlink(), "is incomplete: model.safetensors is missing"),
        (_missing_shard, r"model-00002-of-00003.safetensors is missing \(2 of 3 weight files are there\)"),
        (_shard_outside, "is incomplete"),
        (lambda f: (f / "model.safetensors.index.json").write_text("{"), "model.safetensors.index.json cannot be read"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (_no_codec, f"has no codec: put the files of .* into its subfolder {CODEC}"),
        (lambda f: edit_config(f / CODEC, model_type="dac"), "codec of .* is a 'dac' model"),
        (lambda f: (f / CODEC / "config.json").unlink(), "The codec of .* holds no config.json"),
        (lambda f: (f / CODEC / WEIGHTS).unlink(), "The codec of .* is incomplete: model.safetensors is missing"),
    ],
    ids=[
        "missing", "a file", "no config", "broken config", "binary config", "list as config", "llama", "no type",
        "boson format", "no weights", "missing shard", "shard outside", "broken index", "no tokenizer", "no codec",
        "other codec", "codec without config", "codec without weights",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_folder_is_said(folder: Path, spoil: Callable[[Path], Any], says: str) -> None:
    spoil(folder)
    sentence = refusal(lambda: find_checkpoint(str(folder)))
    assert str(folder) in sentence
    assert re.search(says, sentence), sentence


def test_pickled_weights_are_never_taken(folder: Path) -> None:
    torch.save({}, folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    assert "model.safetensors is missing" in refusal(lambda: find_checkpoint(str(folder)))


def test_sharded_weights_are_one_checkpoint(folder: Path, engine: Any) -> None:
    _shards(folder)
    sharded = VoiceEngine(load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    assert np.array_equal(sharded.clone("Hi.", seed=1).codes, engine.clone("Hi.", seed=1).codes)


def test_a_codec_elsewhere_is_found_through_the_processors_config(folder: Path, tmp_path: Path) -> None:
    (folder / CODEC).rename(tmp_path / "codec")
    config = json.loads((folder / "processor_config.json").read_text())
    config["audio_tokenizer"]["audio_tokenizer_name_or_path"] = str(tmp_path / "codec")
    (folder / "processor_config.json").write_text(json.dumps(config))
    assert find_checkpoint(str(folder)).codec_folder == tmp_path / "codec"


# --- hub ids --------------------------------------------------------------------------------------------------------


def test_hub_ids_and_folders_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id(HUB_3B)
    for name in ("/abs/path", "./a/b", "a/b/c", "alone", "~/models", "a b/c", "../a"):
        assert not is_hub_id(name)
    (tmp_path / "owner" / "model").mkdir(parents=True)
    assert not is_hub_id("owner/model")


def offline(tmp_path: Path, **environment: str) -> dict[str, str]:
    """An environment whose hub is a port of this machine where nobody listens."""
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    inherited = {k: v for k, v in os.environ.items() if k.lower() not in proxies and not k.startswith("HF_")}
    return inherited | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub")} | environment


@pytest.mark.parametrize(
    "environment", [{}, {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}],
    ids=["no network", "dead proxy", "offline by choice"],
)  # fmt: skip
def test_an_unreachable_hub_is_said_within_seconds(tmp_path: Path, environment: dict[str, str]) -> None:
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "studio", "checkpoint", "info", HUB_3B],
        env=offline(tmp_path, **environment), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert time.monotonic() - started < 10
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"The model hub cannot be reached and {HUB_3B} is not on this machine yet: ")
    assert result.stderr.count("\n") == 1


def test_a_hub_checkpoint_that_was_downloaded_before_needs_no_network(tiny_checkpoint: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "hub" / "models--anna--voice"
    shutil.copytree(tiny_checkpoint, repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    script = "from studio.engine.checkpoint import find_checkpoint; print(find_checkpoint('anna/voice').folder)"
    result = subprocess.run(
        [sys.executable, "-c", script], env=offline(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert result.stderr == ""
    assert result.stdout.strip() == str(repository / "snapshots" / "0123abc")


# --- describing -----------------------------------------------------------------------------------------------------


def test_facts_come_from_the_files(tiny_checkpoint: Path) -> None:
    facts = describe_checkpoint(find_checkpoint(str(tiny_checkpoint)))
    assert facts["num_codebooks"] == 8
    assert facts["codebook_size"] == 1026
    assert (facts["sample_rate"], facts["frame_rate"]) == (24_000, 25.0)
    assert (facts["layers"], facts["hidden_size"], facts["precision"]) == (2, 64, "float32")
    assert (facts["kind"], facts["speaks"]) == ("tiny", False)
    json.dumps(facts)


# --- loading --------------------------------------------------------------------------------------------------------


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _drop(path: Path, name: str) -> None:
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: _truncate(f / WEIGHTS), "weights are damaged or do not fit its config"),
        (lambda f: (f / WEIGHTS).write_bytes(b"not weights" * 100), "weights are damaged"),
        (lambda f: (f / WEIGHTS).write_bytes(b""), "weights are damaged"),
        (lambda f: _truncate(f / CODEC / WEIGHTS), "weights are damaged"),
        (lambda f: edit_config(f, hidden_size=32), "weights are damaged or do not fit its config"),
        (lambda f: _drop(f / WEIGHTS, "model.norm.weight"), "lacks 1 weights, among them model.norm.weight"),
        (lambda f: _drop(f / CODEC / WEIGHTS, "fc2.weight"), "lacks 1 weights, among them fc2.weight"),
        (lambda f: (f / "tokenizer.json").write_text("{oops"), "download or copy it again"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "download or copy it again"),
        (shutil.rmtree, "is gone"),
        (lambda f: (f / CODEC / WEIGHTS).unlink(), "download or copy it again|is gone or incomplete"),
    ],
    ids=[
        "truncated", "not weights", "empty", "truncated codec", "other sizes", "weight missing", "codec weight missing",
        "broken tokenizer", "empty tokenizer", "folder deleted", "codec deleted",
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_said(folder: Path, spoil: Callable[[Path], Any], says: str) -> None:
    files = find_checkpoint(str(folder))
    spoil(folder)
    sentence = refusal(lambda: load_checkpoint(files, device="cpu"))
    assert re.search(says, sentence), sentence


def test_a_checkpoint_larger_than_the_memory_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(2**42)  # 4 TiB of nothing: a sparse file takes no room
    sentence = refusal(lambda: load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    assert "needs about 4301 GiB of memory on cpu" in sentence


def test_old_folders_without_a_feature_extractor_load(folder: Path, engine: Any, references: Any) -> None:
    (folder / "processor_config.json").unlink()
    (folder / "chat_template.jinja").unlink()
    old = VoiceEngine(load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    expected = engine.clone("Hi.", references[:1], seed=1)
    assert np.array_equal(old.clone("Hi.", references[:1], seed=1).codes, expected.codes)


def test_a_folder_deleted_while_its_engine_runs_does_not_silence_it(folder: Path, engine: Any, references: Any) -> None:
    running = VoiceEngine(load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    shutil.rmtree(folder)
    expected = engine.clone("Still here.", references[:1], seed=1)
    assert np.array_equal(running.clone("Still here.", references[:1], seed=1).codes, expected.codes)
    assert (
        np.abs(running.clone("Hi.", seed=2).waveform.samples - engine.clone("Hi.", seed=2).waveform.samples).max()
        < 1e-6
    )


@pytest.mark.parametrize(("precision", "dtype"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_model_speaks_in_the_wanted_precision(tiny_checkpoint: Path, precision: Any, dtype: torch.dtype) -> None:
    checkpoint = load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu", precision=precision)
    assert checkpoint.model.dtype == dtype
    assert checkpoint.codec_model.dtype == torch.float32
    assert checkpoint.precision == str(dtype).removeprefix("torch.")
    speech = VoiceEngine(checkpoint).clone("Hello.", sampling=Sampling(temperature=1.0), seed=1)
    assert speech.num_frames > 0


def test_a_bfloat16_checkpoint_keeps_its_precision(folder: Path) -> None:
    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    edit_config(folder, dtype="bfloat16")
    assert load_checkpoint(find_checkpoint(str(folder)), device="cpu").precision == "bfloat16"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_said(tiny_checkpoint: Path) -> None:
    sentence = refusal(lambda: load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cuda"))
    assert sentence == "This machine has no usable cuda device: choose auto or cpu."


def test_nothing_of_a_loaded_checkpoint_is_trained_by_accident(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(find_checkpoint(str(tiny_checkpoint)), device="cpu")
    assert not checkpoint.model.training
    assert not checkpoint.codec_model.training
    assert not any(p.requires_grad for p in [*checkpoint.model.parameters(), *checkpoint.codec_model.parameters()])


def test_the_text_head_is_loaded_on_request(tiny_checkpoint: Path) -> None:
    files: CheckpointFiles = find_checkpoint(str(tiny_checkpoint))
    with_head = load_checkpoint(files, device="cpu", text_head=True)
    without = load_checkpoint(files, device="cpu")
    assert with_head.num_parameters - without.num_parameters == 64 * with_head.model.config.vocab_size

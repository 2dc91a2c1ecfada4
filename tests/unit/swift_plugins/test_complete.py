"""Trained weights become a folder that loads by itself, and speaks like its base in all but its weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.engine.checkpoints import find_checkpoint
from swift_plugins.complete import complete_checkpoint
from swift_plugins.launch import main
from tests.refusals import refusal

CODEC = "audio_tokenizer"
OF_THE_RUN = ("optimizer.pt", "scheduler.pt", "trainer_state.json", "training_args.bin", "rng_state_0.pth", "latest")


@pytest.fixture
def base(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint of its own, which a test may delete."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "base"))


@pytest.fixture
def trained(base: Path, tmp_path: Path) -> Path:
    """What ms-swift leaves of a full-parameter run, before it is completed: other ends of text, no codec, the run's files."""
    folder = tmp_path / "out" / "checkpoint-5"
    folder.mkdir(parents=True)
    weights = load_file(base / "model.safetensors")
    weights["audio_lm_head.weight"] = weights["audio_lm_head.weight"].flip(0)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text())
    config.update(eos_token_id=7, use_cache=False, dtype="bfloat16")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text('{"eos_token_id": 7, "max_new_tokens": 64}')
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|end_of_text|>"}')
    (folder / "special_tokens_map.json").write_text('{"eos_token": "<|end_of_text|>"}')
    (folder / "args.json").write_text(json.dumps({"model": "base", "model_dir": str(base)}))
    for name in OF_THE_RUN:
        (folder / name).write_text("of the run")
    (folder / "global_step5").mkdir()
    return folder


def shard(folder: Path) -> None:
    """The same weights in two files, as ms-swift saves large models."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({name: weights[name] for name in own}, folder / file, metadata={"format": "pt"})
    where = {name: file for file, own in parts.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def speaks(engine: Any) -> Any:
    from studio.engine.model.sampling import Sampling

    return engine.clone("Hello.", [], sampling=Sampling(temperature=0), seed=0).codes


# --- complete_checkpoint ------------------------------------------------------------------------------------------------


def test_a_completed_folder_needs_its_base_no_more(base: Path, trained: Path, new_engine: Callable[..., Any]) -> None:
    from transformers import AutoProcessor
    from transformers import HiggsAudioV2ForConditionalGeneration as Native

    complete_checkpoint(trained, base)
    weights = load_file(trained / "model.safetensors")
    shutil.rmtree(base)
    moved = trained.rename(trained.with_name("moved"))
    model = Native.from_pretrained(moved)
    assert torch.equal(model.audio_lm_head.weight.float(), weights["audio_lm_head.weight"].to(model.dtype).float())
    assert AutoProcessor.from_pretrained(moved).audio_tokenizer is not None
    assert find_checkpoint(str(moved)).codec_folder == moved / CODEC
    assert new_engine(moved).codec.num_codebooks == 8


def test_all_but_the_weights_is_that_of_the_base(base: Path, trained: Path) -> None:
    complete_checkpoint(trained, base)
    config, of_base = (json.loads((folder / "config.json").read_text()) for folder in (trained, base))
    assert config == {**of_base, "dtype": "bfloat16"}  # the weights were saved so
    for item in base.iterdir():
        if item.is_file() and item.name not in ("config.json", "model.safetensors"):
            assert (trained / item.name).read_bytes() == item.read_bytes(), item.name
    # What the base does not have, ms-swift made up.
    assert not (base / "special_tokens_map.json").exists()
    assert not (trained / "special_tokens_map.json").exists()


def test_the_codec_is_copied_file_by_file(base: Path, trained: Path) -> None:
    complete_checkpoint(trained, base)
    codec = trained / CODEC
    assert not codec.is_symlink()
    assert {item.name: item.read_bytes() for item in codec.iterdir()} == {
        item.name: item.read_bytes() for item in (base / CODEC).iterdir()
    }


def test_a_checkpoint_of_a_run_links_to_the_codec_of_its_base(base: Path, trained: Path) -> None:
    complete_checkpoint(trained, base, link_codec=True)
    assert (trained / CODEC).is_symlink()
    assert (trained / CODEC).resolve() == base / CODEC
    assert find_checkpoint(str(trained)).folder == trained


def test_a_link_is_followed_and_replaced_by_the_codec_itself(base: Path, trained: Path, tmp_path: Path) -> None:
    """The base may be such a checkpoint itself, and a folder may be completed twice."""
    complete_checkpoint(trained, base, link_codec=True)
    later = tmp_path / "later"
    later.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(trained / name, later / name)
    complete_checkpoint(later, trained, link_codec=True)
    assert (later / CODEC).readlink() == base / CODEC  # not a link to a link
    complete_checkpoint(later, trained)
    assert not (later / CODEC).is_symlink()
    shutil.rmtree(base)
    assert find_checkpoint(str(later)).codec_folder == later / CODEC


def test_where_no_link_can_be_made_the_codec_is_copied(
    base: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path, target_is_directory: bool = False) -> None:
        raise OSError("this file system has no links")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    complete_checkpoint(trained, base, link_codec=True)
    assert (trained / CODEC / "config.json").is_file()


def test_a_codec_elsewhere_comes_into_the_folder(base: Path, trained: Path, new_engine: Callable[..., Any]) -> None:
    (base / CODEC).rename(base / "codec-of-mine")
    config = json.loads((base / "processor_config.json").read_text())
    config["audio_tokenizer"]["audio_tokenizer_name_or_path"] = "codec-of-mine"
    (base / "processor_config.json").write_text(json.dumps(config))
    complete_checkpoint(trained, base)
    shutil.rmtree(base)
    assert (trained / CODEC / "config.json").is_file()
    assert new_engine(trained).codec.num_codebooks == 8


def test_a_base_that_is_gone_is_a_sentence(base: Path, trained: Path) -> None:
    shutil.rmtree(base)
    assert "base: this checkpoint folder does not exist" in refusal(lambda: complete_checkpoint(trained, base))


# --- export -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def export(capfd: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Runs the export; gives what it wrote to stderr."""

    def run(*argv: object, status: int = 0) -> list[str]:
        assert main(["export", *map(str, argv)]) == status
        lines = capfd.readouterr().err.splitlines()
        assert not any("Traceback" in line for line in lines)
        return lines

    return run


def test_a_full_checkpoint_is_exported_complete_and_speaks_with_its_own_weights(
    export: Any, base: Path, trained: Path, tmp_path: Path, new_engine: Callable[..., Any]
) -> None:
    before = speaks(new_engine(base))
    export("--model", trained, "--output_dir", tmp_path / "my voice")
    shutil.rmtree(base)
    shutil.rmtree(trained)
    target = tmp_path / "my voice"
    names = {item.name for item in target.iterdir()}
    assert not names & {*OF_THE_RUN, "args.json", "global_step5"}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", CODEC}
    codes = speaks(new_engine(target))
    assert codes.shape != before.shape or (codes != before).any()


def test_an_export_without_a_target_lies_beside_its_checkpoint(export: Any, trained: Path) -> None:
    export("--model", trained)
    assert find_checkpoint(f"{trained}-complete").speaks is False  # the marker of a tiny one came along


def test_weights_in_several_files_are_exported_as_they_are(export: Any, trained: Path, tmp_path: Path) -> None:
    shard(trained)
    export("--model", trained, "--output_dir", tmp_path / "new")
    assert len(list((tmp_path / "new").glob("model-*.safetensors"))) == 2
    find_checkpoint(str(tmp_path / "new"))  # raises where one is missing


def test_a_folder_that_holds_something_is_left_alone(export: Any, trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "mine").write_text("keep")
    (line,) = export("--model", trained, "--output_dir", target, status=1)
    assert "already exists" in line
    assert [item.name for item in target.iterdir()] == ["mine"]
    (line,) = export("--model", trained, "--output_dir", target / "mine", status=1)
    assert "already exists" in line
    (tmp_path / "empty").mkdir()
    export("--model", trained, "--output_dir", tmp_path / "empty")
    assert find_checkpoint(str(tmp_path / "empty")).folder == tmp_path / "empty"


def test_an_export_that_fails_leaves_nothing_behind(export: Any, trained: Path, tmp_path: Path) -> None:
    (trained / "model.safetensors").unlink()
    (line,) = export("--model", trained, "--output_dir", tmp_path / "new", status=1)
    assert "model.safetensors is missing" in line
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))


def test_an_adapter_is_not_taken_for_a_model(export: Any, trained: Path, tmp_path: Path) -> None:
    (trained / "adapter_config.json").write_text("{}")
    (line,) = export("--model", trained, "--output_dir", tmp_path / "new", status=1)
    assert "is an adapter: give it as --adapters" in line


def test_what_is_no_checkpoint_is_refused(export: Any, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        (line,) = export("--model", folder, "--output_dir", tmp_path / "new", status=1)
        assert "holds no config.json" in line


def test_without_a_record_the_base_has_to_be_given(export: Any, tmp_path: Path, tiny_checkpoint: Path) -> None:
    adapter = tmp_path / "checkpoint-3"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    merge = ("--adapters", adapter, "--merge_lora", "true")
    (line,) = export(*merge, status=1)
    assert "checkpoint-3 has no readable args.json" in line
    assert "add --model" in line
    (adapter / "args.json").write_text('{"model": null}')
    (line,) = export(*merge, status=1)
    assert "names no base: add --model" in line
    (adapter / "args.json").write_text(json.dumps({"model_dir": str(tmp_path / "deleted")}))
    (line,) = export(*merge, status=1)
    assert "deleted: this checkpoint folder does not exist" in line
    assert not list(tmp_path.glob("*merged*"))


def test_a_full_checkpoint_whose_base_is_gone_says_which(
    export: Any, base: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.rmtree(base)
    (line,) = export("--model", trained, "--output_dir", tmp_path / "new", status=1)
    assert "base: this checkpoint folder does not exist" in line


def test_a_checkpoint_without_a_record_that_is_whole_is_its_own_base(
    export: Any, trained: Path, base: Path, tmp_path: Path
) -> None:
    complete_checkpoint(trained, base, link_codec=True)
    (trained / "args.json").unlink()
    export("--model", trained, "--output_dir", tmp_path / "new")
    assert not (tmp_path / "new" / CODEC).is_symlink()
    assert find_checkpoint(str(tmp_path / "new")).folder == tmp_path / "new"

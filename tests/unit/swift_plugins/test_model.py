"""What ms-swift may load as a model to train, and what is refused before anything is learnt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.refusals import refusal


@pytest.fixture
def load(registered: None) -> Callable[..., Any]:
    """Loads a model as ms-swift does."""
    from swift.model import get_model_processor

    return lambda folder, **options: get_model_processor(str(folder), **{"model_type": "higgs-audio", **options})


def changed(base: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    """A copy of a checkpoint with other weights."""
    shutil.copytree(base, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("model_type", ["higgs-audio", "higgs-audio-v2-3b"])
def test_every_weight_of_the_checkpoint_is_in_the_model(
    load: Callable[..., Any], tiny_checkpoint: Path, model_type: str
) -> None:
    model, processor = load(tiny_checkpoint, model_type=model_type, torch_dtype=torch.float32)
    weights = load_file(tiny_checkpoint / "model.safetensors")
    loaded = dict(model.named_parameters())
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weight.float()) for name, weight in weights.items())
    assert "text_lm_head.weight" in loaded
    assert processor.convert_tokens_to_ids("<|AUDIO_OUT|>") == model.config.audio_token_id


def test_the_type_is_known_by_the_checkpoint_itself(load: Callable[..., Any], tiny_checkpoint: Path) -> None:
    model, _ = load(tiny_checkpoint, model_type=None, load_model=True)
    assert model.model_meta.model_type == "higgs-audio"
    assert model.model_meta.template == "higgs-audio-chatml"


def test_a_checkpoint_that_lacks_a_weight_is_refused_and_not_filled_with_chance(
    load: Callable[..., Any], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = changed(
        tiny_checkpoint, tmp_path / "mine", lambda weights: weights.pop("model.layers.1.audio_mlp.up_proj.weight")
    )
    sentence = refusal(lambda: load(folder))
    assert "mine lacks 1 weights, among them model.layers.1.audio_mlp.up_proj.weight" in sentence


def test_a_checkpoint_without_a_text_head_is_refused(
    load: Callable[..., Any], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = changed(tiny_checkpoint, tmp_path / "mine", lambda weights: weights.pop("text_lm_head.weight"))
    assert "mine has no text head" in refusal(lambda: load(folder))


def test_weights_for_another_number_of_codebooks_are_refused(
    load: Callable[..., Any], tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEBOOK_LOSS_WEIGHTS", "1 1 1")
    assert "has 3 numbers and this model 8 codebooks" in refusal(lambda: load(tiny_checkpoint))
    monkeypatch.setenv("CODEBOOK_LOSS_WEIGHTS", "2 1 1 1 1 1 1 1")
    model, _ = load(tiny_checkpoint)
    assert model.options.codebook_loss_weights[0] == 2


def test_code_that_a_tokenizer_brings_along_is_not_run(
    load: Callable[..., Any], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "theirs"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.update(auto_map={"AutoTokenizer": ["theirs.Tokenizer", "theirs.Tokenizer"]}, tokenizer_class="Tokenizer")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "theirs.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
    with suppress(ValueError):  # loading it as a common tokenizer would be as good as the refusal
        load(folder, load_model=False)
    assert not (tmp_path / "was-run").exists()

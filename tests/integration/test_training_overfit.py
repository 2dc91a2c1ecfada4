"""What is trained is what is spoken: utterances learnt by heart come back code for code, through the engine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from studio.audio import read_audio
from studio.engine.checkpoints import find_checkpoint
from studio.engine.model.sampling import Sampling
from studio.engine.voice_engine import VoiceEngine
from studio.errors import StudioError
from studio.store.tables import JobRecord
from studio.training.export import export_checkpoint
from studio.training.job import job_of
from tests import warm
from tests.conftest import DATA
from tests.jobs import spec
from tests.training import EXAMPLES, LAUNCH, OVERFIT, PROJECT, Example, Run, environment, trained

GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def full(home: Path, rows: Path, tiny_checkpoint: Path) -> Run:
    """All parameters, 120 steps."""
    return trained(
        home, home / "full", "--model", tiny_checkpoint, "--dataset", rows, *OVERFIT, "--tuner_type", "full",
        "--max_steps", 120, "--save_steps", 120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lora(home: Path, rows: Path, tiny_checkpoint: Path) -> Run:
    """LoRA by group names with rsLoRA, heads and embeddings of audio besides: what a tiny random model needs to learn."""
    return trained(
        home, home / "lora", "--model", tiny_checkpoint, "--dataset", rows, *OVERFIT, "--lora_rank", 16,
        "--lora_alpha", 32, "--use_rslora", "true", "--target_modules", "text_attention", "text_ffn", "audio_ffn",
        "--modules_to_save", "audio_lm_head", "embed_audio_tokens", "--max_steps", 120, "--save_steps", 120,
    )  # fmt: skip


def target_codes(engine: VoiceEngine, example: Example) -> np.ndarray:
    return engine.codec.encode(read_audio(DATA / example.target))


def spoken(engine: VoiceEngine, example: Example, **options: Any) -> Any:
    return engine.clone(example.text, example.references(), sampling=GREEDY, seed=0, **options)


def agreement(engine: VoiceEngine, example: Example, **options: Any) -> float:
    """Share of the target's codes that the engine speaks, where it ends by itself at the target's length; else 0."""
    speech, target = spoken(engine, example, **options), target_codes(engine, example)
    if not speech.ended or speech.codes.shape != target.shape:
        return 0.0
    return float((speech.codes == target).mean())


@pytest.fixture(scope="module")
def full_engine(full: Run, new_engine: Callable[..., VoiceEngine]) -> VoiceEngine:
    return new_engine(full.checkpoint(120))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.target)
def test_an_utterance_learnt_by_heart_is_spoken_code_for_code_and_ends_where_it_ended(
    full_engine: VoiceEngine, example: Example
) -> None:
    assert agreement(full_engine, example) >= 0.99


def test_the_reference_decides_between_rows_of_the_same_text(full_engine: VoiceEngine) -> None:
    one, other = EXAMPLES[:2]
    assert one.text == other.text
    targets = [target_codes(full_engine, example) for example in (one, other)]
    assert targets[0].shape != targets[1].shape
    exchanged = full_engine.clone(one.text, other.references(), sampling=GREEDY, seed=0)
    assert exchanged.codes.shape == targets[1].shape
    assert (exchanged.codes == targets[1]).mean() >= 0.99


def test_without_eos_labels_it_does_not_stop(
    home: Path, rows: Path, tiny_checkpoint: Path, new_engine: Callable[..., VoiceEngine]
) -> None:
    run = trained(
        home, home / "no-eos", "--model", tiny_checkpoint, "--dataset", rows, *OVERFIT, "--tuner_type", "full",
        "--max_steps", 60, "--save_steps", 60,
        "--external_plugins", PROJECT / "tests" / "integration" / "no_eos_plugin.py",
    )  # fmt: skip
    assert run.log[-1]["audio_loss"] < 0.2  # it has learnt everything else
    engine = new_engine(run.checkpoint(60))
    assert not any(spoken(engine, example).ended for example in EXAMPLES)


def test_both_losses_and_every_codebook_are_logged_and_fall(full: Run) -> None:
    first, last = full.log[0], full.log[-1]
    names = ["text_loss", "audio_loss", *(f"audio_loss_cb{index}" for index in range(8))]
    for name in ["loss", *names]:
        assert last[name] < 0.05 < 2 < first[name]
    for entry in full.log:
        assert entry["audio_loss"] == pytest.approx(np.mean([entry[name] for name in names[2:]]), rel=1e-5, abs=1e-6)
        assert entry["loss"] == pytest.approx(entry["text_loss"] + entry["audio_loss"], rel=1e-4, abs=1e-6)


def test_a_full_checkpoint_is_a_checkpoint_of_the_base_in_all_but_its_weights(full: Run, tiny_checkpoint: Path) -> None:

    folder = full.checkpoint(120)
    config, base = (json.loads((path / "config.json").read_text()) for path in (folder, tiny_checkpoint))
    assert config == base
    for name in ("generation_config.json", "processor_config.json", "tokenizer.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (tiny_checkpoint / name).read_bytes()


def test_a_job_that_trained_all_weights_exports_a_checkpoint_complete_by_itself(full: Run, tmp_path: Path) -> None:
    settings = spec().model_copy(update={"full_parameter": True}).model_dump()
    job = job_of(JobRecord(owner="", name="full", device="cpu", spec=settings), tmp_path)
    exported = export_checkpoint(job, full.checkpoint(120), tmp_path / "whole", merge=False, card=None)
    moved = exported.rename(tmp_path / "moved")
    assert find_checkpoint(str(moved)).codec_folder.resolve().parent == moved
    weights, trained = (load_file(folder / "model.safetensors") for folder in (moved, full.checkpoint(120)))
    assert weights.keys() == trained.keys()
    assert all(torch.equal(weights[name], trained[name]) for name in weights)
    assert not (moved / "optimizer.pt").exists()
    with pytest.raises(StudioError, match="already exists"):
        export_checkpoint(job, full.checkpoint(120), moved, merge=False, card=None)


def test_every_target_of_the_lora_was_trained(lora: Run) -> None:
    weights = load_file(lora.checkpoint(120) / "adapter_model.safetensors")
    trained_b = [name for name in weights if "lora_B" in name]
    assert len(trained_b) == 2 * (4 + 3 + 3)
    assert all(weights[name].abs().max() > 0 for name in trained_b)
    assert any(name.endswith("embed_audio_tokens.embed_audio_tokens.weight") for name in weights)


@pytest.fixture(scope="module")
def merged(lora: Run, home: Path) -> Path:
    """The adapter exported into its base."""

    folder = home / "merged"
    given = ["export", "--adapters", lora.checkpoint(120), "--merge_lora", "true", "--output_dir", folder]
    done = warm.run(LAUNCH, list(map(str, given)), cwd=PROJECT, env=environment(home), timeout=200)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def logits_of(model: Any, folder: Path) -> torch.Tensor:
    """Audio logits after a fixed prompt."""
    from transformers import AutoTokenizer

    from studio.engine.prompt import encode_prompt, speech_conversation

    config = model.config
    codes = torch.arange(8 * 12).view(8, 12)
    prompt = encode_prompt(
        speech_conversation("Hello.", transcripts=[(None, "A clip.")]), [codes],
        tokenizer=AutoTokenizer.from_pretrained(folder), stream_bos_id=config.audio_stream_bos_id,
        stream_eos_id=config.audio_stream_eos_id,
    )  # fmt: skip
    assert prompt.audio_input_ids is not None
    mask = torch.ones(prompt.audio_input_ids.shape[:2], dtype=torch.bool)
    with torch.inference_mode():
        return model(
            input_ids=prompt.input_ids, audio_input_ids=prompt.audio_input_ids, audio_input_ids_mask=mask
        ).logits


def test_an_adapter_moves_the_engine_to_its_targets_and_off_it_the_base_speaks_as_before(
    lora: Run, new_engine: Callable[..., VoiceEngine]
) -> None:
    engine = new_engine()
    before = [spoken(engine, example).codes for example in EXAMPLES]
    adapter = engine.load_adapter(lora.checkpoint(120))
    assert [agreement(engine, example, adapter=adapter) >= 0.99 for example in EXAMPLES] == [True] * len(EXAMPLES)
    for example, codes in zip(EXAMPLES, before, strict=True):
        assert np.array_equal(spoken(engine, example).codes, codes)


def test_the_exported_folder_is_complete_and_speaks_like_the_adapter(
    lora: Run, merged: Path, tiny_checkpoint: Path, new_engine: Callable[..., VoiceEngine], tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoProcessor
    from transformers import HiggsAudioV2ForConditionalGeneration as Native

    moved = merged.rename(tmp_path / "moved")
    try:
        base = Native.from_pretrained(tiny_checkpoint).eval()
        plain = logits_of(base, tiny_checkpoint)
        adapted = logits_of(PeftModel.from_pretrained(base, lora.checkpoint(120)).eval(), tiny_checkpoint)
        exported = Native.from_pretrained(moved).eval()
        assert (plain - adapted).abs().max() > 0.1
        # Of the largest logit: a model that has learnt by heart is very sure of itself, and float32 rounds in proportion.
        assert (logits_of(exported, moved) - adapted).abs().max() < 1e-5 * adapted.abs().max()
        assert exported.generation_config.eos_token_id == base.generation_config.eos_token_id
        assert AutoProcessor.from_pretrained(moved).audio_tokenizer is not None
        assert not (moved / "audio_tokenizer").is_symlink()
        assert all(agreement(new_engine(moved), example) >= 0.99 for example in EXAMPLES)
    finally:
        moved.rename(merged)

"""The tiny checkpoint is a complete Higgs v2 checkpoint in every respect but size and sense."""

import errno
import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from studio.engine.checkpoints import build_tiny_checkpoint
from studio.engine.checkpoints.tiny import SPECIAL_TOKENS
from studio.errors import StudioError
from studio.files import is_disk_full, is_write_error
from tests.disks import disk_that_holds
from tests.refusals import refusal

FILES = {
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "processor_config.json",
    "chat_template.jinja",
    "studio_checkpoint.json",
    "audio_tokenizer/config.json",
    "audio_tokenizer/model.safetensors",
}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once more with the seed of ``tiny_checkpoint``, from another state of the global random numbers."""
    torch.manual_seed(1234)
    before = torch.get_rng_state()
    folder = build_tiny_checkpoint(tmp_path_factory.mktemp("again") / "new" / "tiny", seed=0)
    assert torch.equal(torch.get_rng_state(), before), "building moved the global random numbers"
    return folder


def test_every_file_of_a_checkpoint_is_there_and_nothing_else(tiny_checkpoint: Path) -> None:
    assert set(digests(tiny_checkpoint)) == FILES
    assert list(tiny_checkpoint.parent.iterdir()) == [tiny_checkpoint], "something was left beside it"


def test_the_tiny_checkpoint_is_small(tiny_checkpoint: Path) -> None:
    assert sum(path.stat().st_size for path in tiny_checkpoint.rglob("*") if path.is_file()) < 12e6


def test_the_same_seed_gives_the_same_bytes(tiny_checkpoint: Path, again: Path) -> None:
    assert digests(again) == digests(tiny_checkpoint)


def test_another_seed_gives_other_weights_in_the_same_format(tiny_checkpoint: Path, other_checkpoint: Path) -> None:
    one, other = digests(tiny_checkpoint), digests(other_checkpoint)
    differing = {name for name in FILES if one[name] != other[name]}
    assert differing == {"model.safetensors", "audio_tokenizer/model.safetensors", "studio_checkpoint.json"}


def test_other_users_may_read_the_checkpoint(tiny_checkpoint: Path) -> None:
    assert tiny_checkpoint.stat().st_mode & 0o055 == 0o055


def test_the_stock_processor_loads_it_after_it_was_moved(
    again: Path, tmp_path: Path, processor: Any, references: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoProcessor

    moved = tmp_path / "another place" / "voices 🎤"
    moved.parent.mkdir()
    shutil.copytree(again, moved)
    monkeypatch.chdir(tmp_path)
    loaded = AutoProcessor.from_pretrained(moved)
    samples = torch.from_numpy(references[0].clip.samples)[None, None]
    with torch.inference_mode():
        codes, expected = (p.audio_tokenizer.encode(samples).audio_codes for p in (loaded, processor))
    assert torch.equal(codes, expected)
    assert type(loaded).__name__ == "HiggsAudioV2Processor"


def test_the_codec_has_the_released_format(processor: Any) -> None:
    config = processor.audio_tokenizer.config
    assert (config.num_quantizers, config.codebook_size, config.sample_rate) == (8, 1024, 24_000)
    assert config.hop_length == 960
    assert config.sample_rate / config.hop_length == 25


def test_the_language_model_has_1026_entries_for_each_codebook(native_model: Any) -> None:
    config = native_model.config
    assert (config.num_codebooks, config.codebook_size) == (8, 1026)
    assert (config.audio_stream_bos_id, config.audio_stream_eos_id) == (1024, 1025)
    assert native_model.audio_lm_head.weight.shape[0] == 8 * 1026
    weights = load_file(Path(config._name_or_path) / "model.safetensors")
    assert weights["model.embed_audio_tokens.embed_audio_tokens.weight"].shape[0] == 8 * 1026


def test_the_text_head_loads_with_nothing_missing(tiny_checkpoint: Path) -> None:
    from transformers import HiggsAudioV2ForConditionalGeneration

    model, report = HiggsAudioV2ForConditionalGeneration.from_pretrained(
        tiny_checkpoint, use_text_head=True, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    saved = load_file(tiny_checkpoint / "model.safetensors")["text_lm_head.weight"]
    assert torch.equal(model.text_lm_head.weight, saved)
    assert saved.std() > 0.01


def test_every_control_token_is_one_id_and_every_script_can_be_written(processor: Any) -> None:
    tokenizer = processor.tokenizer
    ids = [tokenizer(token, add_special_tokens=False).input_ids for token in SPECIAL_TOKENS]
    assert [len(written) for written in ids] == [1] * len(SPECIAL_TOKENS)
    assert len({written[0] for written in ids}) == len(SPECIAL_TOKENS)
    assert {"<|AUDIO_OUT|>", "<|audio_out_bos|>", "<|reserved_special_token_6|>", "<|eot_id|>"} <= set(SPECIAL_TOKENS)
    for text in ("Hello, world!", "مرحبا بكم", "今天天气", "नमस्ते", "😀🎤", "\n\n  x"):
        written = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(written) == text
        assert max(written) < 288


def test_the_token_ids_of_the_model_are_the_tokenizers(processor: Any, native_model: Any) -> None:
    token_id, config = processor.tokenizer.convert_tokens_to_ids, native_model.config
    assert config.audio_token_id == token_id("<|AUDIO_OUT|>")
    assert config.audio_bos_token_id == token_id("<|audio_out_bos|>")
    assert config.audio_delay_token_id == token_id("<|reserved_special_token_6|>")
    assert (config.bos_token_id, config.eos_token_id) == (token_id("<|begin_of_text|>"), token_id("<|eot_id|>"))
    generation = native_model.generation_config
    assert (generation.ras_win_len, generation.ras_win_max_num_repeat) == (7, 2)


def test_random_codes_are_heard(engine: Any) -> None:
    codes = np.random.default_rng(0).integers(0, 1024, (8, 50))
    level = 20 * np.log10(np.sqrt(np.mean(np.square(engine.codec.decode(codes)))))
    assert -30 < level < -10


def test_the_template_wants_a_system_turn_first(processor: Any) -> None:
    with pytest.raises(Exception, match="first message must have the role system"):
        processor.apply_chat_template([{"role": "user", "content": [{"type": "text", "text": "Hi."}]}], tokenize=False)


@pytest.mark.parametrize("content", ["a file", "a folder with something in it"])
def test_what_is_there_is_never_overwritten(tmp_path: Path, content: str) -> None:
    target = tmp_path / "mine"
    if content == "a file":
        target.write_text("precious")
    else:
        target.mkdir()
        (target / "notes.txt").write_text("precious")
    before = digests(tmp_path)
    with pytest.raises(StudioError, match=r"mine already exists: choose a new folder"):
        build_tiny_checkpoint(target)
    assert digests(tmp_path) == before


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    build_tiny_checkpoint(tmp_path / "empty", seed=0)
    assert set(digests(tmp_path / "empty")) == FILES


def test_a_place_that_cannot_be_written_is_said() -> None:
    with pytest.raises(StudioError, match=r"^tiny cannot be created \(.*\): choose a folder"):
        build_tiny_checkpoint(Path("/sys/studio/tiny"))


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with disk_that_holds(1_000_000):
        said = refusal(lambda: build_tiny_checkpoint(tmp_path / "out" / "tiny"))
    assert re.fullmatch(r"Writing the tiny checkpoint failed \(.*\): free some space and try again\.", said)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_known_by_the_words_of_every_library() -> None:
    """The tokenizers library raises a plain Exception, safetensors its own; neither carries the system's number."""
    for error in (
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        Exception("File too large (os error 27)"),
    ):
        assert is_disk_full(error)
        assert is_write_error(error)
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))
    assert not is_write_error(KeyError("a bug"))

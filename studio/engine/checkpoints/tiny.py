"""A complete Higgs Audio v2 checkpoint with random weights: a few megabytes, built in seconds, produces noise.

It has every file of the released checkpoint in the same format, so whatever loads and speaks it does the same with the
3B; only sizes, weights and token ids differ. Tests and trials use it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from studio.engine.checkpoints.processor_files import CHAT_TEMPLATE, feature_extractor_settings
from studio.engine.compat import CODEC_FOLDER
from studio.errors import StudioError
from studio.files import is_write_error, write_advice

SAMPLE_RATE = 24_000
SEMANTIC_SAMPLE_RATE = 16_000
FRAME_RATE = 25
NUM_CODEBOOKS = 8
CODEC_CODEBOOK_SIZE = 1024
RATIOS = [8, 5, 4, 2, 3]
"""Strides of the codec; their product, 960 samples, is one frame of 40 ms at 24 kHz (as released)."""

SPECIAL_TOKENS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
    "<|audio_out_bos|>",
    "<|reserved_special_token_6|>",
    "<|AUDIO|>",
    "<|AUDIO_OUT|>",
    "<|scene_desc_start|>",
    "<|scene_desc_end|>",
]
"""The tokens a Higgs prompt uses, in the order in which the tiny tokenizer numbers them (after its 256 bytes)."""

MARKER_FILE = "studio_checkpoint.json"
"""Says what a checkpoint made by the studio is and what it can do; absent in checkpoints from elsewhere."""


def build_tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Write a tiny random checkpoint to ``folder`` and return it. The same seed gives the same weights.

    Raises:
        StudioError: ``folder`` exists and is not empty, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudioError(f"{folder.name} already exists: choose a new folder for the tiny checkpoint.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Built beside its place and renamed, so that a folder of this name is always a whole checkpoint.
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise StudioError(f"{folder.name} cannot be created {write_advice(error)}") from error
    try:
        _write(building, seed)
        building.chmod(0o755)
        building.replace(folder)
    except Exception as error:
        if not is_write_error(error):
            raise
        raise StudioError(f"Writing the tiny checkpoint failed {write_advice(error)}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _write(folder: Path, seed: int) -> None:
    import torch
    from transformers import DacFeatureExtractor, HiggsAudioV2Processor
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codec = _codec()
        tokenizer = _tokenizer()
        model = _language_model(tokenizer)
    codec.save_pretrained(folder / CODEC_FOLDER)
    feature_extractor = DacFeatureExtractor(**feature_extractor_settings(SAMPLE_RATE))
    codec.name_or_path = CODEC_FOLDER
    HiggsAudioV2Processor(
        feature_extractor, tokenizer, codec, chat_template=CHAT_TEMPLATE, audio_stream_bos_id=CODEC_CODEBOOK_SIZE,
        audio_stream_eos_id=CODEC_CODEBOOK_SIZE + 1,
    ).save_pretrained(folder)  # fmt: skip
    model.save_pretrained(folder)
    marker = {"kind": "tiny", "seed": seed, "speaks": False}
    (folder / MARKER_FILE).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")


def _tokenizer() -> Any:
    """Byte-level BPE without merges: any text in any script is encodable, one token a byte; special tokens as released."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    tokenizer.post_processor = opening_with_bos(tokenizer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL_TOKENS[0],
        eos_token="<|eot_id|>",  # noqa: S106  a token of text
        pad_token="<|end_of_text|>",  # noqa: S106
        clean_up_tokenization_spaces=False,
        model_max_length=131_072,
    )


def opening_with_bos(tokenizer: Any) -> Any:
    """The post-processor that opens every text with the first special token, which ``tokenizer`` has already."""
    from tokenizers import processors

    bos = SPECIAL_TOKENS[0]
    return processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )


def special_token_ids(tokenizer: Any) -> dict[str, Any]:
    """The fields of a model's config that are ids of special tokens."""
    names = {
        "bos_token_id": "<|begin_of_text|>",
        "eos_token_id": "<|eot_id|>",
        "pad_token_id": "<|end_of_text|>",
        "audio_token_id": "<|AUDIO_OUT|>",
        "audio_bos_token_id": "<|audio_out_bos|>",
        "audio_delay_token_id": "<|reserved_special_token_6|>",
    }
    return {field: tokenizer.convert_tokens_to_ids(token) for field, token in names.items()}


def generation_config(config: Any) -> Any:
    """How such a model generates, as released."""
    from transformers import GenerationConfig

    return GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        ras_win_len=7,
        ras_win_max_num_repeat=2,
    )


def _language_model(tokenizer: Any) -> Any:
    from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

    config = HiggsAudioV2Config(
        vocab_size=len(tokenizer) + (-len(tokenizer)) % 32,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=8192,
        **special_token_ids(tokenizer),
        num_codebooks=NUM_CODEBOOKS,
        codebook_size=CODEC_CODEBOOK_SIZE + 2,
        audio_stream_bos_id=CODEC_CODEBOOK_SIZE,
        audio_stream_eos_id=CODEC_CODEBOOK_SIZE + 1,
        # Ten times the usual spread: with it, prompts and references change what the random weights say.
        initializer_range=0.2,
        dtype="float32",
    )
    model = HiggsAudioV2ForConditionalGeneration(config, use_text_head=True)
    model.generation_config = generation_config(config)
    return model


def _codec() -> Any:
    import torch
    from transformers import HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel

    acoustic_size = 64
    config = HiggsAudioV2TokenizerConfig(
        sample_rate=SAMPLE_RATE,
        semantic_sample_rate=SEMANTIC_SAMPLE_RATE,
        target_bandwidths=[0.5, 1, 1.5, 2],
        codebook_size=CODEC_CODEBOOK_SIZE,
        codebook_dim=16,
        acoustic_model_config={
            "model_type": "dac",
            "encoder_hidden_size": 4,
            "decoder_hidden_size": 64,
            "hidden_size": acoustic_size,
            "downsampling_ratios": RATIOS,
            "upsampling_ratios": RATIOS,
            "sampling_rate": SAMPLE_RATE,
        },
        semantic_model_config={
            "model_type": "hubert",
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "conv_dim": [16] * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 2,
        },
    )
    codec = HiggsAudioV2TokenizerModel(config).eval()
    if (config.num_quantizers, config.frame_rate) != (NUM_CODEBOOKS, FRAME_RATE):
        raise AssertionError("the tiny codec's sizes do not give 8 quantizers at 25 frames per second")
    with torch.no_grad():
        _spread_codebooks(codec)
        _make_audible(codec)
    return codec


def _spread_codebooks(codec: Any) -> None:
    """Random codebooks on the scale of what reaches them; the classes start with zeros, where every code is equal."""
    import torch

    seconds = 4
    time = torch.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    # A sweep under noise of changing loudness: enough variety to see how far embeddings spread.
    sweep = torch.sin(2 * torch.pi * (100 + 900 * time / seconds) * time)
    audio = (0.3 * sweep + 0.2 * torch.randn_like(time)) * (0.2 + torch.sin(2 * torch.pi * 1.5 * time).abs())
    residuals: list[torch.Tensor] = []
    codec.quantizer.encode = lambda embeddings, bandwidth=None: (
        residuals.append(embeddings) or torch.zeros(1, 1, 1).long()
    )
    codec.encode(audio[None, None])
    del codec.quantizer.encode
    residual = residuals[0]
    for quantizer in codec.quantizer.quantizers:
        projected = quantizer.project_in(residual.transpose(1, 2))
        spread, centre = projected.std(dim=(0, 1)), projected.mean(dim=(0, 1))
        codebook = quantizer.codebook
        codebook.embed.copy_(centre + spread * torch.randn_like(codebook.embed))
        codebook.embed_avg.copy_(codebook.embed)
        codebook.cluster_size.fill_(1.0)
        residual = residual - quantizer.decode(quantizer.encode(residual))


def _make_audible(codec: Any) -> None:
    """Scale the decoder's layers so that random codes decode to noise at about -20 dBFS instead of to near silence."""
    import torch

    def unit_output(layer: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        scale = 1.0 / output.std().clamp_min(1e-12)
        layer.weight.mul_(scale)
        if layer.bias is not None:
            layer.bias.mul_(scale)
        return output * scale

    convolutions = (torch.nn.Conv1d, torch.nn.ConvTranspose1d)
    hooks = [
        m.register_forward_hook(unit_output) for m in codec.acoustic_decoder.modules() if isinstance(m, convolutions)
    ]
    codes = torch.randint(0, CODEC_CODEBOOK_SIZE, (1, NUM_CODEBOOKS, 50))
    codec.decode(codes)
    for hook in hooks:
        hook.remove()
    level = codec.decode(codes).audio_values.std()
    codec.acoustic_decoder.conv2.weight.mul_(0.1 / level)
    codec.acoustic_decoder.conv2.bias.mul_(0.1 / level)

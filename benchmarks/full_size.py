"""A model of the 3B's dimensions with random weights: what it costs, not what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import studio.engine  # noqa: F401  the guard comes before transformers
from studio.engine.checkpoints import Checkpoint, CheckpointFiles


def full_size_model(device: str, tokenizer: Any, model_class: Any = None, **options: Any) -> Any:
    """The language model in bfloat16, 11 GiB, filled in place on the device.

    Args:
        tokenizer: that of the tiny checkpoint, whose ids stand for the audio tokens.
        model_class: a subclass of ``HiggsAudioV2ForConditionalGeneration``; None for that class itself.
        options: handed to the class, such as ``use_text_head=True``.
    """
    from transformers import GenerationConfig, HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

    token_id = tokenizer.convert_tokens_to_ids
    config = HiggsAudioV2Config(
        codebook_size=1026,
        audio_token_id=token_id("<|AUDIO_OUT|>"),
        audio_bos_token_id=token_id("<|audio_out_bos|>"),
        audio_delay_token_id=token_id("<|reserved_special_token_6|>"),
        eos_token_id=token_id("<|eot_id|>"),
        pad_token_id=token_id("<|end_of_text|>"),
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    with torch.device("meta"):
        model: Any = (model_class or HiggsAudioV2ForConditionalGeneration)(config, **options)
    model = model.to(torch.bfloat16).to_empty(device=device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.02) if parameter.ndim > 1 else parameter.fill_(1.0)
    # Buffers that are computed, not loaded, are made anew: to_empty left them without values.
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config).to(device)
    model.model.embed_audio_tokens.audio_tokens_offsets = torch.arange(8, device=device) * config.codebook_size
    model.generation_config = GenerationConfig(eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id)
    return model


def full_size_checkpoint(device: str) -> Checkpoint:
    """The model with a codec of the released dimensions and the tiny tokenizer."""
    from transformers import DacFeatureExtractor, HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel

    from studio.engine.checkpoints.tiny import RATIOS, _tokenizer

    tokenizer = _tokenizer()
    model = full_size_model(device, tokenizer)
    codec: Any = HiggsAudioV2TokenizerModel(
        HiggsAudioV2TokenizerConfig(
            target_bandwidths=[0.5, 1, 1.5, 2],
            acoustic_model_config={"downsampling_ratios": RATIOS, "upsampling_ratios": RATIOS},
        )
    )
    codec = codec.to(device)
    for quantizer in codec.quantizer.quantizers:
        quantizer.codebook.embed.normal_()
    files = CheckpointFiles("3B dimensions, random weights", Path(), Path(), "tiny", 0)
    extractor = DacFeatureExtractor(feature_size=1, sampling_rate=24_000, hop_length=1)
    return Checkpoint(files, model.eval(), codec.eval(), tokenizer, extractor, device, "bfloat16")

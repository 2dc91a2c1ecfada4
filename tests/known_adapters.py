"""Adapters whose effect is known beforehand, for tests of what is said about them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from studio.engine.rows import TrainingRow, parse_row
from tests.training import Example

EOS = 1025
CODES = 1026


def row_of(example: Example) -> TrainingRow:
    """An example as a checked row."""
    return parse_row(example.row(), folder=Path())


def write_adapter(folder: Path, base: Path, *, eos: float = 0.0, noise: float = 0.0) -> Path:
    """A LoRA adapter as peft writes it.

    Args:
        eos: added to what the audio head says of the end, in every codebook.
        noise: standard deviation of random weights in the attention; 0 leaves the adapter without any effect there.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import HiggsAudioV2ForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = HiggsAudioV2ForConditionalGeneration.from_pretrained(base)
        config = LoraConfig(
            r=4, lora_alpha=4, target_modules=["q_proj", "v_proj", "audio_lm_head"], lora_bias=True, bias="none"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such an adapter cannot be merged, which nobody wants here
            tuned: Any = get_peft_model(model, config)
        with torch.no_grad():
            for name, parameter in tuned.named_parameters():
                if "lora_B" in name and name.endswith("audio_lm_head.lora_B.default.bias"):
                    parameter.view(-1, CODES)[:, EOS] = eos
                elif "lora_B" in name and name.endswith("weight") and "proj" in name:
                    parameter.copy_(noise * torch.randn_like(parameter))
    tuned.save_pretrained(folder)
    return folder

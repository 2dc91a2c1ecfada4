"""A speaker model in the form that UniSpeech published, with random weights of small sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, LAYERS, HEADS, INNER, CHANNELS, POSITIONS, GROUPS = 16, 2, 2, 32, 16, 16, 2
WIDTH, POOLED, SCALE, BOTTLENECK, SIZE = 32, 48, 8, 8, 24
KERNELS = (10, 3, 3, 3, 3, 2, 2)


def shapes() -> dict[str, tuple[int, ...]]:
    """Every name of the published file with a shape."""
    part = HIDDEN // HEADS
    speech: dict[str, tuple[int, ...]] = {
        "mask_emb": (HIDDEN,),
        "layer_norm.weight": (CHANNELS,),
        "layer_norm.bias": (CHANNELS,),
    }
    for number, kernel in enumerate(KERNELS):
        speech[f"feature_extractor.conv_layers.{number}.0.weight"] = (CHANNELS, CHANNELS if number else 1, kernel)
        speech |= {f"feature_extractor.conv_layers.{number}.2.1.{each}": (CHANNELS,) for each in ("weight", "bias")}
    speech |= {"post_extract_proj.weight": (HIDDEN, CHANNELS), "post_extract_proj.bias": (HIDDEN,)}
    speech |= {f"encoder.layer_norm.{each}": (HIDDEN,) for each in ("weight", "bias")}
    speech["encoder.pos_conv.0.bias"] = (HIDDEN,)
    speech["encoder.pos_conv.0.weight_g"] = (1, 1, POSITIONS)
    speech["encoder.pos_conv.0.weight_v"] = (HIDDEN, HIDDEN // GROUPS, POSITIONS)
    speech["encoder.layers.0.self_attn.relative_attention_bias.weight"] = (320, HEADS)
    for number in range(LAYERS):
        layer = f"encoder.layers.{number}"
        speech[f"{layer}.self_attn.grep_a"] = (1, HEADS, 1, 1)
        speech |= {f"{layer}.self_attn.grep_linear.weight": (8, part), f"{layer}.self_attn.grep_linear.bias": (8,)}
        for each in "kvq":
            speech |= _linear(f"{layer}.self_attn.{each}_proj", HIDDEN, HIDDEN)
        speech |= _linear(f"{layer}.self_attn.out_proj", HIDDEN, HIDDEN)
        speech |= _linear(f"{layer}.fc1", INNER, HIDDEN) | _linear(f"{layer}.fc2", HIDDEN, INNER)
        for norm in ("self_attn_layer_norm", "final_layer_norm"):
            speech |= {f"{layer}.{norm}.{each}": (HIDDEN,) for each in ("weight", "bias")}
    head: dict[str, tuple[int, ...]] = {"feature_weight": (LAYERS + 1,), "loss_calculator.projection.weight": (5, SIZE)}
    head |= _convolution("layer1", WIDTH, HIDDEN, 5)
    for number in (2, 3, 4):
        layer, group = f"layer{number}", WIDTH // SCALE
        head |= _convolution(f"{layer}.Conv1dReluBn1", WIDTH, WIDTH, 1) | _convolution(
            f"{layer}.Conv1dReluBn2", WIDTH, WIDTH, 1
        )
        for each in range(SCALE - 1):
            head |= _linear(f"{layer}.Res2Conv1dReluBn.convs.{each}", group, group, 3)
            head |= _norm(f"{layer}.Res2Conv1dReluBn.bns.{each}", group)
        head |= _linear(f"{layer}.SE_Connect.linear1", BOTTLENECK, WIDTH) | _linear(
            f"{layer}.SE_Connect.linear2", WIDTH, BOTTLENECK
        )
    head |= _linear("conv", POOLED, 3 * WIDTH, 1) | _norm("bn", 2 * POOLED) | _linear("linear", SIZE, 2 * POOLED)
    head |= _linear("pooling.linear1", BOTTLENECK, POOLED, 1) | _linear("pooling.linear2", POOLED, BOTTLENECK, 1)
    return {f"feature_extract.model.{name}": shape for name, shape in speech.items()} | head


def random_weights() -> dict[str, np.ndarray]:
    """Weights drawn in the order of the names, so that they are the same everywhere."""
    rng = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {}
    for name, shape in sorted(shapes().items()):
        drawn = rng.standard_normal(shape).astype(np.float32) * np.float32(0.3)
        weights[name] = (
            np.abs(drawn) + np.float32(0.5) if name.endswith(("running_var", "norm.weight", "weight_g")) else drawn
        )
    return weights


def write(path: Path) -> Path:
    """The file."""
    import torch

    torch.save({"model": {name: torch.from_numpy(each) for name, each in random_weights().items()}}, path)
    return path


def _linear(name: str, size: int, inputs: int, *kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size, inputs, *kernel), f"{name}.bias": (size,)}


def _norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{each}": (size,) for each in ("weight", "bias", "running_mean", "running_var")}


def _convolution(name: str, size: int, inputs: int, kernel: int) -> dict[str, Any]:
    return _linear(f"{name}.conv", size, inputs, kernel) | _norm(f"{name}.bn", size)

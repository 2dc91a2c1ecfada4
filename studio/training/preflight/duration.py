"""How long a run takes: an estimate by its arithmetic, or by a pace that was measured."""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import Any

from studio.training.config.run_arguments import RunArguments
from studio.training.preflight.memory import BaseShape

_EFFICIENCY = 0.35
"""Part of the rate of one large matrix product that a training step comes to: the rest is small, elementwise, or waits."""
_STEP_SECONDS = 0.15
"""Of a step that computes nothing: Python, the optimizer, the log."""
_START_SECONDS = 25.0


def step_flops(base: BaseShape, arguments: RunArguments, *, tokens: float) -> float:
    """Operations of an optimizer step over rows of so many tokens each on average.

    Two for each parameter and token forward, two for the gradients of activations, two for those of weights where these are
    trained, and two again where the forward is computed twice.
    """
    factor = 4 + 2 * arguments.is_full + 2 * arguments.flag("gradient_checkpointing")
    rows = arguments.batch_size * arguments.accumulation_steps
    heads = base.hidden * base.codebooks * base.codebook_size
    return factor * rows * tokens * (base.num_computed + heads)


def seconds_per_step(base: BaseShape, arguments: RunArguments, *, tokens: float, device: str) -> float:
    """Time of a step from its operations and the device's rate."""
    rate = matmul_rate(device, arguments.text("torch_dtype", "bfloat16"))
    return step_flops(base, arguments, tokens=tokens) / (rate * _EFFICIENCY) + _STEP_SECONDS


def total_seconds(per_step: float, steps: int, clip_seconds: float) -> float:
    """Time of a run: starting, encoding the clips (about a tenth of their duration on two cores), steps and evaluations."""
    return _START_SECONDS + clip_seconds * 0.1 + steps * per_step * 1.1


@lru_cache(maxsize=8)
def matmul_rate(device: str, dtype: str) -> float:
    """Operations a second of a matrix product on the device, measured in well under a second."""
    import torch

    kind: Any = getattr(torch, dtype, torch.float32)
    size = 4096 if device.startswith("cuda") else 512
    left, right = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    best = math.inf
    began = time.perf_counter()
    for _ in range(8):
        start = time.perf_counter()
        torch.mm(left, right)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - began > 0.5:
            break
    return 2 * size**3 / best

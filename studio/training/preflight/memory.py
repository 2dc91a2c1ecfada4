"""What a run will take: memory on a device, disk, time. It is computed from sizes that files state; nothing is loaded.

Memory of a GPU is the sum of

- the weights in the precision of the run (the codec's are given back before the first step);
- what is trained: an adapter is kept in float32 whatever the precision of the base (peft casts it), so with gradient and both
  moments of AdamW it is 16 bytes a parameter; with all weights trained, gradient and moments have the weights' precision;
- activations: so many bytes for each token, layer and unit of width as were counted on a model (``_KEPT``), or with
  checkpointing one value for each and one layer's worth;
- logits at labelled positions in float32: values, probabilities and gradient;
- what CUDA and its kernels take, and a tenth for the gaps of the allocator.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from studio import formatting
from studio.datasets.rows.report import MeasuredRow
from studio.files import read_json
from studio.training.config.run_arguments import RunArguments

FRAME_RATE = 25.0
"""Of every base there is, in Hz; only a row near the limit is counted with the tokenizer."""
GIB = 2**30
CUDA_BYTES = int(0.9 * GIB)
PYTHON_BYTES = int(1.3 * GIB)
"""Of a trainer on the CPU before it has a model: Python, torch and ms-swift."""
_GAPS = 1.1
_ADAPTER_BYTES = 16
_TEXT_LABELS = 64
SAMPLE_BYTES = 2_000_000
"""Two sentences of sound at a checkpoint, generously."""
_DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
_GROUPS = {
    "text_attention": r"self_attn\.[qkvo]_proj",
    "text_ffn": r"(?<!audio_)mlp\.(gate|up|down)_proj",
    "audio_ffn": r"audio_mlp\.(gate|up|down)_proj",
}
_ALTERNATIVES: tuple[tuple[str, str], ...] = (
    ("tuner_type", "lora"),
    ("gradient_checkpointing", "true"),
    ("per_device_train_batch_size", "1"),
    ("torch_dtype", "bfloat16"),
    ("lora_rank", "8"),
)
"""Settings that take less memory, in the order in which they are proposed."""


@dataclass(frozen=True)
class BaseShape:
    """A base by its files.

    Attributes:
        shapes: of each weight, by name.
        hidden, layers, vocab: of the language model.
        codebooks, codebook_size: of the audio head.
    """

    shapes: Mapping[str, tuple[int, ...]]
    hidden: int
    intermediate: int
    layers: int
    vocab: int
    codebooks: int
    codebook_size: int

    @cached_property
    def num_parameters(self) -> int:
        """Of the language model."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @cached_property
    def num_computed(self) -> int:
        """Parameters that one token is multiplied with in the layers: of both FFNs it passes one."""
        layers = {name: shape for name, shape in self.shapes.items() if ".layers." in name and len(shape) == 2}
        return sum(math.prod(shape) for name, shape in layers.items() if ".audio_mlp." not in name)

    def num_adapter(self, rank: int, targets: tuple[str, ...]) -> int:
        """Parameters of a LoRA of this rank on these groups of modules (or names of modules)."""
        wanted = [_GROUPS.get(target, rf"(.*\.)?{re.escape(target)}") for target in targets]
        if not wanted or any(target.startswith("all-") for target in targets):
            wanted = list(_GROUPS.values())
        pattern = re.compile(rf".*\.layers\.\d+\..*({'|'.join(wanted)})\.weight")
        fitting = (shape for name, shape in self.shapes.items() if len(shape) == 2 and pattern.fullmatch(name))
        return sum(rank * sum(shape) for shape in fitting)


@dataclass(frozen=True)
class Memory:
    """Bytes, and how they come about.

    Attributes:
        parts: (bytes, what they are for).
    """

    parts: tuple[tuple[int, str], ...]

    @property
    def weights(self) -> int:
        """The first part, without which nothing begins."""
        return self.parts[0][0]

    @property
    def total(self) -> int:
        return sum(size for size, _ in self.parts)

    @property
    def sentence(self) -> str:
        return " + ".join(f"{formatting.memory(size)} {what}" for size, what in self.parts)


def base_shape(folder: Path) -> BaseShape:
    """Read config and headers of the weights of a checkpoint that :func:`find_checkpoint` found whole."""
    config = read_json(folder / "config.json")
    index = folder / "model.safetensors.index.json"
    files = sorted(set(read_json(index)["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        shapes |= _header(folder / file)
    hidden = int(config.get("hidden_size") or 3072)
    return BaseShape(
        shapes,
        hidden,
        int(config.get("intermediate_size") or 8192),
        int(config.get("num_hidden_layers") or 28),
        int(config.get("vocab_size") or 128_256),
        int(config.get("num_codebooks") or 8),
        int(config.get("codebook_size") or 1026),
    )


def _header(file: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights in a safetensors file: a length of 8 bytes, then JSON."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        entries = json.loads(opened.read(min(length, 100_000_000)))
    return {name: tuple(entry["shape"]) for name, entry in entries.items() if name != "__metadata__"}


def _width(arguments: RunArguments) -> int:
    """Bytes of a value in the precision of the run."""
    return _DTYPE_BYTES.get(arguments.text("torch_dtype", "bfloat16"), 4)


def memory(base: BaseShape, arguments: RunArguments, *, tokens: int, labels: int, device: str) -> Memory:
    """Memory of a run at its fullest step.

    Args:
        tokens: of the longest row.
        labels: audio positions of it that are trained.
    """
    width = _width(arguments)
    bits = arguments.text("quant_bits")
    weights = base.num_parameters * (int(bits) / 8 + 0.1 if bits.isdigit() and int(bits) else width)
    parts = [(int(weights), "weights")]
    if arguments.is_full:
        parts.append((base.num_parameters * width * 3, "gradients and optimizer"))
    else:
        adapter = num_trained(base, arguments) * _ADAPTER_BYTES
        parts.append((adapter, "adapter with gradients and optimizer"))
    batch = arguments.batch_size
    parts.append((batch * _activations(base, arguments, tokens, width), f"activations of {batch} × {tokens} tokens"))
    logits = labels * base.codebooks * base.codebook_size + _TEXT_LABELS * base.vocab
    parts.append((batch * logits * 4 * 3, "logits"))
    if device.startswith("cuda"):
        parts.append((CUDA_BYTES, "for CUDA"))
        parts.append((int(sum(size for size, _ in parts[2:4]) * (_GAPS - 1)) + 1, "gaps"))
    else:
        parts.append((PYTHON_BYTES, "for Python and its libraries"))
    return Memory(tuple(parts))


def row_memory(base: BaseShape, arguments: RunArguments, longest: MeasuredRow, device: str) -> Memory:
    """Memory of a run over rows of which this one is the longest."""
    labels = int(longest.trained_seconds * FRAME_RATE) + 16
    return memory(base, arguments, tokens=longest.likely_tokens(FRAME_RATE), labels=labels, device=device)


def fitting_settings(
    base: BaseShape, arguments: RunArguments, longest: MeasuredRow, device: str, room_bytes: int
) -> tuple[str, ...]:
    """As few settings as it takes, as NAME=VALUE, for the run to fit; () where none of them are enough."""
    least, proposed = row_memory(base, arguments, longest, device).total, []
    for name, value in _ALTERNATIVES:
        if arguments.values.get(name) == (value,) or (name == "lora_rank" and arguments.is_full):
            continue
        smaller = arguments.replaced(name, value)
        needed = row_memory(base, smaller, longest, device).total
        if needed < least:
            arguments, least = smaller, needed
            proposed.append(f"{name}={value}")
            if needed <= room_bytes:
                return tuple(proposed)
    return ()


def num_trained(base: BaseShape, arguments: RunArguments) -> int:
    """Parameters that are trained."""
    if arguments.is_full:
        return base.num_parameters
    return base.num_adapter(arguments.whole("lora_rank", 8), arguments.values.get("target_modules", ()))


_KEPT = {2: (28.0, 8.0, 3.7), 4: (28.0, 16.0, 5.5)}
"""Bytes that autograd keeps for each token in a layer, by the width of the precision: for each unit of the hidden size, each
of the FFN's, and each input of an adapter with dropout. Counted on a model of 4 layers with the 3B's proportions and LoRA on
all of it, as tensors saved for the backward pass: 49 and 81 bytes a unit of hidden size in bfloat16 without and with dropout,
70 and 118 in float32; 3 and 5 with checkpointing."""


def _activations(base: BaseShape, arguments: RunArguments, tokens: int, width: int) -> int:
    """Bytes of activations that one row of so many tokens keeps until the backward pass."""
    hidden, ffn, dropout = _KEPT[width]
    kept = hidden * base.hidden + ffn * base.intermediate
    if arguments.is_full:
        kept += 10 * base.hidden if width == 4 else 0
    elif arguments.text("lora_dropout", "0.05") not in ("0", "0.0"):
        kept += dropout * (6 * base.hidden + base.intermediate)
    layer = int(tokens * kept)
    if arguments.flag("gradient_checkpointing"):  # of each layer its input; one is computed again, and its gradients
        return min(layer * 2 + base.layers * tokens * base.hidden * (width + 1), layer * base.layers)
    return layer * base.layers


def disk_bytes(base: BaseShape, arguments: RunArguments, *, num_checkpoints: int, base_bytes: int) -> int:
    """What the checkpoints of a run take, optimizer included, with what is spoken at each."""
    width = _width(arguments)
    trained = num_trained(base, arguments)
    one = base_bytes if arguments.is_full else trained * 4
    if not arguments.flag("save_only_model"):
        one += trained * 2 * (width if arguments.is_full else 4)
    return num_checkpoints * (one + SAMPLE_BYTES) + 20_000_000

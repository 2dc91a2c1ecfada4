"""Loading a checkpoint that was found: the model, its tokenizer and its codec."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from studio.engine.checkpoints.finding import CheckpointFiles
from studio.engine.checkpoints.processor_files import feature_extractor_settings
from studio.engine.devices import Device, free_memory_bytes, importing_much, is_out_of_memory, pick_device
from studio.errors import StudioError

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        model: the language model, in eval mode on ``device``.
        codec_model: the codec, in eval mode on the same device, in its own precision.
        warnings: sentences the user should see (slow device, …).
    """

    files: CheckpointFiles
    model: Any
    codec_model: Any
    tokenizer: Any
    feature_extractor: Any
    device: str
    precision: str
    warnings: list[str] = field(default_factory=list)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


def load_checkpoint(
    files: CheckpointFiles, *, device: Device = "auto", precision: Precision = "auto", text_head: bool = False
) -> Checkpoint:
    """Load a checkpoint.

    Args:
        precision: of the language model; "auto" keeps the checkpoint's own, but computes a small one in float32 on a CPU,
            which is slow in half precision. The codec keeps its own, except for half precision on a CPU.
        text_head: also load the text head, which training needs and speech does not.

    Raises:
        StudioError: not enough memory, damaged or missing weights, or files gone since they were found.
    """
    with importing_much():
        import torch
        from transformers import AutoTokenizer, HiggsAudioV2ForConditionalGeneration
        from transformers.utils import logging as transformers_logging

    place = pick_device(device)
    if precision == "auto" and place == "cpu" and files.size_bytes < SMALL_BYTES:
        precision = "float32"
    dtype: Any = "auto" if precision == "auto" else getattr(torch, precision)
    warnings = _check_memory(files, place, precision)
    model_class: Any = HiggsAudioV2ForConditionalGeneration
    options = _loading_options(place)
    transformers_logging.disable_progress_bar()  # the studio says itself what it loads
    with _sentences_for(files, place):
        model, report = model_class.from_pretrained(files.folder, dtype=dtype, use_text_head=text_head, **options)
        tokenizer = AutoTokenizer.from_pretrained(files.folder, local_files_only=True)
        _refuse_lacking(files, report["missing_keys"])
        model.to(place).eval()
    codec_model, feature_extractor = load_codec(files, place)
    model.requires_grad_(False)
    return Checkpoint(
        files,
        model,
        codec_model,
        tokenizer,
        feature_extractor,
        place,
        str(model.dtype).removeprefix("torch."),
        warnings,
    )


def load_codec(files: CheckpointFiles, device: str) -> tuple[Any, Any]:
    """A codec alone, in eval mode on ``device``, and its feature extractor. Raises as :func:`load_checkpoint`."""
    from transformers import DacFeatureExtractor, HiggsAudioV2TokenizerModel

    codec_class: Any = HiggsAudioV2TokenizerModel
    with _sentences_for(files, device):
        model, report = codec_class.from_pretrained(files.codec_folder, **_loading_options(device))
        _refuse_lacking(files, report["missing_keys"])
        feature_extractor = _feature_extractor(files, model, DacFeatureExtractor)
        model.to(device).eval()
        if device == "cpu":
            model.float()
    model.requires_grad_(False)
    return model, feature_extractor


def _loading_options(device: str) -> dict[str, Any]:
    options: dict[str, Any] = {"output_loading_info": True, "local_files_only": True}
    if device == "cuda":
        options["device_map"] = {"": device}  # tensor by tensor onto the GPU, so that the host need not hold them all
    return options


def _refuse_lacking(files: CheckpointFiles, missing: Iterable[str]) -> None:
    """transformers fills what a file lacks with random weights and goes on; such a model speaks noise."""
    if lacking := sorted(set(missing) - _NOT_USED_IN_SPEECH):
        raise StudioError(
            f"{files.shown_name} lacks {len(lacking)} weights, among them {lacking[0]}: download or copy it again."
        )


@contextmanager
def _sentences_for(files: CheckpointFiles, place: str) -> Iterator[None]:
    """Turn what transformers raises over these files into a StudioError."""
    try:
        yield
    except StudioError:
        raise
    except Exception as error:
        sentence = _why_not_loaded(files, place, error)
        if sentence is None:
            raise
        raise StudioError(sentence) from error


_NOT_USED_IN_SPEECH = {"semantic_model.masked_spec_embed"}


def _why_not_loaded(files: CheckpointFiles, place: str, error: Exception) -> str | None:
    """The sentence for what transformers raised over these files; None for what no file explains."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    shown = files.shown_name
    if is_out_of_memory(error) or getattr(error, "errno", None) == errno.ENOMEM:
        todo = "close other programs, or choose a smaller checkpoint" + ("" if place == "cpu" else " or --device cpu")
        return f"There is not enough memory on {place} for {shown}: {todo}."
    if not files.folder.is_dir():
        return f"{shown} is gone: its folder was moved or deleted; choose another checkpoint."
    if isinstance(error, FileNotFoundError):
        return f"{shown} is gone or incomplete: its folder was moved or deleted; choose another."
    files_at_fault = (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError, StrictDataclassError)
    if isinstance(error, files_at_fault):
        return f"{shown} cannot be loaded: its weights are damaged or do not fit its config; download or copy it again."
    return None


def _feature_extractor(files: CheckpointFiles, codec_model: Any, extractor_class: Any) -> Any:
    try:
        return extractor_class.from_pretrained(files.folder, local_files_only=True)
    except (OSError, ValueError, TypeError):
        # Old folders lack it; the released one does nothing but hand the samples on at the codec's rate.
        return extractor_class(**feature_extractor_settings(codec_model.config.sample_rate))


_LARGE_BYTES = 4 * 2**30
SMALL_BYTES = 2**30
"""Weights below this may take twice the memory, where that makes them faster."""


def _check_memory(files: CheckpointFiles, device: str, precision: Precision) -> list[str]:
    """Warnings for this device; raises StudioError where the weights cannot fit."""
    growth = 2 if precision == "float32" and files.size_bytes > _LARGE_BYTES else 1
    needed = int(files.size_bytes * growth * 1.05)
    free = free_memory_bytes(device)
    if needed > free:
        gib = 2**30
        raise StudioError(
            f"{files.shown_name} needs about {needed / gib:.0f} GiB of memory on {device} and {free / gib:.0f} GiB are free: "
            "close other programs, or choose a smaller checkpoint."
        )
    if device == "cpu" and files.size_bytes > _LARGE_BYTES:
        return [
            f"{files.shown_name} runs on the CPU: on two cores speech takes about six times its own duration; "
            "a GPU is faster."
        ]
    return []

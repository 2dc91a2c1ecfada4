"""Checkpoints: find one, check that it is whole, load it.

A checkpoint is a local folder or a hub id in the transformers-native format: the language model, its tokenizer and, in
the subfolder ``audio_tokenizer`` or under the name in ``processor_config.json``, the codec. Every number the studio
works with (rates, codebooks, token ids) is read from it.
"""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from studio.engine.compat import CODEC_FOLDER
from studio.engine.tiny import MARKER_FILE
from studio.errors import StudioError

HUB_3B = "bosonai/higgs-audio-v2-generation-3B-base"
HUB_CODEC = "bosonai/higgs-audio-v2-tokenizer"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]
_LM_TYPE, _CODEC_TYPE, _BOSON_TYPE = "higgs_audio_v2", "higgs_audio_v2_tokenizer", "higgs_audio"

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint whose files are all there.

    Attributes:
        name: as the user gave it.
        folder, codec_folder: where the language model and the codec lie.
        kind: "tiny" (random weights: noise), "demo", or "native" (anything from elsewhere).
        size_bytes: weights of both on disk.
    """

    name: str
    folder: Path
    codec_folder: Path
    kind: Literal["tiny", "demo", "native"]
    size_bytes: int

    @property
    def speaks(self) -> bool:
        """False where the weights are random, so that noise is all that can come out."""
        return self.kind != "tiny"


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
        """Parameters of the language model."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def is_hub_id(name: str) -> bool:
    """Whether ``name`` has the form ``owner/model`` and is no folder here."""
    return bool(_HUB_ID.fullmatch(name)) and not Path(name).exists()


def find_checkpoint(name: str) -> CheckpointFiles:
    """Locate a checkpoint and check that it is complete, downloading it first where it is a hub id.

    Raises:
        StudioError: not found, not Higgs Audio v2, in the original format, incomplete, or the hub cannot be reached.
    """
    name = str(name).strip()
    folder = _download(name) if is_hub_id(name) else Path(name).expanduser()
    config = _read_config(folder, name)
    model_type = config.get("model_type")
    if model_type == _BOSON_TYPE:
        raise StudioError(
            f"{name} is in the original boson format: convert it with `python -m studio checkpoint convert {name} NEW`."
        )
    if model_type != _LM_TYPE:
        raise StudioError(
            f"{name} is a '{model_type}' checkpoint, but the studio speaks Higgs Audio v2 ('{_LM_TYPE}'): choose another."
        )
    size = _weights_size(folder, name)
    if not (folder / "tokenizer.json").is_file():
        raise StudioError(f"{name} is incomplete: tokenizer.json is missing; download or copy the whole folder again.")
    codec_folder = _find_codec(folder, name)
    codec_type = _read_config(codec_folder, f"The codec of {name}").get("model_type")
    if codec_type != _CODEC_TYPE:
        raise StudioError(f"The codec of {name} is a '{codec_type}' model, not '{_CODEC_TYPE}': put {HUB_CODEC} there.")
    size += _weights_size(codec_folder, f"The codec of {name}")
    return CheckpointFiles(name, folder, codec_folder, _kind(folder), size)


def _read_config(folder: Path, name: str) -> dict[str, Any]:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise StudioError(
            f"{name}: this checkpoint folder {what}; give a folder that holds config.json, or a hub id such as {HUB_3B}."
        )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudioError(
            f"{name} holds no config.json: it is not a checkpoint folder, or its copy is incomplete."
        ) from None
    except (OSError, ValueError):
        raise StudioError(f"The config.json of {name} cannot be read: download or copy the folder again.") from None
    if not isinstance(config, dict):
        raise StudioError(f"The config.json of {name} is not a configuration: download or copy the folder again.")
    return config


def _weights_size(folder: Path, name: str) -> int:
    """Bytes of weights; raises StudioError if any file of them is missing. Pickled weights are never loaded."""
    index = folder / "model.safetensors.index.json"
    try:
        shards = (
            sorted(set(json.loads(index.read_text())["weight_map"].values()))
            if index.is_file()
            else ["model.safetensors"]
        )
    except (OSError, ValueError, KeyError, AttributeError):
        raise StudioError(f"{name}: {index.name} cannot be read; download or copy the folder again.") from None
    missing = [shard for shard in shards if Path(shard).name != shard or not (folder / shard).is_file()]
    if missing:
        found = "" if len(shards) == 1 else f" ({len(shards) - len(missing)} of {len(shards)} weight files are there)"
        raise StudioError(f"{name} is incomplete: {missing[0]} is missing{found}; download or copy it again.")
    return sum((folder / shard).stat().st_size for shard in shards)


def _find_codec(folder: Path, name: str) -> Path:
    if (folder / CODEC_FOLDER).is_dir():
        return folder / CODEC_FOLDER
    try:
        named = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))["audio_tokenizer"]
        codec = str(named["audio_tokenizer_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        codec = ""
    if codec and Path(codec).is_dir():
        return Path(codec)
    if is_hub_id(codec):
        return _download(codec)
    raise StudioError(f"{name} has no codec: put the files of {HUB_CODEC} into its subfolder {CODEC_FOLDER}.")


def _kind(folder: Path) -> Literal["tiny", "demo", "native"]:
    try:
        kind = json.loads((folder / MARKER_FILE).read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        return "native"
    return kind if kind in ("tiny", "demo") else "native"


def hub_reachable(timeout_seconds: float = 3.0) -> bool:
    """Whether the model hub answers. One quick look, because the hub's client retries for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # a proxy resolves names for us: only a real request could tell
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        with socket.create_connection((address.hostname or "", port), timeout_seconds):
            return True
    except OSError:
        return False


def _download(hub_id: str) -> Path:
    """The local copy of a hub repository, fetched first where the hub can be reached."""
    from huggingface_hub import errors, snapshot_download

    reachable = hub_reachable()
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_HUB_FILES, local_files_only=not reachable))
    except errors.GatedRepoError:
        raise StudioError(
            f"{hub_id} asks for its licence to be accepted: accept it on the hub's page and set HF_TOKEN, then try again."
        ) from None
    except errors.RepositoryNotFoundError:
        raise StudioError(
            f"The hub has no model {hub_id}, or it is private: check the name, or set HF_TOKEN."
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError):
        raise StudioError(
            f"The model hub cannot be reached and {hub_id} is not on this machine yet: connect to the internet, "
            "or give a local checkpoint folder."
        ) from None


def pick_device(wanted: Device = "auto") -> str:
    """The device to run on. Raises StudioError if the wanted one is not there."""
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, there in present.items() if there)
    if not present.get(wanted, False):
        raise StudioError(f"This machine has no usable {wanted} device: choose auto or cpu.")
    return wanted


def free_memory_bytes(device: str) -> int:
    """Memory that a model could take on the device now."""
    import psutil
    import torch

    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def load_checkpoint(
    files: CheckpointFiles, *, device: Device = "auto", precision: Precision = "auto", text_head: bool = False
) -> Checkpoint:
    """Load a checkpoint.

    Args:
        precision: of the language model; "auto" keeps the checkpoint's own. The codec always keeps its own.
        text_head: also load the text head, which training needs and speech does not.

    Raises:
        StudioError: not enough memory, damaged or missing weights, or files gone since they were found.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import (
        AutoTokenizer,
        DacFeatureExtractor,
        HiggsAudioV2ForConditionalGeneration,
        HiggsAudioV2TokenizerModel,
    )
    from transformers.utils import logging as transformers_logging

    place = pick_device(device)
    dtype: Any = "auto" if precision == "auto" else getattr(torch, precision)
    warnings = _check_memory(files, place, precision)
    again = (
        f"{files.name} cannot be loaded: its weights are damaged or do not fit its config; download or copy it again."
    )
    model_class: Any = HiggsAudioV2ForConditionalGeneration
    codec_class: Any = HiggsAudioV2TokenizerModel
    transformers_logging.disable_progress_bar()  # the studio says itself what it loads
    try:
        model, report = model_class.from_pretrained(
            files.folder, dtype=dtype, use_text_head=text_head, output_loading_info=True, local_files_only=True
        )
        codec_model, codec_report = codec_class.from_pretrained(
            files.codec_folder, output_loading_info=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(files.folder, local_files_only=True)
        feature_extractor = _feature_extractor(files, codec_model, DacFeatureExtractor)
        # transformers fills what a file lacks with random weights and goes on; such a model speaks noise.
        lacking = sorted({*report["missing_keys"], *codec_report["missing_keys"]} - _NOT_USED_IN_SPEECH)
        if lacking:
            raise StudioError(
                f"{files.name} lacks {len(lacking)} weights, among them {lacking[0]}: download or copy it again."
            )
        model.to(place).eval()
        codec_model.to(place).eval()
    except torch.OutOfMemoryError:
        raise StudioError(
            f"{files.name} does not fit into the memory of {place}: close other programs or use --device cpu."
        ) from None
    except FileNotFoundError:
        raise StudioError(
            f"{files.name} is gone or incomplete: its folder was moved or deleted; choose another."
        ) from None
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError) as error:
        if not files.folder.is_dir():
            raise StudioError(
                f"{files.name} is gone: its folder was moved or deleted; choose another checkpoint."
            ) from None
        raise StudioError(again) from error
    model.requires_grad_(False)
    codec_model.requires_grad_(False)
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


_NOT_USED_IN_SPEECH = {"semantic_model.masked_spec_embed"}


def _feature_extractor(files: CheckpointFiles, codec_model: Any, extractor_class: Any) -> Any:
    try:
        return extractor_class.from_pretrained(files.folder, local_files_only=True)
    except (OSError, ValueError, TypeError):
        # Old folders lack it; the released one does nothing but hand the samples on at the codec's rate.
        return extractor_class(feature_size=1, sampling_rate=codec_model.config.sample_rate, hop_length=1)


_LARGE_BYTES = 4 * 2**30


def _check_memory(files: CheckpointFiles, device: str, precision: Precision) -> list[str]:
    """Warnings for this device; raises StudioError where the weights cannot fit."""
    growth = 2 if precision == "float32" and files.size_bytes > _LARGE_BYTES else 1
    needed = int(files.size_bytes * growth * 1.05)
    free = free_memory_bytes(device)
    if needed > free:
        gib = 2**30
        raise StudioError(
            f"{files.name} needs about {needed / gib:.0f} GiB of memory on {device} and {free / gib:.0f} GiB are free: "
            "close other programs, or choose a smaller checkpoint."
        )
    if device == "cpu" and files.size_bytes > _LARGE_BYTES:
        return [
            f"{files.name} runs on the CPU: on two cores speech takes about six times its own duration; a GPU is faster."
        ]
    return []


def describe_checkpoint(files: CheckpointFiles) -> dict[str, Any]:
    """What a checkpoint is, read from its files without loading it; rates in Hz and frames per second."""
    from transformers import AutoConfig

    config = _read_config(files.folder, files.name)
    codec = AutoConfig.from_pretrained(files.codec_folder, local_files_only=True)
    return {
        "name": files.name,
        "folder": str(files.folder),
        "codec": str(files.codec_folder),
        "kind": files.kind,
        "speaks": files.speaks,
        "size_bytes": files.size_bytes,
        "precision": config.get("dtype") or config.get("torch_dtype"),
        "layers": config.get("num_hidden_layers"),
        "hidden_size": config.get("hidden_size"),
        "vocab_size": config.get("vocab_size"),
        "num_codebooks": config.get("num_codebooks"),
        "codebook_size": config.get("codebook_size"),
        "sample_rate": codec.sample_rate,
        "frame_rate": codec.sample_rate / codec.hop_length,
    }

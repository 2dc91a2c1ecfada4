"""Checkpoints: find one, check that it is whole, load it.

A checkpoint is a local folder or a hub id in the transformers-native format: the language model, its tokenizer and, in
the subfolder ``audio_tokenizer`` or under the name in ``processor_config.json``, the codec. Every number the studio
works with (rates, codebooks, token ids) is read from it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

from studio.engine.chat_template import feature_extractor_settings
from studio.engine.compat import CODEC_FOLDER
from studio.engine.hub import download
from studio.engine.memory import importing_much, is_out_of_memory
from studio.engine.tiny import MARKER_FILE
from studio.errors import StudioError
from studio.files import read_json

HUB_3B = "bosonai/higgs-audio-v2-generation-3B-base"
HUB_CODEC = "bosonai/higgs-audio-v2-tokenizer"

NATIVE_TYPE, CODEC_TYPE, ORIGINAL_TYPE = "higgs_audio_v2", "higgs_audio_v2_tokenizer", "higgs_audio"
"""``model_type`` in the config of a model, of a codec, and of a model of the original code."""

_OWNER_AND_MODEL = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
# The hub's rules for names, as huggingface_hub checks them before it asks.
_HUB_ID = re.compile(
    r"(?!.*(?:--|\.\.))(?!.*\.git$)[A-Za-z0-9](?:[\w.-]*\w)?/(?=.{1,96}$)[A-Za-z0-9](?:[\w.-]*\w)?", re.ASCII
)

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint whose files are all there.

    Attributes:
        name: as the user gave it; with the path of a folder, so it is for whoever runs the studio alone.
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
    def shown_name(self) -> str:
        """The name in sentences, which visitors of the page may read: see :func:`shown_name`."""
        return shown_name(self.name)

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
    return bool(_HUB_ID.fullmatch(name)) and not _exists(name)


def shown_name(name: str) -> str:
    """A checkpoint's name for anybody: a hub id as it is, of a path the last part, without the folders of the server."""
    last = PurePath(name).name
    shown = name if not last or (_OWNER_AND_MODEL.fullmatch(name) and not _exists(name)) else last
    shown = "".join(character if character.isprintable() else "?" for character in shown)
    return (shown if len(shown) <= 100 else f"{shown[:99]}…") or "''"


def find_checkpoint(name: str) -> CheckpointFiles:
    """Locate a checkpoint and check that it is complete, downloading it first where it is a hub id.

    Raises:
        StudioError: not found, not Higgs Audio v2, in the original format, incomplete, or the hub does not give it.
    """
    name = str(name).strip()
    shown = shown_name(name)
    here = not is_hub_id(name)
    folder = _local_folder(name, shown) if here else download(name, lambda folder: _check_model(folder, shown))
    _check_model(folder, shown)
    size = _weights_size(folder, shown)
    if not _is_file(folder / "tokenizer.json"):
        raise StudioError(f"{shown} is incomplete: tokenizer.json is missing; download or copy the whole folder again.")
    codec_folder = _find_codec(folder, shown)
    _check_codec(codec_folder, shown)
    size += _weights_size(codec_folder, f"The codec of {shown}")
    return CheckpointFiles(name, folder, codec_folder, checkpoint_kind(folder), size)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long, or with a NUL: nothing here can have that name
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _local_folder(name: str, shown: str) -> Path:
    folder: Path | None = None
    try:
        path = Path(name).expanduser()
        if name and "\0" not in name and (path.exists() or not _OWNER_AND_MODEL.fullmatch(name)):
            folder = path
    except PermissionError:
        raise StudioError(f"{shown} may not be read by the studio: give it the right to, or choose another.") from None
    except (OSError, ValueError, RuntimeError):  # too long, or the home of nobody: no folder at any rate
        folder = None
    if folder is None:
        raise StudioError(
            f"{shown}: this is neither a folder nor a hub id of the form owner/model: check its spelling, or give one "
            f"such as {HUB_3B}."
        )
    return folder


def _check_model(folder: Path, shown: str) -> None:
    model_type = _read_config(folder, shown).get("model_type")
    if model_type == ORIGINAL_TYPE:
        raise StudioError(
            f"{shown} is in the original boson format: convert it with `python -m studio checkpoint convert FOLDER NEW`."
        )
    if model_type != NATIVE_TYPE:
        raise StudioError(
            f"{shown} is a '{model_type}' checkpoint, but the studio speaks Higgs Audio v2 ('{NATIVE_TYPE}'): "
            "choose another."
        )


def _check_codec(folder: Path, shown: str) -> None:
    codec_type = _read_config(folder, f"The codec of {shown}").get("model_type")
    if codec_type != CODEC_TYPE:
        raise StudioError(f"The codec of {shown} is a '{codec_type}' model, not '{CODEC_TYPE}': put {HUB_CODEC} there.")


def _read_config(folder: Path, shown: str) -> dict[str, Any]:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise StudioError(
            f"{shown}: this checkpoint folder {what}; give a folder that holds config.json, or a hub id such as {HUB_3B}."
        )
    try:
        return read_json(folder / "config.json")
    except FileNotFoundError:
        raise StudioError(
            f"{shown} holds no config.json: it is not a checkpoint folder, or its copy is incomplete."
        ) from None
    except (OSError, ValueError):
        raise StudioError(f"The config.json of {shown} cannot be read: download or copy the folder again.") from None
    except TypeError:
        raise StudioError(
            f"The config.json of {shown} is not a configuration: download or copy the folder again."
        ) from None


def _weights_size(folder: Path, shown: str) -> int:
    """Bytes of weights; raises StudioError if any file of them is missing. Pickled weights are never loaded."""
    index = folder / "model.safetensors.index.json"
    try:
        shards = sorted(set(read_json(index)["weight_map"].values())) if index.is_file() else ["model.safetensors"]
        missing = [shard for shard in shards if Path(shard).name != shard or not _is_file(folder / shard)]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise StudioError(f"{shown}: {index.name} cannot be read; download or copy the folder again.") from None
    if missing:
        found = "" if len(shards) == 1 else f" ({len(shards) - len(missing)} of {len(shards)} weight files are there)"
        raise StudioError(f"{shown} is incomplete: {missing[0]} is missing{found}; download or copy it again.")
    return sum((folder / shard).stat().st_size for shard in shards)


def weight_names(folder: Path) -> set[str]:
    """Names of the weights of a checkpoint folder that :func:`find_checkpoint` found whole."""
    from safetensors import safe_open

    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return set(read_json(index)["weight_map"])
    with safe_open(folder / "model.safetensors", framework="numpy") as weights:
        return set(weights.keys())


def _find_codec(folder: Path, shown: str) -> Path:
    if (folder / CODEC_FOLDER).is_dir():
        return folder / CODEC_FOLDER
    try:
        codec = read_json(folder / "processor_config.json")["audio_tokenizer"]["audio_tokenizer_name_or_path"]
        if codec and (folder / codec).is_dir():  # a relative path is meant from the config that holds it
            return folder / codec
    except (OSError, ValueError, KeyError, TypeError):
        codec = None
    if isinstance(codec, str) and _HUB_ID.fullmatch(codec):
        return download(codec, lambda folder: _check_codec(folder, shown))
    raise StudioError(f"{shown} has no codec: put the files of {HUB_CODEC} into its subfolder {CODEC_FOLDER}.")


def checkpoint_kind(folder: Path) -> Literal["tiny", "demo", "native"]:
    """What the studio's marker in a folder says of it; "native" for all that the studio did not make."""
    try:
        kind = read_json(folder / MARKER_FILE).get("kind")
    except (OSError, ValueError, TypeError):
        return "native"
    return kind if kind in ("tiny", "demo") else "native"


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
    with importing_much():
        import torch
        from transformers import AutoTokenizer, HiggsAudioV2ForConditionalGeneration
        from transformers.utils import logging as transformers_logging

    place = pick_device(device)
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
    """The codec of a checkpoint alone: its model in eval mode on ``device``, and its feature extractor.

    Raises:
        StudioError: as :func:`load_checkpoint`.
    """
    from transformers import DacFeatureExtractor, HiggsAudioV2TokenizerModel

    codec_class: Any = HiggsAudioV2TokenizerModel
    with _sentences_for(files, device):
        model, report = codec_class.from_pretrained(files.codec_folder, **_loading_options(device))
        _refuse_lacking(files, report["missing_keys"])
        feature_extractor = _feature_extractor(files, model, DacFeatureExtractor)
        model.to(device).eval()
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


def describe_checkpoint(files: CheckpointFiles) -> dict[str, Any]:
    """What a checkpoint is, read from its files without loading it; rates in Hz and frames per second."""
    from transformers import AutoConfig

    config = _read_config(files.folder, files.shown_name)
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

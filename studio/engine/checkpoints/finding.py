"""Finding a checkpoint, and checking that it is whole.

A checkpoint is a local folder or a hub id in the transformers-native format: the language model, its tokenizer and, in
the subfolder ``audio_tokenizer`` or under the name in ``processor_config.json``, the codec. Every number the studio
works with (rates, codebooks, token ids) is read from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from studio.engine.checkpoints.hub import download
from studio.engine.checkpoints.tiny import MARKER_FILE
from studio.engine.compat import CODEC_FOLDER
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
        return shown_name(self.name)

    @property
    def speaks(self) -> bool:
        """False where the weights are random, so that noise is all that can come out."""
        return self.kind != "tiny"


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

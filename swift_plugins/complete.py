"""Weights that ms-swift saved become a checkpoint folder that transformers and the studio load."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from studio.engine.checkpoints import MARKER_FILE, find_checkpoint
from studio.engine.compat import CODEC_FOLDER
from studio.files import atomic_write_bytes, read_json

_COPIED = (
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    MARKER_FILE,
)
"""What training does not change. ms-swift writes some of them anew, with its own idea of where a text ends."""
_OF_THE_WEIGHTS = ("dtype", "torch_dtype", "vocab_size", "quantization_config")


def complete_checkpoint(folder: Path, base: Path, *, link_codec: bool = False) -> None:
    """Give a folder of trained weights all else that its base has: tokenizer, processor, generation config, codec.

    ``config.json`` becomes that of the base, except for what the weights decide: ms-swift overwrites ``eos_token_id`` with
    the tokenizer's and switches the cache off.

    Args:
        folder: holds ``config.json`` and the weights.
        base: the checkpoint that was trained.
        link_codec: link to the codec of the base instead of copying it, where links can be made.

    Raises:
        StudioError: the base is not whole.
    """
    files = find_checkpoint(str(base))
    trained, config = read_json(folder / "config.json"), read_json(files.folder / "config.json")
    config.update({name: trained[name] for name in _OF_THE_WEIGHTS if name in trained})
    atomic_write_bytes(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())
    for name in _COPIED:
        if (files.folder / name).is_file():
            shutil.copyfile(files.folder / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    _write_codec(folder / CODEC_FOLDER, files.codec_folder.resolve(), link=link_codec)


def _write_codec(target: Path, codec: Path, *, link: bool) -> None:
    if target.is_symlink():
        target.unlink()
    if target.exists():
        return
    if link:
        try:
            target.symlink_to(codec, target_is_directory=True)
        except OSError:
            pass
        else:
            return
    building = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        shutil.copytree(codec, building)
        building.replace(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)

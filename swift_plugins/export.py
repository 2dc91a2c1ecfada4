"""``export``: an adapter merged into its base, or a full-parameter checkpoint as it is, as a folder complete by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.engine.checkpoints import find_checkpoint
from studio.errors import StudioError
from studio.files import read_json, write_advice
from swift_plugins.arguments import Arguments
from swift_plugins.complete import complete_checkpoint
from swift_plugins.runner import PLUGIN_FILE, run_swift

_OTHER_EXPORTS = ("quant_method", "quant_bits", "push_to_hub", "to_ollama", "to_cached_dataset", "to_peft_format")
"""What else ms-swift exports to: passed through, and left as ms-swift leaves it."""


def export(arguments: Arguments) -> None:
    """Run ms-swift's export and complete what it leaves; a full-parameter checkpoint is copied and completed.

    Raises:
        StudioError: nothing to export, the target exists, or base or checkpoint is missing.
    """
    adapters, model = arguments.values("adapters"), arguments.value("model")
    if not adapters and not model:
        raise StudioError(
            "Nothing to export: give --adapters CHECKPOINT, or --model CHECKPOINT of full-parameter training."
        )
    if any(arguments.flag(name) for name in _OTHER_EXPORTS):
        filled = _filled(arguments)
        filled.set("model", str(_base(arguments)))
        run_swift("export", filled)
    elif not adapters:
        checkpoint = Path(str(model)).expanduser()
        _copy_full(checkpoint, _target(arguments, f"{checkpoint}-complete"))
    elif arguments.flag("merge_lora"):
        _merge(arguments, Path(adapters[0]).expanduser())
    else:
        raise StudioError(
            "An adapter alone needs no export: it is the checkpoint folder; add --merge_lora true to merge it."
        )


def _merge(arguments: Arguments, adapter: Path) -> None:
    if not (adapter / "adapter_config.json").is_file():
        raise StudioError(
            f"{adapter} is no adapter: it holds no adapter_config.json; give a checkpoint of LoRA training."
        )
    target = _target(arguments, f"{adapter}-merged")
    base = _base(arguments)
    with _whole_or_nothing(target) as building:
        filled = _filled(arguments)
        filled.set("output_dir", str(building))
        filled.set("model", str(base))
        run_swift("export", filled)
        complete_checkpoint(building, base)


def _base(arguments: Arguments) -> Path:
    """The folder of the model that is given, or else of the one that the first adapter was trained on."""
    given = arguments.value("model")
    return find_checkpoint(given or _saved_base(Path(arguments.values("adapters")[0]).expanduser())).folder


@contextmanager
def _whole_or_nothing(target: Path) -> Iterator[Path]:
    """A folder to write to that takes the name ``target`` once it is a whole checkpoint, and is removed otherwise."""
    building = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield building
        find_checkpoint(str(building))
        building.replace(target)
    except OSError as error:
        raise StudioError(f"The export to {target} failed {write_advice(error)}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _filled(arguments: Arguments) -> Arguments:
    filled = arguments.copy()
    filled.add("external_plugins", str(PLUGIN_FILE))
    for name, value in (("model_type", "higgs-audio"), ("template", "higgs-audio-chatml"), ("use_hf", "true")):
        if not filled.has(name):
            filled.set(name, value)
    return filled


def _target(arguments: Arguments, default: str) -> Path:
    target = Path(arguments.value("output_dir") or default).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StudioError(f"{target} already exists: choose a new folder for the export with --output_dir.")
    return target


def _saved_base(checkpoint: Path) -> str:
    """The model that a run was started with, from the ``args.json`` that ms-swift keeps in every checkpoint."""
    try:
        saved = read_json(checkpoint / "args.json")
    except (OSError, ValueError, TypeError):
        raise StudioError(
            f"{checkpoint.name} has no readable args.json, so its base is not known: add --model with the base checkpoint."
        ) from None
    for name in ("model_dir", "model"):
        if isinstance(saved.get(name), str):
            return saved[name]
    raise StudioError(f"The args.json of {checkpoint.name} names no base: add --model with the base checkpoint.")


_OF_THE_RUN = (
    "optimizer",
    "scheduler",
    "rng_state",
    "trainer_state",
    "training_args",
    "global_step",
    "latest",
    "args.json",
)


def _copy_full(checkpoint: Path, target: Path) -> None:
    if (checkpoint / "adapter_config.json").is_file():
        raise StudioError(f"{checkpoint.name} is an adapter: give it as --adapters, with --merge_lora true.")
    if not (checkpoint / "config.json").is_file():
        raise StudioError(f"{checkpoint} is no checkpoint folder: it holds no config.json.")
    base = _saved_base(checkpoint) if (checkpoint / "args.json").is_file() else str(checkpoint)
    with _whole_or_nothing(target) as building:
        building.mkdir()
        for item in checkpoint.iterdir():
            if item.is_file() and not item.name.startswith(_OF_THE_RUN):
                shutil.copyfile(item, building / item.name)
        complete_checkpoint(building, Path(base))

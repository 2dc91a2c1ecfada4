"""``export``: an adapter merged into its base, or a full-parameter checkpoint as it is, as a folder complete by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.engine.checkpoint import find_checkpoint
from studio.engine.files import json_object
from studio.errors import StudioError
from swift_plugins.arguments import Arguments
from swift_plugins.complete import complete_checkpoint


def export(arguments: Arguments) -> None:
    """Run ms-swift's export and complete what it leaves; a full-parameter checkpoint is copied and completed.

    Raises:
        StudioError: nothing to export, the target exists, or base or checkpoint is missing.
    """
    from swift_plugins.launch import run_swift

    adapters = arguments.values("adapters")
    if not adapters and not arguments.has("model"):
        raise StudioError(
            "Nothing to export: give --adapters CHECKPOINT, or --model CHECKPOINT of full-parameter training."
        )
    merging = (arguments.value("merge_lora") or "false").lower() in ("true", "1", "yes")
    target = _target(arguments) if arguments.has("output_dir") else None
    if adapters and not merging:
        if target is None or len(arguments.argv) > len(adapters) + 3:
            run_swift("export", _filled(arguments))  # another export of ms-swift's: quantised, to a hub, …
            return
        raise StudioError(
            "An adapter alone needs no export: it is the checkpoint folder; add --merge_lora true to merge it."
        )
    if not adapters:
        if target is None or any(
            arguments.has(name) for name in ("quant_method", "quant_bits", "push_to_hub", "to_ollama")
        ):
            run_swift("export", _filled(arguments))
            return
        _copy_full(Path(str(arguments.value("model"))), target)
        return
    target = target or Path(f"{Path(adapters[0])}-merged")
    base = arguments.value("model") or str(_saved_argument(Path(adapters[0]), "model_dir", "model"))
    find_checkpoint(base)
    filled = _filled(arguments)
    filled.set("output_dir", str(target))
    if not filled.has("model"):
        filled.set("model", base)
    run_swift("export", filled)
    complete_checkpoint(target, find_checkpoint(base).folder)
    find_checkpoint(str(target))


def _filled(arguments: Arguments) -> Arguments:
    from swift_plugins.launch import _PLUGIN

    filled = arguments.copy()
    filled.add("external_plugins", str(_PLUGIN))
    for name, value in (("model_type", "higgs-audio"), ("template", "higgs-audio-chatml"), ("use_hf", "true")):
        if not filled.has(name):
            filled.set(name, value)
    return filled


def _target(arguments: Arguments) -> Path:
    target = Path(str(arguments.value("output_dir"))).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StudioError(f"{target} already exists: choose a new folder for the export.")
    return target


def _saved_argument(checkpoint: Path, *names: str) -> str:
    """What a run was started with, from the ``args.json`` that ms-swift keeps in every checkpoint."""
    try:
        saved = json_object(checkpoint / "args.json")
    except (OSError, ValueError, TypeError):
        raise StudioError(
            f"{checkpoint.name} has no readable args.json, so its base is not known: add --model with the base checkpoint."
        ) from None
    for name in names:
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
    base = (
        _saved_argument(checkpoint, "model_dir", "model") if (checkpoint / "args.json").is_file() else str(checkpoint)
    )
    target.mkdir(parents=True, exist_ok=True)
    for item in checkpoint.iterdir():
        if item.is_file() and not item.name.startswith(_OF_THE_RUN):
            shutil.copyfile(item, target / item.name)
    complete_checkpoint(target, Path(base))
    find_checkpoint(str(target))

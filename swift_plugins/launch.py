"""``python -m swift_plugins.launch sft …``: ms-swift with this plugin, arguments as ms-swift has them.

It does what the bare ``swift`` command leaves to the user: it installs the import guard before anything imports
torchaudio, fills in what makes the plugin complete wherever that is not given, and runs ms-swift in this very process
(under torchrun in as many as asked for), because a signal to the wrapper that the ``swift`` command is would leave the
trainer running.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import studio.engine  # noqa: F401  installs the import guard
from studio.engine.devices import importing_much
from studio.errors import StudioError
from swift_plugins.arguments import Arguments
from swift_plugins.runner import PLUGIN_FILE, run_swift

_COMMANDS = ("sft", "export")

USAGE = """python -m swift_plugins.launch sft --model DIR --dataset rows.jsonl [any argument of `swift sft`]
python -m swift_plugins.launch export --adapters CHECKPOINT --merge_lora true --output_dir DIR
python -m swift_plugins.launch export --model CHECKPOINT --output_dir DIR      (a full-parameter checkpoint)

Beside ms-swift's own arguments:
  --text_loss_weight X, --audio_loss_weight X      factors of the two losses (1)
  --codebook_loss_weights X X …                    a factor for each codebook (all 1)
  --auxiliary_loss_weight X                        z-loss (0: off)
  --audio_lr_ratio X                               learning rate of the audio parameters, as a ratio of --learning_rate (2)
  --target_modules text_attention text_ffn audio_ffn
  --skip_bad_rows true                             leave bad rows out and count them, instead of stopping
  --code_cache DIR                                 where codes of clips are kept
  --sample_plan FILE                               sentences to speak at each checkpoint (docs/training.md)
Guide: docs/training.md"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. A user's mistake is one line on stderr."""
    argv = list(sys.argv[1:] if argv is None else argv)
    command = argv[0].replace("_", "-") if argv else ""
    if command in ("-h", "--help"):
        print(USAGE)  # noqa: T201
        return 0
    try:
        if command not in _COMMANDS:
            what = f"'{command}' is not a command of this launcher" if command else "The command is missing"
            raise StudioError(f"{what}: use {' or '.join(_COMMANDS)}; --help says how.")
        if command == "sft":
            return _train(Arguments(_expanded(argv[1:])))
        from swift_plugins.export import export

        export(Arguments(_expanded(argv[1:])))
    except StudioError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("Interrupted: nothing was saved since the last checkpoint.", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _expanded(argv: list[str]) -> list[str]:
    """A leading config file (YAML or JSON) as the arguments that ms-swift makes of it."""
    if argv and argv[0].endswith((".json", ".yaml", ".yml")):
        if not Path(argv[0]).is_file():
            raise StudioError(f"The config file {argv[0]} does not exist: check its path.")
        from swift.cli.main import parse_yaml_args

        parse_yaml_args(argv)
    return argv


def training_arguments(arguments: Arguments) -> Arguments:
    """The arguments of a run with everything filled in that is not given.

    Raises:
        StudioError: an argument that this plugin cannot work with.
    """
    filled = arguments.copy()
    filled.move_options_to_model_kwargs()
    filled.name_datasets()
    filled.name_target_modules()
    filled.add("external_plugins", str(PLUGIN_FILE))
    filled.add("callbacks", "higgs-audio")
    for name, value in {
        "model_type": "higgs-audio",
        "template": "higgs-audio-chatml",
        "optimizer": "higgs-audio",
        "strict": "true",
        "use_hf": "true",
        "check_model": "false",  # asks a hub for seven seconds whether the model is the latest
        "lazy_tokenize": "false",  # lengths are known beforehand…
        "group_by_length": "true",  # …so that batches hold rows of like length
        "dataloader_num_workers": "0",  # codes are in memory: a worker would only be one more process to stop
        "dataloader_persistent_workers": "false",  # with them a resumed run draws other random numbers (dropout)
        "logging_nan_inf_filter": "false",  # a curve that leaves out NaN does not tell the truth
    }.items():
        if not filled.has(name):
            filled.set(name, value)
    if not filled.has("use_cpu") and not _has_accelerator():
        filled.set("use_cpu", "true")  # transformers wants to be told, for bfloat16 and for several processes
    if filled.value("train_dataloader_shuffle") == "false" and not arguments.has("group_by_length"):
        filled.set("group_by_length", "false")
    return filled


def _has_accelerator() -> bool:
    with importing_much():
        import torch

    return torch.accelerator.is_available()


def _train(arguments: Arguments) -> int:
    model = arguments.value("model")
    if not model:
        raise StudioError("--model is missing: give a checkpoint folder, or a hub id.")
    from studio.engine.checkpoints import find_checkpoint

    # Before torchrun and ms-swift: what is wrong with a checkpoint is said once, in one sentence.
    arguments.set("model", str(find_checkpoint(model).folder))
    filled = training_arguments(arguments)
    return _run_processes(arguments) if _wants_processes() else run_swift("sft", filled)


def _wants_processes() -> bool:
    """Whether ms-swift's variables ask for torchrun, and this is not one of its processes already."""
    asked = any(os.environ.get(name) for name in ("NPROC_PER_NODE", "NNODES"))
    return asked and "LOCAL_RANK" not in os.environ


def _run_processes(arguments: Arguments) -> int:
    """Become torchrun, which starts this launcher once for each process of the run; returns the exit status."""
    options = [
        part
        for name in ("NPROC_PER_NODE", "MASTER_PORT", "NNODES", "NODE_RANK", "MASTER_ADDR")
        if os.environ.get(name)
        for part in (f"--{name.lower()}", os.environ[name])
    ]
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    # torchrun kills processes that are still saving this long after a signal: 30 s are too few for the 3B.
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "600")
    try:
        torchrun([*options, "-m", "swift_plugins.launch", "sft", *arguments.argv])
    except ChildFailedError:
        return 1  # the process that failed has said why
    except SignalException as stop:
        print(f"Stopped by {stop.sigval.name}.", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

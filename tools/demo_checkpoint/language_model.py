"""Trains the language model through the project's ms-swift plugin:

    python -m tools.demo_checkpoint.language_model --steps 4000

The same command goes on from the last checkpoint. Full parameters, in float32 with bfloat16 arithmetic; rows are drawn by
``plugin.py``. The folder ``language_model/NAME`` of the state keeps the run: its base checkpoint, its checkpoints, the log
of ms-swift (``out/logging.jsonl``), and text gain over time (``gain.jsonl``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from studio.files import atomic_write_bytes
from tools.demo_checkpoint import state

_FIXED = {
    "add_version": "false",
    "gradient_accumulation_steps": 1,
    "gradient_checkpointing": "false",
    "lazy_tokenize": "true",  # a lesson is drawn when it is needed, at the stage of that moment…
    "group_by_length": "false",
    "dataset_shuffle": "false",
    "train_dataloader_shuffle": "false",  # …and by its number, so that a resumed run draws the same ones
    "split_dataset_ratio": 0,
    "logging_steps": 20,
    "save_total_limit": 2,
    "eval_strategy": "no",
    "report_to": "none",
    "seed": 1,
}
"""Arguments of every run."""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole: the trainer's state is what it writes last."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    return max(found, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def arguments(folder: Path, options: argparse.Namespace) -> list[str]:
    """The command line for ``swift_plugins.launch``."""
    plugin = Path(__file__).with_name("plugin.py")
    given = {
        "external_plugins": plugin,
        "model": folder / "base",
        "output_dir": folder / "out",
        **dict.fromkeys(("model_type", "template", "dataset", "callbacks"), "higgs-demo"),
        "tuner_type": "full",
        "torch_dtype": "float32",  # the weights; the arithmetic is bfloat16
        "bf16": "true",
        "fp16": "false",
        "attn_impl": options.attention,
        "max_length": 2048,
        "max_steps": options.steps,
        "per_device_train_batch_size": options.batch,
        "learning_rate": options.rate,
        "lr_scheduler_type": "warmup_stable_decay",
        "lr_scheduler_kwargs": json.dumps({"num_decay_steps": max(1, options.steps // 4)}),
        "warmup_steps": 200,
        "optim": "adamw_torch_fused",
        "adam_beta2": 0.98,
        "weight_decay": 0.05,
        "audio_lr_ratio": 1,
        "text_loss_weight": 0.1,
        "save_steps": options.save_every,
        **_FIXED,
    }
    argv = ["sft", *(part for name, value in given.items() for part in (f"--{name}", str(value)))]
    argv += ["--codebook_loss_weights", *options.codebook_weights.split()]
    if checkpoint := last_checkpoint(folder / "out"):
        argv += ["--resume_from_checkpoint", str(checkpoint)]
    return argv


def main() -> int:
    """Prepare what is missing, then become the trainer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="main", help="name of the run")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--codebook-weights", default="3 1.5 1 1 1 1 1 1")
    parser.add_argument("--attention", default="eager", choices=["sdpa", "eager"])
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--variants", type=int, default=4, help="encodings of each utterance")
    parser.add_argument("--codec", type=Path, help="a save of the codec (the newest when the run began)")
    parser.add_argument("--start", type=Path, help="checkpoint of an earlier run to begin with")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    state.limit_threads(options.threads)

    import torch

    torch.set_num_threads(options.threads)
    from tools.demo_checkpoint.assemble import assemble, released_weights
    from tools.demo_checkpoint.codec import load_codec
    from tools.demo_checkpoint.codes import encode_all, fingerprint

    folder = state.state_folder() / "language_model" / options.name
    kept_codec = folder / "codec.pt"
    if not kept_codec.is_file():  # a run keeps to one codec, whatever becomes of the codec's training
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(kept_codec, (options.codec or state.state_folder() / "codec" / "codec.pt").read_bytes())
    codec = load_codec(kept_codec)
    codes = state.state_folder() / "codes" / fingerprint(codec)
    encode_all(codec, codes, options.variants)
    if not (folder / "base").is_dir():
        assemble(folder / "base", codec, released_weights(options.start) if options.start else None)
    checkpoint = last_checkpoint(folder / "out")
    run = {
        "codes": str(codes),
        "num_samples": options.steps * options.batch,
        "batch": options.batch,
        "resumed": str(checkpoint or ""),
        "log": str(folder / "gain.jsonl"),
    }
    (folder / "run.json").write_text(json.dumps(run, indent=2))
    os.environ["HIGGS_DEMO_RUN"] = str(folder / "run.json")
    from swift_plugins.launch import main as launch

    argv = arguments(folder, options)
    return launch(argv)


if __name__ == "__main__":
    sys.exit(main())

"""What training costs: clips encoded, padding, time and memory of a step beside the stock model's own forward.

    python -m benchmarks.training              real runs and steps on small random models, a few minutes
    python -m benchmarks.training --full-size  LoRA steps at the 3B's dimensions, random weights in bfloat16

Rows are made by ``swift_plugins.prepare`` of the recordings in ``--speech``, a folder in the layout of LJSpeech, each
with a random reference; without that folder, of the seven recordings of the tests. The tiny tokenizer has a token for each
byte, so texts are about four times as long in tokens as they are for the 3B.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

import studio.engine  # noqa: F401  the guard comes before swift
from benchmarks import training_steps
from studio.engine.checkpoints import build_tiny_checkpoint
from studio.engine.devices import pick_device

ROOT = Path(__file__).parents[1]
SPEECH = ROOT.parent / "shared" / "speech" / "kathleen"
NUM_ROWS, EPOCHS = 60, 3


def prepared_rows(speech: Path, output: Path, *options: str) -> tuple[Path, Path]:
    """Files of rows to train on and to validate with."""
    from studio.datasets.rows.preparing import main as prepare

    if speech.is_dir():
        source = ["--dataset_type", "ljspeech", "--input_dir", str(speech)]
    else:
        data = ROOT / "tests" / "data"
        texts = [json.loads((data / name).read_text()) for name in ("kathleen.json", "kathleen_short.json")]
        table = output.with_suffix(".csv")
        lines = [f'{name},"{text}"' for spoken in texts for name, text in spoken.items()]
        table.write_text("\n".join(["audio,text", *lines]), encoding="utf-8")
        source = ["--dataset_type", "csv", "--input_dir", str(data), "--csv_file", str(table)]
    if prepare([*source, "--output_file", str(output), "--reference", "random", "--split", *options]):
        raise SystemExit("no rows, no figures")
    return output, output.with_name(f"{output.stem}_val{output.suffix}")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass
class Observed:
    """A run as its output told it.

    Attributes:
        checked: when all rows had been checked, which is before the first epoch.
        evaluated: when each evaluation was over: one after each epoch, and ms-swift's own at the end.
        said: how many clips it says it encoded while it checked rows.
    """

    started: float = field(default_factory=time.time)
    checked: float = 0.0
    evaluated: list[float] = field(default_factory=list)
    said: int = 0

    def encoded(self, cache: Path) -> list[int]:
        """New files of codes before the first epoch, and in each epoch; the last one ends with the run."""
        written = [path.stat().st_mtime for path in cache.rglob("*.npy")]
        borders = [self.started, self.checked, *self.evaluated[: EPOCHS - 1], float("inf")]
        return [sum(start < moment <= end for moment in written) for start, end in pairwise(borders)]


def train(checkpoint: Path, rows: tuple[Path, Path], folder: Path) -> Observed:
    """Three epochs with an evaluation after each, through the launcher, as a process of its own."""
    command = [sys.executable, "-m", "swift_plugins.launch", "sft", "--model", checkpoint, "--output_dir", folder]
    command += ["--dataset", rows[0], "--val_dataset", rows[1], "--eval_strategy", "epoch", "--save_strategy", "no"]
    command += ["--tuner_type", "lora", "--target_modules", "all-linear", "--torch_dtype", "float32"]
    command += ["--num_train_epochs", EPOCHS, "--per_device_train_batch_size", 4, "--gradient_accumulation_steps", 1]
    command += ["--logging_steps", 1, "--report_to", "none", "--add_version", "false"]
    environment = {**os.environ, "LOG_LEVEL": "INFO", "PYTHONUNBUFFERED": "1"}
    observed, last = Observed(), deque[str](maxlen=40)
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        last.append(line)
        if found := re.search(r"(\d+) encoded now", line):
            observed.checked = time.time()
            observed.said += int(found[1])
        elif "'eval_loss'" in line:
            observed.evaluated.append(time.time())
    if process.wait() or len(observed.evaluated) < EPOCHS:
        raise SystemExit("the training run failed:\n" + "".join(last))
    return observed


def report_encodes(checkpoint: Path, rows: tuple[Path, Path], folder: Path, cache: Path) -> None:
    """Two identical runs into two folders."""
    names = ["first run", "second run"]
    runs = [train(checkpoint, rows, folder / name.replace(" ", "-")) for name in names]
    training, validation = ([row["audios"] for row in read_rows(path)] for path in rows)
    clips = {clip for row in training + validation for clip in row}
    read = sum(map(len, training)) + sum(map(len, validation))
    every = [read] * (EPOCHS - 1) + [read + sum(map(len, validation))]
    print(
        f"Clips encoded; {len(training)} rows and {len(validation)} to validate, with {len(clips)} different clips; "
        f"an evaluation after each of {EPOCHS} epochs and at the end"
    )
    titles = ["before", *(f"epoch {epoch}" for epoch in range(1, EPOCHS + 1)), "log says"]
    print(f"{'':36}" + "".join(f"{title:>10}" for title in titles))
    for name, run in zip(names, runs, strict=True):
        print(f"{name:36}" + "".join(f"{count:>10}" for count in [*run.encoded(cache), run.said]))
    print(f"{'no cache (clips counted, not run)':36}" + "".join(f"{count:>10}" for count in [0, *every]))


def padding(template: Any, samples: Sequence[Any], batch_size: int, *, grouped: bool) -> tuple[int, int]:
    """Positions that are padding, and all positions, of token rows over three epochs of ms-swift's own sampler."""
    from swift.dataloader.shard import BatchSamplerShard

    lengths = [len(sample["input_ids"]) for sample in samples]
    sampler = BatchSamplerShard(
        len(samples), batch_size, shuffle=True, drop_last=False, data_seed=42, group_by_length=grouped, lengths=lengths
    )
    padded = positions = 0
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        for indices in sampler:
            mask = template.data_collator([samples[index] for index in indices])["attention_mask"]
            padded, positions = padded + int((mask == 0).sum()), positions + mask.numel()
    return padded, positions


def report_padding(template: Any, samples: list[Any]) -> None:
    """Few rows and all of them: the sampler sorts within a quarter of the rows, so of few rows it can make little."""
    lengths = sorted(len(sample["input_ids"]) for sample in samples)
    print(
        f"\nPadded token positions, mean of {EPOCHS} epochs, rows of {lengths[0]} to {lengths[-1]} tokens "
        f"(median {lengths[len(lengths) // 2]})"
    )
    print(f"{'rows':>6}{'batch':>7}{'shuffled':>11}{'grouped':>10}{'positions grouped/shuffled':>29}")
    for num_rows in sorted({min(NUM_ROWS, len(samples)), len(samples)}):
        for batch_size in (4, 8):
            shuffled, grouped = (
                padding(template, samples[:num_rows], batch_size, grouped=grouped) for grouped in (False, True)
            )
            shares = [f"{padded / positions:.1%}" for padded, positions in (shuffled, grouped)]
            print(f"{num_rows:>6}{batch_size:>7}{shares[0]:>11}{shares[1]:>10}{grouped[1] / shuffled[1]:>29.3f}")


def encoder(checkpoint: Path) -> Any:
    """The template, as ms-swift makes it."""
    import swift_plugins.register  # noqa: F401  registering is its effect  # isort: skip
    from swift.model import get_processor
    from swift.template import get_template

    processor = get_processor(str(checkpoint), model_type="higgs-audio")
    template = get_template(processor, template_type="higgs-audio-chatml")
    template.set_mode("train")
    return template


def wide_checkpoint(tiny: Path, folder: Path) -> Path:
    """The tiny checkpoint with another model: the 3B's vocabulary and codebooks, few and narrow layers."""
    from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

    shutil.copytree(tiny, folder)
    config = HiggsAudioV2Config.from_pretrained(tiny)
    sizes = {"vocab_size": 128_256, "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64, "initializer_range": 0.02}
    for name, value in {**sizes, **heads}.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    HiggsAudioV2ForConditionalGeneration(config, use_text_head=True).save_pretrained(folder)
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full-size", action="store_true")
    parser.add_argument("--speech", type=Path, default=SPEECH, help="default: %(default)s")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--repeats", type=int, help="timed turns of each batch; default: 3, full size on a CPU: 1")
    options = parser.parse_args()
    device = "cuda" if pick_device(options.device) == "cuda" else "cpu"
    repeats = options.repeats or (1 if options.full_size and device == "cpu" else 3)
    if options.full_size:
        training_steps.refuse_small_memory(device)
    os.environ.update(LOG_LEVEL="ERROR", TRANSFORMERS_VERBOSITY="error")  # the first is ms-swift's
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ.update(STUDIO_HOME=str(folder / "home"), MODELSCOPE_CACHE=str(folder / "ms"))
        tiny = build_tiny_checkpoint(folder / "tiny")
        rows = prepared_rows(options.speech, folder / "rows.jsonl", "--limit", str(NUM_ROWS))
        print(f"On {device}, {torch.get_num_threads()} threads", flush=True)
        if options.full_size:
            template = encoder(tiny)
            samples = [template.encode(row) for row in read_rows(rows[0])]
            training_steps.report_full_size(device, template, samples, repeats)
            return
        report_encodes(tiny, rows, folder / "runs", folder / "home" / "cache" / "codes")
        template = encoder(tiny)
        every = prepared_rows(options.speech, folder / "every.jsonl")
        samples = [template.encode(row) for path in every for row in read_rows(path)]
        report_padding(template, samples)
        models = {"tiny": tiny, "wide": wide_checkpoint(tiny, folder / "wide")}
        training_steps.report_heads(device, models, template, samples, repeats, folder)


if __name__ == "__main__":
    main()

"""Real training runs on the tiny checkpoint, for tests: rows of real utterances, and ms-swift as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from studio.audio import read_audio
from studio.engine.prompt import Conversation
from studio.engine.speech.reference import Consent, Reference
from tests import warm
from tests.conftest import DATA

PROJECT = DATA.parents[1]
TRANSCRIPTS: dict[str, str] = {
    **json.loads((DATA / "kathleen.json").read_text(encoding="utf-8")),
    **json.loads((DATA / "kathleen_short.json").read_text(encoding="utf-8")),
}
"""Three utterances of 3 s, used as references, and four of about a second, used as targets."""


@dataclass(frozen=True)
class Example:
    """One row: what is said in which clip, after which reference."""

    text: str
    target: str
    reference: str | None = None

    def row(self) -> dict[str, Any]:
        """In the native form."""
        messages: list[dict[str, Any]] = [{"role": "system", "content": Conversation(()).system_content}]
        audios = []
        if self.reference:
            messages += [
                {"role": "user", "content": TRANSCRIPTS[self.reference]},
                {"role": "assistant", "content": "<audio>", "loss": False},
            ]
            audios.append(str(DATA / self.reference))
        messages += [{"role": "user", "content": self.text}, {"role": "assistant", "content": "<audio>"}]
        return {"messages": messages, "audios": [*audios, str(DATA / self.target)]}

    def references(self) -> list[Reference]:
        """The same reference as the engine takes it."""
        if self.reference is None:
            return []
        consent = Consent("licence", "CC0 1.0")
        return [Reference(read_audio(DATA / self.reference), TRANSCRIPTS[self.reference], consent)]


_SAME_TEXT = TRANSCRIPTS["kathleen_a0158.flac"]
EXAMPLES = [
    # The first two say the same: only their references tell which clip is meant.
    Example(_SAME_TEXT, "kathleen_a0158.flac", "kathleen_a0003.flac"),
    Example(_SAME_TEXT, "kathleen_a0098.flac", "kathleen_b0394.flac"),
    Example(TRANSCRIPTS["kathleen_b0228.flac"], "kathleen_b0228.flac", "kathleen_b0146.flac"),
    Example(TRANSCRIPTS["kathleen_a0399.flac"], "kathleen_a0399.flac"),
]


def write_rows(path: Path, rows: list[Any]) -> Path:
    """JSON lines; a string is written as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Run:
    """A finished process and its output folder."""

    folder: Path
    status: int
    output: str

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """What ms-swift logged for training steps, in order."""
        return [entry for entry in self.all_logged if "loss" in entry]

    @cached_property
    def evals(self) -> list[dict[str, Any]]:
        """What ms-swift logged for evaluations."""
        return [entry for entry in self.all_logged if "eval_loss" in entry]

    @cached_property
    def all_logged(self) -> list[dict[str, Any]]:
        path = self.folder / "logging.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def checkpoint(self, step: int) -> Path:
        """The checkpoint of a step; fails with the run's output if it is not there."""
        folder = self.folder / f"checkpoint-{step}"
        assert folder.is_dir(), self.output[-3000:]
        return folder


def command(*arguments: object) -> list[str]:
    """The launcher with its arguments."""
    return [sys.executable, "-m", "swift_plugins.launch", *map(str, arguments)]


def environment(home: Path, **changes: str) -> dict[str, str]:
    """For a run that keeps codes under ``home`` and leaves the second core to the tests beside it."""
    return {
        **os.environ,
        "STUDIO_HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "MODELSCOPE_CACHE": str(home / "ms"),
        **changes,
    }


STEADY = (
    "--add_version", "false", "--torch_dtype", "float32", "--gradient_accumulation_steps", "1", "--report_to", "none",
    "--gradient_checkpointing", "false",
)  # fmt: skip
OVERFIT = (
    *STEADY, "--per_device_train_batch_size", "4", "--learning_rate", "1e-2", "--audio_lr_ratio", "1",
    "--weight_decay", "0", "--warmup_ratio", "0.05", "--lora_dropout", "0", "--logging_steps", "20",
)  # fmt: skip
"""Learns four utterances by heart in about a hundred steps, 10 s on one core."""


SCRIPT = [str(PROJECT / "scripts" / "train_higgs_audio.sh")]


LAUNCH = "import sys\nfrom swift_plugins.launch import main\nsys.exit(main())\n"
"""The launcher for ``tests/warm.py``."""


def train(home: Path, folder: Path, *arguments: object, program: list[str] | None = None, **changes: str) -> Run:
    """``sft`` to its end, through the launcher or another ``program``.

    A run of one process is a warm one, see ``tests/warm.py``; a program, and what becomes torchrun, starts from nothing.
    """
    given = ["--output_dir", str(folder), *map(str, arguments)]
    surroundings: dict[str, Any] = {"cwd": PROJECT, "env": environment(home, **changes), "timeout": 280}
    if program or "NPROC_PER_NODE" in changes:
        done = subprocess.run(
            [*(program or command("sft")), *given],
            **surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    else:
        done = warm.run(LAUNCH, ["sft", *given], **surroundings, together=True)
    return Run(folder, done.returncode, done.stdout)


def trained(home: Path, folder: Path, *arguments: object, **changes: str) -> Run:
    """``sft`` that must succeed."""
    run = train(home, folder, *arguments, **changes)
    assert run.status == 0, run.output[-4000:]
    return run

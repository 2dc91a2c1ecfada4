"""Measuring a training before it starts: two steps of the real trainer over the longest rows, in a process of its own.

On a CPU nothing says how much memory libraries and kernels will take, so it is measured. What came of it is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.datasets.rows.report import MeasuredRow
from studio.engine.checkpoints import CheckpointFiles
from studio.engine.rows import TrainingRow
from studio.errors import StudioError
from studio.files import read_json, write_advice, write_json
from studio.processes import signal_all, tree_memory_bytes, with_variable
from studio.settings import PROJECT, Settings
from studio.training import trainer
from studio.training.config.run_arguments import RunArguments

PROBE_VARIABLE = "STUDIO_PROBE"
"""In the environment of every process of a probe, so that none of them is left behind."""
NUM_STEPS = 2
TIME_LIMIT = 600.0
_LOOK_SECONDS = 0.05
_WITHOUT_EFFECT = {
    "num_train_epochs", "max_steps", "save_steps", "eval_steps", "logging_steps", "split_dataset_ratio", "val_dataset",
    "seed", "data_seed", "report_to", "learning_rate", "warmup_ratio", "save_total_limit", "save_strategy", "eval_strategy",
}  # fmt: skip
"""Arguments that change neither memory nor pace of a step."""
_ENDS_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.getppid() == 1 or os.execv(sys.argv[1], sys.argv[1:])"
)
"""A program before the trainer: Linux kills it when the studio is killed in the midst of a probe (PR_SET_PDEATHSIG)."""


@dataclass(frozen=True)
class Measured:
    """What a probe saw.

    Attributes:
        peak_bytes: of the processes of the trainer together.
        seconds_per_step: of the later step; the first one also warms up.
        start_seconds: from the start of the process to its first step, clips encoded.
    """

    peak_bytes: int
    seconds_per_step: float
    start_seconds: float


def probe(
    files: CheckpointFiles,
    arguments: RunArguments,
    rows: Sequence[MeasuredRow],
    *,
    settings: Settings,
    announce: Callable[[str], None] = lambda sentence: None,
    time_limit: float = TIME_LIMIT,
) -> Measured:
    """Run two steps over the longest rows, or remember what came of the same before.

    Args:
        rows: the longest first; as many are used as two steps need.

    Raises:
        StudioError: the trainer refuses, fails, or takes longer than ``time_limit`` seconds.
    """
    needed = rows_needed(arguments)
    chosen = [rows[index % len(rows)].row for index in range(needed)]
    kept = settings.home / "cache" / "measured" / f"{_key(files, arguments, rows[:needed])}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = read_json(kept)
        return Measured(int(known["peak_bytes"]), float(known["seconds_per_step"]), float(known["start_seconds"]))
    announce("Two steps are made over the longest rows, to measure memory and pace …")
    batches = arguments.accumulation_steps
    # The second batch of a step meets gradients and optimizer in memory; more batches add time and nothing else.
    fewer = arguments.replaced("gradient_accumulation_steps", str(min(batches, 2)))
    measured = _measure(files, fewer, chosen, settings, time_limit)
    pace = measured.seconds_per_step * max(batches / 2, 1)
    measured = Measured(measured.peak_bytes, pace, measured.start_seconds)
    with suppress(OSError, StudioError):  # not kept: the next preflight measures again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, vars(measured))
    return measured


def rows_needed(arguments: RunArguments) -> int:
    """Rows of two optimizer steps of full batches, of which a step of the probe has at most two."""
    return arguments.batch_size * min(arguments.accumulation_steps, 2) * NUM_STEPS


def _measure(
    files: CheckpointFiles, arguments: RunArguments, rows: Sequence[TrainingRow], settings: Settings, time_limit: float
) -> Measured:
    cache = settings.home / "cache"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _clear_remains(cache)
        folder = Path(tempfile.mkdtemp(prefix="probe-", dir=cache))
        try:
            lines = [json.dumps(row.as_row(), ensure_ascii=False) for row in rows]
            (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            return _run(_command(files, arguments, folder), folder, settings, time_limit)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise StudioError(
            f"The training cannot be measured, because the cache cannot be written {write_advice(error)}"
        ) from error


def _clear_remains(cache: Path) -> None:
    """Folders of probes whose studio was killed."""
    for folder in cache.glob("probe-*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > 2 * TIME_LIMIT:
                shutil.rmtree(folder, ignore_errors=True)


def _command(files: CheckpointFiles, arguments: RunArguments, folder: Path) -> list[str]:
    given: dict[str, Sequence[str]] = {
        "model": [str(files.folder)],
        "dataset": [str(folder / "rows.jsonl")],
        **{
            name: value
            for name, value in arguments.values.items()
            if name not in ("val_dataset", "eval_steps", "save_steps")
        },
        "output_dir": [str(folder / "out")],
        "add_version": ["false"],
        "max_steps": [str(NUM_STEPS)],
        "split_dataset_ratio": ["0"],
        "save_strategy": ["no"],
        "eval_strategy": ["no"],
        "load_best_model_at_end": ["false"],
        "report_to": ["none"],
        "logging_steps": ["1"],
    }
    command = trainer.command("sft", given)
    return [sys.executable, "-c", _ENDS_WITH_PARENT, *command] if sys.platform == "linux" else command


def _run(command: list[str], folder: Path, settings: Settings, time_limit: float) -> Measured:
    began = time.monotonic()
    peak = 0
    metrics, log_file = folder / "out" / "logging.jsonl", folder / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={
                **os.environ,
                "STUDIO_HOME": str(settings.home),
                "MODELSCOPE_CACHE": str(folder / "modelscope"),
                "CUDA_VISIBLE_DEVICES": "",
                PROBE_VARIABLE: folder.name,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            while process.poll() is None:
                peak = max(peak, tree_memory_bytes(process.pid))
                if time.monotonic() - began > time_limit:
                    raise StudioError(
                        f"Two steps took longer than {time_limit:.0f} s on this device: use a smaller base or shorter "
                        "rows, or a device with a GPU."
                    )
                time.sleep(_LOOK_SECONDS)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            signal_all(with_variable(PROBE_VARIABLE, folder.name), signal.SIGKILL)
            process.wait()
    said = log_file.read_text(encoding="utf-8", errors="replace")
    if process.returncode != 0:
        raise StudioError(_why(process.returncode, said))
    return _measured(peak, _logged(metrics), time.monotonic() - began)


def _measured(peak: int, logged: list[dict[str, Any]], elapsed: float) -> Measured:
    """The pace from what ms-swift logged: seconds since training began, after each step."""
    times = [
        seconds for entry in logged if (seconds := _seconds(entry.get("elapsed_time"))) is not None and "loss" in entry
    ]
    runtime = next((float(entry["train_runtime"]) for entry in logged if "train_runtime" in entry), None)
    if runtime is None or not times:
        raise StudioError(
            "The trainer ended without having made a step: see docs/training.md, or start without measuring."
        )
    return Measured(peak, runtime / NUM_STEPS, max(elapsed - runtime, 0.0))


def _seconds(text: Any) -> float | None:
    """ms-swift's "1h 2m 3s", or a number."""
    if isinstance(text, int | float):
        return float(text)
    parts = re.findall(r"([\d.]+)\s*([dhms])", text) if isinstance(text, str) else []
    factors = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
    return sum(float(number) * factors[unit] for number, unit in parts) if parts else None


def _logged(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    entries = []
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                entries.append(entry)
    return entries


def _why(code: int, said: str) -> str:
    """The trainer's own sentence; else its last line."""
    if own := trainer.reason(said):
        return own
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "The trainer was ended by the system, most likely for want of memory: use a smaller base, batch or row."
    last = trainer.last_line(said) or f"exit status {code}"
    return f"The trainer fails with these settings: {last[:300]}"


def _key(files: CheckpointFiles, arguments: RunArguments, rows: Sequence[MeasuredRow]) -> str:
    """Of what decides memory and pace: base, arguments, lengths of the rows, program, machine."""
    try:
        weights = max(path.stat().st_mtime_ns for path in files.folder.glob("*.safetensors"))
    except (OSError, ValueError):
        weights = 0
    decides = {
        "base": [str(files.folder), files.size_bytes, weights],
        "values": {
            name: list(value) for name, value in sorted(arguments.values.items()) if name not in _WITHOUT_EFFECT
        },
        "rows": [[round(each.seconds, 2), round(each.trained_seconds, 2), each.text_bytes] for each in rows],
        "python": sys.version,
        "threads": [os.cpu_count(), os.environ.get("OMP_NUM_THREADS")],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]

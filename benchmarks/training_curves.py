"""What following a long run costs: reading its log, and drawing it. Beside parsing alone, and beside drawing every point.

python -m benchmarks.training_curves [--steps 100000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from studio.training.monitoring.run_log import RunLog
from studio.ui.tabs.train.runs import plots

EVAL_EVERY = 100
NEWS = 10
CODEBOOKS = 8
GOAL_SECONDS = 2.0


def line_of(step: int, steps: int, noise: random.Random, *, evaluation: bool = False) -> str:
    """A line with the names and digits of a real one."""
    done = step / steps
    prefix = "eval_" if evaluation else ""
    audio, text = (3 + 5 * (1 - done) ** 4 + noise.gauss(0, 0.3), 0.5 + 3 * (1 - done) ** 6 + noise.gauss(0, 0.1))
    row: dict[str, Any] = {f"{prefix}loss": round(audio + text, 8)}
    if evaluation:
        row |= {"eval_runtime": 0.0118, "eval_samples_per_second": 84.946, "eval_steps_per_second": 84.946}
    else:
        row |= {"grad_norm": round(noise.lognormvariate(2, 0.3), 8), "learning_rate": round(1e-4 * (1 - done), 8)}
    row[f"{prefix}audio_loss"] = round(audio, 8)
    row |= {f"{prefix}audio_loss_cb{k}": round(audio + noise.gauss(0, 0.2), 8) for k in range(CODEBOOKS)}
    row |= {f"{prefix}text_loss": round(text, 8), "epoch": round(done * 3, 8)}
    if not evaluation:
        row["audio_learning_rate"] = round(2e-4 * (1 - done), 8)
    row |= {"global_step/max_steps": f"{step}/{steps}", "elapsed_time": "0s", "remaining_time": "1s"}
    return json.dumps(row | {"memory(GiB)": 17.3, "train_speed(s/it)": 0.065008}) + "\n"


def lines_of(first: int, last: int, steps: int) -> list[str]:
    """The lines of some steps, evaluations among them."""
    noise = random.Random(first)
    lines = []
    for step in range(first, last + 1):
        lines.append(line_of(step, steps, noise))
        if step % EVAL_EVERY == 0:
            lines.append(line_of(step, steps, noise, evaluation=True))
    return lines


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes, in the processor's time: other programs on the machine do not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


def parse(path: Path) -> None:
    """The baseline of reading: every line parsed, and thrown away."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def every_point(log: RunLog) -> str:
    """The baseline of drawing: the same lines with all their points."""
    figure = go.Figure()
    for split in ("train", "eval"):
        for name in ("loss", "text_loss", "audio_loss"):
            steps, values = log.series(name, split)
            figure.add_trace(go.Scatter(x=steps, y=values, name=name))
    return figure.to_json() or ""


def main() -> None:
    """Write a log, measure, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    steps, repeats = arguments.steps, arguments.repeats
    measured: dict[str, list[float]] = {}

    def measure(name: str, work: Callable[[], Any]) -> None:
        measured.setdefault(name, []).append(seconds(work))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logging.jsonl"
        planned = steps + NEWS * repeats
        path.write_text("".join(lines_of(1, steps, planned)), encoding="utf-8")
        size = path.stat().st_size
        log = RunLog(path)
        figures: dict[str, Callable[[], str]] = {
            "every point": lambda: every_point(log),
            "losses, raw": lambda: plots.losses(log, smoothing=0).to_json() or "",
            "losses, smoothed": lambda: plots.losses(log, smoothing=0.9).to_json() or "",
            "codebooks": lambda: plots.codebooks(log, smoothing=0.9).to_json() or "",
        }
        for repeat in range(repeats):  # in turn, so that all meet the same machine
            measure("parsing alone", lambda: parse(path))
            log = RunLog(path)
            measure("first read", log.refresh)
            measure("nothing new", log.refresh)
            with path.open("a", encoding="utf-8") as file:
                begin = steps + NEWS * repeat
                file.writelines(lines_of(begin + 1, begin + NEWS, planned))
            measure("ten new lines", log.refresh)
            assert log.step == begin + NEWS and not log.num_bad_lines
            for name, draw in figures.items():
                measure(name, draw)
        sizes = {name: len(draw()) for name, draw in figures.items()}
    median = {name: statistics.median(all_of) for name, all_of in measured.items()}
    print(f"a log of {steps} steps, {size / 1e6:.0f} MB; medians of {repeats}, processor time")
    for name in ("parsing alone", "first read", "ten new lines", "nothing new"):
        ratio = median[name] / median["parsing alone"]
        print(f"  {name:18} {median[name] * 1000:9.2f} ms   {ratio:9.5f} of parsing alone")
    print("figure and its JSON")
    for name, length in sizes.items():
        times, small = median[name] / median["every point"], length / sizes["every point"]
        print(
            f"  {name:18} {median[name] * 1000:9.2f} ms   {times:5.2f} of every point's time,"
            f" {length / 1000:7.1f} KB, {small:.4f} of its size"
        )
    goal = "met" if median["first read"] < GOAL_SECONDS else "MISSED"
    print(f"  goal: first read under {GOAL_SECONDS:.0f} s   {goal}")


if __name__ == "__main__":
    main()

"""Seconds from process start to the first page, beside the smallest Gradio page.

python -m benchmarks.startup [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALLEST = """
import gradio as gr
with gr.Blocks(analytics_enabled=False) as page:
    gr.Textbox()
page.launch(server_port={port}, quiet=True)
"""


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def seconds_to_first_page(command: list[str], port: int, environment: dict[str, str]) -> float:
    """Start a server, ask for its page until it comes, stop it."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    answer.read()
                return time.perf_counter() - started
            except (urllib.error.URLError, OSError):
                if process.poll() is not None:
                    message = process.stderr.read().decode() if process.stderr else ""
                    raise SystemExit(f"the server ended: {message}") from None
                time.sleep(0.02)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Start both in turn and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    studio, smallest = [], []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(repeats):  # in turn, so that both meet the same machine
            port = free_port()
            studio.append(
                seconds_to_first_page([sys.executable, "app.py"], port, {"STUDIO_HOME": home, "STUDIO_PORT": str(port)})
            )
            port = free_port()
            smallest.append(
                seconds_to_first_page(
                    [sys.executable, "-c", SMALLEST.format(port=port)], port, {"GRADIO_ANALYTICS_ENABLED": "False"}
                )
            )
    ours, baseline = statistics.median(studio), statistics.median(smallest)
    print(f"process start to first page, median of {repeats} (all: {', '.join(f'{s:.2f}' for s in studio)})")
    print(f"  the studio                {ours:6.2f} s")
    print(f"  the smallest Gradio page  {baseline:6.2f} s")
    print(f"  ratio                     {ours / baseline:6.2f}")
    print(f"  goal: under 5 s           {'met' if ours < 5 else 'MISSED'}")


if __name__ == "__main__":
    main()

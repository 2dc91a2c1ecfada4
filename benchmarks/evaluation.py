"""Takes that are measured in a minute on one core: one command each, many at once, and again.

    python -m benchmarks.evaluation [--takes 14]

One at a time is what a script does that calls `python -m studio evaluate` for each take: every model is loaded, and the
reference heard, anew. Words are recognised where STUDIO_ASR_MODEL names a recogniser that is on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def make_takes(folder: Path, count: int) -> list[Path]:
    """Sentences of the test data, each a little louder than the last time, so that none is known."""
    clips = sorted(DATA.glob("kathleen_*.flac"))
    paths = []
    for number in range(count):
        samples, rate = soundfile.read(clips[number % len(clips)], dtype="float32")
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], np.clip(samples * (1 + 0.05 * (number // len(clips))), -1, 1), rate, subtype="FLOAT")
    return paths


def _measure(paths: list[Path], home: Path, recognise: bool) -> float:
    """Seconds of one core that a command takes for these takes: of computing, so that other work does not count."""
    command = [sys.executable, "-m", "studio", "evaluate", *map(str, paths), "--reference", str(paths[0]), "--json"]
    command += ["--text", "For the twentieth time that evening the two men shook hands."]
    command += [] if recognise else ["--no-recognise"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env=os.environ | _ONE_THREAD | {"STUDIO_HOME": str(home)}, capture_output=True, text=True, check=True
    )
    json.loads(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """See the module."""
    from studio.listening.transcriber import Transcriber
    from studio.settings import get_settings

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=14)
    count = parser.parse_args().takes
    recognise = Transcriber(get_settings().asr_model).missing() is None
    with tempfile.TemporaryDirectory() as folder:
        takes = make_takes(Path(folder), count)
        # One command each, of a few: they are all alike. With a home of its own each, so that nothing is known.
        few = takes[: min(5, count)]
        alone = sum(_measure([take], Path(folder) / f"home-{take.stem}", recognise) for take in few) / len(few)
        home = Path(folder) / "home"
        together = _measure(takes, home, recognise) / count
        again = _measure(takes, home, recognise) / count
        mean_seconds = float(np.mean([soundfile.info(take).duration for take in takes]))
    print(f"{count} takes of {mean_seconds:.1f} s, {'with' if recognise else 'without'} a recogniser, one core:")
    for name, seconds in (("one command each", alone), ("batched", together), ("batched, from the cache", again)):
        print(f"  {name:24} {60 / seconds:8.1f} takes a minute, {alone / seconds:6.1f} times one at a time")


if __name__ == "__main__":
    main()

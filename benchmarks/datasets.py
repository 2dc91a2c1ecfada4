"""Minutes of audio that are sliced and measured in a minute, and peak memory, beside the naive way.

    python -m benchmarks.datasets [--minutes 10]

The naive way is what scripts do: the whole file in memory, and the voice activity model loaded anew for each clip.
Each way runs in a process of its own, on one thread, without a recogniser.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
RATE = 16_000
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def make_recording(path: Path, minutes: float) -> None:
    """Sentences of the test data with pauses of 0.5 s, over and over; written block by block."""
    from studio.listening.compiled import librosa

    clips = [
        librosa().resample(
            soundfile.read(each, dtype="float32")[0], orig_sr=soundfile.info(each).samplerate, target_sr=RATE
        )
        for each in sorted(DATA.glob("kathleen_*.flac"))
    ]
    rng, seconds = np.random.default_rng(0), 0.0
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        while seconds < minutes * 60:
            block = np.concatenate([clips[rng.integers(len(clips))], np.zeros(RATE // 2, np.float32)])
            file.write(block + rng.standard_normal(len(block)).astype(np.float32) * 1e-3)
            seconds += len(block) / RATE


def ours(path: Path) -> int:
    """Slice and measure as the studio does; returns the number of utterances."""
    import torch

    torch.set_num_threads(1)
    from studio.datasets.measures import measure
    from studio.datasets.slicing import slice_recording
    from studio.datasets.stored_sound import waveform_of

    sliced = slice_recording(path, soundfile.info(path).duration)
    for each in sliced.slices:
        measure(waveform_of(path, each.start, each.end), "")
    return len(sliced.slices)


def naive(path: Path) -> int:
    """The whole file in memory, cut by voice activity; the model is loaded anew for each clip that is measured."""
    import torch

    torch.set_num_threads(1)
    from silero_vad import get_speech_timestamps, load_silero_vad

    from studio.audio import Waveform, read_audio
    from studio.datasets.measures.figures import measured

    sound = read_audio(path)
    stamps = get_speech_timestamps(torch.from_numpy(sound.samples), load_silero_vad(), sampling_rate=RATE)
    for stamp in stamps:
        clip = sound.samples[stamp["start"] : stamp["end"]]
        get_speech_timestamps(torch.from_numpy(clip), load_silero_vad(), sampling_rate=RATE)
        measured(Waveform(clip, RATE), [])
    return len(stamps)


def _timed(way: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.datasets", "--way", way, "--recording", str(path)]
    done = subprocess.run(command, env=os.environ | _ONE_THREAD, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--way", choices=["ours", "naive"], help=argparse.SUPPRESS)
    parser.add_argument("--recording", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        began, cpu = time.monotonic(), time.process_time()
        count = {"ours": ours, "naive": naive}[options.way](options.recording)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures = {
            "utterances": count,
            "wall": time.monotonic() - began,
            "cpu": time.process_time() - cpu,
            "peak_mib": peak,
        }
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (options.minutes, options.minutes * 6):
            path = Path(folder) / f"{minutes}.flac"
            make_recording(path, minutes)
            seconds = soundfile.info(path).duration
            for way in ("ours", "naive"):
                found = _timed(way, path)
                speed = f"{seconds / found['cpu']:6.1f} × real time (CPU), {seconds / found['wall']:6.1f} × (wall)"
                count, peak = found["utterances"], found["peak_mib"]
                sys.stdout.write(
                    f"{way:6} {seconds / 60:6.1f} min: {count:5} utterances, {speed}, peak {peak:.0f} MiB\n"
                )


if __name__ == "__main__":
    main()

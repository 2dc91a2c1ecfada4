"""Makes the dataset that *Train* offers to try a training with: ``python -m tools.demo_checkpoint.try_it``.

About three minutes of one of the teacher's voices that no stage was trained on, in sentences of the scope: what the demo
checkpoint learns from them is the voice alone. Every eighth utterance is for validation.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
from pathlib import Path

from studio.audio import Waveform, integrated_lufs, normalised, trim_edges, write_audio
from studio.datasets.try_it import FOLDER, TABLE
from studio.files import atomic_write_bytes
from tools.demo_checkpoint import corpus, scope, teacher
from tools.preset_voices import LOUDNESS, NPM_ARCHIVE

VOICE, SPEAKER = "bm_fable", "Fable"
SEED, HELD_OUT_EVERY = 7, 8
SECONDS = 180.0


def sentences() -> list[str]:
    """Sentences of the scope in an order of their own, none of them one that is judged with."""
    judged = {text for shard in range(corpus.HELD_OUT_SHARDS) for _, text, _, _ in corpus.jobs(shard)}
    rng = random.Random(SEED)
    drawn = dict.fromkeys(scope.sentence(rng) for _ in range(400))
    return [text for text in drawn if text not in judged and len(scope.words_of(text)) >= 5]


def main() -> None:
    """Write the recordings, and the table last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--voices", type=Path, default=NPM_ARCHIVE, help="the kokoro-js archive (build/)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng, seconds = random.Random(SEED), 0.0
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "text", "speaker", "language", "split"])
    for number, text in enumerate(sentences(), start=1):
        if seconds >= SECONDS:
            break
        spoken = teacher.speak(text, VOICE, rng.uniform(0.92, 1.05), options.voices)
        clip = trim_edges(Waveform(spoken.samples, teacher.RATE))
        clip = normalised(clip, LOUDNESS) if integrated_lufs(clip) is not None else clip
        name = f"fable_{number:03d}.flac"
        write_audio(clip, options.out / name, synthetic=True)
        writer.writerow([name, text, SPEAKER, "en", "train" if number % HELD_OUT_EVERY else "validation"])
        seconds += clip.duration
        print(f"{seconds:.0f} s  {text}", flush=True)
    atomic_write_bytes(options.out / TABLE, table.getvalue().encode())


if __name__ == "__main__":
    main()

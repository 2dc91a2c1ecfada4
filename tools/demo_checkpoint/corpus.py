"""Teacher speech: ``python -m tools.demo_checkpoint.corpus --hours 3``.

Shards of 40 utterances, each with its words' times. A shard is named by its number, which also seeds it: the same number is
the same texts and voices, so that a run which was killed goes on where it stopped and two runs can share the work.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from tools.demo_checkpoint import scope, state
from tools.preset_voices import NPM_ARCHIVE

RATE = 16_000
SHARD = 40
HELD_OUT_SHARDS = 4
"""The first shards are for judging: no stage trains on them."""

VOICES = (
    "af_heart", "af_bella", "af_sarah", "af_aoede", "af_kore", "am_michael", "am_fenrir", "am_puck", "am_onyx",
    "bf_emma", "bf_isabella", "bm_george", "bm_lewis", "bm_daniel",
)  # fmt: skip
UNSEEN_VOICES = ("af_nova", "bm_fable")
"""Never trained on: they show what a stranger's voice becomes."""
BLENDS = (
    "af_heart+bf_emma", "am_michael+bm_george", "af_bella+am_puck", "bf_isabella+af_kore", "am_fenrir+bm_lewis",
    "af_sarah+am_onyx", "bm_daniel+am_michael", "af_aoede+bf_emma", "af_heart+am_fenrir", "bf_isabella+bm_george",
)  # fmt: skip
"""Half one voice and half another: more speakers than the teacher has."""

_KINDS = {"sentence": 0.42, "salad": 0.38, "word": 0.04, "open": 0.16}
_KEPT = 0.06
"""Seconds kept before and after the sound."""


@dataclass(frozen=True)
class Utterance:
    """One line of speech, 16 kHz.

    Attributes:
        samples: int16, shape (num_samples,).
        words: seconds of each word of the text, shape (num_words, 2).
    """

    voice: str
    text: str
    kind: str
    samples: np.ndarray
    words: np.ndarray
    phonemes: str
    phoneme_times: np.ndarray


def jobs(shard: int) -> list[tuple[str, str, str, float]]:
    """Voice, text, kind and speed of each utterance of a shard."""
    rng = random.Random(f"corpus-{shard}")
    held_out = shard < HELD_OUT_SHARDS
    found = []
    for _ in range(SHARD):
        kind = "sentence" if held_out else rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        text = {
            "sentence": scope.sentence,
            "salad": lambda rng: scope.salad(rng, rng.randint(2, 7)),
            "word": lambda rng: scope.salad(rng, 1),
            "open": scope.open_sentence,
        }[kind](rng)
        voices = VOICES + UNSEEN_VOICES if held_out else VOICES * 2 + BLENDS
        found.append((rng.choice(voices), text, kind, rng.uniform(0.85, 1.12)))
    return found


def make_utterance(voice: str, text: str, kind: str, speed: float, archive: Path) -> Utterance:
    """Speak one line and cut the silence around it."""
    from tools.demo_checkpoint import teacher

    spoken = teacher.speak(text, voice, speed, archive)
    samples = soxr.resample(spoken.samples, teacher.RATE, RATE)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    first = max(0, int(loud[0]) - round(_KEPT * RATE))
    samples = samples[first : int(loud[-1]) + round(_KEPT * RATE)]
    level = np.rint(samples / max(1e-6, np.abs(samples).max()) * 0.7 * 32767).astype(np.int16)
    shift, length = first / RATE, len(level) / RATE
    return Utterance(
        voice,
        text,
        kind,
        level,
        np.clip(spoken.words - shift, 0, length).astype(np.float32),
        spoken.phonemes,
        np.clip(spoken.phoneme_times - shift, 0, length).astype(np.float32),
    )


def write_shard(path: Path, utterances: list[Utterance]) -> None:
    """Keep a shard, whole or not at all."""
    meta = [
        {
            "voice": u.voice,
            "text": u.text,
            "kind": u.kind,
            "phonemes": u.phonemes,
            "lengths": [len(u.samples), len(u.words)],
        }
        for u in utterances
    ]
    state.write_arrays(
        path,
        meta,
        samples=np.concatenate([u.samples for u in utterances]),
        words=np.concatenate([u.words for u in utterances]),
        phoneme_times=np.concatenate([u.phoneme_times for u in utterances]),
    )


def read_shard(path: Path) -> list[Utterance]:
    """The utterances of a shard. Raises ValueError if the file is damaged."""
    meta, arrays = state.read_arrays(path)
    found, at = [], np.zeros(3, dtype=np.int64)
    for entry in meta:
        lengths = np.array([*entry["lengths"], len(entry["phonemes"])])
        parts = [
            arrays[n][a : a + k] for n, a, k in zip(("samples", "words", "phoneme_times"), at, lengths, strict=True)
        ]
        found.append(
            Utterance(entry["voice"], entry["text"], entry["kind"], parts[0], parts[1], entry["phonemes"], parts[2])
        )
        at += lengths
    return found


def shards(folder: Path | None = None) -> list[Path]:
    """Finished shards, by number."""
    return sorted(((folder or state.state_folder()) / "corpus").glob("s*.npz"))


def is_held_out(path: Path) -> bool:
    """Whether a shard is for judging."""
    return int(path.stem[1:]) < HELD_OUT_SHARDS


def utterances(*, held_out: bool = False) -> Iterator[Utterance]:
    """All utterances at hand, of the shards for training or of those for judging."""
    for path in shards():
        if is_held_out(path) == held_out:
            yield from read_shard(path)


def main() -> None:
    """Make shards until there are as many hours as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument(
        "--share", type=int, nargs=2, default=(0, 1), metavar=("K", "N"), help="only the K-th of N shards"
    )
    parser.add_argument("--voices", type=Path, default=NPM_ARCHIVE, help="the kokoro-js archive (build/)")
    options = parser.parse_args()
    folder = state.state_folder() / "corpus"
    number, of = options.share
    seconds = 0.0
    progress: Any = None
    while seconds < options.hours * 3600 / of:
        path = folder / f"s{number:05d}.npz"
        if not path.exists():
            write_shard(path, [make_utterance(*job, options.voices) for job in jobs(number)])
        new = sum(len(u.samples) for u in read_shard(path)) / RATE
        seconds += new
        number += of
        if progress is None:
            progress = state.Progress("corpus, seconds", options.hours * 3600 / of, seconds)
        progress(round(seconds), f"shard {number}")


if __name__ == "__main__":
    state.limit_threads(1)
    main()

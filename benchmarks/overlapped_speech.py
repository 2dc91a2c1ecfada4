"""How many slices with two voices are found, and how many with one are taken for them, in made-up conversations.

    python -m benchmarks.overlapped_speech FOLDER [--conversations 40]

FOLDER has recordings of several speakers, each file named SPEAKER-….flac (or .wav), as LibriSpeech names them. Two or three
speakers take turns with pauses of 0.3 to 1 s; in a quarter of the turns somebody else speaks at once, at −4 to +4 dB.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import soundfile

from studio.audio import read_audio
from studio.datasets.slicing.cutting import cuts, with_room
from studio.datasets.slicing.overlaps import with_two_voices
from studio.datasets.slicing.speech import speech_in

RATE = 16_000


def conversation(clips: dict[str, list[np.ndarray]], rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Samples, and for each of them who speaks, a bit for each speaker; both of shape ``(num_samples,)``."""
    names = rng.sample(sorted(clips), min(len(clips), rng.choice([2, 2, 3])))
    sound, speaking = [], []
    for turn in range(4 * len(names)):
        name = names[turn % len(names)]
        clip = rng.choice(clips[name]).copy()
        who = np.full(len(clip), 1 << names.index(name), np.uint8)
        if rng.random() < 0.25:
            other = rng.choice([each for each in names if each != name])
            over = rng.choice(clips[other])
            length = int(min(len(clip), len(over)) * rng.uniform(0.4, 1))
            start = rng.randrange(len(clip) - length + 1)
            clip[start : start + length] += over[:length] * 10 ** (rng.uniform(-4, 4) / 20)
            who[start : start + length] |= 1 << names.index(other)
        pause = round(RATE * rng.uniform(0.3, 1))
        sound += [clip, np.zeros(pause, np.float32)]
        speaking += [who, np.zeros(pause, np.uint8)]
    return np.concatenate(sound), np.concatenate(speaking)


def kind_of(who: np.ndarray) -> str:
    """What a slice holds."""
    if (np.bitwise_count(who) > 1).any():
        return "two at once"
    return "one after the other" if len(set(who[who > 0].tolist())) > 1 else "one voice"


def main() -> None:
    """Print the share that is taken for two voices, by what a slice holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--conversations", type=int, default=40)
    options = parser.parse_args()
    clips: dict[str, list[np.ndarray]] = defaultdict(list)
    for path in sorted(each for each in options.folder.rglob("*-*") if each.suffix in (".flac", ".wav")):
        samples = read_audio(path).resampled(RATE).samples
        clips[path.stem.split("-")[0]].append(samples / max(1e-9, float(np.sqrt(np.mean(samples**2)))) * 0.06)
    rng, found, taken = random.Random(1), Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conversation.flac"
        for _ in range(options.conversations):
            sound, who = conversation(clips, rng)
            soundfile.write(path, np.clip(sound, -1, 1), RATE)
            spans = list(speech_in(path, len(sound) / RATE, lambda done: None, lambda: False))
            slices = with_room(cuts(spans), len(sound) / RATE)
            crowded = with_two_voices(path, slices, [span for span, _ in spans], lambda: False)
            for index, each in enumerate(slices):
                kind = kind_of(who[round(each.start * RATE) : round(each.end * RATE)])
                found[kind] += 1
                taken[kind] += index in crowded
    print(
        json.dumps(
            {kind: {"slices": count, "left out": round(taken[kind] / count, 3)} for kind, count in found.items()}
        )
    )


if __name__ == "__main__":
    main()

"""The corpus as codes: ``python -m tools.demo_checkpoint.codes``.

Every utterance is encoded several times, each time shifted by less than a frame and at another level: to the language model
these are different recordings of the same words. Some are played slower or faster: other speakers. Codes belong to
one codec and lie in a folder of its name.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch

from studio.files import atomic_write_bytes
from tools.demo_checkpoint import corpus, scope, state
from tools.demo_checkpoint.codec import load_codec
from tools.demo_checkpoint.codec_model import HOP, RATE, Codec
from tools.demo_checkpoint.phonemes import sounds_of

FRAME_SECONDS = HOP / RATE
KEPT = Path(__file__).with_name("kept")
"""Codes that were made before, by the name of their codec: a new machine need not speak the corpus again."""
TEMPOS = (1.0, 1.0, 0.89, 1.13)
"""How fast an utterance is played for each of its encodings, in turn."""


@dataclass(frozen=True)
class Clip:
    """One encoding of one utterance.

    Attributes:
        codes: int16, shape (num_codebooks, num_frames).
        words: first frame of each word and the frame after its last, shape (num_words, 2).
        sounds: for each frame, a number that stands for the teacher's phoneme (0: none), shape (num_frames,).
    """

    voice: str
    text: str
    kind: str
    codes: np.ndarray
    words: np.ndarray
    sounds: np.ndarray


def word_frames(times: np.ndarray, num_frames: int) -> np.ndarray:
    """Seconds of words to frames, at least one each, in order and not overlapping."""
    frames = np.rint(times / FRAME_SECONDS).astype(np.int64)
    for index in range(len(frames)):
        earliest = frames[index - 1, 1] if index else 0
        frames[index, 0] = min(max(frames[index, 0], earliest), num_frames - 1)
        frames[index, 1] = min(max(frames[index, 1], frames[index, 0] + 1), num_frames)
    return frames


def encode_utterance(codec: Codec, utterance: corpus.Utterance, count: int, rng: np.random.Generator) -> list[Clip]:
    """``count`` encodings of an utterance."""
    clips = []
    for variant in range(count):
        tempo = TEMPOS[variant % len(TEMPOS)]
        shift = int(rng.integers(0, HOP)) if variant else 0
        level = 10 ** (rng.uniform(-5, 3) / 20) if variant else 1.0
        speech = utterance.samples.astype(np.float32) / 32768 * level
        if tempo != 1:
            speech = soxr.resample(speech, round(RATE * tempo), RATE)
        samples = np.concatenate([np.zeros(shift, np.float32), speech])
        samples += rng.standard_normal(len(samples)).astype(np.float32) * 2e-4
        codes = codec.codes(torch.from_numpy(np.clip(samples, -1, 1).astype(np.float32))).numpy().astype(np.int16)
        late, num_frames = shift / RATE, codes.shape[1]
        clips.append(
            Clip(
                utterance.voice if tempo == 1 else f"{utterance.voice}@{tempo}",
                utterance.text,
                utterance.kind,
                codes,
                word_frames(utterance.words / tempo + late, num_frames),
                sounds_of(utterance.phonemes, utterance.phoneme_times / tempo + late, num_frames, FRAME_SECONDS),
            )
        )
    return clips


def write_clips(path: Path, clips: list[Clip]) -> None:
    """Keep clips, whole or not at all."""
    state.write_arrays(
        path,
        [[c.voice, c.text, c.kind, c.codes.shape[1], len(c.words)] for c in clips],
        codes=np.concatenate([c.codes for c in clips], axis=1),
        words=np.concatenate([c.words for c in clips]).astype(np.int16),
        sounds=np.concatenate([c.sounds for c in clips]),
    )


def read_clips(path: Path) -> Iterator[Clip]:
    """The clips of a file. Raises ValueError if it is damaged."""
    meta, arrays = state.read_arrays(path)
    frame = word = 0
    for voice, text, kind, num_frames, num_words in meta:
        yield Clip(
            voice,
            text,
            kind,
            arrays["codes"][:, frame : frame + num_frames],
            arrays["words"][word : word + num_words].astype(np.int64),
            arrays["sounds"][frame : frame + num_frames],
        )
        frame, word = frame + num_frames, word + num_words


def fingerprint(codec: Codec) -> str:
    """Names a codec by its weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(codec.state_dict().items()):
        if name.startswith(("native.quantizer", "native.acoustic_encoder", "native.fc.", "analysis")):
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]


def encode_all(codec: Codec, folder: Path, count: int) -> None:
    """Encode the shards of the corpus that are not encoded yet, after taking over those that lie in :data:`KEPT`."""
    folder.mkdir(parents=True, exist_ok=True)
    for kept in sorted((KEPT / folder.name).glob("s*.npz")):
        if not (folder / kept.name).exists():
            atomic_write_bytes(folder / kept.name, kept.read_bytes())
    todo = [path for path in corpus.shards() if not (folder / path.name).exists()]
    progress: Any = state.Progress("codes, shards", len(todo))
    for number, path in enumerate(todo, start=1):
        rng = np.random.default_rng(int(path.stem[1:]))
        kept = [
            u for u in corpus.read_shard(path) if u.kind == "open" or set(scope.words_of(u.text)) <= set(scope.words())
        ]
        few = 1 if corpus.is_held_out(path) else count
        write_clips(folder / path.name, [clip for u in kept for clip in encode_utterance(codec, u, few, rng)])
        progress(number, path.name)


def main() -> None:
    """Encode with the codec of the state folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--codec", type=Path, help="a save of the codec (the newest)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codec = load_codec(options.codec or state.state_folder() / "codec" / "codec.pt")
    encode_all(codec, state.state_folder() / "codes" / fingerprint(codec), options.variants)


if __name__ == "__main__":
    main()

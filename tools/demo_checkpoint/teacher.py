"""The teacher: Kokoro-82M on one thread, with the time at which it says each word.

Its duration predictor gives every phoneme a number of frames; that tensor is made an output of the graph, so words are
known to the frame instead of being searched for afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tools.demo_checkpoint.scope import word_spans
from tools.preset_voices import NPM_ARCHIVE, model, phonemes, style_vectors, vocabulary

RATE = 24_000
FRAME = 600
"""Samples of one step of Kokoro's durations."""
_DURATIONS = "/encoder/Clip_output_0"


@dataclass(frozen=True)
class Spoken:
    """An utterance.

    Attributes:
        samples: float32, 24 kHz.
        words: shape (num_words, 2), seconds at which each word of the text begins and ends.
        phonemes: Kokoro's signs, one string.
        phoneme_times: shape (num_phonemes, 2), seconds.
    """

    samples: np.ndarray
    words: np.ndarray
    phonemes: str
    phoneme_times: np.ndarray


@cache
def _session() -> Any:
    import onnx
    import onnxruntime

    graph = onnx.load_model_from_string(model())
    graph.graph.output.append(onnx.helper.make_tensor_value_info(_DURATIONS, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


@cache
def _style(voice: str, archive: Path) -> np.ndarray:
    """Style vectors of a voice, shape (510, 1, 256); ``a+b`` is half of each, one more speaker."""
    return np.mean([style_vectors(archive, part) for part in voice.split("+")], axis=0, dtype=np.float32)


def espeak_language(voice: str) -> str:
    """British voices speak British English."""
    return "gmw/en-GB-x-rp" if voice.startswith("b") else "gmw/en-US"


def speak(text: str, voice: str, speed: float, archive: Path = NPM_ARCHIVE) -> Spoken:
    """Speak a text. Raises ValueError where phonemes and words of the text cannot be brought together."""
    signs, owners = phonemes_by_word(text, espeak_language(voice))
    tokens = [vocabulary()[sign] for sign in signs]
    inputs = {
        "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
        "style": _style(voice, archive)[len(tokens) - 1],
        "speed": np.array([speed], dtype=np.float32),
    }
    audio, durations = _session().run(["audio", _DURATIONS], inputs)
    samples, frames = np.asarray(audio, np.float32).ravel(), np.asarray(durations).ravel().astype(np.int64)
    if frames.sum() * FRAME != len(samples):
        raise ValueError(f"{frames.sum()} frames do not make {len(samples)} samples")
    edges = np.cumsum(frames) * FRAME / RATE
    times = np.stack([edges[:-2], edges[1:-1]], axis=1)
    spans = [times[owners == word] for word in range(len(word_spans(text)))]
    word_times = np.array([(span[:, 0].min(), span[:, 1].max()) for span in spans])
    return Spoken(samples, word_times, signs, times)


def phonemes_by_word(text: str, language: str) -> tuple[str, np.ndarray]:
    """Kokoro's phonemes of a text, and for each the number of its word (−1: a space or a mark).

    eSpeak NG joins some words into one ("of the"); such a group is cut where its parts fit the words best.
    """
    signs = phonemes(text, language)
    groups: list[tuple[int, int]] = []
    start: int | None = None
    for position, sign in enumerate(signs + " "):
        inside = sign not in ' .,;:!?—…"()“”'
        if inside and start is None:
            start = position
        elif not inside and start is not None:
            groups.append((start, position))
            start = None
    said = [alone(text[a:b].lower(), language) for a, b in word_spans(text)]
    owners = np.full(len(signs), -1)
    for (first, last), members in zip(groups, _assign([signs[a:b] for a, b in groups], said), strict=True):
        cuts = _cut(signs[first:last], [said[word] for word in members])
        for word, begin, end in zip(members, cuts[:-1], cuts[1:], strict=True):
            owners[first + begin : first + end] = word
    if missing := set(range(len(said))) - set(owners.tolist()):
        raise ValueError(f"no phonemes for word {min(missing)} of {text!r}")
    return signs, owners


@lru_cache(maxsize=20_000)
def alone(word: str, language: str) -> str:
    """The phonemes of a word spoken by itself."""
    return phonemes(word, language)


def _assign(groups: list[str], words: list[str]) -> list[list[int]]:
    """Which consecutive words each phonetic group says (one to four), by the least edit distance in total."""
    infinite = 10**9
    best = {(0, 0): (0, -1)}
    for g, group in enumerate(groups, start=1):
        for w in range(1, len(words) + 1):
            options = [
                (best.get((g - 1, w - k), (infinite, 0))[0] + distance(group, "".join(words[w - k : w])), k)
                for k in range(1, min(4, w) + 1)
            ]
            best[g, w] = min(options)
    cost, count = best.get((len(groups), len(words)), (infinite, 0))
    if cost >= infinite:
        raise ValueError(f"{len(groups)} phonetic words for {len(words)} words")
    members: list[list[int]] = []
    w = len(words)
    for g in range(len(groups), 0, -1):
        count = best[g, w][1]
        members.insert(0, list(range(w - count, w)))
        w -= count
    return members


def _cut(group: str, words: list[str]) -> list[int]:
    """Where in a group its words meet: ``len(words) + 1`` positions from 0 to its length."""
    if len(words) == 1:
        return [0, len(group)]
    rest = "".join(words[1:])
    if len(group) < len(words):
        raise ValueError(f"{group!r} is too short for {words}")
    at = min(
        range(1, len(group) - len(words) + 2),
        key=lambda i: distance(group[:i], words[0]) + distance(group[i:], rest),
    )
    return [0, *(at + cut for cut in _cut(group[at:], words[1:]))]


@lru_cache(maxsize=50_000)
def distance(a: str, b: str) -> int:
    """Edit distance of two strings."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]

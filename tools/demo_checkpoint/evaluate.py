"""Measures the codec and the checkpoint: ``python -m tools.demo_checkpoint.evaluate codec`` or ``… speech --checkpoint F``.

On sentences and clips that nothing was trained on; words are judged by Whisper base, voices by Resemblyzer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tools.demo_checkpoint import corpus, hearing, state
from tools.demo_checkpoint.codec import SpectralLoss, load_codec
from tools.demo_checkpoint.codec_model import HOP, RATE, Codec, load_start


def test_utterances(count: int, *, seen: bool = True) -> list[corpus.Utterance]:
    """Held-out utterances by voices that were trained on, or by those that were not."""
    voices = corpus.VOICES if seen else corpus.UNSEEN_VOICES
    return [u for u in corpus.utterances(held_out=True) if u.voice in voices][:count]


def codec_figures(codec: Codec, utterances: Sequence[corpus.Utterance], *, quantised: bool = True) -> dict[str, Any]:
    """Resynthesis of utterances: WER before and after, similarity of the voice, spectral distance, usage of codes."""
    loss, distances, similarities = SpectralLoss(), [], []
    wanted, original, heard, codes = [], [], [], []
    encoding = decoding = seconds = 0.0
    for utterance in utterances:
        samples = utterance.samples.astype(np.float32) / 32768
        started = time.process_time()
        if quantised:
            code = codec.codes(torch.from_numpy(samples))
            encoding += time.process_time() - started
            started = time.process_time()
            audio = codec.audio(code)
            decoding += time.process_time() - started
            codes.append(code.numpy())
        else:
            padded = torch.nn.functional.pad(torch.from_numpy(samples), (0, -len(samples) % HOP))
            with torch.inference_mode():
                audio = codec.decode(codec.encode(padded[None, None]))[0, 0]
        length = min(len(samples), len(audio))
        with torch.inference_mode():
            distances.append(float(loss(torch.from_numpy(samples)[None, :length], audio[None, :length])))
        again = audio.numpy()[:length]
        seconds += length / RATE
        wanted.append(utterance.text)
        original.append(hearing.transcribed(samples))
        heard.append(hearing.transcribed(again))
        if length > RATE:
            similarities.append(float(hearing.voice(samples) @ hearing.voice(again)))
    figures: dict[str, Any] = {
        "utterances": len(utterances),
        "wer_original": hearing.word_error_rate(wanted, original),
        "wer_resynthesised": hearing.word_error_rate(wanted, heard),
        "voice_similarity": float(np.mean(similarities)),
        "spectral_distance": float(np.mean(distances)),
    }
    if quantised:
        figures |= {"encode_rtf": encoding / seconds, "decode_rtf": decoding / seconds} | usage(codes)
    return figures


def usage(codes: Sequence[np.ndarray]) -> dict[str, Any]:
    """By codebook: share of codes that occur, and entropy in bits. Each of shape (num_codebooks, num_frames)."""
    joined = np.concatenate(codes, axis=1)
    entropies, shares = [], []
    for row in joined:
        counts = np.bincount(row, minlength=512)
        share = counts[counts > 0] / counts.sum()
        entropies.append(round(float(-(share * np.log2(share)).sum()), 2))
        shares.append(round(float((counts > 0).mean()), 3))
    return {"entropy_bits": entropies, "codes_used": shares}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["codec"])
    parser.add_argument("--codec", type=Path, help="a save, or a safetensors file to start from")
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--unquantised", action="store_true")
    parser.add_argument("--unseen", action="store_true", help="voices that were not trained on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = options.codec or state.state_folder() / "codec" / "codec.pt"
    if path.suffix == ".safetensors":
        codec = Codec().eval()
        load_start(codec, path)
    else:
        codec = load_codec(path)
    utterances = test_utterances(options.count, seen=not options.unseen)
    print(json.dumps(codec_figures(codec, utterances, quantised=not options.unquantised), indent=1))


if __name__ == "__main__":
    main()

"""Measures the codec and the checkpoint: ``python -m tools.demo_checkpoint.evaluate codec`` or ``… speech --checkpoint F``.

On sentences and clips that nothing was trained on; words are judged by Whisper base, voices by the studio's speaker encoder.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tools.demo_checkpoint import corpus, hearing, scope, state
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


def speech_figures(
    folder: Path, count: int, *, seen: bool, voice: str = "", adapter: Path | None = None, out: Path | None = None
) -> dict[str, Any]:  # fmt: skip
    """Takes of a checkpoint by the studio's own engine: held-out sentences, each with another line of its voice as reference.

    ``voice``: of one voice alone. ``adapter``: folder of a trained one, worn by the checkpoint.
    ``voice_first``: share of takes that are more like their own voice than like any other of the teacher's.
    ``ended_in_time``: share that ended by themselves at 0.7 to 1.4 times the teacher's duration.
    """
    from studio.audio import Waveform, write_audio
    from studio.engine.checkpoints import find_checkpoint, load_checkpoint
    from studio.engine.speech.reference import Consent, Reference
    from studio.engine.voice_engine import VoiceEngine

    checkpoint = load_checkpoint(find_checkpoint(str(folder)), device="cpu", precision="float32")
    checkpoint.codec_model.float()  # however it is stored: a CPU is slow in half precision
    engine = VoiceEngine(checkpoint)
    worn = engine.load_adapter(adapter) if adapter is not None else None
    everything = list(corpus.utterances(held_out=True))
    voices = _mean_voices(everything)
    consent = Consent("licence", "Synthetic voice of Kokoro-82M")
    takes = []
    wanted = [each for each in test_utterances(10**6, seen=seen) if voice in ("", each.voice)][:count]
    for number, utterance in enumerate(wanted):
        other = next(u for u in everything if u.voice == utterance.voice and u.text != utterance.text)
        clip = Waveform(other.samples.astype(np.float32) / 32768, RATE)
        speech = engine.clone(utterance.text, [Reference(clip, other.text, consent)], seed=number, adapter=worn)
        samples = speech.waveform.resampled(RATE).samples
        take: dict[str, Any] = {
            "voice": utterance.voice,
            "text": utterance.text,
            "heard": hearing.transcribed(samples) if len(samples) > HOP else "",
            "ratio": len(samples) / len(utterance.samples),
            "ended": speech.ended,
            "rtf": speech.rtf if len(samples) else None,
        }
        if len(samples) > RATE:
            here = hearing.voice(samples)
            likeness = {name: float(here @ mean) for name, mean in voices.items()}
            take |= {"similarity": likeness[utterance.voice], "nearest": max(likeness, key=lambda name: likeness[name])}
        takes.append(take)
        if out is not None and len(samples):
            out.mkdir(parents=True, exist_ok=True)
            write_audio(speech.waveform, out / f"{number:02d}.wav")
        print(json.dumps(take), flush=True)
    judged = [take for take in takes if "nearest" in take]
    return {
        "takes": len(takes),
        "wer": hearing.word_error_rate([t["text"] for t in takes], [t["heard"] for t in takes]),
        "voice_first": float(np.mean([t["nearest"] == t["voice"] for t in judged])) if judged else None,
        "similarity": float(np.mean([t["similarity"] for t in judged])) if judged else None,
        "ended_in_time": float(np.mean([t["ended"] and 0.7 <= t["ratio"] <= 1.4 for t in takes])),
        "rtf": float(np.median([t["rtf"] for t in takes if t["rtf"]] or [0])),
    }


def random_lines(count: int, *, seed: int = 2) -> list[str]:
    """Lines of the scope."""
    rng = random.Random(seed)
    return list(dict.fromkeys(scope.sentence(rng) for _ in range(count)))


def understood_lines(folder: Path, lines: Sequence[str]) -> list[tuple[float, str]]:
    """Lines by how well they are understood, best first: 1 − WER, at least 0, mean over all preset voices.

    What the page offers as examples should be what comes out best.
    """
    from studio.audio import read_audio
    from studio.engine.checkpoints import find_checkpoint, load_checkpoint
    from studio.engine.speech.reference import Consent, Reference
    from studio.engine.voice_engine import VoiceEngine
    from studio.voices.presets import preset_voices

    engine = VoiceEngine(load_checkpoint(find_checkpoint(str(folder)), device="cpu"))
    consent = Consent("licence", "comes with the studio")
    references = [
        Reference(read_audio(voice.clips[0].path), voice.clips[0].transcript.text, consent)
        for voice in preset_voices()
        if voice.language == "en"
    ]
    found = []
    for line in lines:
        errors = []
        for number, reference in enumerate(references):
            samples = engine.clone(line, [reference], seed=number).waveform.resampled(RATE).samples
            errors.append(hearing.word_error_rate([line], [hearing.transcribed(samples)]))
        found.append((float(np.mean([max(0.0, 1 - error) for error in errors])), line))
        print(f"{found[-1][0]:.2f} {line}", flush=True)
    return sorted(found, reverse=True)


def _mean_voices(utterances: Sequence[corpus.Utterance], each: int = 3) -> dict[str, np.ndarray]:
    """A vector for each of the teacher's voices, of a few utterances."""
    found = {}
    for name in sorted({u.voice for u in utterances}):
        long = sorted((u for u in utterances if u.voice == name), key=lambda u: -len(u.samples))[:each]
        mean = np.mean([hearing.voice(u.samples.astype(np.float32) / 32768) for u in long], axis=0)
        found[name] = mean / np.linalg.norm(mean)
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["codec", "speech", "lines"])
    parser.add_argument("--codec", type=Path, help="a save, or a safetensors file to start from")
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--unquantised", action="store_true")
    parser.add_argument("--unseen", action="store_true", help="voices that were not trained on")
    parser.add_argument("--voice", default="", help="this one alone")
    parser.add_argument("--adapter", type=Path, help="folder of a trained voice, for speech")
    parser.add_argument("--checkpoint", type=Path, help="assembled folder, for speech")
    parser.add_argument("--lines", type=Path, help="a file with the lines to judge, instead of random ones")
    parser.add_argument("--out", type=Path, help="folder for the takes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "speech":
        if options.checkpoint is None:
            parser.error("speech needs --checkpoint")
        figures = speech_figures(
            options.checkpoint, options.count, seen=not options.unseen, voice=options.voice, adapter=options.adapter,
            out=options.out,
        )  # fmt: skip
        print(json.dumps(figures, indent=1))
        return
    if options.what == "lines":
        if options.checkpoint is None:
            parser.error("lines needs --checkpoint")
        given = options.lines.read_text(encoding="utf-8").splitlines() if options.lines else random_lines(options.count)
        found = understood_lines(options.checkpoint, [line for line in given if line.strip()])
        print(f"mean {np.mean([share for share, _ in found]):.3f}")
        print(json.dumps([line for _, line in found], indent=1))
        return
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

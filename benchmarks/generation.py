"""Frames per second, first-audio latency and memory of the engine beside the native ``model.generate``.

    python -m benchmarks.generation                 the tiny checkpoint, built for the run
    python -m benchmarks.generation --checkpoint X  a folder or hub id
    python -m benchmarks.generation --full-size     the 3B's dimensions with random weights in bfloat16

All three ways continue the same prompt greedily and are compared code for code. RTF is computing time divided by the
duration of what was generated.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

import studio.engine  # noqa: F401  the guard comes before transformers
from benchmarks.full_size import full_size_checkpoint
from studio.audio.waveform import Waveform
from studio.engine.checkpoints import Checkpoint, build_tiny_checkpoint, find_checkpoint, load_checkpoint
from studio.engine.devices import pick_device
from studio.engine.model.sampling import Sampling
from studio.engine.prompt import encode_prompt, speech_conversation
from studio.engine.prompt.delay_pattern import revert_delay
from studio.engine.speech.reference import Consent, Reference
from studio.engine.speech.request import SpeechRequest
from studio.engine.text import Script, frame_budget
from studio.engine.voice_engine import VoiceEngine

REFERENCE_SECONDS = 8.0
TRANSCRIPT = "For the twentieth time that evening the two men shook hands, and then they sat down."
SHORT_TEXT = "Good morning."
GREEDY = Sampling(temperature=0.0)
TEXT = "The sun rises in the east and sets in the west; people have seen it for thousands of years."


@dataclass
class Run:
    """One way of speaking: seconds to the first samples and to the last, and the codes."""

    first: float
    total: float
    codes: np.ndarray


class Contest:
    """The three ways, on one checkpoint, one reference and one text; all run to the text's length budget."""

    def __init__(self, checkpoint: Checkpoint, text: str, cache: Path) -> None:
        self.checkpoint, self.model, self.text = checkpoint, checkpoint.model, text
        self.engine = VoiceEngine(checkpoint, code_cache=cache)
        noise = np.random.default_rng(0).normal(0, 0.1, round(REFERENCE_SECONDS * self.engine.sample_rate))
        clip = Waveform(noise.astype(np.float32), self.engine.sample_rate)
        self.reference = Reference(clip, TRANSCRIPT, Consent("licence", "noise made by this program"))
        started = time.perf_counter()
        codes = torch.as_tensor(self.engine.codec.encode(clip))
        self.encode_seconds = time.perf_counter() - started
        # Native greedy decoding would still redraw repeated codes at random: off, as it is in ours.
        self.model.generation_config.ras_win_len = None
        self.frames = frame_budget(text, frame_rate=self.engine.frame_rate)
        config = self.model.config
        self.prompt = encode_prompt(
            speech_conversation(text, transcripts=[(None, TRANSCRIPT)]),
            [codes],
            tokenizer=checkpoint.tokenizer,
            stream_bos_id=config.audio_stream_bos_id,
            stream_eos_id=config.audio_stream_eos_id,
        )

    def native(self) -> Run:
        """``model.generate`` and one decode at its end."""
        rows, device = self.prompt.audio_input_ids, self.checkpoint.device
        assert rows is not None
        started = time.perf_counter()
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=self.prompt.input_ids.to(device),
                attention_mask=torch.ones_like(self.prompt.input_ids).to(device),
                audio_input_ids=rows.to(device),
                audio_input_ids_mask=torch.ones(rows.shape[:2], dtype=torch.bool, device=device),
                max_new_tokens=self.frames + self.engine.num_codebooks,
                do_sample=False,
            )
        codes = revert_delay(out[0, rows.shape[1] + 1 :].cpu()).clamp(max=self.engine.codec.codebook_size - 1).numpy()
        self.engine.codec.decode(codes)
        seconds = time.perf_counter() - started
        return Run(seconds, seconds, codes)

    def clone(self) -> Run:
        """``VoiceEngine.clone``: nothing is heard before all is there."""
        started = time.perf_counter()
        speech = self.engine.clone(self.text, [self.reference], sampling=GREEDY, seed=0)
        seconds = time.perf_counter() - started
        return Run(seconds, seconds, speech.codes)

    def stream(self) -> Run:
        """``VoiceEngine.stream``: the first piece after 0.4 s of speech, then a piece a second."""
        started = time.perf_counter()
        stream = self.engine.stream(SpeechRequest(Script(self.text), [self.reference], sampling=GREEDY, seed=0))
        next(stream)
        first = time.perf_counter() - started
        for _ in stream:
            pass
        return Run(first, time.perf_counter() - started, stream.speech.codes)


def long_winded_tiny(text: str, folder: Path) -> Contest:
    """A tiny checkpoint that, speaking greedily, does not end before the budget: random weights often do."""
    for seed in range(100):
        name = str(build_tiny_checkpoint(folder / f"tiny-{seed}", seed))
        contest = Contest(load_checkpoint(find_checkpoint(name)), text, folder / "codes")
        if contest.clone().codes.shape[1] == contest.frames:
            return contest
    raise SystemExit("no tiny checkpoint of the first hundred seeds speaks that long: try a shorter --text")


def main() -> None:
    """Run the contest and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint")
    parser.add_argument("--full-size", action="store_true")
    parser.add_argument("--text", help="what is spoken; its length budget decides how many frames are made")
    parser.add_argument("--repeats", type=int, help="default: 3, full size on a CPU: 1")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    options = parser.parse_args()
    device = pick_device(options.device)
    slow = options.full_size and device == "cpu"
    text, repeats = options.text or (SHORT_TEXT if slow else TEXT), options.repeats or (1 if slow else 3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.full_size:
            contest = Contest(full_size_checkpoint(device), text, folder)
        elif options.checkpoint:
            contest = Contest(load_checkpoint(find_checkpoint(options.checkpoint), device=options.device), text, folder)
        else:
            contest = long_winded_tiny(text, folder)
        ways = {"model.generate": contest.native, "clone": contest.clone, "stream": contest.stream}
        for way in ways.values() if repeats > 1 else ():
            way()  # warm-up
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for _ in range(repeats):  # in turn, so that all meet the same machine
            for name, way in ways.items():
                runs[name].append(way())
    report(contest, runs)
    if device == "cuda":
        print(f"peak GPU memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    print(f"resident memory: {psutil.Process().memory_info().rss / 2**30:.2f} GiB")


def report(contest: Contest, runs: dict[str, list[Run]]) -> None:
    """Print the medians, as ratios to the native way."""
    checkpoint, repeats = contest.checkpoint, len(runs["clone"])
    print(
        f"{Path(checkpoint.files.name).name}: {checkpoint.num_parameters / 1e6:,.1f} M parameters, {checkpoint.precision} on "
        f"{checkpoint.device}, {torch.get_num_threads()} threads; prompt of {contest.prompt.input_ids.shape[1]} tokens; "
        f"median of {repeats}"
    )
    print(f"encoding {REFERENCE_SECONDS:g} s of reference: {contest.encode_seconds:.2f} s (once; then from the cache)")
    print(f"{'':16}{'frames':>8}{'frames/s':>10}{'ratio':>8}{'first audio':>14}{'RTF':>8}")
    speeds: dict[str, float] = {}
    for name, results in runs.items():
        total = statistics.median(run.total for run in results)
        first = statistics.median(run.first for run in results)
        made = results[0].codes.shape[1]
        speeds[name] = made / total
        ratio, rtf = speeds[name] / speeds["model.generate"], total * contest.engine.frame_rate / made
        print(f"{name:16}{made:>8}{speeds[name]:>10.1f}{ratio:>8.2f}{first:>12.2f} s{rtf:>8.2f}")
    shortest = min(run.codes.shape[1] for results in runs.values() for run in results)
    expected = runs["model.generate"][0].codes[:, :shortest]
    same = all(np.array_equal(run.codes[:, :shortest], expected) for results in runs.values() for run in results)
    print(f"greedy codes of all three ways agree over {shortest} frames: {'yes' if same else 'NO'}")


if __name__ == "__main__":
    main()

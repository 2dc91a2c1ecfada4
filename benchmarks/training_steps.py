"""Time and memory of training steps, ours beside the stock model's; ``benchmarks.training`` runs this.

As a program (``python -m benchmarks.training_steps CHECKPOINT VARIANT BATCHES DEVICE``) it prints the peak memory of
single steps of one variant, measured in a process that did nothing else.
"""

from __future__ import annotations

import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

import studio.engine  # noqa: F401  the guard comes before swift
from benchmarks.full_size import full_size_model
from studio.engine.devices import return_memory

VARIANTS = ("ours", "stock")
BATCH_SIZES = (1, 2, 4)
GIB = 2**30
NEEDED = {"cpu": 14 * GIB, "cuda": 18 * GIB}
"""For LoRA steps at full size, on a CPU those of batch 1 alone, whose peak is 12.9 GiB."""


class Peak:
    """Memory in bytes from here on: on CUDA that of tensors, elsewhere that of the process."""

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"
        return_memory()
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        elif sys.platform == "linux":
            # The highest point is forgotten: loading a model takes more than having it.
            Path("/proc/self/clear_refs").write_text("5")
        self.before = self.bytes

    @property
    def bytes(self) -> int:
        """The highest point so far."""
        if self._cuda:
            return torch.cuda.max_memory_allocated()
        if sys.platform == "linux":  # ru_maxrss of a child begins with the peak of its parent
            status = Path("/proc/self/status").read_text()
            return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @property
    def added(self) -> int:
        """What has come on top."""
        return self.bytes - self.before


def load(checkpoint: Path, variant: str, device: str) -> Any:
    """The training class as ms-swift loads it, or the stock class; the same weights."""
    precision = torch.bfloat16 if device == "cuda" else torch.float32
    if variant == "ours":
        import swift_plugins.register  # noqa: F401  registering is its effect  # isort: skip
        from swift.model import get_model_processor

        model: Any = get_model_processor(str(checkpoint), model_type="higgs-audio", torch_dtype=precision)[0]
    else:
        from transformers import HiggsAudioV2ForConditionalGeneration

        model = HiggsAudioV2ForConditionalGeneration.from_pretrained(checkpoint, use_text_head=True, dtype=precision)
    return model.to(device).train()


def forward_backward(model: Any, batch: dict[str, Any]) -> Any:
    """One pass there and back; returns the output, and leaves no gradient behind."""
    output = model(**batch)
    assert torch.isfinite(output.loss)
    output.loss.backward()
    model.zero_grad(set_to_none=True)
    return output


def seconds(step: Callable[[], Any]) -> float:
    """How long a step takes, the device's work included."""
    started = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def in_turn(steps: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each step, one after the other, and every other time in the opposite order."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats):
        for name in list(steps)[:: -1 if turn % 2 else 1]:
            taken[name].append(seconds(steps[name]))
    return taken


def ratio(taken: dict[str, list[float]]) -> str:
    """Ours divided by stock: the median over the turns, the lowest and the highest, which tell how quiet the machine was."""
    ratios = sorted(ours / stock for ours, stock in zip(taken["ours"], taken["stock"], strict=True))
    return f"{statistics.median(ratios):>7.2f}{f'{ratios[0]:.2f}-{ratios[-1]:.2f}':>11}"


def batches_of(template: Any, samples: list[Any], device: str) -> dict[int, dict[str, Any]]:
    """Batches of the samples whose lengths are closest to the median."""
    middle = statistics.median(len(sample["input_ids"]) for sample in samples)
    chosen = sorted(samples, key=lambda sample: abs(len(sample["input_ids"]) - middle))[: max(BATCH_SIZES)]
    collated = {size: template.data_collator(chosen[:size]) for size in BATCH_SIZES}
    return {
        size: {name: value.to(device) for name, value in batch.items() if torch.is_tensor(value)}
        for size, batch in collated.items()
    }


def report_heads(
    device: str, models: dict[str, Path], template: Any, samples: list[Any], repeats: int, folder: Path
) -> None:
    """Forward and backward of whole small models: all their parameters are trained."""
    batches = batches_of(template, samples, device)
    torch.save(batches, folder / "batches.pt")
    print(
        "\nForward + backward, all parameters, the same weights and batches. Ours: heads where there is a label; stock:\n"
        f"everywhere. Ratios are ours / stock, of times {_turns(repeats)}. Memory: what one step adds to the\n"
        "loaded model at its peak, gradients included. tiny: the model of the tests. wide: the heads of the 3B on few\n"
        "and narrow layers, which shows what the heads cost; their share in the 3B is smaller."
    )
    print(
        f"{'model: layers, hidden, text + audio heads':42}{'batch':>6}{'tokens':>7}{'ours s':>9}{'stock s':>9}"
        f"{'ratio':>7}{'range':>11}{'ours MiB':>10}{'stock MiB':>10}{'ratio':>7}{'same loss':>11}"
    )
    for name, checkpoint in models.items():
        memory = {variant: _peaks(checkpoint, variant, folder / "batches.pt", device) for variant in VARIANTS}
        loaded = {variant: load(checkpoint, variant, device) for variant in VARIANTS}
        config = loaded["ours"].config
        heads = f"{config.vocab_size:,} + {config.num_codebooks} x {config.codebook_size:,}"
        title = f"{name}: {config.num_hidden_layers}, {config.hidden_size}, {heads}"
        for size, batch in batches.items():
            same = _same_loss(*(forward_backward(model, batch) for model in loaded.values()))  # and the warm-up
            taken = in_turn(
                {variant: partial(forward_backward, loaded[variant], batch) for variant in VARIANTS}, repeats
            )
            ours, stock = (statistics.median(taken[variant]) for variant in VARIANTS)
            peaks = [memory[variant][str(size)] / 2**20 for variant in VARIANTS]
            print(
                f"{title:42}{size:>6}{int(batch['attention_mask'].sum()):>7}{ours:>9.3f}{stock:>9.3f}{ratio(taken)}"
                f"{peaks[0]:>10,.0f}{peaks[1]:>10,.0f}{peaks[0] / peaks[1]:>7.2f}{'yes' if same else 'NO':>11}",
                flush=True,
            )


def _turns(repeats: int) -> str:
    return "1 turn" if repeats == 1 else f"the median of {repeats} turns"


def _same_loss(ours: Any, stock: Any) -> bool:
    """Whether both saw the same labels. The stock forward adds the codebooks' losses up, ours takes their mean."""
    total = float(ours.text_loss + ours.codebook_losses.sum())
    return abs(total - float(stock.loss.detach())) < 1e-3 * total


def _peaks(checkpoint: Path, variant: str, batches: Path, device: str) -> dict[str, int]:
    command = [sys.executable, "-m", __name__, checkpoint, variant, batches, device]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"measuring the memory of {variant} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print what one step of each batch adds to a loaded model, as JSON."""
    checkpoint, variant, batches, device = sys.argv[1:]
    model, peaks = load(Path(checkpoint), variant, device), {}
    kept = torch.load(batches, weights_only=True)
    forward_backward(model, kept[min(kept)])  # weights are mapped from their file: now they are in memory
    for size, batch in kept.items():
        peak = Peak(device)
        forward_backward(model, batch)
        peaks[size] = peak.added
    print(json.dumps(peaks))


def refuse_small_memory(device: str) -> None:
    """End with a sentence where a step at full size does not fit."""
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    if free < NEEDED[device]:
        raise SystemExit(
            f"Steps at full size need {NEEDED[device] / GIB:.0f} GiB of free memory on {device}, and {free / GIB:.1f} GiB "
            "are free: close other programs, or use a larger machine."
        )


def report_full_size(device: str, template: Any, samples: list[Any], repeats: int) -> None:
    """LoRA on all three groups, gradient checkpointing, AdamW: the whole step."""
    from peft import LoraConfig, get_peft_model
    from transformers import HiggsAudioV2ForConditionalGeneration

    from swift_plugins.arguments import LORA_GROUPS, target_regex
    from swift_plugins.model import HiggsAudioV2Training

    base = full_size_model(device, template.tokenizer, HiggsAudioV2Training, use_text_head=True).train()
    base.gradient_checkpointing_enable({"use_reentrant": False})
    model: Any = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules=target_regex(list(LORA_GROUPS))))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    for parameter in trained:  # an optimizer allocates in its first step: let it be over
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    # The adapters are in the base model, so the stock forward uses them too.
    forwards = {"ours": base.forward, "stock": partial(HiggsAudioV2ForConditionalGeneration.forward, base)}

    def step(variant: str, batch: dict[str, Any]) -> None:
        with torch.autocast(device, torch.bfloat16):  # as ms-swift's trainer does with bf16
            loss = forwards[variant](**batch).loss
        assert torch.isfinite(loss)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    sizes = BATCH_SIZES[:1] if device == "cpu" else BATCH_SIZES
    print(
        f"3B dimensions, random weights in bfloat16: {sum(p.numel() for p in base.parameters()) / 1e6:,.0f} M parameters, "
        f"of them {sum(p.numel() for p in trained) / 1e6:.1f} M of LoRA (rank 16, attention and both FFNs)"
    )
    print(
        "Forward + backward + AdamW, gradient checkpointing. Ours: heads where there is a label; stock: everywhere.\n"
        f"Ratios are ours / stock. One step each as warm-up, then {_turns(repeats)}"
        + ("; batch 1 only, because this is a CPU" if device == "cpu" else "")
    )
    print(
        f"{'batch':>6}{'tokens':>8}{'ours s':>9}{'stock s':>9}{'ratio':>7}{'range':>11}"
        f"{'ours tokens/s':>15}{'stock':>7}{'ours GiB':>10}{'stock':>7}"
    )
    for size, batch in batches_of(template, samples, device).items():
        if size not in sizes:
            continue
        steps = {variant: partial(step, variant, batch) for variant in VARIANTS}
        peaks: dict[str, float] = {}
        for variant in VARIANTS:
            peak = Peak(device)
            steps[variant]()
            peaks[variant] = peak.bytes / GIB
        taken = in_turn(steps, repeats)
        tokens = int(batch["attention_mask"].sum())
        ours, stock = (statistics.median(taken[variant]) for variant in VARIANTS)
        print(
            f"{size:>6}{tokens:>8}{ours:>9.2f}{stock:>9.2f}{ratio(taken)}{tokens / ours:>15.1f}{tokens / stock:>7.1f}"
            f"{peaks['ours']:>10.2f}{peaks['stock']:>7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Sentences spoken by the model in training: before the first step and at every checkpoint, so that one hears how it goes.

What is spoken, and in whose voice, stands in a plan (``--sample_plan FILE``): ``{"folder": where to write, "row": a
training row, "sentences": [...], "seed": 0}``. The row's last trained text is replaced by each sentence. Into the folder go
``step-000120-1.wav`` and so on, and a line for each step in ``samples.jsonl``.

Training is not to notice: no random number is drawn that it would have drawn, and nothing that goes wrong here ends it.
"""

from __future__ import annotations

import json
import os
import random
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from swift.utils import get_logger
from transformers.integrations import is_deepspeed_zero3_enabled

from studio.audio import write_audio
from studio.engine.checkpoints import Checkpoint, find_checkpoint, load_codec
from studio.engine.devices import is_out_of_memory
from studio.engine.model.speech_model import SpeechModel
from studio.engine.rows import TrainingRow, parse_row
from studio.engine.speech.sample_plan import SamplePlan
from studio.engine.speech.spoken_sentence import SpokenSentence, speak_sentence
from studio.errors import StudioError
from studio.files import atomic_write_bytes
from studio.settings import get_settings
from swift_plugins.options import Options

LOG_FILE = "samples.jsonl"
BASE_CODES_FILE = "step-000000.npz"
"""The codes of step 0, which a resumed run compares its own with."""

logger = get_logger()


class TrainingSamples:
    """Speaks the plan with the model of a trainer. None of its methods raises.

    Args:
        plan_file: see :class:`SamplePlan`. It is read anew at each step.
        trainer: of ms-swift, in the first process of a run.
        cancelled: asked before each frame; True leaves the step unspoken.
    """

    def __init__(self, plan_file: Path, trainer: Any, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._plan_file, self._trainer, self._cancelled = plan_file.absolute(), trainer, cancelled
        self._last_step: int | None = None
        self._told = False

    def begin(self, step: int) -> None:
        """At the start of a run: speak this step, unless an earlier run of the same folder has done so.

        Args:
            step: 0, which is the base; or that of the checkpoint from which the run goes on, whose samples are missing where
                the run before was killed right after it was saved.
        """
        self._speak(step, unless_there=True)

    def speak(self, step: int) -> None:
        """Speak all sentences, once for each step."""
        if step != self._last_step:
            self._speak(step)

    def _speak(self, step: int, *, unless_there: bool = False) -> None:
        folder: Path | None = None
        started = time.perf_counter()
        try:
            if self._is_sharded():
                return
            self._last_step = step
            plan = SamplePlan.read(self._plan_file)
            if plan.row is None:
                return
            row = parse_row(plan.row, folder=self._plan_file.parent)
            folder = plan.folder
            folder.mkdir(parents=True, exist_ok=True)
            if unless_there and _was_spoken(folder / LOG_FILE, step):
                return
            samples = self._spoken(plan, row, step)
            entry = {"step": step, "samples": samples, "elapsed": round(time.perf_counter() - started, 3)}
            _append(folder / LOG_FILE, entry)
            logger.info("Step %d: %d sentences spoken in %.1f s", step, len(samples), entry["elapsed"])
        except Exception as error:  # whatever it is, the training goes on
            sentence = _sentence(error, cancelled=self._cancelled())
            logger.warning(
                "Step %d: no sample was spoken. %s", step, sentence, exc_info=not isinstance(error, StudioError)
            )
            if folder is not None:
                with suppress(OSError):
                    _append(folder / LOG_FILE, {"step": step, "samples": [], "error": sentence})

    def _is_sharded(self) -> bool:
        """Whether no process has the whole model; said once."""
        how = "FSDP" if self._trainer.is_fsdp_enabled else "DeepSpeed ZeRO-3" if is_deepspeed_zero3_enabled() else ""
        if how and not self._told:
            self._told = True
            logger.warning("No samples are spoken: %s spreads the model over the processes.", how)
        return bool(how)

    def _spoken(self, plan: SamplePlan, row: TrainingRow, step: int) -> list[dict[str, Any]]:
        """Speak each sentence and write its sound; what the log is told of each."""
        with undisturbed(self._model):
            engine = self._engine()
            try:
                all_spoken = [
                    speak_sentence(engine, row, sentence, seed=plan.seed, cancelled=self._cancelled)
                    for sentence in plan.sentences
                ]
            finally:
                engine.unload()
        base = [spoken.codes for spoken in all_spoken] if step == 0 else _read_codes(plan.folder / BASE_CODES_FILE)
        samples = []
        for number, (sentence, spoken) in enumerate(zip(plan.sentences, all_spoken, strict=True), 1):
            name = f"step-{step:06d}-{number}.wav"
            write_audio(spoken.audible, plan.folder / name, synthetic=True)
            same = number <= len(base) and np.array_equal(spoken.codes, base[number - 1])
            samples.append({"text": sentence, "file": name, **_figures(spoken), "same_as_base": bool(same)})
        if step == 0:
            _write_codes(plan.folder / BASE_CODES_FILE, base)
        return samples

    @property
    def _model(self) -> Any:
        """As it is trained, with its adapter, and with the autocast that its forward is wrapped in."""
        return self._trainer.accelerator.unwrap_model(self._trainer.model)

    def _engine(self) -> SpeechModel:
        model = self._model
        files = find_checkpoint(str(model.model_dir))
        device = model.device.type
        codec_model, feature_extractor = load_codec(files, device)
        tokenizer = self._trainer.template.tokenizer
        precision = str(model.dtype).removeprefix("torch.")
        checkpoint = Checkpoint(files, model, codec_model, tokenizer, feature_extractor, device, precision)
        code_cache = Options.from_environment().code_cache or get_settings().code_cache_folder
        return SpeechModel(checkpoint, code_cache=code_cache)


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """The model in eval mode and without gradients; afterwards every module and every random generator is as before."""
    training = [(module, module.training) for module in model.modules()]
    devices = {parameter.device for parameter in model.parameters()}
    python, numpy = random.getstate(), np.random.get_state()
    mps = torch.mps.get_rng_state() if any(device.type == "mps" for device in devices) else None
    cuda = sorted({device.index for device in devices if device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=cuda), torch.no_grad():
            model.eval()
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if mps is not None:
            torch.mps.set_rng_state(mps)
        for module, mode in training:
            module.training = mode


def _figures(spoken: SpokenSentence) -> dict[str, Any]:
    return {
        "seconds": round(spoken.seconds, 3),
        "ended": spoken.ended,
        "budget_seconds": round(spoken.budget_seconds, 3),
        "loudness_dbfs": round(spoken.loudness_dbfs, 2),
    }


def _sentence(error: Exception, *, cancelled: bool) -> str:
    if cancelled:
        return "The run was told twice to stop, so nothing was spoken at this step."
    if isinstance(error, StudioError):
        return str(error)
    if is_out_of_memory(error):
        return "Memory ran out while a sample was spoken; the training goes on."
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return f"Speaking failed ({type(error).__name__}{f': {reason}' if reason else ''}); the training goes on."


def _was_spoken(log: Path, step: int) -> bool:
    """Whether the log has samples of a step, not just an error."""
    try:
        lines = log.read_bytes().splitlines()
    except OSError:
        return False
    for line in lines:
        with suppress(ValueError, AttributeError, RecursionError):
            entry = json.loads(line)
            if entry.get("step") == step and entry.get("samples"):
                return True
    return False


def _append(log: Path, entry: dict[str, Any]) -> None:
    """Add a line in one write. One that was cut off before, by a full disk or a kill, keeps its own line."""
    line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_codes(path: Path, codes: Sequence[np.ndarray]) -> None:
    buffer = BytesIO()
    np.savez(buffer, *codes)  # named arr_0, arr_1, …
    atomic_write_bytes(path, buffer.getvalue())


def _read_codes(path: Path) -> list[np.ndarray]:
    """The codes of the base, for each sentence; none where the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[f"arr_{index}"] for index in range(len(archive.files))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return []

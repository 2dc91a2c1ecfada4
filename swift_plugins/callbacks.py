"""What happens beside the training: learning rates into the log, a stop that saves, checkpoints that load, samples."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from peft import PeftModel
from swift.callbacks import TrainerCallback, callbacks_map
from swift.utils import get_logger

from swift_plugins.complete import complete_checkpoint
from swift_plugins.options import Options
from swift_plugins.samples import TrainingSamples

CALLBACK = "higgs-audio"

logger = get_logger()


class HiggsAudioCallback(TrainerCallback):
    """One callback for every run."""

    def __init__(self, args: Any, trainer: Any) -> None:
        super().__init__(args, trainer)
        self._num_signals = 0
        self._stopping = False
        plan = Options.from_environment().sample_plan
        # The first signal lets a sample be spoken to its end, as it lets a step; who sends a second one is in a hurry.
        self._samples = TrainingSamples(plan, trainer, cancelled=lambda: self._num_signals > 1) if plan else None
        # Not ms-swift's graceful_exit: it also obeys a file /tmp/stop, which anybody on the machine can make.
        signal.signal(signal.SIGTERM, self._ask_to_stop)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._num_signals += 1

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After SIGTERM: save and end. In a run of several processes all of them stop at the same step."""
        asked = self._num_signals > 0
        if dist.is_available() and dist.is_initialized():
            anywhere = torch.tensor([int(asked)], device=args.device)
            dist.all_reduce(anywhere, op=dist.ReduceOp.MAX)
            asked = bool(anywhere.item())
        if asked and not self._stopping:
            self._stopping = True
            logger.info("SIGTERM: saving step %d and ending", state.global_step)
        if self._stopping:
            control.should_save = True
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Log both learning rates: ms-swift gives that of the first group alone, which may be one of audio."""
        optimizer = self.trainer.optimizer
        if logs is None or "learning_rate" not in logs or optimizer is None:
            return
        groups = getattr(optimizer, "param_groups", [])
        for group in reversed(groups):  # those of text come first
            if group.get("part") == "audio":
                logs["audio_learning_rate"] = group["lr"]
            if group.get("ratio"):
                logs["learning_rate"] = group["lr"] / group["ratio"]

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stand before the callbacks that write logs, so that what is added here is written too. Let the base be heard."""
        callbacks = self.trainer.callback_handler.callbacks
        callbacks.remove(self)
        callbacks.insert(0, self)
        if self._samples and state.is_world_process_zero:
            self._samples.begin(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A full-parameter checkpoint becomes a folder that transformers and the studio load; adapters stay as they are.

        Then the sentences of the plan are spoken.
        """
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        if state.is_world_process_zero and not isinstance(model, PeftModel):
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            complete_checkpoint(folder, Path(model.model_dir), link_codec=True)
        if self._samples and state.is_world_process_zero:
            self._samples.speak(state.global_step)


def register() -> None:
    """Make ``--callbacks higgs-audio`` known to ms-swift. Idempotent."""
    callbacks_map[CALLBACK] = HiggsAudioCallback

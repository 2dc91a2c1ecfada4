"""The arguments of a run as the trainer reads them, and what they come to for so many rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_FALSE = ("false", "f", "0", "no", "n")
"""As ms-swift reads flags."""


@dataclass(frozen=True)
class RunPlan:
    """What a run comes to.

    Attributes:
        num_steps: optimizer steps.
        num_held_out: rows of the file that are not trained but evaluated.
        num_checkpoints: that it leaves on the disk.
    """

    num_steps: int
    num_held_out: int
    num_checkpoints: int


@dataclass(frozen=True)
class RunArguments:
    """ms-swift's arguments by their names. A number that is none counts as its default: the trainer says what is wrong."""

    values: Mapping[str, tuple[str, ...]]

    def text(self, name: str, default: str = "") -> str:
        return next(iter(self.values.get(name, ())), default)

    def number(self, name: str, default: float) -> float:
        try:
            number = float(self.text(name, str(default)))
        except ValueError:
            return default
        return number if math.isfinite(number) else default

    def whole(self, name: str, default: int) -> int:
        return int(self.number(name, default))

    def flag(self, name: str) -> bool:
        """Whether a flag is given and not with "false"."""
        return name in self.values and (self.text(name) or "true").lower() not in _FALSE

    def replaced(self, name: str, value: str) -> RunArguments:
        return RunArguments({**self.values, name: (value,)})

    @property
    def is_full(self) -> bool:
        """Whether all weights are trained, not an adapter."""
        return self.text("tuner_type", "lora") == "full"

    @property
    def evaluates_other_rows(self) -> bool:
        """Whether rows of another file are evaluated, so that none of this one are held out."""
        return bool(self.values.get("val_dataset"))

    @property
    def batch_size(self) -> int:
        """Rows at a time."""
        return max(self.whole("per_device_train_batch_size", 1), 1)

    @property
    def accumulation_steps(self) -> int:
        """Batches before an optimizer step."""
        return max(self.whole("gradient_accumulation_steps", 1), 1)

    def plan(self, num_rows: int) -> RunPlan:
        """Steps as transformers' ``Trainer.set_initial_training_values`` counts them for one process; rows are held out as by
        ms-swift: ``max(int(rows * ratio), 1)`` where the ratio is above 0."""
        ratio = 0.0 if self.evaluates_other_rows else self.number("split_dataset_ratio", 0)
        held_out = max(int(num_rows * ratio), 1) if ratio > 0 else 0
        steps = self._num_steps(num_rows - held_out)
        return RunPlan(steps, held_out, self._num_checkpoints(steps))

    def _num_steps(self, num_trained: int) -> int:
        given = self.number("max_steps", -1)
        if given > 0:
            return int(given)
        whole_batches, rest = divmod(num_trained, self.batch_size)
        batches = whole_batches + bool(rest and not self.flag("dataloader_drop_last"))
        return math.ceil(self._epochs * max(math.ceil(batches / self.accumulation_steps), 1))

    def _num_checkpoints(self, steps: int) -> int:
        strategy = self.text("save_strategy", "steps")
        if strategy == "no":
            return 0
        every = self.number("save_steps", 500)
        every = every if every >= 1 else max(steps * every, 1)  # below 1 it is a part of the run
        count = math.ceil(self._epochs if strategy == "epoch" else steps / every)
        limit = self.whole("save_total_limit", 0)
        return min(count, limit) if limit > 0 else count

    @property
    def _epochs(self) -> float:
        return self.number("num_train_epochs", 3)

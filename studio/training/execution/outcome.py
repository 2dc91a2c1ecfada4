"""How a trainer ended, and why, in a sentence."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from studio.files import read_json
from studio.training import trainer
from studio.training.folder import JobFolder

_TAIL_BYTES = 65_536
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|failed to allocate|MemoryError|OutOfMemoryError",
    re.IGNORECASE,
)
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large|not enough space", re.IGNORECASE)
_EXCEPTION = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt)\b.*", re.MULTILINE)

LESS_MEMORY = (
    "set per_device_train_batch_size=1, a shorter max_length or gradient_checkpointing=true, close other programs, or "
    "choose a smaller base"
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        exit_code: of the trainer; negative for the signal that ended it; None where there was none.
        sentence: what there is to know; "" where all is well.
    """

    state: Literal["completed", "stopped", "failed"]
    exit_code: int | None
    sentence: str = ""

    def with_more(self, sentence: str) -> Outcome:
        return replace(self, sentence=" ".join(part for part in (self.sentence, sentence) if part))

    def as_json(self) -> dict[str, Any]:
        """As it is written into the folder."""
        return {"state": self.state, "exit_code": self.exit_code, "sentence": self.sentence}


def outcome_of(exit_code: int, folder: JobFolder, *, log_offset: int, stop: bool, killed: bool) -> Outcome:
    """What an exit status means.

    Args:
        log_offset: where in the log this run began.
        stop: it was asked to stop.
        killed: it was not given the time to save.
    """
    said = _tail(folder.log_file, log_offset)
    if stop and exit_code in (0, -signal.SIGTERM, -signal.SIGKILL):
        if exit_code == 0 and _finished(folder):
            return Outcome("completed", exit_code)
        return Outcome("stopped", exit_code, _what_is_left(folder, killed))
    if exit_code == 0:
        if _finished(folder) is False:
            return Outcome("stopped", exit_code, "A signal from outside of the studio stopped it: resume it to go on.")
        return Outcome("completed", exit_code)
    return Outcome("failed", exit_code, _reason(exit_code, said))


def _what_is_left(folder: JobFolder, killed: bool) -> str:
    steps = list(folder.checkpoints())
    if not steps:
        return "Stopped before a checkpoint was saved: retry it to begin anew."
    return f"Stopped without saving; its last checkpoint is that of step {steps[-1]}." if killed else ""


def _reason(exit_code: int, said: str) -> str:
    if own := trainer.reason(said):
        return own
    if _OUT_OF_MEMORY.search(said):
        return f"Memory ran out: {LESS_MEMORY}; then resume or retry it."
    if _DISK_FULL.search(said):
        return "The disk or quota is full: free some space, then resume or retry it."
    if exit_code == -signal.SIGKILL:
        return (
            "The training process was killed from outside (SIGKILL); systems do that when memory runs out: "
            f"{LESS_MEMORY}; then resume or retry it."
        )
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = f"signal {-exit_code}"
        return f"The training process was ended by {name}: its log may say why; resume or retry it."
    if exceptions := _EXCEPTION.findall(said):
        return f"The training failed ({_shortened(exceptions[-1])}): its log has the details."
    return f"The training failed with exit status {exit_code}: its log has the details."


def _finished(folder: JobFolder) -> bool | None:
    """Whether the last checkpoint says that no steps are left; None where there is none that says anything."""
    newest = next(reversed(folder.checkpoints().values()), None)
    if newest is None:
        return None
    try:
        state = read_json(newest / "trainer_state.json")
        return int(state["global_step"]) >= int(state["max_steps"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _tail(path: Path, offset: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(offset, size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _shortened(line: str) -> str:
    line = " ".join(line.split()).rstrip(".")
    return line if len(line) <= 200 else f"{line[:199]}…"

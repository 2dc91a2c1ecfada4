"""What a run logged, read from ms-swift's ``logging.jsonl`` while the trainer still writes to it."""

from __future__ import annotations

import json
import math
import os
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "eval"]

_PROGRESS = "global_step/max_steps"
"""A line without it is no step: ms-swift's last line has none. It holds every line again, and is as long as the file."""
_PROGRESS_BYTES = b'"global_step/max_steps"'
_EVAL = "eval_"
_SUMMARY = "train_runtime"
_SPEED = "train_speed(s/it)"
_NO_CURVES = {"epoch", _PROGRESS, _SPEED, "runtime", "samples_per_second", "steps_per_second"}
"""Numbers of a line that tell about the run or the machine, and not about the model."""
_LONGEST_STEP = 64 * 1024
"""Bytes. A line of a step has 700; what is longer and has no step is not parsed only to see whether it is whole."""
_REMEMBERED = 1024
"""Bytes of the last line read that are compared, to notice a file that was written anew: a line of a step, with its loss."""


class _Curve:
    """One quantity: its steps, rising, and its values."""

    __slots__ = ("steps", "values")

    def __init__(self) -> None:
        self.steps = array("q")
        self.values = array("d")

    def cut(self, step: int) -> None:
        """Forget everything at ``step`` and later."""
        keep = bisect_left(self.steps, step)
        del self.steps[keep:], self.values[keep:]


class RunLog:
    """The curves of one run; :meth:`refresh` reads what was appended since. For any thread.

    A resumed run logs steps again that the run before it had logged already: what lies after its first step is forgotten,
    so that a curve goes on from the checkpoint.

    Attributes:
        path: the file; it may be missing.
        version: changes whenever something else is to be seen.
        step: the last one that was logged; 0 before the first.
        max_steps: of the whole run; 0 before the first.
        epoch: passes over the data at ``step``; None before the first.
        seconds_per_step: mean since this run began or was resumed, evaluation and saving included.
        num_bad_lines: lines of which something was lost, because a process was killed while it wrote them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = 0
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.step = 0
        self.max_steps = 0
        self.epoch: float | None = None
        self.seconds_per_step: float | None = None
        self.num_bad_lines = 0
        self._curves: dict[Split, dict[str, _Curve]] = {"train": {}, "eval": {}}
        # By the name in the line: a long log has millions of values, and this is where the time goes.
        self._adders: dict[Split, dict[str, tuple[Callable[[int], None], Callable[[float], None]]]]
        self._adders = {"train": {}, "eval": {}}
        self._last_of: dict[Split, int] = {"train": -1, "eval": -1}
        self._offset = 0
        self._before_offset = b""
        self._seen: tuple[int, int, int] | None = None

    def refresh(self) -> bool:
        """Read what is new, whole lines only. True if something else is to be seen now."""
        with self._lock:
            try:
                news = self._read()
            except FileNotFoundError:
                news = self._offset > 0
                self._forget()
            except OSError:  # a network drive that is away: what was read stays
                news = False
            self.version += news
            return news

    def series(self, name: str, split: Split = "train") -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Steps and values of a quantity, for example "audio_loss"; both empty where it was never logged.

        Values may hold NaN and infinity: a loss that was not a number was logged as such.
        """
        with self._lock:
            curve = self._curves[split].get(name) or _Curve()
            return np.array(curve.steps, dtype=np.int64), np.array(curve.values, dtype=np.float64)

    def names(self, split: Split = "train") -> list[str]:
        """The quantities that were logged, in the order of the log; those of "eval" without their ``eval_``."""
        with self._lock:
            return [name for name, curve in self._curves[split].items() if curve.steps]

    def last(self, name: str, split: Split = "train", at_or_before: int | None = None) -> float | None:
        """The last value, or the last one at a step or before it; None where there is none."""
        with self._lock:
            curve = self._curves[split].get(name) or _Curve()
            index = len(curve.steps) if at_or_before is None else bisect_right(curve.steps, at_or_before)
            return curve.values[index - 1] if index else None

    def _read(self) -> bool:
        with self.path.open("rb") as file:
            stat = os.fstat(file.fileno())
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if seen == self._seen:
                return False
            news = False
            if self._offset and not self._is_continued(file, stat):
                self._forget()
                news = True
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # still being written, or the writer was killed: the next one will write behind it
                self._offset += len(line)
                self._before_offset = line[-_REMEMBERED:]
                news |= self._add_line(line)
            self._seen = seen
            return news

    def _is_continued(self, file: Any, stat: os.stat_result) -> bool:
        if (self._seen and stat.st_ino != self._seen[0]) or stat.st_size < self._offset:
            return False
        file.seek(self._offset - len(self._before_offset))
        return file.read(len(self._before_offset)) == self._before_offset

    def _add_line(self, line: bytes) -> bool:
        if _PROGRESS_BYTES not in line:
            whole = len(line) > _LONGEST_STEP or not line.strip() or isinstance(_parsed(line), dict)
            self.num_bad_lines += not whole
            return not whole
        row = _parsed(line)
        if isinstance(row, dict):
            rows = [row]
        else:
            rows, num_lost = _rescued(line)
            self.num_bad_lines += num_lost > 0
        for each in rows:
            self._add_row(each)
        return True

    def _add_row(self, row: dict[str, Any]) -> None:
        place = _progress(row.get(_PROGRESS))
        if place is None:
            self.num_bad_lines += 1
            return
        step, self.max_steps = place
        split: Split = "eval" if "loss" not in row and any(name.startswith(_EVAL) for name in row) else "train"
        if _SUMMARY not in row:
            # Within one run steps only rise, and a step is evaluated after it was logged: else it was resumed before.
            if step <= self._last_of[split] or step < self._last_of["train"]:
                self._rewind(step, split)
            self._last_of[split] = step
            self._add_values(row, step, split)
        self.step = step
        self.epoch = _positive(row.get("epoch"), self.epoch)
        self.seconds_per_step = _positive(row.get(_SPEED), self.seconds_per_step)

    def _add_values(self, row: dict[str, Any], step: int, split: Split) -> None:
        curves, known, is_eval = self._curves[split], self._adders[split], split == "eval"
        for name, value in row.items():
            if value.__class__ is not float and (value.__class__ is not int or abs(value) > 2**63):
                continue  # a bool is an int too, but not of its class
            adders = known.get(name)
            if adders is None:
                short = name.removeprefix(_EVAL)
                if short in _NO_CURVES or is_eval == (short == name):
                    continue
                curve = curves[short] = _Curve()
                adders = known[name] = curve.steps.append, curve.values.append
            adders[0](step)
            adders[1](value)

    def _rewind(self, step: int, split: Split) -> None:
        """Forget what a run logged that was resumed from before ``step``."""
        for each, curves in self._curves.items():
            # A train line comes before the evaluation of its step, and an evaluation after the train line of its own.
            first = step + 1 if split == "eval" and each == "train" else step
            for curve in curves.values():
                curve.cut(first)
            self._last_of[each] = min(self._last_of[each], first - 1)


@lru_cache(maxsize=32)
def _kept_log(path: Path) -> RunLog:
    return RunLog(path)


def read_log(path: Path) -> RunLog:
    """What a run logged up to this moment; the same object for the same file, so that only news is read."""
    log = _kept_log(path)
    log.refresh()
    return log


def _parsed(line: bytes | str) -> Any:
    """The value of a line of JSON, with NaN and Infinity as Python writes them; None where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _rescued(line: bytes) -> tuple[list[dict[str, Any]], int]:
    """The steps in a line that was glued together when a killed run was resumed, and how many pieces were lost."""
    rows: list[dict[str, Any]] = []
    num_lost = 0
    for piece in filter(str.strip, line.decode(errors="replace").strip().replace("}{", "}\n{").split("\n")):
        row = _parsed(piece)
        if not isinstance(row, dict):
            num_lost += 1
            row = _parsed(piece[piece.rfind("{") :])  # an object of a step holds no other
        if isinstance(row, dict) and _PROGRESS in row:
            rows.append(row)
    return rows, num_lost


def _progress(text: Any) -> tuple[int, int] | None:
    """``"4/18"`` as numbers."""
    try:
        step, max_steps = (int(part) for part in str(text).split("/"))
    except ValueError:
        return None
    return (step, max_steps) if 0 <= step < 2**62 and 0 <= max_steps < 2**62 else None


def _positive(value: Any, otherwise: float | None) -> float | None:
    """A number above 0: ms-swift writes 0 for a pace that it cannot know yet."""
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else otherwise

"""Where the stages keep what they have computed, how they write it whole or not at all, and how they say how far they are."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from studio.files import atomic_write_bytes

VARIABLE = "HIGGS_DEMO_STATE"


def state_folder() -> Path:
    """The folder of all stages: ``HIGGS_DEMO_STATE``, or one in the user's cache."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else Path("~/.cache/higgs-demo-checkpoint").expanduser()


def write_arrays(path: Path, meta: Any, **arrays: np.ndarray) -> None:
    """An ``.npz`` of arrays with a JSON-able ``meta``, complete or not there."""
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """What :func:`write_arrays` wrote.

    Raises:
        ValueError: the file is damaged or not of this kind; the sentence names it.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return json.loads(arrays.pop("meta").tobytes()), arrays
    except Exception as error:  # zipfile, numpy and json each have their own
        raise ValueError(f"{path.name} is damaged ({error}): delete it and run its stage again") from error


def write_torch(path: Path, content: Any) -> None:
    """``torch.save``, complete or not at all."""
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, buffer.getvalue())


class Progress:
    """One line for each report: what, how far, how long still (by the clock: a pause makes the rest look longer).

    Args:
        total: units in all; done: of them, those of earlier runs.
    """

    def __init__(self, what: str, total: float, done: float = 0.0) -> None:
        self._what, self._total, self._first, self._start = what, total, done, time.monotonic()

    def __call__(self, done: float, note: str = "") -> None:
        """Report ``done`` units."""
        speed = (done - self._first) / max(time.monotonic() - self._start, 1e-9)
        left = (self._total - done) / speed if speed > 0 else float("inf")
        clock = time.strftime("%H:%M:%S")
        print(f"{clock} {self._what} {done:g}/{self._total:g}, {left / 60:.1f} min left. {note}", flush=True)


def limit_threads(count: int) -> None:
    """Keep numeric libraries to ``count`` threads; before they are imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)

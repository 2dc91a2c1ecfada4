"""The checkpoint of whoever named none: the 3B where a GPU has room for it and the hub has it, else the demo checkpoint."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from studio.engine.checkpoints.finding import HUB_3B, CheckpointFiles, checkpoint_kind, find_checkpoint
from studio.engine.checkpoints.tiny import build_tiny_checkpoint
from studio.errors import StudioError
from studio.files import write_advice
from studio.settings import ASSETS

TINY_FOLDER, DEMO_NAME = "tiny-random", "demo"
"""What the studio's own checkpoints are called: random weights for trials, and a few hundred words of real speech."""
DEMO_FOLDER = ASSETS / "demo-checkpoint"
MIN_CUDA_BYTES = 14 * 2**30
"""Free memory of a GPU on which the 3B (11.5 GB in bfloat16), its codec and the cache of a long prompt fit."""


def default_checkpoint(
    announce: Callable[[str], None], *, gpu_bytes: int | None
) -> tuple[CheckpointFiles, tuple[str, ...]]:
    """The checkpoint, and sentences about why it is not the 3B although there is a GPU.

    Args:
        announce: called with a sentence before something slow begins.
        gpu_bytes: free on the GPU that it is for; None for another device.

    Raises:
        StudioError: the demo checkpoint is damaged.
    """
    notices: tuple[str, ...] = ()
    if gpu_bytes is not None and gpu_bytes < MIN_CUDA_BYTES:
        notices = (f"The GPU has {gpu_bytes / 2**30:.0f} GiB free, too little for the 3B model.",)
    elif gpu_bytes is not None:
        announce(f"Looking for {HUB_3B} …")
        try:
            return find_checkpoint(HUB_3B), ()
        except StudioError as error:
            notices = (str(error),)
    return find_checkpoint(str(DEMO_FOLDER)), notices


def own_checkpoint(name: str, folder: Path, announce: Callable[[str], None]) -> CheckpointFiles | None:
    """One of the studio's own checkpoints; None for any other name. Raises StudioError if damaged or not built."""
    if name == DEMO_NAME:
        return find_checkpoint(str(DEMO_FOLDER))
    return tiny_checkpoint(folder, announce) if name == TINY_FOLDER else None


def tiny_checkpoint(folder: Path, announce: Callable[[str], None]) -> CheckpointFiles:
    """The studio's own tiny checkpoint in its folder of checkpoints, built where it is not there or no longer whole."""
    tiny = folder / TINY_FOLDER
    if tiny.exists():
        try:
            return find_checkpoint(str(tiny))
        except StudioError:
            _clear_remains(tiny)
    announce("Building the tiny test checkpoint …")
    try:
        build_tiny_checkpoint(tiny)
    except StudioError as error:
        # Another studio that started on this home at the same time may have been quicker.
        try:
            return find_checkpoint(str(tiny))
        except StudioError:
            raise error from None
    return find_checkpoint(str(tiny))


def _clear_remains(tiny: Path) -> None:
    """Make room for the tiny checkpoint. What the studio itself made is deleted, anything else is kept aside."""
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".broken-{tiny.name}-", dir=tiny.parent))
        try:
            moved = tiny.replace(aside / tiny.name)
            if checkpoint_kind(moved) == "tiny":
                shutil.rmtree(moved, ignore_errors=True)
        finally:
            with suppress(OSError):  # it holds something
                aside.rmdir()
    except FileNotFoundError:  # another studio was quicker
        return
    except OSError as error:
        raise StudioError(f"The damaged tiny checkpoint cannot be moved aside {write_advice(error)}") from error

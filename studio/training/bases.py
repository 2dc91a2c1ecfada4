"""The base that a training starts from."""

from __future__ import annotations

from collections.abc import Callable

from studio.engine.checkpoints import HUB_3B, CheckpointFiles, build_tiny_checkpoint, find_checkpoint
from studio.engine.host import MIN_CUDA_BYTES, TINY_FOLDER
from studio.errors import StudioError
from studio.settings import Settings
from studio.training.preflight.target import Target

TINY_WARNING = (
    "The base is the tiny test checkpoint: its weights are random, so what is trained on it makes noise, not speech. For a "
    "voice, choose the 3B with --checkpoint."
)


def find_base(
    wanted: str | None,
    settings: Settings,
    target: Target | None,
    announce: Callable[[str], None] = lambda sentence: None,
) -> CheckpointFiles:
    """The checkpoint that is asked for; else the studio's; else, as :class:`EngineHost` chooses, the 3B or the tiny one.

    Raises:
        StudioError: it cannot be found or built.
    """
    name = wanted or settings.checkpoint
    if name and name != TINY_FOLDER:
        return find_checkpoint(name)
    # What the studio's own model takes there now is given back before a run.
    room = 0 if target is None else target.total_bytes if target.held else target.free_bytes
    if name is None and target is not None and target.device.startswith("cuda") and room >= MIN_CUDA_BYTES:
        announce(f"Looking for {HUB_3B} …")
        try:
            return find_checkpoint(HUB_3B)
        except StudioError:  # no network: the tiny one is better than nothing, and a warning says what it is
            pass
    folder = settings.checkpoints_folder / TINY_FOLDER
    if not folder.exists():
        announce("Building the tiny test checkpoint …")
        try:
            build_tiny_checkpoint(folder)
        except StudioError:
            if not folder.exists():  # else another process was quicker
                raise
    return find_checkpoint(str(folder))

"""Checkpoints as a browser may name them: those of a list, or a hub id; never a path."""

from __future__ import annotations

from studio.engine.checkpoints import DEMO_NAME, HUB_3B, TINY_FOLDER, is_hub_id
from studio.errors import StudioError
from studio.settings import Settings


def checkpoint_choices(settings: Settings) -> list[tuple[str, str]]:
    """The 3B, and the folders that lie in the studio's own checkpoints folder: the only paths offered to a browser."""
    present = {path.parent.name for path in settings.checkpoints_folder.glob("*/config.json")}
    found = sorted({*present, TINY_FOLDER})  # the tiny one is built when it is chosen
    named = [(f"{name} (random weights: noise)" if name == TINY_FOLDER else name, name) for name in found]
    return [("Higgs Audio v2 3B (from the hub)", HUB_3B), ("Demo (some hundred words)", DEMO_NAME), *named]


def chosen_checkpoint(choice: str | None, settings: Settings) -> str:
    """What the engine knows it by: a folder, a hub id, or the name of one of the studio's own.

    Raises:
        StudioError: nothing was chosen, or what is neither in the list nor a hub id.
    """
    name = (choice or "").strip()
    if not name:
        raise StudioError("Choose a checkpoint from the list, or type a hub id.")
    # A path typed into a page never reaches the file system: hub ids and names from the list only.
    own = {TINY_FOLDER, DEMO_NAME}
    if name in {value for _, value in checkpoint_choices(settings)} - own - {HUB_3B}:
        return str(settings.checkpoints_folder / name)
    if name not in own and not is_hub_id(name):
        raise StudioError(f"'{name}' is neither in the list nor a hub id of the form owner/model: choose another.")
    return name

"""What a user asks to be trained."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from studio.errors import StudioError

PresetName = Literal["quick", "standard", "thorough"]
PRESET_NAMES: tuple[PresetName, ...] = get_args(PresetName)

_OURS = {
    "model": "choose the base with --checkpoint",
    "dataset": "the rows are the file that is given",
    "output_dir": "a job writes to its own folder; `train export` copies a checkpoint elsewhere",
    "logging_dir": "a job writes to its own folder",
    "add_version": "a job has a folder of its own",
    "resume_from_checkpoint": "`train resume` goes on with a job",
    "sample_plan": "the studio speaks two sentences at each checkpoint by itself",
}
"""Arguments that a job settles by itself, and how to say the same."""
_SECRET = re.compile(r"token|password|secret|api_key", re.IGNORECASE)


@dataclass(frozen=True)
class TrainRequest:
    """A run as it is asked for.

    Attributes:
        rows: file of training rows, JSON lines or one JSON list.
        validation: file of rows that are evaluated and not trained; None: a share of the rows.
        checkpoint: folder or hub id of the base; None: the one that the studio speaks with by default.
        device: "auto", "cpu", "mps", "cuda" or "cuda:N".
        overrides: ms-swift's arguments (and the plugin's options) by their own names; they stand above the preset.
    """

    rows: Path
    validation: Path | None = None
    preset: PresetName = "quick"
    checkpoint: str | None = None
    device: str = "auto"
    overrides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.preset not in PRESET_NAMES:
            raise StudioError(f"There is no preset '{self.preset}': use {', '.join(PRESET_NAMES)}.")
        if self.validation is not None and "val_dataset" in self.overrides:
            raise StudioError("There are validation rows and a val_dataset: leave one of them out.")

    @property
    def settings(self) -> Mapping[str, tuple[str, ...]]:
        """The overrides, with what the validation rows come to."""
        if self.validation is None:
            return self.overrides
        return {**self.overrides, "val_dataset": (str(self.validation.absolute()),), "split_dataset_ratio": ("0",)}


def parse_overrides(entries: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """``key=value`` as ms-swift's argument ``--key value``; several values are separated by spaces, as in a shell.

    Raises:
        StudioError: no key, an argument that the job settles itself, or a secret, which would be written down.
    """
    overrides: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        key = key.strip().lstrip("-").replace("-", "_")
        if not equals or not re.fullmatch(r"[A-Za-z]\w*", key):
            raise StudioError(f"--set '{entry[:80]}' is not of the form NAME=VALUE, such as learning_rate=2e-5.")
        if key in _OURS:
            raise StudioError(f"{key} cannot be set: {_OURS[key]}.")
        if _SECRET.search(key):
            raise StudioError(
                f"{key} cannot be set, because a job writes down its settings: put it into the environment (HF_TOKEN)."
            )
        overrides[key] = _values(key, value.strip())
        # The trainer would read it as another argument.
        if any(re.match(r"--[A-Za-z]", part) for part in overrides[key]):
            raise StudioError(f"--set {key} has a value that begins with '--': give each setting by itself.")
    return overrides


def _values(key: str, value: str) -> tuple[str, ...]:
    if value[:1] in ("{", "["):  # JSON is one value, spaces or not
        return (value,)
    try:
        return tuple(shlex.split(value)) or ("",)
    except ValueError:
        raise StudioError(f"--set {key} has a quotation mark without its other half: close it.") from None

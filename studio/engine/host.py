"""Holds the one engine of a process: loads it when first needed, switches it, gives its memory back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.engine.checkpoint import (
    HUB_3B,
    CheckpointFiles,
    Device,
    Precision,
    find_checkpoint,
    is_hub_id,
    load_checkpoint,
)
from studio.engine.tiny import build_tiny_checkpoint
from studio.engine.voice_engine import VoiceEngine
from studio.errors import StudioError

TINY_FOLDER = "tiny-random"
MIN_CUDA_BYTES = 14 * 2**30
"""Free memory of a GPU on which the 3B (11.5 GB in bfloat16), its codec and the cache of a long prompt fit."""

HOW_TO_GET_3B = (
    f"Real voices need the 3B model, {HUB_3B}: on a GPU with 16 GB, or on a CPU with 12 GB of free memory, where speech "
    "takes about six times its own duration."
)
TINY_NOTICE = (
    "This is the tiny test checkpoint: its weights are random, so it makes noise, not speech. "
    "To hear real voices, load the 3B model: on the System tab, or with --checkpoint when starting."
)
"""What the page and the command line say while the tiny checkpoint is loaded."""


@dataclass(frozen=True)
class HostStatus:
    """What the host has at this moment.

    Attributes:
        state: "empty" (nothing loaded yet), "loading", "ready" or "failed".
        name: the checkpoint in question.
        notices: sentences the user should read.
        error: why loading failed.
    """

    state: Literal["empty", "loading", "ready", "failed"]
    name: str
    speaks: bool = True
    notices: tuple[str, ...] = ()
    error: str | None = None
    device: str | None = None
    precision: str | None = None
    num_parameters: int | None = None

    @property
    def shown_name(self) -> str:
        """The name for visitors: a hub id, or a folder's own name without the server's path to it."""
        return self.name if is_hub_id(self.name) else Path(self.name).name


class EngineHost:
    """Loads one engine at a time, lazily.

    Args:
        checkpoint: folder or hub id; None chooses by the machine: with a large GPU the 3B from the hub, else tiny.
        checkpoints_folder: where the tiny checkpoint is built when it is needed.
        announce: called with a sentence before something slow begins.
    """

    def __init__(
        self,
        checkpoint: str | None,
        *,
        checkpoints_folder: Path,
        code_cache: Path,
        device: Device = "auto",
        precision: Precision = "auto",
        max_text_chars: int = 10_000,
        announce: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._wanted, self._tiny_folder = checkpoint, checkpoints_folder / TINY_FOLDER
        self._code_cache = code_cache
        self._device: Device = device
        self._precision: Precision = precision
        self._max_text_chars, self._announce = max_text_chars, announce
        self._engine: VoiceEngine | None = None
        self._lock = threading.Lock()
        self._status = HostStatus("empty", checkpoint or "the default checkpoint")

    @property
    def status(self) -> HostStatus:
        """Answers at once, also while a checkpoint is being loaded."""
        return self._status

    def engine(self) -> VoiceEngine:
        """The engine, loaded now if it is not yet. Raises StudioError if it cannot be."""
        with self._lock:
            if self._engine is None or not self._engine.is_loaded:
                self._engine = self._load(self._wanted)
            return self._engine

    def switch(self, checkpoint: str) -> VoiceEngine:
        """Load another checkpoint in place of the present one, which stays if the other one cannot be found and comes back
        with the next request if it cannot be loaded.

        Raises:
            StudioError: it cannot be found or loaded.
        """
        with self._lock:
            files = find_checkpoint(checkpoint)
            self._release()  # first: both together may not fit
            self._engine = self._load_files(files, ())
            self._wanted = checkpoint  # only now: after a failure the next request loads the earlier one again
            return self._engine

    def unload(self) -> None:
        """Give the memory back; the next request loads the checkpoint again."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        if self._engine is not None:
            self._engine.unload()
            self._engine = None
            self._status = HostStatus("empty", self._status.name, self._status.speaks, self._status.notices)

    def _load(self, checkpoint: str | None) -> VoiceEngine:
        name = checkpoint or "the default checkpoint"
        self._status = HostStatus("loading", name)
        try:
            files, notices = (find_checkpoint(checkpoint), ()) if checkpoint else self._default()
            return self._load_files(files, notices)
        except StudioError as error:
            self._status = HostStatus("failed", name, error=str(error))
            raise

    def _load_files(self, files: CheckpointFiles, notices: tuple[str, ...]) -> VoiceEngine:
        self._status = HostStatus("loading", files.name, files.speaks)
        if files.size_bytes > 2**30:
            self._announce(f"Loading {files.name} ({files.size_bytes / 1e9:.1f} GB) …")
        try:
            checkpoint = load_checkpoint(files, device=self._device, precision=self._precision)
            engine = VoiceEngine(checkpoint, code_cache=self._code_cache, max_text_chars=self._max_text_chars)
        except StudioError as error:
            self._status = HostStatus("failed", files.name, error=str(error))
            raise
        if files.kind == "tiny":
            notices = (*notices, TINY_NOTICE)
        self._status = HostStatus(
            "ready",
            files.name,
            files.speaks,
            (*notices, *engine.warnings),
            device=engine.device,
            precision=engine.precision,
            num_parameters=engine.num_parameters,
        )
        return engine

    def _default(self) -> tuple[CheckpointFiles, tuple[str, ...]]:
        """The 3B where a GPU has room for it and the hub has it; else the tiny checkpoint, and why."""
        import torch

        notices: tuple[str, ...] = ()
        if self._device in ("auto", "cuda") and torch.cuda.is_available():
            free = torch.cuda.mem_get_info()[0]
            if free >= MIN_CUDA_BYTES:
                try:
                    self._announce(f"Looking for {HUB_3B} …")
                    return find_checkpoint(HUB_3B), ()
                except StudioError as error:
                    notices = (str(error),)
            else:
                notices = (f"The GPU has {free / 2**30:.0f} GiB free, too little for the 3B model.",)
        if not (self._tiny_folder / "config.json").is_file():
            self._announce("Building the tiny test checkpoint …")
            try:
                build_tiny_checkpoint(self._tiny_folder)
            except StudioError:
                # Another studio that started on this home at the same time may have been quicker.
                if not (self._tiny_folder / "config.json").is_file():
                    raise
        return find_checkpoint(str(self._tiny_folder)), notices

"""Holds the one engine of a process: loads it when first needed, switches it, gives its memory back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from studio.engine.checkpoints import (
    HUB_3B,
    CheckpointFiles,
    Precision,
    default_checkpoint,
    find_checkpoint,
    load_checkpoint,
    own_checkpoint,
    shown_name,
)
from studio.engine.checkpoints.scope import Scope, read_scope
from studio.engine.devices import Device, free_memory_bytes
from studio.engine.leases import Lease
from studio.engine.voice_engine import VoiceEngine
from studio.errors import StudioError

log = logging.getLogger(__name__)

HOW_TO_GET_3B = (
    f"Real voices need the 3B model, {HUB_3B}: on a GPU with 16 GB, or on a CPU with 12 GB of free memory, where speech "
    "takes about six times its own duration."
)
TINY_NOTICE = (
    "This is the tiny test checkpoint: its weights are random, so it makes noise, not speech. "
    "To hear real voices, start with --checkpoint, or load the 3B model on the System tab."
)
"""What the page and the command line say while the tiny checkpoint is loaded."""
DEMO_NOTICE = (
    "This is the small demo checkpoint: it knows a few hundred English words and says them roughly, short lines best. "
    "For any text, start with --checkpoint, or load the 3B model on the System tab."
)
"""The same for the demo checkpoint."""

_DEFAULT_NAME = "the default checkpoint"
_UNEXPECTED = (
    "The checkpoint could not be loaded because something went wrong inside the studio: its log has the details; "
    "try again, or choose another checkpoint."
)


@dataclass(frozen=True)
class HostStatus:
    """What the host has at this moment.

    Attributes:
        state: "empty" (nothing was loaded yet), "loading" (or being fetched), "ready", "failed", or "unloaded" (somebody
            gave the memory back). In every state but "loading" the next request loads what is not loaded.
        name: the checkpoint in question as whoever runs the studio named it; visitors see ``shown_name``.
        notices: sentences the user should read.
        error: why loading failed.
        scope: what it can say, where that is not every text.
    """

    state: Literal["empty", "loading", "ready", "failed", "unloaded"]
    name: str
    speaks: bool = True
    notices: tuple[str, ...] = ()
    error: str | None = None
    device: str | None = None
    precision: str | None = None
    num_parameters: int | None = None
    scope: Scope | None = None

    @property
    def shown_name(self) -> str:
        return shown_name(self.name)


class EngineHost:
    """Loads one engine at a time, lazily.

    Args:
        checkpoint: folder or hub id; None chooses by the machine, see :func:`default_checkpoint`.
        checkpoints_folder: where the tiny checkpoint is built when it is needed.
        announce: called with a sentence before something slow begins.
        leases: folder in which it says on which device it has a model; None says nothing.
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
        leases: Path | None = None,
    ) -> None:
        self._lease = Lease(leases) if leases is not None else None
        self._wanted, self._checkpoints_folder = checkpoint, checkpoints_folder
        self._code_cache = code_cache
        self._device: Device = device
        self._precision: Precision = precision
        self._max_text_chars, self._announce = max_text_chars, announce
        self._engine: VoiceEngine | None = None
        self._lock = threading.Lock()
        self._status = HostStatus("empty", checkpoint or _DEFAULT_NAME)

    @property
    def status(self) -> HostStatus:
        """Answers at once, also while a checkpoint is being loaded."""
        return self._status

    def engine(self) -> VoiceEngine:
        """The engine, loaded now if it is not yet. Raises StudioError if it cannot be."""
        with self._lock:
            if self._engine is None or not self._engine.is_loaded:
                self._status = HostStatus("loading", self._wanted or _DEFAULT_NAME)
                with self._failure_shown():
                    files, notices = (self._find(self._wanted)[0], ()) if self._wanted else self._default()
                    self._engine = self._load(files, notices)
            return self._engine

    def switch(self, checkpoint: str) -> VoiceEngine:
        """Load another checkpoint, or one of the studio's own by its name, in place of the present one.

        The present one stays if the other cannot be found, and comes back with the next request if it cannot be loaded;
        both raise StudioError.
        """
        with self._lock:
            before = self._status
            self._status = HostStatus("loading", checkpoint)  # finding may mean to fetch gigabytes
            try:
                files, is_own = self._find(checkpoint)
            except BaseException:
                self._status = before
                raise
            with self._failure_shown():
                self._release()  # first: both together may not fit
                self._engine = self._load(files, ())
            # Only now: after a failure the next request loads the earlier one again.
            self._wanted = str(files.folder) if is_own else checkpoint
            return self._engine

    def unload(self, because: str | None = None) -> None:
        """Give the memory back; the next request loads the checkpoint again. ``because``: a sentence for users."""
        with self._lock:
            self._release()
            if self._status.state != "failed":  # why it failed is worth more than that nothing is loaded
                now = self._status
                self._status = replace(
                    now, state="unloaded", notices=(because,) if because else now.notices, device=None, precision=None,
                    num_parameters=None,
                )  # fmt: skip

    def _release(self) -> None:
        if self._engine is not None:
            self._engine.unload()
            self._engine = None
        if self._lease is not None:
            self._lease.release()

    @contextmanager
    def _failure_shown(self) -> Iterator[None]:
        """Whatever is raised within, the status must not say "loading" for ever."""
        try:
            yield
        except BaseException as error:
            sentence = str(error) if isinstance(error, StudioError) else _UNEXPECTED
            log.error("%s was not loaded: %s", self._status.name, sentence)
            self._status = HostStatus("failed", self._status.name, error=sentence)
            raise

    def _load(self, files: CheckpointFiles, notices: tuple[str, ...]) -> VoiceEngine:
        self._status = HostStatus("loading", files.name, files.speaks, scope=read_scope(files.folder))
        if files.size_bytes > 2**30:
            self._announce(f"Loading {files.shown_name} ({files.size_bytes / 1e9:.1f} GB) …")
        checkpoint = load_checkpoint(files, device=self._device, precision=self._precision)
        engine = VoiceEngine(checkpoint, code_cache=self._code_cache, max_text_chars=self._max_text_chars)
        if self._lease is not None:
            self._lease.hold(engine.device)
        if said := {"tiny": TINY_NOTICE, "demo": DEMO_NOTICE}.get(files.kind):
            notices = (*notices, said)
        log.info("%s is loaded on %s in %s", files.name, engine.device, engine.precision)
        self._status = HostStatus(
            "ready",
            files.name,
            files.speaks,
            (*notices, *engine.warnings),
            device=engine.device,
            precision=engine.precision,
            num_parameters=engine.num_parameters,
            scope=self._status.scope,
        )
        return engine

    def _find(self, name: str) -> tuple[CheckpointFiles, bool]:
        """A checkpoint, and whether it is one of the studio's own."""
        own = own_checkpoint(name, self._checkpoints_folder, self._announce)
        return own or find_checkpoint(name), own is not None

    def _default(self) -> tuple[CheckpointFiles, tuple[str, ...]]:
        import torch

        gpu = self._device in ("auto", "cuda") and torch.cuda.is_available()
        return default_checkpoint(self._announce, gpu_bytes=free_memory_bytes("cuda") if gpu else None)

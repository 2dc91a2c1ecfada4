"""Codes of the clips of a run: each clip is encoded once, whatever the number of epochs, evaluations and restarts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studio.audio import read_audio, require_speech_like
from studio.engine.checkpoints import CheckpointFiles, load_codec
from studio.engine.devices import pick_device
from studio.engine.model.codec import Codec, CodeCache
from studio.errors import StudioError
from studio.settings import get_settings

MIN_SECONDS = 0.2
"""Of a clip; a shorter one is a slip of a segmentation, not an utterance."""


@dataclass(frozen=True)
class _Version:
    """A file as it was: another one under the same path is another clip."""

    path: Path
    modified_ns: int
    num_bytes: int


class ClipCodes:
    """Gives the codes of clips. The codec is loaded when the first clip is not known yet, and let go by :meth:`release`.

    Codes are remembered in memory (200 B for each second of a clip) and on disk under their content, so a clip is
    neither encoded nor read again. Can be pickled: another process gets the memory and, if need be, a codec of its own.

    Args:
        files: the checkpoint with the codec.
        cache: folder for codes; None: that of the studio, so that speaking and training share it.
    """

    def __init__(self, files: CheckpointFiles, cache: Path | None = None) -> None:
        self._files, self._cache = files, cache or get_settings().code_cache_folder
        self._known: dict[_Version, np.ndarray] = {}
        self._codec: Codec | None = None
        self.num_encoded = 0
        """Clips encoded by this object: neither in memory nor on disk."""

    def __call__(self, path: Path, *, max_seconds: float | None = None) -> torch.Tensor:
        """Codes of a clip, shape (num_codebooks, num_frames), int64.

        Raises:
            StudioError: the file is no whole recording, silent, or longer than ``max_seconds``.
        """
        version = _version(path)
        if (codes := self._known.get(version)) is None:
            clip = read_audio(path, max_seconds=max_seconds)
            require_speech_like(clip, min_seconds=MIN_SECONDS, max_seconds=float("inf"), what=f"clip {path.name}")
            codec = self._codec = self._codec or self._load()
            before = codec.num_encodes
            codes = codec.encode(clip).astype(np.int16)
            self.num_encoded += codec.num_encodes - before
            self._known[version] = codes
        return torch.from_numpy(codes.astype(np.int64))

    def __len__(self) -> int:
        return len(self._known)

    def release(self) -> None:
        """Give the codec's memory back. A clip that is not known yet loads it again."""
        if self._codec is not None:
            self._codec.close()
        self._codec = None

    def _load(self) -> Codec:
        # A worker forked by a DataLoader cannot use CUDA; all it may have to encode is a file changed during the run.
        device = "cpu" if torch.utils.data.get_worker_info() is not None else pick_device()
        # Loading draws random numbers. A run must not depend on whether the codes were on disk already.
        devices = [torch.cuda.current_device()] if device == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            return Codec(*load_codec(self._files, device), CodeCache(self._cache))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_codec": None}


def _version(path: Path) -> _Version:
    try:
        status = path.stat()
    except (OSError, ValueError):
        raise StudioError(f"{path.name} does not exist or cannot be read: put it back.") from None
    return _Version(path, status.st_mtime_ns, status.st_size)

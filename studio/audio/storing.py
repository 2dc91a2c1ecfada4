"""Recordings of any length and kind as mono FLAC of 16 bits, block by block."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio.audio import problems
from studio.audio.decoders import Collector
from studio.audio.reading import decode_into
from studio.errors import StudioError
from studio.files import shown_name, write_advice

SCALE = 32768
"""Of full scale: sound that came as 16 bits keeps its very samples."""
_FLAC_MAX_RATE = 655_350


@dataclass(frozen=True)
class StoredSound:
    """What was stored.

    Attributes:
        sha256: of the samples and their rate.
    """

    seconds: float
    sample_rate: int
    sha256: str


class _FlacWriter(Collector):
    """Writes what is decoded instead of keeping it."""

    def __init__(self, name: str, path: Path, on_progress: Callable[[float], None]) -> None:
        super().__init__(name, None)
        self._path, self._on_progress = path, on_progress
        self._digest: Any = None
        self._file: Any = None

    def start(self, rate: int, num_frames: int | None) -> None:
        """Open the file."""
        import soundfile

        super().start(rate, num_frames)
        if rate > _FLAC_MAX_RATE:
            raise problems.implausible_rate(self.name, rate)
        self._file = soundfile.SoundFile(self._path, "w", rate, 1, subtype="PCM_16", format="FLAC")
        self._digest = hashlib.sha256(f"{rate}\n".encode())

    def take(self, mono: np.ndarray) -> None:
        """Write a block."""
        samples = np.clip(np.rint(mono * SCALE), -SCALE, SCALE - 1).astype("<i2")
        self._file.write(samples)
        self._digest.update(samples.tobytes())
        self._on_progress((self.num_samples + len(mono)) / self.rate)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def stored(self) -> StoredSound:
        """What was written. Raises StudioError where there is no sound."""
        if self.num_samples == 0:
            raise problems.no_samples(self.name)
        return StoredSound(self.num_samples / self.rate, self.rate, self._digest.hexdigest())


def store_as_flac(
    source: str | Path, target: Path, *, on_progress: Callable[[float], None] = lambda seconds: None
) -> StoredSound:  # fmt: skip
    """Decode a recording of any length into a mono FLAC of 16 bits at its own rate, whole or not at all.

    Args:
        on_progress: gets the seconds that are done, several times a second of sound; what it raises ends the work.

    Raises:
        StudioError: as for :func:`studio.audio.read_audio`, or the target cannot be written.
    """
    name = shown_name(source)
    making = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    writers: list[_FlacWriter] = []

    def writer() -> _FlacWriter:
        for earlier in writers:
            earlier.close()
        writers.append(_FlacWriter(name, making, on_progress))
        return writers[-1]

    try:
        stored = decode_into(source, writer).stored()
        writers[-1].close()
        with making.open("rb") as file:
            os.fsync(file.fileno())
        making.replace(target)
        return stored
    except (OSError, RuntimeError) as error:  # RuntimeError: of libsndfile, which has lost the system's own words
        raise StudioError(f"{name} cannot be kept {write_advice(error)}") from error
    finally:
        for each in writers:
            with suppress(RuntimeError):
                each.close()
        making.unlink(missing_ok=True)

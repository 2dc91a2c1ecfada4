"""Stretches of the recordings of a set, sample for sample. Recordings are mono FLAC of 16 bits."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.audio import Waveform
from studio.audio.synthetic_mark import add_mark
from studio.errors import StudioError
from studio.files import shown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


def samples_of(path: Path, start: float = 0.0, end: float | None = None) -> tuple[NDArray[np.int16], int]:
    """The samples of a stretch, shape (num_samples,), and their rate in Hz.

    Args:
        start, end: seconds; None: to the end.

    Raises:
        StudioError: the recording is gone or damaged.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            first = min(round(start * file.samplerate), file.frames)
            last = file.frames if end is None else min(round(end * file.samplerate), file.frames)
            file.seek(first)
            samples: Any = file.read(max(0, last - first), dtype="int16")
            if len(samples) != max(0, last - first):
                raise _gone(path)
            return samples, file.samplerate
    except (OSError, RuntimeError) as error:
        raise _gone(path) from error


def waveform_of(path: Path, start: float = 0.0, end: float | None = None) -> Waveform:
    """The same as a waveform, in [−1, 1)."""
    samples, rate = samples_of(path, start, end)
    return Waveform(samples.astype(np.float32) / 32768, rate)


def sound_sha256(path: Path, start: float = 0.0, end: float | None = None) -> str:
    """A hash of the samples of a stretch and their rate; 64 hexadecimal digits. The same sound elsewhere has the same."""
    samples, rate = samples_of(path, start, end)
    digest = hashlib.sha256(f"{rate}\n".encode())
    digest.update(samples.astype("<i2").tobytes())
    return digest.hexdigest()


def encoded(path: Path, start: float, end: float, suffix: str, *, synthetic: bool = False) -> bytes:
    """A stretch as the bytes of a file, ``.flac`` or ``.wav``, with the very samples of the recording.

    Args:
        synthetic: a model made it, which the file then says of itself.
    """
    import soundfile

    samples, rate = samples_of(path, start, end)
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, 1, format=suffix[1:].upper(), subtype="PCM_16") as file:
        if synthetic:
            add_mark(file)
        file.write(samples)
    return buffer.getvalue()


def decoded(content: bytes) -> Waveform:
    """What :func:`encoded` gave, as :func:`waveform_of` gives it."""
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(content), dtype="int16")
    return Waveform(samples.astype(np.float32) / 32768, rate)


def _gone(path: Path) -> StudioError:
    return StudioError(
        f"The recording {shown_name(path)} of this dataset is gone or damaged: delete the dataset and import it again."
    )

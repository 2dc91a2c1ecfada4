"""From a :class:`Waveform` to a WAV, FLAC or MP3 file."""

from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from studio.audio.synthetic_mark import add_mark
from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.files import atomic_write_bytes, refuse_unwritable, shown_name


class AudioFormat(NamedTuple):
    """How a format is shown to people and named to browsers."""

    label: str
    mime: str


AUDIO_FORMATS: dict[str, AudioFormat] = {
    ".wav": AudioFormat("WAV (16-bit)", "audio/wav"),
    ".flac": AudioFormat("FLAC (lossless)", "audio/flac"),
    ".mp3": AudioFormat("MP3", "audio/mpeg"),
}
"""Formats that can be written, by file suffix."""

# The rates of MPEG-1, 2 and 2.5 layer III (ISO/IEC 11172-3, 13818-3).
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_FLAC_MAX_RATE = 655_350  # libFLAC's limit; no sound card comes near.


def encode_audio(waveform: Waveform, format: str, *, synthetic: bool = False) -> bytes:
    """The clip as the bytes of a file; ``format`` is ``"wav"``, ``"flac"`` or ``"mp3"``.

    WAV and FLAC are 16-bit PCM. Samples are limited to [−1, 1], multiplied by 32767 and rounded: the symmetric scale
    gives +1.0 and −1.0 the same magnitude. (Readers divide by 32768, so what comes back is 0.0003 dB quieter.) MP3 is
    LAME's variable bit rate at its best quality; a rate MP3 does not have is first resampled to the next higher one it
    has.

    Args:
        synthetic: a model made it, which the file then says of itself.

    Raises:
        StudioError: the clip is empty or the format unknown.
    """
    if f".{format}" not in AUDIO_FORMATS:
        raise StudioError(f"'{format}' is not a format that can be written; use {_allowed()}.")
    if waveform.num_samples == 0:
        raise StudioError("There is no sound to save: the clip is empty.")
    import soundfile

    options: dict[str, Any] = {"subtype": "PCM_16"}
    if format == "mp3":
        higher = [rate for rate in _MP3_RATES if rate >= waveform.sample_rate]
        waveform = waveform.resampled(higher[0] if higher else _MP3_RATES[-1])
        options = {"bitrate_mode": "VARIABLE", "compression_level": 0.0}
    elif format == "flac" and waveform.sample_rate > _FLAC_MAX_RATE:
        raise StudioError(f"FLAC cannot hold {waveform.sample_rate} Hz; save the clip as WAV.")
    steps = np.rint(np.clip(waveform.samples, -1.0, 1.0) * np.float32(32767.0)).astype(np.int16)
    buffer = BytesIO()
    with soundfile.SoundFile(buffer, "w", waveform.sample_rate, 1, format=format.upper(), **options) as file:
        if synthetic:
            add_mark(file)
        file.write(steps)
    return buffer.getvalue()


def write_audio(waveform: Waveform, path: str | Path, *, synthetic: bool = False) -> None:
    """Write the clip to ``path`` in the format its suffix names, whole or not at all; see :func:`encode_audio`.

    Raises:
        StudioError: unknown suffix, empty clip, or any reason of :func:`studio.files.atomic_write_bytes`.
    """
    atomic_write_bytes(path, encode_audio(waveform, _known_suffix(path)[1:], synthetic=synthetic))


def refuse_bad_target(path: str | Path) -> None:
    """Raise StudioError if a clip could not be written to ``path`` as things are: for use before long work."""
    _known_suffix(path)
    refuse_unwritable(path)


def _known_suffix(path: str | Path) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in AUDIO_FORMATS:
        raise StudioError(f"The file name {shown_name(path)} must end in {_allowed()}.")
    return suffix


def _allowed() -> str:
    *others, last = AUDIO_FORMATS
    return f"{', '.join(others)} or {last}"

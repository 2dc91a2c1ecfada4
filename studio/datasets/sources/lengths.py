"""How long recordings are, roughly and without decoding them."""

from __future__ import annotations

from pathlib import Path

_BYTES_A_SECOND = 16_000
"""Of what says nothing itself: 128 kbit/s, as most compressed sound and the sound in films has."""


def rough_seconds(path: Path) -> float:
    """Seconds as the header says, or by the size of the file; 0 where it is gone. For estimates only."""
    import soundfile

    try:
        return float(soundfile.info(path).duration)
    except (soundfile.LibsndfileError, OSError):
        return path.stat().st_size / _BYTES_A_SECOND if path.is_file() else 0.0

"""How long clips are, whether they can be used at all, and whether a model made them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from studio.audio import problems
from studio.audio.checks import require_speech_like
from studio.audio.containers import find_shortfall
from studio.audio.reading import read_audio
from studio.audio.synthetic_mark import is_marked
from studio.errors import StudioError
from studio.files import shown_name

MIN_SECONDS = 0.2
"""Of a clip, as in the plugin: a shorter one is a slip of a segmentation."""


HEARD_SECONDS = 20 * 60
"""Up to so much sound in all, every clip is read whole, which also finds silent and damaged ones; of more, the headers. The
trainer reads all of them before its first step."""


_UNKNOWN_FRAMES = 1 << 48


@dataclass
class ClipDurations:
    """Every clip is looked at once, however many rows name it."""

    seconds: dict[Path, float] = field(default_factory=dict)
    problems: dict[Path, StudioError] = field(default_factory=dict)
    synthetic: dict[Path, bool] = field(default_factory=dict)
    heard: float = 0.0

    def duration(self, path: Path) -> float:
        """Seconds; raises StudioError for a clip that cannot be used."""
        if path in self.problems:
            raise self.problems[path]
        if path not in self.seconds:
            try:
                self.seconds[path] = self._look(path)
            except StudioError as error:
                self.problems[path] = error
                raise
        return self.seconds[path]

    def is_synthetic(self, path: Path) -> bool:
        """Whether the clip says that a model made it."""
        if path not in self.synthetic:
            self.synthetic[path] = is_marked(path)
        return self.synthetic[path]

    def _look(self, path: Path) -> float:
        if self.heard >= HEARD_SECONDS:
            seconds = clip_seconds(path)
            if round(seconds, 1) < MIN_SECONDS:
                raise StudioError(f"The clip {path.name} is {seconds:.1f} s long: use at least {MIN_SECONDS} s.")
            return seconds
        clip = read_audio(path)
        self.heard += clip.duration
        require_speech_like(clip, min_seconds=MIN_SECONDS, max_seconds=float("inf"), what=f"clip {path.name}")
        return clip.duration


def clip_seconds(path: Path) -> float:
    """Duration of a clip by its header, in seconds, without decoding it where the header says it.

    Raises:
        StudioError: it is missing, cut short, or no sound.
    """
    import soundfile

    name = shown_name(path)
    try:
        with path.open("rb", buffering=0) as file:
            if find_shortfall(file, os.fstat(file.fileno()).st_size) is not None:
                raise problems.ends_early(name)
            file.seek(0)
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                # libsndfile guesses the length of MPEG audio, and of a FLAC that was piped it knows none.
                if "MPEG" not in sound.subtype and 0 < sound.frames < _UNKNOWN_FRAMES:
                    return sound.frames / sound.samplerate
    except soundfile.LibsndfileError:
        pass
    except OSError as error:
        raise problems.unreadable(name, error.strerror or "unknown reason") from error
    return read_audio(path).duration

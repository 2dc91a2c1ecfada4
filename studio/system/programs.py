"""Programs beside the studio: what could use each, and whether it is there. None is needed to use the studio."""

from __future__ import annotations

import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A program that is not part of the environment.

    Attributes:
        use: what uses it, and what happens without it.
        path: where it was found; None where it was not.
    """

    name: str
    use: str
    path: str | None

    @property
    def state(self) -> str:
        """Whether it is there, without saying where: for a page that strangers see."""
        return "found" if self.path else "not found"


_USES = {
    "ffmpeg": "not used: libraries of the environment read, write and stream sound",
    "ffprobe": "not used, for the same reason",
    "nvidia-smi": "tells make to install torch with CUDA",
    "uv": "lets make install faster; pip does it otherwise",
    "git": "for the tests and the lock alone",
    "make": "starts make run and make test; tools/environment.py does without",
    "chromium": "drives the page in the tests, which skip without it",
}


def outside_programs() -> list[Program]:
    """Every outside program that anything here could use."""
    return [Program(name, use, shutil.which(name)) for name, use in _USES.items()]

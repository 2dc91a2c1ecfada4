"""Programs beside the studio: what could use each, and whether it is there. None is needed to use the studio."""

from __future__ import annotations

import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A program that is not part of the environment.

    Attributes:
        name: as it is called on a command line.
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
    "ffmpeg": "not used: sound is read, written and streamed by libraries of the environment",
    "ffprobe": "not used, for the same reason; Gradio would ask it if the studio let it",
    "nvidia-smi": "make: where it is found, torch is installed with CUDA",
    "uv": "make: installs faster than pip, which is used without it",
    "git": "make test and the lock; not the studio",
    "make": "make run and make test; `python tools/environment.py run` does without",
    "chromium": "make test: drives the page in a real browser; those tests skip without it",
}


def outside_programs() -> list[Program]:
    """Every outside program that anything here could use."""
    return [Program(name, use, shutil.which(name)) for name, use in _USES.items()]

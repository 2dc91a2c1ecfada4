"""Writes what a Hugging Face Space of the Gradio kind needs to a folder, ready to be pushed.

    python -m tools.space ../my-space

A Space installs ``requirements.txt`` in one pip command with packages of its own, which have no hashes; pip then refuses a
file with hashes. So the folder gets the same pins without them. Nothing else differs from the repository.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("README.md", "LICENSE", "NOTICE", "app.py", "assets", "docs/images", "studio", "swift_plugins")
"""What the Dockerfile takes too, and the README with its pictures: the block at its top configures the Space."""


def without_hashes(lock: str) -> str:
    """The pins of a lock, each on one line with its marker."""
    pins = re.findall(r"(?m)^([A-Za-z0-9][^\\\n]*?) *\\?$", lock)
    return "# The versions of the lock; written by tools/space.py.\n" + "\n".join(pins) + "\n"


def main() -> int:
    """Exit code: 0 written, 1 the folder holds something else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="an empty folder, a new one, or a clone of the Space")
    folder: Path = parser.parse_args().folder
    if folder.exists() and any(folder.iterdir()) and not (folder / ".git").exists():
        print(f"{folder} is neither empty nor a clone of a Space: choose another folder.", file=sys.stderr)
        return 1
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (folder / "requirements.txt").write_text(without_hashes(lock), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

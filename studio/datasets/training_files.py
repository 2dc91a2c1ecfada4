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
        version: of the set, see :meth:`DatasetLibrary.version`.
    """

    rows: Path
    validation: Path | None
    version: str

    @property
    def overrides(self) -> dict[str, tuple[str, ...]]:
        """Arguments of ms-swift for what is held out."""
        if self.validation is None:
            return {}
        return {"val_dataset": (str(self.validation),), "split_dataset_ratio": ("0",)}


def training_files(library: DatasetLibrary, dataset: Dataset) -> TrainingFiles:
    """The rows of a set as it is now.

    Raises:
        StudioError: a speaker has given no consent, nothing is kept, a transcript is missing, or the disk is full.
    """
    library.require_consent(dataset)
    version = library.version(dataset.id)
    # What is held out, what a model made and by whom a voice may be used are no content, so they are told apart here.
    splits = "".join((each.split[:1] or "-") + "m" * each.synthetic for each in library.utterances(dataset.id))
    folder = library.folder(dataset.id) / "rows" / f"{version[:16]}-{hashlib.sha256(splits.encode()).hexdigest()[:8]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        export(library, dataset, "rows", folder)
    # A run tells the name of its file of rows, so that is what names set and version.
    named = folder / f"{dataset.name}@{version[:12]}.jsonl"
    if not named.exists():
        atomic_write_bytes(named, (folder / "rows.jsonl").read_bytes())
    validation = folder / "rows_val.jsonl"
    return TrainingFiles(named, validation if validation.is_file() else None, version)

"""A set as files that a training reads: made once for each version, beside the recordings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.datasets.dataset import Dataset
from studio.datasets.exports.exporting import export
from studio.datasets.library import DatasetLibrary
from studio.datasets.splitting import splits
from studio.errors import StudioError
from studio.files import atomic_write_bytes

MIN_UTTERANCES_HELD_OUT = 8
"""Of fewer none are held out: what is left would be too little to learn from."""
_RATIO = 0.1


@dataclass(frozen=True)
class TrainingFiles:
    """Rows of a set.

    Attributes:
        validation: the rows that are held out; None where the set is too small to hold any out.
        whole: all rows, those that are held out among them.
        version: of the set, see :meth:`DatasetLibrary.version`.
    """

    rows: Path
    validation: Path | None
    whole: Path
    version: str


def training_files(library: DatasetLibrary, dataset: Dataset) -> TrainingFiles:
    """The rows of a set as it is now. Where nobody split it, a tenth is held out here, by content and not by row: the same
    sound or text is never on both sides, however many rows it stands in.

    Raises:
        StudioError: a speaker has given no consent, nothing is kept, a transcript is missing, or the disk is full.
    """
    library.require_consent(dataset)
    version, split = library.version(dataset.id), _split(library, dataset)
    # What is held out, what a model made and what is heard before it are no content, so they are told apart here.
    synthetic = sorted(each.id for each in library.utterances(dataset.id) if each.synthetic)
    told = json.dumps([sorted(split.items()), synthetic, dataset.pairing.as_json()])
    folder = library.folder(dataset.id) / "rows" / f"{version[:16]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        export(library, dataset, "rows", folder, held_out=split)
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


def _split(library: DatasetLibrary, dataset: Dataset) -> Mapping[str, str]:
    """The split of each kept utterance by its id, as somebody made it; else one of this moment."""
    utterances = library.utterances(dataset.id)
    if any(each.split for each in utterances) or len(utterances) < MIN_UTTERANCES_HELD_OUT:
        return {each.id: each.split for each in utterances}
    try:
        return splits(utterances, ratio=_RATIO)
    except StudioError:  # all of them are one text or one sound
        return {each.id: "" for each in utterances}

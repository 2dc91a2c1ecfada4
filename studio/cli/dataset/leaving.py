"""A set leaves: written in a layout of others, or deleted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from studio.cli.dataset.asking import Name, sets
from studio.cli.output import Json, agreed, print_result
from studio.errors import StudioError
from studio.formatting import duration


def export(
    name: Name,
    kind: Annotated[str, typer.Argument(metavar="FORMAT", help="rows, ljspeech, csv, nemo or huggingface.")],
    out: Annotated[Path, typer.Argument(help="Folder to make; with --archive a .zip.")],
    archive: Annotated[bool, typer.Option("--archive", help="Write one .zip.")] = False,
    as_json: Json = False,
) -> None:
    """Write a dataset in a layout that others read; with every speaker's consent. `pairs` says what rows hear first."""
    from studio.datasets.exports.exporting import export as write

    library = sets()
    dataset = library.dataset(name)
    path = write(library, dataset, kind, out.expanduser(), archive=archive)
    text = f"{path}: {dataset.num_utterances} utterances, {duration(dataset.seconds)}"
    print_result({"path": str(path), "version": library.version(dataset.id)}, as_json, text)


def delete(
    name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: Json = False
) -> None:
    """Delete a dataset with its recordings."""
    library = sets()
    dataset = library.dataset(name)
    if not yes and not (sys.stdin.isatty() and agreed(f"Delete {dataset.name} with its recordings?")):
        raise StudioError(f"{dataset.name} was not deleted: say so with --yes.")
    library.delete(dataset.id)
    print_result({"deleted": dataset.id}, as_json, f"{dataset.name} is deleted.")

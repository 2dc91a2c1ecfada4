"""What several commands ask for: which set, the library that it is in, and a recogniser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.output import notice
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.datasets.library import DatasetLibrary
    from studio.listening.transcriber import Transcriber

Name = Annotated[str, typer.Argument(help="Name of the dataset, or its id.")]


def sets() -> DatasetLibrary:
    """The sets of whoever runs the studio."""
    return Services(get_settings()).datasets()


def recogniser(wanted: bool | None) -> Transcriber | None:
    """The recogniser: where it is wanted, or where nobody said and it is on this machine."""
    if wanted is False:
        return None
    transcriber = Services(get_settings()).transcriber
    missing = transcriber.missing()
    if missing and wanted is None:
        notice(f"Nothing is written down: {missing}")
        return None
    return transcriber

"""A small dataset that comes with the studio, to try a training with: three minutes of a voice that nobody has to record."""

from __future__ import annotations

from studio.datasets.dataset import Dataset
from studio.datasets.imports.importer import import_source
from studio.datasets.library import DatasetLibrary
from studio.datasets.sources import SourceOptions
from studio.errors import StudioError
from studio.settings import ASSETS
from studio.voices.consent import SpeakerConsent

FOLDER = ASSETS / "try-it"
TABLE = "utterances.csv"
NAME = "Try it"
ARGUMENTS = {"learning_rate": "1e-3"}
"""The presets' rates are for a model of billions of parameters. With this one 50 steps bring held-out sentences from a
similarity of 0.51 to their speaker to 0.59 (at step 30; eight texts, `python -m studio audition`)."""
_STATEMENT = "Synthetic voice made for this project with Kokoro-82M (weights Apache-2.0); no recording of a person"


def is_there() -> bool:
    """Whether it came with this installation."""
    return (FOLDER / TABLE).is_file()


def try_it(library: DatasetLibrary) -> Dataset:
    """The dataset in somebody's library: imported when it is first asked for, with its consent; the same one ever after.

    Raises:
        StudioError: it did not come with this installation, or cannot be imported.
    """
    if not is_there():
        raise StudioError("The dataset to try a training with did not come with this studio: import one on Dataset.")
    for dataset in library.datasets():
        if dataset.state == "ready" and dataset.source.get("path") == str(FOLDER / TABLE):
            return dataset
    dataset = import_source(library, NAME, "csv", FOLDER / TABLE, SourceOptions(), language="en", shown=NAME)
    for speaker in dataset.speakers:
        consent = SpeakerConsent.given(
            "licence", who=f"{speaker.name}, nobody: a synthetic voice", statement=_STATEMENT
        )
        library.record_consent(dataset.id, speaker.name, consent)
    return library.dataset(dataset.id)

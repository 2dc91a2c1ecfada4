"""Layouts in which data sets come: each is read utterance by utterance, and nothing in it is skipped in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from studio.datasets.sources.documents import read_higgs, read_jsonl, read_nemo
from studio.datasets.sources.folders import read_folder, read_recordings, read_vctk
from studio.datasets.sources.found import Found, SourceOptions
from studio.datasets.sources.huggingface import num_examples, read_huggingface
from studio.datasets.sources.lengths import rough_seconds
from studio.datasets.sources.tables import read_csv, read_ljspeech
from studio.errors import StudioError

Reader = Callable[[Path, SourceOptions], Iterator[Found]]


@dataclass(frozen=True)
class SourceType:
    """A layout.

    Attributes:
        label: for people.
        help: how its files lie.
    """

    label: str
    help: str
    read: Reader


SOURCE_TYPES: Mapping[str, SourceType] = {
    "recordings": SourceType(
        "Recordings to slice", "One long recording, or a folder of them; video too.", read_recordings
    ),
    "folder": SourceType(
        "Clips with texts", "Clips with a .txt, .lab or .json of the same name beside each.", read_folder
    ),
    "ljspeech": SourceType("LJSpeech", "metadata.csv with id|text|normalised text, and wavs/id.wav.", read_ljspeech),
    "csv": SourceType("CSV", "A table with a header, and recordings named in it.", read_csv),
    "vctk": SourceType("VCTK", "wav48 or wav48_silence_trimmed, and txt, with a folder for each speaker.", read_vctk),
    "jsonl": SourceType("Training rows", "Rows of ms-swift (.jsonl), with their clips.", read_jsonl),
    "nemo": SourceType("NeMo manifest", "A line of JSON each: audio_filepath, duration, text.", read_nemo),
    "higgs": SourceType("Higgs metadata", "metadata.json of community trainers for Higgs Audio.", read_higgs),
    "huggingface": SourceType(
        "Hugging Face", "A parquet or save_to_disk folder, or a name on the hub.", read_huggingface
    ),
}


def read_source(kind: str, source: Path, options: SourceOptions) -> Iterator[Found]:
    """The utterances of a source, as they are asked for; what cannot be used has a flaw.

    Raises:
        StudioError: there is no such layout, or the source cannot be read as one of it.
    """
    if kind not in SOURCE_TYPES:
        raise StudioError(f"There is no layout '{kind}': choose one of {', '.join(SOURCE_TYPES)}.")
    return islice(SOURCE_TYPES[kind].read(source, options), options.limit)


def amount_of(kind: str, source: Path, options: SourceOptions) -> float | None:
    """How much there is to read, for telling how long it will take: utterances, or seconds of recordings that are sliced.

    None where that cannot be said at little cost. No sound is decoded: lengths of recordings are rough.

    Raises:
        StudioError: the source cannot be read.
    """
    if kind == "recordings":
        return sum(rough_seconds(found.path) for found in read_source(kind, source, options) if found.path)
    if kind != "huggingface":
        return sum(1 for _ in read_source(kind, source, options))
    found = num_examples(source, options)
    return found if found is None or options.limit is None else min(found, options.limit)


__all__ = ["SOURCE_TYPES", "Found", "SourceOptions", "SourceType", "amount_of", "read_source", "rough_seconds"]

"""Sources in JSON: training rows, NeMo's manifests, and the ``metadata.json`` of community trainers for Higgs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.datasets.sources.found import Found, SourceOptions
from studio.datasets.sources.locating import Locator
from studio.datasets.sources.tables import split_of
from studio.datasets.sources.texts import read_text
from studio.engine.prompt import SCENE_END, SCENE_START
from studio.engine.rows import clip_paths, map_clip_paths, parse_row, read_rows
from studio.errors import StudioError
from studio.files import shown_name


def read_jsonl(source: Path, options: SourceOptions) -> Iterator[Found]:
    """Training rows in any of their formats: what is trained in them are the utterances, each once.

    A folder is read file by file; a file whose name ends in ``_val`` is held out.
    """
    seen: set[tuple[Path, str]] = set()
    for file in _files(source, (".jsonl", ".json")):
        locator = Locator(file.parent, inside_only=options.inside_only)
        for number, content in read_rows(file):
            place = f"{file.name} row {number}"
            if isinstance(content, StudioError):
                yield Found(place, "", None, flaw=str(content))
                continue
            try:
                for each in _of_row(content, file, place, locator, options):
                    if each.path is None or (each.path, each.text) not in seen:
                        yield each
                    if each.path is not None:
                        seen.add((each.path, each.text))
            except StudioError as error:
                yield Found(place, "", None, flaw=str(error))


def _of_row(
    content: Mapping[str, Any], file: Path, place: str, locator: Locator, options: SourceOptions
) -> Iterator[Found]:  # fmt: skip
    located: dict[str, str] = {}
    for named in clip_paths(content):
        path, flaw = locator.find(named)
        if path is None:
            yield Found(place, named, None, flaw=flaw)
            return
        located[named] = str(path)
    # As they were found: the row's own path may lead to a file elsewhere that has the same name.
    row = parse_row(map_clip_paths(content, lambda named: located[named]), folder=file.parent)
    scene = _scene(row.system or "")
    trained = [
        (row.turns[index - 1].text if index else "", turn.clip)
        for index, turn in enumerate(row.turns)
        if turn.clip is not None and turn.trained
    ]
    for count, (text, clip) in enumerate(trained):
        yield Found(
            f"{place} turn {count + 1}" if count else place, clip.name, clip, text,
            row.speaker or options.speaker or None, split="validation" if file.stem.endswith("_val") else "", scene=scene,
        )  # fmt: skip


def _scene(system: str) -> str:
    """The scene in a system turn."""
    inside = system.partition(SCENE_START)[2].partition(SCENE_END)[0]
    return inside.strip()


def read_nemo(source: Path, options: SourceOptions) -> Iterator[Found]:
    """A manifest with an object on each line: ``audio_filepath``, ``text``, and ``offset`` and ``duration`` in seconds."""
    for file in _files(source, (".json", ".jsonl", ".manifest")):
        locator = Locator(file.parent, inside_only=options.inside_only)
        for number, line in enumerate(read_text(file, options.encoding).split("\n"), start=1):
            if not line.strip():
                continue
            place = f"{file.name} line {number}"
            try:
                entry = json.loads(line)
            except ValueError as error:
                yield Found(place, "", None, flaw=f"The line is not valid JSON ({error}): mend it.")
                continue
            if not isinstance(entry, dict) or not isinstance(entry.get("audio_filepath"), str):
                yield Found(place, "", None, flaw="The line names no audio_filepath: add it.")
                continue
            yield _of_manifest(entry, place, locator, options)


def _of_manifest(entry: Mapping[str, Any], place: str, locator: Locator, options: SourceOptions) -> Found:
    path, flaw = locator.find(entry["audio_filepath"])
    offset, duration = entry.get("offset"), entry.get("duration")
    start = end = None
    if offset is not None:  # without one the duration is that of the whole file, and the file knows better
        try:
            start = float(offset)
            end = start + float(duration) if duration is not None else None
        except (TypeError, ValueError):
            flaw = flaw or "offset and duration must be numbers of seconds: correct them."
    text = entry.get("text")
    return Found(
        place, entry["audio_filepath"], path, text.strip() if isinstance(text, str) else "",
        str(entry.get("speaker") or options.speaker) or None, language=str(entry.get("lang") or ""), start=start, end=end,
        split=split_of(str(entry.get("split") or "")), flaw=flaw,
    )  # fmt: skip


def read_higgs(source: Path, options: SourceOptions) -> Iterator[Found]:
    """``metadata.json`` with ``samples``: ``audio_file``, ``transcript_file`` (or ``transcript``), ``speaker_id``, ``scene``.

    Raises:
        StudioError: there is no such file, or it is laid out otherwise.
    """
    file = source if source.is_file() else source / "metadata.json"
    if not file.is_file():
        raise StudioError(f"There is no metadata.json in {shown_name(source)}: choose the folder in which it lies.")
    try:
        content = json.loads(read_text(file, options.encoding))
    except ValueError as error:
        raise StudioError(f"{shown_name(file)} is not valid JSON ({error}): mend it.") from error
    samples = content.get("samples") if isinstance(content, dict) else None
    if not isinstance(samples, list):
        raise StudioError(
            f"{shown_name(file)} has no list of samples: it is not the metadata.json of a Higgs data set."
        )
    locator = Locator(file.parent, inside_only=options.inside_only)
    for number, sample in enumerate(samples, start=1):
        place = f"{file.name} sample {number}"
        name = sample.get("audio_file") if isinstance(sample, dict) else None
        if not isinstance(name, str):
            yield Found(place, "", None, flaw="The sample names no audio_file: add it.")
            continue
        path, flaw = locator.find(name)
        text, missing = _transcript(sample, locator, options)
        yield Found(
            place, name, path, text, str(sample.get("speaker_id") or options.speaker) or None,
            language=str(sample.get("language") or ""), scene=str(sample.get("scene") or ""), flaw=flaw or missing,
        )  # fmt: skip


def _transcript(sample: Mapping[str, Any], locator: Locator, options: SourceOptions) -> tuple[str, str]:
    """What is said in a sample, and what is wrong with it."""
    for key in ("transcript", "text"):
        if isinstance(sample.get(key), str) and sample[key].strip():
            return " ".join(sample[key].split()), ""
    named = sample.get("transcript_file")
    if not isinstance(named, str):
        return "", "The sample has no transcript and names no transcript_file: add one."
    path, flaw = locator.find(named)
    if path is None:
        return "", flaw.replace("recording", "transcript")
    try:
        return " ".join(read_text(path, options.encoding).split()), ""
    except StudioError as error:
        return "", str(error)


def _files(source: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise StudioError(f"{shown_name(source)} does not exist: check its name.")
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in suffixes and path.name != "dataset.json")
    if not found:
        raise StudioError(f"{shown_name(source)} holds no file {' or '.join(suffixes)}: choose the file itself.")
    return found

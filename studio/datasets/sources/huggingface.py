"""Data sets of the Hugging Face kind: a folder of parquet files, one that ``save_to_disk`` wrote, or a name on the hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.datasets.sources.found import Found, SourceOptions
from studio.datasets.sources.locating import Locator
from studio.datasets.sources.tables import COLUMNS, split_of
from studio.errors import StudioError
from studio.files import read_json, shown_name

log = logging.getLogger(__name__)


def read_huggingface(source: Path, options: SourceOptions) -> Iterator[Found]:
    """Examples with a column of sound and one of text; the sound is read by the studio, whatever decoder is installed.

    Raises:
        StudioError: it cannot be read, or lacks a column.
    """
    for name, part in _parts(source, options).items():
        columns = list(part.features)
        chosen = {kind: _column(kind, getattr(options, f"{kind}_column", ""), columns) for kind in COLUMNS}
        locator = Locator(source if source.is_dir() else source.parent, inside_only=options.inside_only)
        examples = enumerate(_undecoded(part, chosen["audio"]), start=1)
        while True:
            try:
                number, example = next(examples)
            except StopIteration:
                break
            except Exception as error:  # of parquet and arrow, read only now
                raise _unreadable(source, error) from error
            yield _found(example, f"{name} example {number}", chosen, name, locator, options)


def num_examples(source: Path, options: SourceOptions) -> int | None:
    """How many there are; None where that cannot be said without reading them, as of most of the hub."""
    from pyarrow.parquet import read_metadata

    if not source.exists():
        return None
    if (source / "dataset_info.json").is_file() or (source / "dataset_dict.json").is_file():
        return sum(part.num_rows for part in _parts(source, options).values())
    files = [source] if source.is_file() else source.rglob("*.parquet")
    try:
        return sum(read_metadata(file).num_rows for file in files)
    except Exception as error:  # noqa: BLE001  the library raises many kinds, and reading says what is wrong
        log.info("the examples of %s cannot be counted (%s)", source, error)
        return None


def _refuse_outside(source: Path) -> None:
    """What ``save_to_disk`` writes names its files: they must lie in the folder.

    Raises:
        StudioError: one lies elsewhere.
    """
    root = source.resolve()
    named: list[tuple[Path, Any]] = []
    for place in source.rglob("state.json") if source.is_dir() else ():
        files = _listed(place, "_data_files")
        named += [(place.parent, each.get("filename") if isinstance(each, dict) else None) for each in files]
    if (source / "dataset_dict.json").is_file():
        named += [(source, split) for split in _listed(source / "dataset_dict.json", "splits")]
    for folder, name in named:
        if not isinstance(name, str) or not (folder / name).resolve().is_relative_to(root):
            raise StudioError(
                f"The data set names a file outside of its folder ('{str(name)[:80]}'): write it again with save_to_disk."
            )


def _found(
    example: Mapping[str, Any], place: str, chosen: Mapping[str, str], part: str, locator: Locator, options: SourceOptions
) -> Found:  # fmt: skip
    value = {kind: str(example.get(column) or "").strip() if column else "" for kind, column in chosen.items()}
    sound = example.get(chosen["audio"])
    content = sound.get("bytes") if isinstance(sound, Mapping) else None
    named = str(sound.get("path") or "") if isinstance(sound, Mapping) else str(sound or "")
    path, flaw = (None, "") if content else locator.find(named)
    return Found(
        place, Path(named).name or place, path, value["text"], value["speaker"] or options.speaker or None,
        language=value["language"], split=split_of(value["split"] or part), content=content, flaw=flaw,
    )  # fmt: skip


def _parts(source: Path, options: SourceOptions) -> dict[str, Any]:
    """The splits by name, read from the disk as they are asked for."""
    import datasets

    if options.inside_only:
        _refuse_outside(source)
    try:
        if (source / "dataset_info.json").is_file() or (source / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(str(source))
        elif source.is_dir():
            files = sorted(source.rglob("*.parquet"))
            if not files:
                raise StudioError(
                    "There are neither parquet files nor what save_to_disk writes: choose a folder with one of them."
                )
            splits: dict[str, list[str]] = {}
            for file in files:
                splits.setdefault(file.stem.partition("-")[0], []).append(str(file))
            loaded = datasets.load_dataset("parquet", data_files=splits, streaming=True)
        elif source.suffix == ".parquet" and source.is_file():
            loaded = datasets.load_dataset("parquet", data_files={source.stem: str(source)}, streaming=True)
        else:
            loaded = datasets.load_dataset(source.as_posix(), streaming=True)
    except StudioError:
        raise
    except Exception as error:  # the library raises many kinds
        raise _unreadable(source, error) from error
    return {str(name): part for name, part in loaded.items()} if isinstance(loaded, dict) else {"train": loaded}


def _listed(file: Path, name: str) -> list[Any]:
    try:
        found = read_json(file).get(name)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(file, error) from error
    return found if isinstance(found, list) else []


def _unreadable(source: Path, error: Exception) -> StudioError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    what = (
        "its files are damaged or not whole, get them again" if source.exists() else "check its name, and the network"
    )
    return StudioError(f"The data set {shown_name(source)} cannot be loaded ({reason}): {what}.")


def _undecoded(part: Any, column: str) -> Any:
    """The examples with their sound as bytes or path."""
    import datasets

    if isinstance(part.features.get(column), datasets.Audio):
        return part.cast_column(column, datasets.Audio(decode=False))
    return part


def _column(kind: str, wanted: str, present: list[str]) -> str:
    found = [name for name in ([wanted] if wanted else COLUMNS[kind]) if name in present]
    if not found and (wanted or kind in ("text", "audio")):
        raise StudioError(f"There is no column {wanted or 'for the ' + kind}: there are {', '.join(present)}.")
    return found[0] if found else ""

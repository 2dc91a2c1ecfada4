"""Data sets of the Hugging Face kind: a folder of parquet files, one that ``save_to_disk`` wrote, or a name on the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.datasets.sources.found import Found, SourceOptions
from studio.datasets.sources.locating import Locator
from studio.datasets.sources.tables import COLUMNS, split_of
from studio.errors import StudioError
from studio.files import shown_name


def read_huggingface(source: Path, options: SourceOptions) -> Iterator[Found]:
    """Examples with a column of sound and one of text; the sound is read by the studio, whatever decoder is installed.

    Raises:
        StudioError: it cannot be read, or lacks a column.
    """
    for name, part in _parts(source).items():
        columns = list(part.features)
        chosen = {kind: _column(kind, getattr(options, f"{kind}_column", ""), columns) for kind in COLUMNS}
        locator = Locator(source if source.is_dir() else source.parent, inside_only=options.inside_only)
        for number, example in enumerate(_undecoded(part, chosen["audio"]), start=1):
            yield _found(example, f"{name} example {number}", chosen, name, locator, options)


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


def _parts(source: Path) -> dict[str, Any]:
    """The splits by name, read from the disk as they are asked for."""
    import datasets

    try:
        if (source / "dataset_info.json").is_file() or (source / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(str(source))
        elif source.is_dir():
            files = sorted(source.rglob("*.parquet"))
            if not files:
                raise StudioError(f"{shown_name(source)} holds neither parquet files nor what save_to_disk writes.")
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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise StudioError(
            f"The data set {shown_name(source)} cannot be loaded ({reason}): check its name, and the network."
        ) from error
    return {str(name): part for name, part in loaded.items()} if isinstance(loaded, dict) else {"train": loaded}


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

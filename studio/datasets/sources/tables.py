"""Tables of recordings and texts: LJSpeech's ``metadata.csv``, and CSV with a header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from studio.datasets.sources.found import Found, SourceOptions
from studio.datasets.sources.locating import Locator
from studio.datasets.sources.texts import read_text
from studio.errors import StudioError
from studio.files import shown_name

COLUMNS = {
    "text": ("text", "transcript", "transcription", "sentence", "normalized_text"),
    "audio": ("audio", "audio_file", "audio_filepath", "audio_path", "file", "filename", "file_name", "path", "wav"),
    "speaker": ("speaker", "speaker_id", "speaker_name"),
    "language": ("language", "lang"),
    "split": ("split", "subset"),
}
"""For each kind of column, the headers it is known by where none is named."""
NEEDED = ("text", "audio")
_DELIMITERS = ",;\t|"
_HELD_OUT = {"validation", "val", "valid", "dev", "test", "eval"}


def read_ljspeech(source: Path, options: SourceOptions) -> Iterator[Found]:
    """The lines ``id|text`` or ``id|text|normalised text``; the normalised text is what is read aloud.

    Recordings lie in ``wavs``. The speaker is named by the folder, where nobody says otherwise.

    Raises:
        StudioError: the table cannot be read.
    """
    table, folder = _table(source, options)
    locator = Locator(folder, [folder / "wavs"], inside_only=options.inside_only)
    speaker = options.speaker or folder.resolve().name
    seen: dict[str, int] = {}
    for number, line in enumerate(read_text(table, options.encoding).split("\n"), start=1):
        fields = [field.strip() for field in line.split("|")]
        if fields == [""]:
            continue
        place, name = f"{table.name} line {number}", fields[0]
        if number == 1 and _is_header(fields):
            continue
        path, flaw = locator.find(name)
        if len(fields) not in (2, 3):
            flaw = "The line is not id|text|normalised text: correct it."
        elif name in seen:
            flaw = f"Line {seen[name]} has the same id {shown_name(name)}: keep one of them, or rename it."
        seen.setdefault(name, number)
        text = next((field for field in fields[:0:-1] if field), "")
        yield Found(place, name, path, text, speaker, flaw=flaw)


def _is_header(fields: list[str]) -> bool:
    first = {"id", "file_id", "audio", "file", "filename", "file_name", "wav", "audio_file"}
    return fields[0].casefold() in first and fields[-1].casefold().replace(" ", "_") in (
        *COLUMNS["text"], "normalised_text", "normalised", "normalized", "raw_text",
    )  # fmt: skip


def read_csv(source: Path, options: SourceOptions) -> Iterator[Found]:
    """The lines of a table with a header. Paths of recordings begin at the source, or beside the table.

    Raises:
        StudioError: the table cannot be read, is not CSV, or lacks a column.
    """
    table, folder = _table(source, options)
    locator = Locator(
        folder, [folder, table.parent, folder / "wavs", folder / "clips"], inside_only=options.inside_only
    )
    content = read_text(table, options.encoding)
    delimiter = options.delimiter.replace("\\t", "\t") or max(_DELIMITERS, key=content.partition("\n")[0].count)
    if len(delimiter) != 1:
        raise StudioError(f"The delimiter '{delimiter}' is not one character: give one such as ; or \\t.")
    content = _without_spaces_after_quotes(content, delimiter)
    # Strict: otherwise a quotation mark out of place is dropped, or swallows the lines up to the next one.
    reader = csv.DictReader(io.StringIO(content), delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t")
    line = 0
    seen: dict[str, int] = {}
    try:
        header = [(name or "").strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        columns = {kind: _column(kind, getattr(options, f"{kind}_column", ""), header) for kind in COLUMNS}
        line = reader.line_num
        for entry in reader:
            value = {kind: (entry.get(column) or "").strip() if column else "" for kind, column in columns.items()}
            line = reader.line_num
            name = value["audio"]
            path, flaw = locator.find(name)
            # What goes beyond the header stands under None: most often the rest of a text with commas.
            if None in entry:
                flaw = "The line has more fields than the header: put the text in quotes."
            elif name in seen:
                flaw = f"Line {seen[name]} names the same recording {shown_name(name)}: keep one of them."
            seen.setdefault(name, line)
            yield Found(
                f"{table.name} line {line}", name, path, value["text"], value["speaker"] or options.speaker or None,
                language=value["language"], split=split_of(value["split"]), flaw=flaw,
            )  # fmt: skip
    except csv.Error as error:
        place = f"{shown_name(table)} line {line + 1}"  # where the line begins that could not be read
        raise StudioError(f"{place} is not valid CSV ({error}): put texts with quotation marks in quotes.") from error


def _without_spaces_after_quotes(content: str, delimiter: str) -> str:
    """Spaces between a closing quote and the delimiter taken away: csv skips those before a quote only."""
    mark = re.escape(delimiter)
    return re.sub(rf'((?:^|{mark})[ ]*"(?:[^"]|"")*")[ ]+(?={mark}|\n|\Z)', r"\1", content, flags=re.MULTILINE)


def split_of(said: str) -> str:
    """ "train", "validation" or "", from what sources call them."""
    said = said.strip().casefold()
    return "validation" if said in _HELD_OUT else "train" if said in ("train", "training") else ""


def _table(source: Path, options: SourceOptions) -> tuple[Path, Path]:
    """The table of a source, and the folder of its recordings; a source may be the table itself."""
    if source.is_file():
        return source, source.parent
    if not source.is_dir():
        raise StudioError(f"{shown_name(source)} does not exist: check its name.")
    if options.table:
        named = Path(options.table)
        return (named if named.exists() else source / named), source
    present = [path for path in sorted(source.iterdir()) if path.suffix.lower() in (".csv", ".tsv", ".txt")]
    table = source / "metadata.csv"
    if not table.exists() and len(present) == 1:
        table = present[0]
    if not table.exists():
        names = ", ".join(shown_name(path) for path in present[:5]) or "no .csv, .tsv or .txt"
        raise StudioError(f"There is no metadata.csv in {shown_name(source)} ({names}): name the table itself.")
    return table, source


def _column(kind: str, wanted: str, header: list[str]) -> str:
    """The header of a column; "" where there is none of a kind that nobody has to know."""
    lower = {name.casefold(): name for name in reversed(header)}
    found = [name for name in ([wanted] if wanted else COLUMNS[kind]) if name in header]
    found = found or [
        lower[name.casefold()] for name in ([wanted] if wanted else COLUMNS[kind]) if name.casefold() in lower
    ]
    if not found and (wanted or kind in NEEDED):
        there = ", ".join(header) or "none"
        missing = f'no column "{wanted}"' if wanted else f"no column that is known to hold the {kind}"
        raise StudioError(f"The table has {missing}: give --{kind}_column one of its columns ({there}).")
    return found[0] if found else ""

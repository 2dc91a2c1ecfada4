"""The tables that data sets of recordings come with: which recording, what is said in it, by whom."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.files import shown_name

COLUMNS = {
    "text": ("text", "transcript", "transcription", "sentence", "normalized_text"),
    "audio": ("audio", "audio_file", "audio_path", "file", "filename", "file_name", "path", "wav"),
    "speaker": ("speaker", "speaker_id", "speaker_name"),
}
"""For each kind of column, the headers it is known by where none is named."""

_SUFFIXES = ("", ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")


@dataclass(frozen=True)
class Utterance:
    """One line of a table.

    Attributes:
        line: its number, from 1.
        name: the id or file name as written.
        path: the recording; None where there is no such file.
        speaker: None where the table does not say.
        flaw: a sentence on what is wrong with the line itself.
    """

    line: int
    name: str
    path: Path | None
    text: str
    speaker: str | None
    flaw: str = ""


def read_ljspeech(table: Path, folder: Path) -> Iterator[Utterance]:
    """The lines ``id|text|normalised text``; the normalised text is what is read aloud. The speaker is the folder's name.

    Raises:
        StudioError: the table cannot be read.
    """
    for number, line in enumerate(_content(table).split("\n"), start=1):
        fields = [field.strip() for field in line.split("|")]
        if fields == [""]:
            continue
        flaw = "" if len(fields) in (2, 3) else "The line is not id|text|normalised text: correct it."
        text = next((field for field in fields[:0:-1] if field), "")
        yield Utterance(number, fields[0], _find(fields[0], [folder / "wavs"]), text, folder.resolve().name, flaw)


def read_csv(table: Path, folder: Path, columns: Mapping[str, str | None]) -> Iterator[Utterance]:
    """The lines of a table with a header, its fields separated by commas, semicolons, tabs or ``|``.

    Args:
        folder: where the paths of recordings begin; those not found there begin beside the table.
        columns: for each kind in ``COLUMNS`` the header of its column, or None to know it by name.

    Raises:
        StudioError: the table cannot be read, is not CSV, or lacks a column.
    """
    content = _content(table)
    separator = max(",;\t|", key=content.partition("\n")[0].count)
    # Strict: otherwise a quotation mark out of place is dropped, or swallows the lines up to the next one.
    reader = csv.DictReader(io.StringIO(content), delimiter=separator, strict=True)
    line = 0
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        text, audio, speaker = (_column(kind, columns.get(kind), header) for kind in COLUMNS)
        line = reader.line_num
        for row in reader:
            # What goes beyond the header stands under None: most often the rest of a text with commas.
            flaw = "The line has more fields than the header: put the text in quotes." if None in row else ""
            name = (row[audio] or "").strip()
            spoken_by = (row[speaker] or "").strip() if speaker else ""
            path = _find(name, [folder, table.parent])
            line = reader.line_num
            yield Utterance(line, name, path, (row[text] or "").strip(), spoken_by or None, flaw)
    except csv.Error as error:
        place = f"{shown_name(table)} line {line + 1}"  # where the row begins that could not be read
        raise StudioError(f"{place} is not valid CSV ({error}): put texts with quotation marks in quotes.") from error


def find_utterance(wanted: str, utterances: Sequence[Utterance], folder: Path) -> Utterance:
    """The utterance that an id, a file name or a path inside ``folder`` means.

    Raises:
        StudioError: there is none, or more than one.
    """
    paths = {(folder / wanted).absolute(), Path(wanted).absolute()}
    found = [entry for entry in utterances if entry.name == wanted or entry.path in paths]
    found = found or [entry for entry in utterances if entry.path and wanted in (entry.path.name, entry.path.stem)]
    if not found:
        raise StudioError(
            f"{shown_name(wanted)} is not in the table, so what is said in it is not known: add it there."
        )
    if len({entry.path for entry in found}) > 1:
        raise StudioError(f"{shown_name(wanted)} could be one of {len(found)} recordings: give its path.")
    return found[0]


def _content(table: Path) -> str:
    name = shown_name(table)
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudioError(f"The table {name} is not UTF-8: save it as UTF-8.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise StudioError(f"The table {name} cannot be read ({reason}): check --input_dir and --csv_file.") from error


def _column(kind: str, wanted: str | None, header: list[str]) -> str:
    """The header of a column; "" where there is none for the speakers, whom nobody has to know."""
    found = [name for name in ([wanted] if wanted else COLUMNS[kind]) if name in header]
    if not found and (wanted or kind != "speaker"):
        there = ", ".join(header) or "none"
        missing = f'no column "{wanted}"' if wanted else f"no column that is known to hold the {kind}"
        raise StudioError(f"The table has {missing}: give --{kind}_column one of its columns ({there}).")
    return found[0] if found else ""


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    candidates = [folder / f"{name}{suffix}" for folder in folders for suffix in _SUFFIXES] if name else []
    try:
        return next((path.absolute() for path in candidates if path.is_file()), None)
    except OSError:  # a name longer than any file's
        return None

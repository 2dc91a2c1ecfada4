"""What a source says of one utterance, and how it is to be read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Found:
    """One utterance as its source has it.

    Attributes:
        place: file and line: where a refusal points.
        name: id or file name as written.
        path: the recording; None where there is none.
        speaker: None where nobody says.
        start, end: seconds of the recording; None: from its beginning, to its end.
        split: "train", "validation" or "".
        content: sound that lies in the source itself, instead of ``path``.
        script: a file with what is said in a recording that is to be sliced.
        flaw: a sentence on why it cannot be used.
    """

    place: str
    name: str
    path: Path | None
    text: str = ""
    speaker: str | None = None
    language: str = ""
    start: float | None = None
    end: float | None = None
    split: str = ""
    scene: str = ""
    content: bytes | None = None
    script: Path | None = None
    flaw: str = ""


@dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read; "" and None leave it to what is found.

    Attributes:
        speaker: who speaks where the source does not say.
        delimiter: between the fields of a table.
        encoding: of a table; "" is UTF-8, or UTF-16 where the file says so itself.
        microphone: of VCTK: "mic1" or "mic2".
        limit: read no more utterances than that.
        inside_only: whether every recording must lie in the source's folder, links followed.
        table: of a table that is not ``metadata.csv``.
    """

    speaker: str = ""
    audio_column: str = ""
    text_column: str = ""
    speaker_column: str = ""
    delimiter: str = ""
    encoding: str = ""
    microphone: str = "mic1"
    limit: int | None = None
    inside_only: bool = True
    table: str = ""

    def as_json(self) -> dict[str, Any]:
        """Those that are not left open."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}

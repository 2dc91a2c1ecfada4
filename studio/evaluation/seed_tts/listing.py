"""The list: what is to be spoken, after which clip; and which part of it is whose."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.files import shown_name

_FIELDS = (4, 5)
_SUFFIXES = (".wav", ".flac", ".mp3")


@dataclass(frozen=True)
class Line:
    """One utterance.

    Attributes:
        name: of the take: ``name.wav`` in the folder of takes.
        prompt: the clip whose voice it should have.
    """

    name: str
    prompt_text: str
    prompt: Path
    text: str

    def take(self, folder: Path) -> Path | None:
        """The take in a folder: a .wav, or else a .flac or .mp3; None where there is none."""
        return next((path for suffix in _SUFFIXES if (path := folder / f"{self.name}{suffix}").is_file()), None)


@dataclass(frozen=True)
class EvaluationList:
    """A list as it was read.

    Attributes:
        name: of its file.
        digest: 16 hexadecimal digits of what it says, wherever it lies.
    """

    name: str
    digest: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Part:
    """Every ``count``-th line, from the ``number``-th on."""

    number: int = 1
    count: int = 1

    @classmethod
    def parsed(cls, given: str) -> Part:
        """ "2/8". Raises StudioError for what is none."""
        match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", given)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise StudioError(f"'{given}' is no part: give the number of the part and how many there are, such as 2/8.")
        return cls(int(match[1]), int(match[2]))

    def of(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        """Its lines: neighbours in a list are alike, so that parts take turns."""
        return tuple(lines[self.number - 1 :: self.count])


def read_list(path: Path) -> EvaluationList:
    """Read ``name|prompt text|prompt audio|text``, a line each; a fifth field, a recording of the text, is not used.

    Prompts are looked for from the folder of the list.

    Raises:
        StudioError: it cannot be read, a line has another form, a name is there twice or is no name of a file, or prompts
            are missing.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise StudioError(f"{shown_name(path)} is not a UTF-8 text file: save the list as UTF-8.") from None
    except OSError as error:
        raise StudioError(f"The list {shown_name(path)} cannot be read ({error.strerror}): check its path.") from None
    lines: dict[str, Line] = {}
    for number, each in enumerate(content.splitlines(), 1):
        if each.strip():
            line = _parsed(each, f"Line {number} of {shown_name(path)}", path.parent)
            if line.name in lines:
                raise StudioError(
                    f"Line {number} of {shown_name(path)} names '{line.name}' again: give each take its own."
                )
            lines[line.name] = line
    if not lines:
        raise StudioError(f"{shown_name(path)} has no lines: give a list of name|prompt text|prompt audio|text.")
    if missing := [each for each in lines.values() if not each.prompt.is_file()]:
        raise StudioError(
            f"{len(missing)} of the {len(lines)} prompt clips of {shown_name(path)} are missing, the first is "
            f"{shown_name(missing[0].prompt)}: put them where the list says."
        )
    said = "\n".join(f"{each.name}|{each.prompt_text}|{each.prompt.name}|{each.text}" for each in lines.values())
    return EvaluationList(path.name, hashlib.sha256(said.encode()).hexdigest()[:16], tuple(lines.values()))


def _parsed(line: str, where: str, folder: Path) -> Line:
    fields = [field.strip() for field in line.split("|")]
    if len(fields) not in _FIELDS:
        raise StudioError(f"{where} has {len(fields)} fields: give name|prompt text|prompt audio|text.")
    name, prompt_text, prompt, text = fields[:4]
    name = name.removesuffix(".wav")
    if not name or name != Path(name).name or name in (".", "..") or "\\" in name or "\0" in name:
        raise StudioError(f"{where} has the name '{name}', which is no name of a file: give one without folders.")
    if not any(character.isalnum() for character in text):
        raise StudioError(f"{where} has no text to speak: give one.")
    return Line(name, prompt_text, folder / prompt, text)

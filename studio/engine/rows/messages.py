"""The messages of a training row: whatever form they are written in, texts and clips in order, and what is trained."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.audio import problems
from studio.engine.rows.clip_paths import is_address
from studio.errors import StudioError
from studio.files import shown_name

AUDIO_MARK = "<audio>"
"""In the text of a message, the place of the next entry of ``audios``."""

_TOOL_ROLES = {"tool", "function", "tool_call", "tool_calls", "tool_response", "observation"}


@dataclass(frozen=True)
class Message:
    """One message; ``parts`` are its texts and the absolute paths of its clips, in order."""

    role: str
    parts: tuple[str | Path, ...]
    trained: bool

    @property
    def clips(self) -> list[Path]:
        return [part for part in self.parts if isinstance(part, Path)]

    @property
    def text(self) -> str:
        """What is written beside the clips."""
        return joined(part for part in self.parts if isinstance(part, str))


def joined(texts: Iterable[str]) -> str:
    """Pieces of one text, without the white space around each."""
    return " ".join(text.strip() for text in texts if text.strip())


def read_messages(row: Mapping[str, Any], folder: Path) -> list[Message]:
    """The messages of a row, at least one, with every clip found.

    Raises:
        StudioError: they are not written as messages, an ``<audio>`` has no clip, or a clip is not there.
    """
    entries = row.get("messages") if isinstance(row, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise StudioError('The row has no messages: it must be an object with a list "messages".')
    written = [_written(entry) for entry in entries]
    _place_audios(written, read_sources(row, "audios"), read_sources(row, "reference_audio"))
    in_parts = any(not isinstance(entry["content"], str) for entry in entries)
    trained = _trained(written, in_parts, _start_index(row.get("start_index")))
    return [
        Message(
            message.role,
            tuple(part if isinstance(part, str) else find_clip(part.source, folder) for part in message.parts),
            index in trained,
        )
        for index, message in enumerate(written)
    ]


def read_sources(row: Mapping[str, Any], key: str) -> list[str]:
    """The paths under a key of the row, as written there: one, a list of them, or none."""
    value = row.get(key)
    if value is None or value == "":
        return []
    return [_source(entry, key) for entry in (value if isinstance(value, list) else [value])]


def find_clip(source: str, folder: Path) -> Path:
    """The absolute path of a clip, which begins at ``folder`` or, if it is not there, at the working directory."""
    if is_address(source):
        raise StudioError("A clip is given as an address, not a file: download it first and give the path of the file.")
    name = shown_name(source)
    for path in (folder / source, Path(source)):
        try:
            mode = path.absolute().stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL character in the path
            continue
        except OSError as error:
            raise problems.unreadable(name, error.strerror or "unknown reason") from error
        if stat.S_ISDIR(mode):
            raise problems.is_folder(name)
        if not stat.S_ISREG(mode):
            raise problems.not_a_file(name)
        return path.absolute()
    raise StudioError(f"The clip {name} does not exist: paths begin at the folder of the rows, so correct the path.")


@dataclass(eq=False)
class _Place:
    """Where a clip belongs; ``source`` is empty until an entry of ``audios`` fills it."""

    source: str = ""


@dataclass
class _Written:
    """A message as it stands in the row."""

    role: str
    parts: list[str | _Place]
    loss: bool | None


def _written(entry: Any) -> _Written:
    role = entry.get("role") if isinstance(entry, Mapping) else None
    if not isinstance(role, str) or "content" not in entry:
        raise StudioError('Each of the messages must be an object with a "role" and a "content".')
    if role in _TOOL_ROLES:
        raise StudioError("Turns of tools cannot be spoken: leave rows with tool calls out.")
    if role not in ("system", "user", "assistant"):
        raise StudioError(f'The role "{role[:30]}" is unknown: use "system", "user" and "assistant".')
    loss = entry.get("loss")
    # ms-swift stores the flags of a data set as numbers, and None where a row has none.
    if loss is not None and (not isinstance(loss, (int, float)) or loss not in (0, 1)):
        raise StudioError('The "loss" of a turn must be true or false.')
    return _Written(role, _parts(entry["content"]), None if loss is None else bool(loss))


def _parts(content: Any) -> list[str | _Place]:
    parts: list[str | _Place] = []
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, Mapping) else None
        text = part.get("text") if kind == "text" else part
        if isinstance(text, str):
            before, *after = text.split(AUDIO_MARK)
            parts.append(before)
            for piece in after:
                parts += [_Place(), piece]
        elif kind in ("audio", "audio_url"):
            parts.append(_Place(_source(part.get("audio_url") or part.get("audio"), "audio_url")))
        else:
            raise StudioError(
                "The content of a turn must be text, or a list of text and audio parts such as "
                '{"type": "audio", "audio_url": "clip.wav"}.'
            )
    return parts


def _source(value: Any, key: str) -> str:
    if isinstance(value, Mapping):
        value = value.get("url") or value.get("path")
    if not isinstance(value, str) or not value.strip():
        raise StudioError(f'"{key}" must give the path of a clip as text.')
    return value


def _place_audios(messages: list[_Written], audios: list[str], references: list[str]) -> None:
    places = [part for message in messages for part in message.parts if isinstance(part, _Place)]
    marks = [place for place in places if not place.source]
    if len(audios) > 1 and len(audios) != len(marks):
        # Some rows list the reference here as well, though no <audio> stands for it.
        targets = [audio for audio in audios if audio not in references]
        audios = targets if len(targets) == max(len(marks), 1) else audios
    if not places and len(audios) == 1 and messages[-1].role == "assistant":
        messages[-1].parts.append(_Place(audios[0]))
    elif len(audios) == len(marks):
        for mark, source in zip(marks, audios, strict=True):
            mark.source = source
    # Without marks, a list that only repeats the clips of the parts is harmless.
    elif marks or not {place.source for place in places}.issuperset(audios):
        raise StudioError(
            f"<audio> stands {len(marks)} times in the messages and audios has {len(audios)} entries: "
            "write one <audio> for each clip, in the same order."
        )


def _start_index(value: Any) -> int:
    if value is None:
        return 0
    # A table in which other rows have none stores whole numbers as 2.0.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise StudioError('"start_index" must be a whole number: the index of the first message that is trained.')
    return int(value)


def _trained(messages: list[_Written], in_parts: bool, start_index: int) -> set[int]:
    """Indices of the messages that are trained."""
    answers = [index for index, message in enumerate(messages) if message.role == "assistant"]
    if in_parts and start_index <= 0 and all(messages[index].loss is None for index in answers):
        # Nothing says which are references, and a reference must never be trained by accident.
        return set(answers[-1:])
    return {index for index in answers if index >= start_index and messages[index].loss is not False}

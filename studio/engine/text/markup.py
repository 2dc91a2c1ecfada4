"""Dialogue scripts: lines ``[Name] text``, each spoken in the voice of its name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.errors import StudioError

_TAGGED_LINE = re.compile(r"^\s*\[(?P<name>[^\[\]\n]{1,60})\]\s*(?P<text>.*)$")
_NATIVE_TAG = re.compile(r"SPEAKER(\d{1,2})", re.IGNORECASE)
MAX_SPEAKERS = 10


@dataclass(frozen=True)
class Line:
    """What one speaker says before another does. ``speaker`` is None where the text names nobody."""

    speaker: str | None
    text: str


def parse_script(text: str) -> list[Line]:
    """Split a text into lines by speaker; a text without ``[Name]`` at the start of a line is one line of nobody.

    Lines without a name go on with the speaker before them. Sound effects such as ``[laugh]`` are no names. A name in
    other capitals is the same speaker.

    Raises:
        StudioError: text before the first name, a name without text, or too many speakers.
    """
    lines: list[tuple[str | None, list[str]]] = []
    spelled: dict[str, str] = {}  # each name as it was first written
    for raw in text.splitlines():
        tagged = _TAGGED_LINE.match(raw)
        name = tagged["name"].strip() if tagged else ""
        if tagged and name and f"[{name.lower()}]" not in SOUND_TAGS:
            lines.append((spelled.setdefault(name.casefold(), name), [tagged["text"]]))
        elif lines:
            lines[-1][1].append(raw)
        else:
            lines.append((None, [raw]))
    if lines and lines[0][0] is None and not "".join(lines[0][1]).strip():
        lines = lines[1:]
    spoken = [Line(name, "\n".join(parts).strip()) for name, parts in lines]
    names = list(dict.fromkeys(line.speaker for line in spoken if line.speaker is not None))
    if names and spoken[0].speaker is None:
        raise StudioError(f"The script begins with text that has no speaker: put [{names[0]}] before it.")
    for line in spoken:
        if line.speaker is not None and not line.text:
            raise StudioError(f"[{line.speaker}] has nothing to say: type a text after the name or remove the line.")
    if len(names) > MAX_SPEAKERS:
        raise StudioError(f"The script has {len(names)} speakers and the limit is {MAX_SPEAKERS}: merge some of them.")
    return spoken


def speaker_tags(names: list[str]) -> dict[str, str]:
    """The model's tag (``SPEAKER0``, …) for each name, in order of appearance; names that are such tags keep theirs."""
    native = {name: match for name in names if (match := _NATIVE_TAG.fullmatch(name))}
    if len(native) == len(names):
        return {name: f"SPEAKER{int(match[1])}" for name, match in native.items()}
    return {name: f"SPEAKER{index}" for index, name in enumerate(names)}


SOUND_TAGS = {
    "[laugh]": "<SE>[Laughter]</SE>",
    "[humming start]": "<SE>[Humming]</SE>",  # Not <SE_s>: so in the original.
    "[humming end]": "<SE_e>[Humming]</SE_e>",
    "[music start]": "<SE_s>[Music]</SE_s>",
    "[music end]": "<SE_e>[Music]</SE_e>",
    "[music]": "<SE>[Music]</SE>",
    "[sing start]": "<SE_s>[Singing]</SE_s>",
    "[sing end]": "<SE_e>[Singing]</SE_e>",
    "[applause]": "<SE>[Applause]</SE>",
    "[cheering]": "<SE>[Cheering]</SE>",
    "[cough]": "<SE>[Cough]</SE>",
}
"""The sound effects a user can ask for, and the tags the model knows them by."""


SOUND_TAG_PATTERN = r"<SE(?:_[se])?>\[[^\]\n]*\]</SE(?:_[se])?>"


SPEAKER_TAG_PATTERN = r"\[SPEAKER\d+\]"


SOUND_NAME = re.compile("|".join(re.escape(tag) for tag in SOUND_TAGS), re.IGNORECASE)


MARKUP = re.compile(f"{SOUND_TAG_PATTERN}|{SPEAKER_TAG_PATTERN}|{SOUND_NAME.pattern}", re.IGNORECASE)

"""A text to be spoken: plain, or a dialogue script of lines ``[Name] text``, each spoken in the voice of its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from studio.engine.text.markup import SOUND_TAGS
from studio.engine.text.normalisation import refuse_too_long, refuse_unspeakable
from studio.errors import StudioError

_TAGGED_LINE = re.compile(r"^\s*\[(?P<name>[^\[\]\n]{1,60})\]\s*(?P<text>.*)$")
MAX_SPEAKERS = 10


@dataclass(frozen=True)
class Line:
    """What one speaker says before another does. ``speaker`` is None where the text names nobody."""

    speaker: str | None
    text: str


@dataclass(frozen=True)
class Script:
    """A text as it was typed. It is parsed and checked when that is first asked for, and not again."""

    text: str

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The text by speaker; one without ``[Name]`` at the start of a line is one line of nobody.

        Lines without a name go on with the speaker before them. Sound effects such as ``[laugh]`` are no names. A name in
        other capitals is the same speaker.

        Raises:
            StudioError: text before the first name, a name without text, or too many speakers.
        """
        lines: list[tuple[str | None, list[str]]] = []
        spelled: dict[str, str] = {}  # each name as it was first written
        for raw in self.text.splitlines():
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
        spoken = tuple(Line(name, "\n".join(parts).strip()) for name, parts in lines)
        names = list(spelled.values())
        if names and spoken[0].speaker is None:
            raise StudioError(f"The script begins with text that has no speaker: put [{names[0]}] before it.")
        for line in spoken:
            if line.speaker is not None and not line.text:
                raise StudioError(
                    f"[{line.speaker}] has nothing to say: type a text after the name or remove the line."
                )
        if len(names) > MAX_SPEAKERS:
            raise StudioError(
                f"The script has {len(names)} speakers and the limit is {MAX_SPEAKERS}: merge some of them."
            )
        return spoken

    @cached_property
    def speakers(self) -> list[str]:
        """The names in the script, in order of appearance; none where the text names nobody."""
        return list(dict.fromkeys(line.speaker for line in self.lines if line.speaker is not None))

    def require_speakable(self, *, max_chars: int) -> None:
        """Raise StudioError for what is too long, has nothing to pronounce, holds a control token, or is no script."""
        refuse_too_long(self.text, max_chars)
        _ = self._speakable, self.lines

    @cached_property
    def _speakable(self) -> bool:
        refuse_unspeakable(self.text)
        return True

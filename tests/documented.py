"""What README.md and docs/*.md show: fenced blocks, the commands in them, commands in running text, and links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"sh", "text", "python", "json"}
NEEDS = {
    "the 3B model",
    "docker",
    "the network",
    "Ray",
    "a terminal of its own: it is what runs the tests",
}
"""What a block may need that a machine with nothing but the tests lacks: ``<!-- needs: … -->`` directly before it."""
ELISIONS = "with elisions"
"""A json block in which ``…`` stands for what everybody can think of: ``<!-- with elisions -->`` before it."""

_FENCE = re.compile(r" *(`{3,}|~{3,})(.*)")
_MARK = re.compile(r" *<!-- (needs: )?(.+?) -->")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(<?([^()<>\s]+)>?\)")
_OPERATORS = "();<>|&"


@dataclass(frozen=True)
class Command:
    """A line of a shell block, or a command in running text.

    Attributes:
        where: file and line.
        text: as a shell takes it: one line, without its comment.
        parts: what stands between ``&&``, ``;`` and ``|``: arguments without assignments before and redirections after.
        plain: nothing in it but one program and its arguments.
    """

    where: str
    text: str

    @property
    def parts(self) -> list[list[str]]:
        return [_without_surroundings(part) for part in _split(_tokens(self.text))]

    @property
    def plain(self) -> bool:
        return _split(tokens := _tokens(self.text)) == [tokens] == self.parts

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True)
class Block:
    """A fenced block; its lines are counted from 1 in the file, the fence's own first."""

    document: Path
    line: int
    language: str
    text: str
    needs: str = ""
    mark: str = ""

    @property
    def where(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}" if ROOT in self.document.parents else f"{self.line}"

    @property
    def name(self) -> str:
        return self.where.rsplit(":", 1)[0]

    @property
    def commands(self) -> list[Command]:
        return [Command(f"{self.name}:{line}", text) for line, text in logical_lines(self.text, self.line + 1)]


@dataclass
class Page:
    """A document taken apart."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    prose: list[tuple[int, str]] = field(default_factory=list)
    """Lines outside the blocks, with their numbers."""

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    def inline(self) -> Iterator[tuple[str, str]]:
        """Code in running text, with file and line. A span may be broken over two lines."""
        text, starts = "", []
        for number, line in self.prose:
            starts.append((len(text), number))
            text += line + "\n"
        for paragraph in re.finditer(r"(?:[^\n]+\n)+", text):
            joined = paragraph[0].replace("\n", " ")
            for found in _INLINE.finditer(joined):
                at = paragraph.start() + found.start()
                number = max(number for start, number in starts if start <= at)
                yield f"{self.name}:{number}", " ".join(found[1].split())

    def links(self) -> Iterator[tuple[str, str]]:
        """Targets of links and images, with file and line."""
        for number, line in self.prose:
            for found in _LINK.finditer(line):
                yield f"{self.name}:{number}", found[1]


def read_page(path: Path, text: str | None = None) -> Page:
    """Take a document apart.

    Raises:
        ValueError: a block is not closed.
    """
    page, lines = Page(path), (path.read_text(encoding="utf-8") if text is None else text).splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if not (fence := _FENCE.fullmatch(line)):
            page.prose.append((number + 1, line))
            number += 1
            continue
        end = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == fence[1]), None)
        if end is None:
            raise ValueError(f"{path.name}:{number + 1}: the block is not closed")
        mark = _MARK.fullmatch(lines[number - 1]) if number else None
        needs, other = (mark[2], "") if mark and mark[1] else ("", mark[2] if mark else "")
        body = "\n".join(lines[number + 1 : end])
        page.blocks.append(Block(path, number + 1, fence[2].strip(), body, needs, other))
        number = end + 1
    return page


def logical_lines(text: str, first: int = 1) -> Iterator[tuple[int, str]]:
    """Lines as a shell reads them: continued ones joined, comments and empty ones left out, quotes as they are."""
    begun, number = "", first
    for offset, line in enumerate(text.splitlines()):
        number = number if begun else first + offset
        line = begun + (line.strip() if begun else line)
        if line.endswith("\\"):
            begun = line[:-1].rstrip() + " "
            continue
        begun = ""
        if stripped := _without_comment(line).strip():
            yield number, stripped
    if begun.strip():
        raise ValueError(f"line {number}: the last line is continued, and nothing follows")


def _without_comment(line: str) -> str:
    quote = ""
    for index, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index]
    return line


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)


def _split(tokens: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token in ("&&", "||", ";", "|", "&"):
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _without_surroundings(tokens: list[str]) -> list[str]:
    while tokens and re.fullmatch(r"[A-Za-z_]\w*=.*", tokens[0], re.DOTALL):
        tokens = tokens[1:]
    kept, skip = [], False
    for token in tokens:
        if skip or token in (">", ">>", "<"):
            skip = not skip
        else:
            kept.append(token)
    return kept

"""Results of a list: a line for each utterance as soon as it is scored, so that nothing is scored twice; parts become one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.evaluation.seed_tts.listing import EvaluationList, Part
from studio.evaluation.seed_tts.scoring import Score
from studio.files import atomic_write_bytes, shown_name, write_advice

PROTOCOL = 1
"""Of how a line is scored: results of another one are not continued."""


@dataclass(frozen=True)
class Header:
    """What results are of: the first line of their file.

    Attributes:
        list_name, list_digest: of the list, and ``total`` the number of its lines.
        part, parts: which part of it this is.
        names: the takes of this part, in order.
        wer_model, similarity_model: who heard words and voices.
        spoken_with: the checkpoint that spoke the takes; "" where it is not known.
    """

    list_name: str
    list_digest: str
    total: int
    language: str
    part: int
    parts: int
    names: tuple[str, ...]
    wer_model: str
    similarity_model: str
    spoken_with: str = ""
    protocol: int = PROTOCOL

    @classmethod
    def of(
        cls, given: EvaluationList, part: Part, language: str, models: dict[str, str], spoken_with: str = ""
    ) -> Header:  # fmt: skip
        """That of a run that begins."""
        names = tuple(line.name for line in part.of(given.lines))
        return cls(
            given.name, given.digest, len(given.lines), language, part.number, part.count, names, models["wer"],
            models["similarity"], spoken_with,
        )  # fmt: skip

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Header:
        """Raises KeyError, TypeError for what is none."""
        given = {field.name: content[field.name] for field in fields(cls)}
        return cls(**{**given, "names": tuple(given["names"])})

    def differs(self, other: Header) -> str | None:
        """What the two do not share although results may only be put together where they do; None where they share all."""
        shared = {
            "list": (self.list_digest, other.list_digest),
            "language": (self.language, other.language),
            "recogniser": (self.wer_model, other.wer_model),
            "speaker model": (self.similarity_model, other.similarity_model),
            "checkpoint": (self.spoken_with, other.spoken_with),
            "number of parts": (self.parts, other.parts),
            "way of scoring": (self.protocol, other.protocol),
        }
        for what, (one, another) in shared.items():
            if one != another:
                names = (self.list_name, other.list_name) if what == "list" else (one, another)
                return f"the {what} ({names[0] or 'unknown'} and {names[1] or 'unknown'})"
        return None


@dataclass(frozen=True)
class Results:
    """What is in a file of results; of a line that was scored again the last score."""

    header: Header
    scores: dict[str, Score]

    @property
    def unscored(self) -> list[str]:
        """Takes of the part that have no score yet."""
        return [name for name in self.header.names if name not in self.scores]


def read_results(path: Path) -> Results:
    """Read a file of results; a last line that was cut off is left out.

    Raises:
        StudioError: it cannot be read, or is none.
    """
    try:
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        header = Header.from_json(json.loads(first))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudioError(
            f"{shown_name(path)} holds no results of a list: give what `python -m studio evaluate-list` wrote."
        ) from error
    scores = {}
    for line in rest:
        with suppress(ValueError, KeyError, TypeError):
            score = Score.from_json(json.loads(line))
            scores[score.name] = score
    return Results(header, scores)


class ResultsFile:
    """Results on their way to the disk: begun, or continued where they are of the same list, part and models.

    Raises:
        StudioError: they are of others, or the file cannot be written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path, self.header = path, header
        self.scores: dict[str, Score] = {}
        if not path.exists():
            atomic_write_bytes(path, _encoded(asdict(header)))
            return
        known = read_results(path)
        if not header.spoken_with:  # nobody asked for another
            header = self.header = replace(header, spoken_with=known.header.spoken_with)
        if what := known.header.differs(header) or (
            f"the part ({known.header.part} and {header.part})" if known.header.part != header.part else None
        ):
            raise StudioError(
                f"{shown_name(path)} holds other results, which differ in {what}: give another file with --out, or remove "
                "that one."
            )
        self.scores = known.scores
        self._cut_torn_line()

    def add(self, score: Score) -> None:
        """Keep a score. Raises StudioError where the disk is full."""
        self.scores[score.name] = score
        try:
            with self.path.open("ab") as file:
                file.write(_encoded(score.as_json()))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StudioError(f"{shown_name(self.path)} cannot be continued {write_advice(error)}") from error

    def _cut_torn_line(self) -> None:
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):
            atomic_write_bytes(self.path, content[: content.rfind(b"\n") + 1])


def merged(parts: Sequence[Results]) -> Results:
    """All parts of a list as one.

    Raises:
        StudioError: they are of different lists or models, one is there twice or not at all, or lines are not scored yet.
    """
    if not parts:
        raise StudioError("There is nothing to put together: give the results of all parts.")
    first = parts[0].header
    for each in parts[1:]:
        if what := first.differs(each.header):
            raise StudioError(f"These results differ in {what}, so they are not parts of one evaluation.")
    numbers = [each.header.part for each in parts]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise StudioError(f"Part {twice[0]} of {first.parts} is there more than once: give each part once.")
    if lacking := sorted(set(range(1, first.parts + 1)) - set(numbers)):
        raise StudioError(f"Part {lacking[0]} of {first.parts} is missing: give the results of all parts.")
    for each in parts:
        if waiting := each.unscored:
            raise StudioError(
                f"Part {each.header.part} of {first.parts} is not done: {len(waiting)} of its {len(each.header.names)} "
                "lines have no score. Run it again."
            )
    ordered = sorted(parts, key=lambda each: each.header.part)
    # In the order of the list, of which each part has every n-th line.
    names = tuple(
        each.header.names[place]
        for place in range(max(len(each.header.names) for each in ordered))
        for each in ordered
        if place < len(each.header.names)
    )
    scores = {name: score for each in ordered for name, score in each.scores.items()}
    header = replace(first, part=1, parts=1, names=names)
    return Results(header, {name: scores[name] for name in names})


def write_results(path: Path, results: Results) -> None:
    """Write results whole or not at all. Raises StudioError as :func:`studio.files.atomic_write_bytes`."""
    lines: Iterable[dict[str, Any]] = [asdict(results.header), *(each.as_json() for each in results.scores.values())]
    atomic_write_bytes(path, b"".join(map(_encoded, lines)))


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"

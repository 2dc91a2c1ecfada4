"""What is in a file of training rows: which can be used, how long they are, whose voices they are. No model is asked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from studio.audio import problems
from studio.datasets.rows.clip_consent import consent_of
from studio.datasets.rows.clip_durations import ClipDurations
from studio.engine.rows import TrainingRow, clip_paths, parse_row, read_rows
from studio.errors import StudioError
from studio.files import shown_name
from studio.settings import Settings
from studio.store.store import Store
from studio.voices.consent import VoiceConsent

_ROW_TOKENS, _TURN_TOKENS = 192, 24
"""Tokens of the template around a row (its default scene among them) and around each turn, rounded up."""
_DELAY_TOKENS = 16
"""Rows that the delay pattern adds to a clip, rounded up."""


@dataclass(frozen=True)
class MeasuredRow:
    """A row that can be used.

    Attributes:
        number: its line, or its place in the list.
        seconds: of all its clips.
        trained_seconds: of those that are learnt.
        synthetic_seconds: of these, what a model made.
        text_bytes: of its texts in UTF-8: a tokenizer makes at most so many tokens of them.
        num_clips: references and trained ones.
    """

    number: int
    row: TrainingRow
    seconds: float
    trained_seconds: float
    synthetic_seconds: float
    text_bytes: int
    num_clips: int

    def max_tokens(self, frame_rate: float) -> int:
        """More tokens than this it cannot have."""
        frames = int(self.seconds * frame_rate) + self.num_clips
        template = _ROW_TOKENS + _TURN_TOKENS * len(self.row.turns)
        return self.text_bytes + frames + self.num_clips * _DELAY_TOKENS + template

    def likely_tokens(self, frame_rate: float) -> int:
        """About so many it has, with four bytes of text in a token."""
        return self.max_tokens(frame_rate) - self.text_bytes * 3 // 4


class RowsSummary(BaseModel):
    """The rows of a run.

    Attributes:
        source: name of the file that they came from.
        seconds: duration of the trained clips together.
        synthetic_seconds: of these, what a model made.
        sha256: of the rows and the content of their clips.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    count: int
    seconds: float
    synthetic_seconds: float = 0.0
    speakers: list[str] = Field(default_factory=list)
    sha256: str


@dataclass(frozen=True)
class RowsReport:
    """What is in a file of rows.

    Attributes:
        source: the file's name.
        measured: the rows that can be used, in order.
        bad: the others: number, and a sentence.
        warnings: sentences with the number of rows that they are about.
        seconds: of the trained clips together, in every row in which they stand.
        repeats: how many rows a trained clip stands in, on average; 1.0 where none is repeated.
        synthetic_seconds: of these, what a model made, as far as the clips say so.
        sha256: of the good rows and the content of their clips, wherever they lie.
        consent: of library voices and of voices that come with the studio.
        unrecorded: other clips.
        refusals: sentences about voices that may not be used.
    """

    source: str
    measured: tuple[MeasuredRow, ...]
    bad: tuple[tuple[int, str], ...]
    warnings: tuple[str, ...]
    seconds: float
    repeats: float
    synthetic_seconds: float
    speakers: tuple[str, ...]
    sha256: str
    consent: tuple[VoiceConsent, ...]
    unrecorded: int
    refusals: tuple[str, ...]

    @property
    def rows(self) -> list[TrainingRow]:
        """The rows that can be used."""
        return [each.row for each in self.measured]

    @property
    def summary(self) -> RowsSummary:
        """The good rows in short, as a job keeps them."""
        return RowsSummary(
            source=self.source, count=len(self.measured), seconds=self.seconds, synthetic_seconds=self.synthetic_seconds,
            speakers=list(self.speakers), sha256=self.sha256,
        )  # fmt: skip

    def longest(self) -> list[MeasuredRow]:
        """The rows, the longest first."""
        return sorted(self.measured, key=lambda each: -each.likely_tokens(25.0))


def report_rows(
    path: Path, *, settings: Settings, store: Store, allowed: Sequence[Path] | None = None, owner: str = ""
) -> RowsReport:
    """Read a file of rows and look at their clips.

    Args:
        allowed: folders in which every clip must lie, links followed; None: anywhere.
        owner: whose library voices may be used.

    Raises:
        StudioError: the file cannot be read, or holds no rows.
    """
    folder = path.absolute().parent
    roots = None if allowed is None else [root.resolve() for root in allowed]
    measured: list[MeasuredRow] = []
    bad: list[tuple[int, str]] = []
    noted: dict[str, int] = {}
    clips = ClipDurations()
    for number, content in read_rows(path):
        try:
            if isinstance(content, StudioError):
                raise content
            if roots is not None:
                _refuse_outside(content, folder, roots)
            row = parse_row(content, folder=folder)
            measured.append(_measured(number, row, clips))
        except StudioError as error:
            bad.append((number, str(error)))
            continue
        for warning in row.warnings:
            noted[warning] = noted.get(warning, 0) + 1
    numbered = [(each.number, clip) for each in measured for clip in each.row.clips]
    consent, unrecorded, refusals = consent_of(numbered, settings, store, owner)
    return RowsReport(
        source=path.name,
        measured=tuple(measured),
        bad=tuple(bad),
        warnings=tuple(f"{count} row{'s' * (count != 1)}: {warning}" for warning, count in noted.items()),
        seconds=sum(each.trained_seconds for each in measured),
        repeats=_repeats([each.row for each in measured]),
        synthetic_seconds=sum(each.synthetic_seconds for each in measured),
        speakers=tuple(sorted({each.row.speaker for each in measured if each.row.speaker is not None})),
        sha256=_hash([each.row for each in measured]),
        consent=tuple(consent),
        unrecorded=unrecorded,
        refusals=tuple(refusals),
    )


def _repeats(rows: Sequence[TrainingRow]) -> float:
    trained = [tuple(turn.clip for turn in row.turns if turn.trained and turn.clip is not None) for row in rows]
    with_sound = [clips for clips in trained if clips]
    return len(with_sound) / len(set(with_sound)) if with_sound else 1.0


def _measured(number: int, row: TrainingRow, clips: ClipDurations) -> MeasuredRow:
    row.conversation()  # raises where a text has nothing to say
    durations = [clips.duration(turn.clip) for turn in row.turns if turn.clip is not None]
    learnt = [turn.clip for turn in row.turns if turn.clip is not None and turn.trained]
    texts = [turn.text for turn in row.turns] + [row.system or ""]
    return MeasuredRow(
        number=number,
        row=row,
        seconds=sum(durations),
        trained_seconds=sum(map(clips.duration, learnt)),
        synthetic_seconds=sum(clips.duration(clip) for clip in learnt if clips.is_synthetic(clip)),
        text_bytes=sum(len(text.encode()) for text in texts),
        num_clips=len(durations),
    )


def _refuse_outside(row: Mapping[str, Any], folder: Path, roots: Sequence[Path]) -> None:
    """Before anything looks at the disk: whether a file elsewhere exists is nobody's business."""
    for source in clip_paths(row):
        try:
            place = (folder / source).resolve()
        except (OSError, ValueError, RuntimeError):  # a NUL, a loop of links
            place = Path(os.sep)
        name = shown_name(source)
        if not any(place.is_relative_to(root) for root in roots):
            raise StudioError(
                f"The clip {name} is not beside the rows: only recordings that lie there can be used, so name one of those."
            )
        if not place.exists():  # the working directory is not looked through either
            raise StudioError(
                f"The clip {name} does not exist beside the rows: upload it with them, or correct its name."
            )


def _hash(rows: Sequence[TrainingRow]) -> str:
    """Of the rows with the content of each clip in the place of its path."""
    contents: dict[Path, str] = {}
    whole = hashlib.sha256()
    for row in rows:
        native = row.as_row()
        for clip in row.clips:
            if clip not in contents:
                contents[clip] = _file_hash(clip)
        if row.clips:
            native["audios"] = [contents[clip] for clip in row.clips]
        whole.update(json.dumps(native, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return whole.hexdigest()


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(partial(file.read, 1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise problems.unreadable(shown_name(path), error.strerror or "unknown reason") from error
    return digest.hexdigest()

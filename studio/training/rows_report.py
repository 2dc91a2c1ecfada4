"""What is in a file of training rows: which can be used, how long they are, whose voices they are. No model is asked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from studio.audio import problems, read_audio, require_speech_like
from studio.audio.containers import find_shortfall
from studio.engine.rows import TrainingRow, parse_row, read_rows
from studio.errors import StudioError
from studio.files import shown_name
from studio.settings import Settings
from studio.store import voices as voice_records
from studio.store.store import Store
from studio.training.spec import VoiceConsent
from studio.voices.presets import preset_voices

MIN_SECONDS = 0.2
"""Of a clip, as in the plugin: a shorter one is a slip of a segmentation."""
HEARD_SECONDS = 20 * 60
"""Up to so much sound in all, every clip is read whole, which also finds silent and damaged ones; of more, the headers. The
trainer reads all of them before its first step."""
_ROW_TOKENS, _TURN_TOKENS = 192, 24
"""Tokens of the template around a row (its default scene among them) and around each turn, rounded up."""
_DELAY_TOKENS = 16
"""Rows that the delay pattern adds to a clip, rounded up."""
_UNKNOWN_FRAMES = 1 << 48


@dataclass(frozen=True)
class MeasuredRow:
    """A row that can be used.

    Attributes:
        number: its line, or its place in the list.
        seconds: of all its clips.
        trained_seconds: of those that are learnt.
        text_bytes: of its texts in UTF-8: a tokenizer makes at most so many tokens of them.
        num_clips: references and trained ones.
    """

    number: int
    row: TrainingRow
    seconds: float
    trained_seconds: float
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


@dataclass(frozen=True)
class RowsReport:
    """What is in a file of rows.

    Attributes:
        source: the file's name.
        measured: the rows that can be used, in order.
        bad: the others: number, and a sentence.
        warnings: sentences with the number of rows that they are about.
        seconds: of the trained clips together.
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
    speakers: tuple[str, ...]
    sha256: str
    consent: tuple[VoiceConsent, ...]
    unrecorded: int
    refusals: tuple[str, ...]

    @property
    def rows(self) -> list[TrainingRow]:
        """The rows that can be used."""
        return [each.row for each in self.measured]

    def longest(self) -> list[MeasuredRow]:
        """The rows, the longest first."""
        return sorted(self.measured, key=lambda each: -each.likely_tokens(25.0))


@dataclass
class _Clips:
    """Every clip is looked at once, however many rows name it."""

    seconds: dict[Path, float] = field(default_factory=dict)
    problems: dict[Path, StudioError] = field(default_factory=dict)
    heard: float = 0.0

    def duration(self, path: Path) -> float:
        """Seconds; raises StudioError for a clip that cannot be used."""
        if path in self.problems:
            raise self.problems[path]
        if path not in self.seconds:
            try:
                self.seconds[path] = self._look(path)
            except StudioError as error:
                self.problems[path] = error
                raise
        return self.seconds[path]

    def _look(self, path: Path) -> float:
        if self.heard >= HEARD_SECONDS:
            seconds = clip_seconds(path)
            if round(seconds, 1) < MIN_SECONDS:
                raise StudioError(f"The clip {path.name} is {seconds:.1f} s long: use at least {MIN_SECONDS} s.")
            return seconds
        clip = read_audio(path)
        self.heard += clip.duration
        require_speech_like(clip, min_seconds=MIN_SECONDS, max_seconds=float("inf"), what=f"clip {path.name}")
        return clip.duration


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
    clips = _Clips()
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
    consent, unrecorded, refusals = _consent(measured, settings, store, owner)
    return RowsReport(
        source=path.name,
        measured=tuple(measured),
        bad=tuple(bad),
        warnings=tuple(f"{count} row{'s' * (count != 1)}: {warning}" for warning, count in noted.items()),
        seconds=sum(each.trained_seconds for each in measured),
        speakers=tuple(sorted({each.row.speaker for each in measured if each.row.speaker is not None})),
        sha256=_hash([each.row for each in measured]),
        consent=tuple(consent),
        unrecorded=unrecorded,
        refusals=tuple(refusals),
    )


def clip_seconds(path: Path) -> float:
    """Duration of a clip by its header, in seconds, without decoding it where the header says it.

    Raises:
        StudioError: it is missing, cut short, or no sound.
    """
    import soundfile

    name = shown_name(path)
    try:
        with path.open("rb", buffering=0) as file:
            if find_shortfall(file, os.fstat(file.fileno()).st_size) is not None:
                raise problems.ends_early(name)
            file.seek(0)
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                # libsndfile guesses the length of MPEG audio, and of a FLAC that was piped it knows none.
                if "MPEG" not in sound.subtype and 0 < sound.frames < _UNKNOWN_FRAMES:
                    return sound.frames / sound.samplerate
    except soundfile.LibsndfileError:
        pass
    except OSError as error:
        raise problems.unreadable(name, error.strerror or "unknown reason") from error
    return read_audio(path).duration


def _measured(number: int, row: TrainingRow, clips: _Clips) -> MeasuredRow:
    row.conversation()  # raises where a text has nothing to say
    durations = [(clips.duration(turn.clip), turn.trained) for turn in row.turns if turn.clip is not None]
    texts = [turn.text for turn in row.turns] + [row.system or ""]
    return MeasuredRow(
        number=number,
        row=row,
        seconds=sum(seconds for seconds, _ in durations),
        trained_seconds=sum(seconds for seconds, trained in durations if trained),
        text_bytes=sum(len(text.encode()) for text in texts),
        num_clips=len(durations),
    )


def _refuse_outside(row: Mapping[str, Any], folder: Path, roots: Sequence[Path]) -> None:
    """Before anything looks at the disk: whether a file elsewhere exists is nobody's business."""
    for source in _sources(row):
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


def _sources(row: Mapping[str, Any]) -> Iterator[str]:
    """Whatever in a row could be taken for the path of a clip."""
    yield from _texts(row.get("audios"))
    yield from _texts(row.get("reference_audio"))
    messages = row.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, Mapping):
                yield from _texts(part.get("audio_url"))
                yield from _texts(part.get("audio"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, Mapping):
        yield from _texts(value.get("url"))
        yield from _texts(value.get("path"))


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


def _consent(
    rows: Sequence[MeasuredRow], settings: Settings, store: Store, owner: str
) -> tuple[list[VoiceConsent], int, list[str]]:
    """The consent of the voices among the clips, how many clips have none recorded, and voices that may not be used."""
    voices = settings.voices_folder.resolve()
    presets = {clip.path.resolve(): voice for voice in preset_voices() for clip in voice.clips}
    clips: dict[Path, int] = {}
    for each in rows:
        for clip in each.row.clips:
            clips.setdefault(clip.resolve(), each.number)
    found: dict[str, VoiceConsent] = {}
    refusals: dict[str, str] = {}
    unrecorded = 0
    for clip, number in clips.items():
        if (preset := presets.get(clip)) is not None:
            found[preset.id] = VoiceConsent(
                voice_id=preset.id, name=preset.name, ground=preset.consent.ground, statement=preset.consent.statement,
                recorded_at=preset.consent.recorded_at.isoformat(),
            )  # fmt: skip
        elif clip.is_relative_to(voices):
            voice_id = clip.relative_to(voices).parts[0]
            if voice_id in found or voice_id in refusals:
                continue
            told = _library_consent(store, owner, voice_id, number)
            if isinstance(told, str):
                refusals[voice_id] = told
            else:
                found[voice_id] = told
        else:
            unrecorded += 1
    return list(found.values()), unrecorded, list(refusals.values())


def _library_consent(store: Store, owner: str, voice_id: str, number: int) -> VoiceConsent | str:
    with store.reading() as session:
        row = voice_records.voice_by_id(session, owner, voice_id)
    if row is None:
        return (
            f"Row {number} uses a clip of a voice ({voice_id[:24]}) that was deleted from the library: take out its rows, or "
            "save the voice again with its consent."
        )
    if row.consent_withdrawn_at is not None:
        return (
            f"The consent for {row.name}, whose clip row {number} uses, was withdrawn: take out the rows of this voice."
        )
    return VoiceConsent(
        voice_id=row.id, name=row.name, ground=row.consent_ground, statement=row.consent_statement,
        recorded_at=row.consent_recorded_at.isoformat(),
    )  # fmt: skip

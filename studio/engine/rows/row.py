"""Training rows: the three forms that users have, read into one checked form.

The native form is a row as ms-swift reads it: ``messages`` of strings, where ``<audio>`` stands for the next entry of
``audios`` and a reference carries ``"loss": false``. The second form has lists of text and audio parts as contents, the
third names its reference apart, in ``reference_audio``. Whatever the form, a reference becomes what it is when speaking:
a user turn with its transcript and an assistant turn with the clip, which is never trained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from studio.engine.prompt import SCENE_END, SCENE_START, Conversation, Turn, refuse_control_tokens
from studio.engine.rows.messages import AUDIO_MARK, Message, find_clip, joined, read_messages, read_sources
from studio.engine.text import prepare_text
from studio.errors import StudioError

_INSTRUCTION = re.compile(
    r"\A\s*please generate speech for given text in reference audio['’]s voice\s*:\s*", re.IGNORECASE
)
"""What data sets of the second form put before the text to speak. When speaking it is never in the prompt."""

_MAX_CHARS = 100_000
"""Of one turn. What a clip can hold is limited by the length of a row in tokens, not here."""

_TRANSCRIPT_KEYS = ("reference_text", "reference_transcript", "ref_text", "ref_transcript")
_NO_TRANSCRIPT = (
    "A reference clip has no transcript: the model copies a voice less well without one, "
    "so write down what is said in it."
)
_OWN_REFERENCE = (
    "A reference is the same file as a trained clip, which teaches the model to repeat it: "
    "use another recording of the speaker as the reference."
)


@dataclass(frozen=True)
class RowTurn:
    """One turn after the system turn.

    Attributes:
        text: of a user turn, or of an assistant turn that answers in writing.
        clip: of an assistant turn that is a clip; an absolute path.
    """

    role: Literal["user", "assistant"]
    text: str = ""
    clip: Path | None = None
    trained: bool = False


@dataclass(frozen=True)
class TrainingRow:
    """One checked training example: user and assistant take turns, at least one of them trained.

    Attributes:
        system: the whole system turn, scene included, as written in the row; None for the engine's default.
        speaker: who speaks the trained clips, where the row says so.
        warnings: sentences about what is allowed but probably not meant.
    """

    turns: tuple[RowTurn, ...]
    system: str | None
    speaker: str | None
    warnings: tuple[str, ...] = ()

    @property
    def clips(self) -> tuple[Path, ...]:
        return tuple(turn.clip for turn in self.turns if turn.clip is not None)

    def conversation(self) -> Conversation:
        """The row as the engine renders it; its clips are given apart, in the order of :attr:`clips`.

        The text of a trained clip is prepared as the engine prepares a text before speaking: the model is asked in
        training exactly what it is asked later.

        Raises:
            StudioError: such a text has nothing to say.
        """
        turns = []
        for turn, following in pairwise([*self.turns, None]):
            assert turn is not None
            asks = following is not None and following.trained and following.clip is not None
            text = prepare_text(turn.text, max_chars=_MAX_CHARS) if asks else turn.text
            turns.append(Turn(turn.role, text, trained=turn.trained))
        if self.system is None:
            return Conversation(tuple(turns))
        return Conversation(tuple(turns), scene="", system=self.system)

    def as_row(self) -> dict[str, Any]:
        """The row in the native form, with absolute paths; :func:`parse_row` gives the same row back."""
        messages: list[dict[str, Any]] = []
        if self.system is not None:
            messages.append({"role": "system", "content": self.system})
        for turn in self.turns:
            message = {"role": turn.role, "content": turn.text if turn.clip is None else AUDIO_MARK}
            untrained = turn.role == "assistant" and not turn.trained
            messages.append({**message, "loss": False} if untrained else message)
        row: dict[str, Any] = {"messages": messages}
        if self.clips:
            row["audios"] = [str(clip) for clip in self.clips]
        if self.speaker is not None:
            row["speaker"] = self.speaker
        return row


def parse_row(row: Mapping[str, Any], *, folder: Path) -> TrainingRow:
    """Read one row of any of the three forms, and check all of it except what is in the clips.

    Args:
        row: what ``json.loads`` made of it, or what ms-swift stored.
        folder: where relative paths of clips begin; those not found there are looked for in the working directory.

    Raises:
        StudioError: what is wrong with the row, without its number, which the caller knows.
    """
    messages = read_messages(row, folder)
    turns: list[RowTurn] = []
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        if message.role == "user":
            turns += _user_turns(message, answered=following is not None and following.role == "assistant")
        elif message.role == "assistant":
            _add_answer(turns, message)
    references = [find_clip(source, folder) for source in read_sources(row, "reference_audio")]
    turns = _with_references(turns, references, _transcripts(row))
    _check(turns)
    system = _system(messages, row.get("system"))
    return TrainingRow(tuple(turns), system, _speaker(row.get("speaker")), tuple(_warnings(turns)))


def _system(messages: list[Message], apart: Any) -> str | None:
    if any(message.role == "system" for message in messages[1:]):
        raise StudioError("A system turn must be the first of the messages, and there can be only one.")
    if apart is not None and not isinstance(apart, str):
        raise StudioError('"system" must be text.')
    texts = [apart or ""]
    if messages[0].role == "system":
        if messages[0].clips:
            raise StudioError("The system turn cannot hold a clip: give a reference as a user and an assistant turn.")
        texts.append("\n\n".join(part for part in messages[0].parts if isinstance(part, str)))
    written = [text for text in texts if text.strip()]
    if len(set(written)) > 1:
        raise StudioError('The row has two system texts that differ: keep the system message or "system", not both.')
    system = written[0] if written else ""
    scene_tokens = re.findall(f"{re.escape(SCENE_START)}|{re.escape(SCENE_END)}", system)
    if scene_tokens not in ([], [SCENE_START, SCENE_END]):
        raise StudioError(f"The scene in the system turn must stand once between {SCENE_START} and {SCENE_END}.")
    _refuse_tokens(system.replace(SCENE_START, "").replace(SCENE_END, ""), "system turn")
    return system or None


def _refuse_tokens(text: str, what: str) -> None:
    refuse_control_tokens(text, what)
    if AUDIO_MARK in text:  # it came from beside the messages, where it stands for no clip
        raise StudioError(f"The {what} contains {AUDIO_MARK}, which can stand only in a message: remove it.")


def _speaker(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as a table stores whole numbers in which other rows have none
    if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
        raise StudioError('"speaker" must be a name or a whole number.')
    name = "" if value is None else str(value).strip()
    return refuse_control_tokens(name, "name of the speaker") or None


def _user_turns(message: Message, *, answered: bool) -> list[RowTurn]:
    """A user message as turns: each clip in it is a reference, the text before the clip its transcript."""
    turns: list[RowTurn] = []
    pending: list[str] = []
    for part in message.parts:
        if isinstance(part, str):
            pending.append(part)
            continue
        said, pending = joined(pending), []
        if _INSTRUCTION.match(said):  # the text to speak stands before the reference instead of after it
            said, pending = "", [said]
        turns += _reference(said, part)
    text = _INSTRUCTION.sub("", joined(pending))
    # Empty before an answer, whose own text may fill it; empty before another user message, it is not a turn.
    return [*turns, RowTurn("user", text)] if text or answered or not turns else turns


def _add_answer(turns: list[RowTurn], message: Message) -> None:
    text, clips = message.text, message.clips
    if len(clips) > 1:
        raise StudioError("An assistant turn has two clips: give each clip an assistant turn of its own.")
    if not clips and not text:
        raise StudioError("An assistant turn is empty: write <audio> for a clip, or the text of the answer.")
    if not clips:
        turns.append(RowTurn("assistant", text, trained=message.trained))
        return
    if text and turns and turns[-1] == RowTurn("user"):  # the transcript stands only beside the clip
        turns[-1] = RowTurn("user", text)
    turns.append(RowTurn("assistant", clip=clips[0], trained=message.trained))


def _reference(transcript: str, clip: Path) -> tuple[RowTurn, RowTurn]:
    return RowTurn("user", transcript), RowTurn("assistant", clip=clip)


def _transcripts(row: Mapping[str, Any]) -> list[str]:
    misc = row.get("misc")
    found = [row.get(key) for key in _TRANSCRIPT_KEYS]
    found.append(misc.get("ref_transcript") if isinstance(misc, Mapping) else None)
    value = next((entry for entry in found if entry), [])
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise StudioError("The transcript of the reference must be text.")
    return [text.strip() for text in texts]


def _with_references(turns: list[RowTurn], references: list[Path], transcripts: list[str]) -> list[RowTurn]:
    """The turns with the references that are named apart at the front, and with transcripts that are given apart."""
    # A clip that the row calls a reference is none to learn, even where an earlier turn does not say so.
    turns = [replace(turn, trained=False) if turn.clip in references else turn for turn in turns[:-1]] + turns[-1:]
    placed = [turn.clip for turn in turns if turn.clip is not None and not turn.trained]
    if references and transcripts and len(references) != len(transcripts):
        raise StudioError(
            f"There are {len(references)} clips in reference_audio and {len(transcripts)} transcripts for them: "
            "give one transcript for each clip."
        )
    # Without clips of their own, the transcripts are those of the references within the messages.
    clips = references or placed
    said = transcripts if len(transcripts) == len(clips) else [""] * len(clips)
    known = dict(zip(clips, said, strict=True))
    for index, (user, answer) in enumerate(pairwise(turns)):
        if answer.clip in known and not answer.trained and user == RowTurn("user"):
            turns[index] = RowTurn("user", known[answer.clip])
    apart = zip(references, said, strict=True) if references else ()
    return [turn for clip, text in apart if clip not in placed for turn in _reference(text, clip)] + turns


def _check(turns: list[RowTurn]) -> None:
    if not turns or turns[0].role != "user":
        raise StudioError("The first turn after the system turn must be a user turn with the text to speak.")
    for before, turn in pairwise(turns):
        if before.role == turn.role:
            raise StudioError(f"Two {turn.role} turns follow each other: user and assistant must take turns.")
    if turns[-1].role != "assistant":
        raise StudioError("The last turn must be an assistant turn: add the clip that speaks the last text.")
    if not any(turn.trained for turn in turns):
        raise StudioError(
            'Nothing in the row is trained: take "loss": false off the last assistant turn, or lower "start_index".'
        )
    for turn in turns:
        _refuse_tokens(turn.text, f"text of the {turn.role} turn")
    for user, answer in zip(turns[::2], turns[1::2], strict=True):
        if not user.text and (answer.trained or answer.clip is None):
            raise StudioError("A user turn before a trained turn is empty: write in it what is spoken.")


def _warnings(turns: list[RowTurn]) -> list[str]:
    references = {turn.clip for turn in turns if not turn.trained} - {None}
    warnings = [_NO_TRANSCRIPT] if any(turn == RowTurn("user") for turn in turns) else []
    if any(turn.trained and turn.clip in references for turn in turns):
        warnings.append(_OWN_REFERENCE)
    return warnings

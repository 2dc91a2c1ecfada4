"""What will be spoken, in which order, in which voice, and how long each part may become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.engine.speech.chunk import SpokenChunk
from studio.engine.speech.joining import PARAGRAPH_PAUSE_SECONDS, SENTENCE_PAUSE_SECONDS, TURN_PAUSE_SECONDS
from studio.engine.speech.reference import Reference
from studio.engine.speech.request import SpeechRequest
from studio.engine.text import Line, expected_seconds, frame_budget, speaker_tags, split_text
from studio.errors import StudioError

CHUNK_SECONDS = 20.0
"""Longest stretch of text spoken in one turn. The model was trained on turns of this order; longer ones drift."""


@dataclass(frozen=True)
class SpeechPlan:
    """All turns, with the tag and transcript of each reference and the described voices by tag."""

    chunks: tuple[SpokenChunk, ...]
    transcripts: list[tuple[str | None, str]]
    descriptions: dict[str, str]

    @property
    def expected_seconds(self) -> float:
        """Duration at a normal pace, pauses included."""
        return sum(chunk.expected_seconds + chunk.pause_seconds for chunk in self.chunks)


def plan_speech(
    request: SpeechRequest, *, max_chars: int, frame_rate: float, chunk_seconds: float = CHUNK_SECONDS,
    whole_seconds: float = 0.0,
) -> SpeechPlan:  # fmt: skip
    """Plan a text or script. Raises StudioError: nothing to say, too long, control tokens, a name without a voice.

    Args:
        chunk_seconds: a longer line is spoken in parts of at most so much, at a normal pace.
        whole_seconds: a line of no more than this is one part all the same.
    """
    request.script.require_speakable(max_chars=max_chars)
    names, references, descriptions = request.script.speakers, request.references, request.descriptions
    if names:
        _refuse_strangers(names, [*(ref.speaker for ref in references if ref.speaker is not None), *descriptions])
    elif descriptions and references:
        raise StudioError("One voice speaks, and both a clip and a description of it are given: leave one of them out.")
    if len(names) < 2:
        # One voice needs no tag, as in the original.
        tags: dict[str | None, str | None] = dict.fromkeys([None, *names])
        transcripts: list[tuple[str | None, str]] = [(None, reference.transcript) for reference in references]
        described = {"SPEAKER0": next(iter(descriptions.values()))} if descriptions and not references else {}
    else:
        named = speaker_tags(names)
        tags = {**named}
        owners = _owners(names, references)
        transcripts = [(named[owner], ref.transcript) for owner, ref in zip(owners, references, strict=True)]
        described = _described(named, set(owners), descriptions)
    chunks = _chunks(request.script.lines, tags, request.language, frame_rate, chunk_seconds, whole_seconds)
    return SpeechPlan(tuple(chunks), transcripts, described)


def _refuse_strangers(names: list[str], given: list[str]) -> None:
    """A voice for a name that the script does not have is a slip of the pen, not a wish."""
    known = {name.casefold() for name in names}
    for name in given:
        if name.casefold() not in known:
            raise StudioError(f"A voice is given for {name}, but the script has lines of {', '.join(names)} only.")


def _owners(names: list[str], references: Sequence[Reference]) -> list[str]:
    """The script's name of each reference; references without a name take the names left over, in order."""
    by_fold = {name.casefold(): name for name in names}
    taken = {by_fold[ref.speaker.casefold()] for ref in references if ref.speaker is not None}
    free = iter([name for name in names if name not in taken])
    owners = []
    for reference in references:
        owner = by_fold[reference.speaker.casefold()] if reference.speaker is not None else next(free, None)
        if owner is None:
            raise StudioError("More voices are given than the script has speakers: name the speaker of each voice.")
        owners.append(owner)
    return owners


def _described(named: dict[str, str], shown: set[str], descriptions: Mapping[str, str]) -> dict[str, str]:
    """Words for the voices that no clip shows, by tag."""
    words = {name.casefold(): description for name, description in descriptions.items()}
    described: dict[str, str] = {}
    for index, (name, tag) in enumerate(named.items()):
        if name in shown:
            continue
        if name.casefold() in words:
            described[tag] = words[name.casefold()]
        elif shown or descriptions:
            raise StudioError(
                f"No voice is given for {name}: add a reference clip or a description for this name, or leave the other "
                "voices out too, and the model picks them all."
            )
        else:
            described[tag] = ("feminine", "masculine")[index % 2]  # the original's default
    return described


def _chunks(
    lines: Sequence[Line], tags: Mapping[str | None, str | None], language: str | None, frame_rate: float,
    chunk_seconds: float, whole_seconds: float,
) -> list[SpokenChunk]:  # fmt: skip
    chunks: list[SpokenChunk] = []
    for line_index, line in enumerate(lines):
        whole = expected_seconds(line.text, language) <= whole_seconds
        parts = split_text(line.text, language=language, max_seconds=max(whole_seconds if whole else 0, chunk_seconds))
        tag = tags[line.speaker]
        for part_index, part in enumerate(parts):
            last_of_line = part_index == len(parts) - 1
            if last_of_line and line_index == len(lines) - 1:
                pause = 0.0
            elif last_of_line:
                pause = TURN_PAUSE_SECONDS
            else:
                pause = PARAGRAPH_PAUSE_SECONDS if part.paragraph_end else SENTENCE_PAUSE_SECONDS
            chunks.append(
                SpokenChunk(
                    text=part.text,
                    prompt_text=f"[{tag}] {part.text}" if tag else part.text,
                    speaker=line.speaker,
                    budget_frames=frame_budget(part.text, frame_rate=frame_rate, language=part.language),
                    pause_seconds=pause,
                    expected_seconds=expected_seconds(part.text, language=part.language),
                )
            )
    return chunks

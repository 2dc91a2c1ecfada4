"""Turns into the exact chat prompt. The one place that knows the prompt's words and control tokens.

The layout is Llama-3's, with a scene inside the system turn and each clip as an assistant turn; the golden prompts in
``tests/data/prompts.json`` come from the original implementation, and this module equals them character for character.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from studio.engine.prompt.special_tokens import (
    AUDIO,
    AUDIO_BOS,
    AUDIO_EOS,
    BEGIN_OF_TEXT,
    END_OF_TURN,
    SCENE_END,
    SCENE_START,
    refuse_control_tokens,
)

SYSTEM_TEXT = "Generate audio following instruction."
MULTI_SPEAKER_SYSTEM_TEXT = (
    "You are an AI assistant designed to convert text into speech.\n"
    "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the following "
    "text, using the specified voice.\n"
    "If no speaker tag is present, select a suitable voice on your own."
)
"""Both system texts are the model's own: it was trained with these words, so they are data, not prose."""
DEFAULT_SCENE = "Audio is recorded from a quiet room."


@dataclass(frozen=True)
class Turn:
    """One turn after the system turn.

    Attributes:
        text: what a user turn says. An assistant turn with a text answers in writing; without one it is a clip.
        trained: whether a model in training learns to give this (assistant) turn; speaking ignores it.
    """

    role: Literal["user", "assistant"]
    text: str = ""
    trained: bool = False

    @property
    def is_clip(self) -> bool:
        return self.role == "assistant" and not self.text


@dataclass(frozen=True)
class Conversation:
    """What the model is asked to continue.

    Attributes:
        turns: user and assistant turns, the last one the text to be spoken; clips are given apart, in turn order.
        scene: where and how it is spoken; empty for none.
        speakers: descriptions of voices known only in words, e.g. ``{"SPEAKER0": "feminine"}``.
    """

    turns: tuple[Turn, ...]
    scene: str = DEFAULT_SCENE
    speakers: tuple[tuple[str, str], ...] = ()
    system: str = SYSTEM_TEXT

    @property
    def scene_parts(self) -> list[str]:
        """The scene as the parts of the native ``scene`` role: the description, then a line for each described voice."""
        lines = [f"{tag}: {description}" for tag, description in self.speakers]
        return [self.scene.strip(), *lines] if self.scene.strip() else lines

    @property
    def system_content(self) -> str:
        """The whole system turn, scene included, as one string (the form of a training row)."""
        scene, lines = self.scene.strip(), [f"{tag}: {description}" for tag, description in self.speakers]
        blocks = [block for block in (scene, "\n".join(lines)) if block]
        if not blocks:
            return self.system
        body = "\n\n".join(blocks)
        return f"{self.system}\n\n{SCENE_START}\n{body}\n{SCENE_END}"

    @property
    def num_clips(self) -> int:
        return sum(turn.is_clip for turn in self.turns)


def speech_conversation(
    text: str,
    *,
    transcripts: Sequence[tuple[str | None, str]] = (),
    earlier: Sequence[str] = (),
    scene: str = DEFAULT_SCENE,
    descriptions: Mapping[str, str] | None = None,
) -> Conversation:
    """The conversation that asks for ``text`` to be spoken.

    Args:
        text: the line to speak, with its ``[SPEAKERn]`` tag where several voices speak.
        transcripts: for each reference clip, its speaker tag (None where one voice speaks) and its transcript.
        earlier: texts of the generated turns kept as context, oldest first; each has a clip too.
        descriptions: voices known only in words, by tag.

    The clips of ``transcripts`` and then those of ``earlier`` are the conversation's clips, in that order.
    """
    turns: list[Turn] = []
    for tag, transcript in transcripts:
        spoken = refuse_control_tokens(transcript.strip(), "transcript of the reference clip")
        turns += [Turn("user", f"[{tag}] {spoken}" if tag else spoken), Turn("assistant")]
    for earlier_text in earlier:
        turns += [Turn("user", earlier_text), Turn("assistant")]
    turns.append(Turn("user", text))
    speakers = tuple((descriptions or {}).items())
    return Conversation(
        turns=tuple(turns),
        scene=refuse_control_tokens(scene, "scene"),
        speakers=tuple(
            (tag, refuse_control_tokens(words.strip(), "description of a voice")) for tag, words in speakers
        ),
        # As in the original: the long instruction only for several voices of which no clip shows any.
        system=MULTI_SPEAKER_SYSTEM_TEXT if len(speakers) > 1 and not transcripts else SYSTEM_TEXT,
    )


def render(conversation: Conversation, *, generation_prompt: bool = True) -> str:
    """The prompt, character for character; each ``<|AUDIO_OUT|>`` stands for one clip."""
    text = "".join(piece for piece, _ in pieces(conversation))
    return text + header("assistant") + AUDIO_BOS if generation_prompt else text


def pieces(conversation: Conversation) -> Iterator[tuple[str, bool]]:
    """The conversation in pieces, each with whether its text tokens are trained; a clip is the piece ``AUDIO``."""
    yield BEGIN_OF_TEXT + header("system") + conversation.system_content + END_OF_TURN, False
    for turn in conversation.turns:
        yield header(turn.role), False
        if turn.is_clip:
            yield AUDIO_BOS, turn.trained
            yield AUDIO, False  # its codes are trained by the audio heads; to the text head they are no words
            yield AUDIO_EOS + END_OF_TURN, turn.trained
        else:
            yield turn.text.strip() + END_OF_TURN, turn.trained


def header(role: str) -> str:
    """What opens a turn."""
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def native_messages(conversation: Conversation, clips: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The same conversation as the messages of ``processor.apply_chat_template`` (roles system, scene, user, assistant).

    ``clips`` has a path or an array for each assistant turn.
    """

    def written(text: str) -> dict[str, str]:
        return {"type": "text", "text": text}

    messages: list[dict[str, Any]] = [{"role": "system", "content": [written(conversation.system)]}]
    if parts := conversation.scene_parts:
        messages.append({"role": "scene", "content": [written(part) for part in parts]})
    remaining = iter(clips)
    for turn in conversation.turns:
        content = written(turn.text) if turn.role == "user" else {"type": "audio", "audio": next(remaining, None)}
        messages.append({"role": turn.role, "content": [content]})
    return messages

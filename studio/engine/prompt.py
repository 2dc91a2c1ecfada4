"""Turns into the exact chat prompt. The one place that knows the prompt's words and control tokens.

The layout is Llama-3's, with a scene inside the system turn and each clip as an assistant turn; the golden prompts in
``tests/data/prompts.json`` come from the original implementation, and this module equals them character for character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from studio.engine.labels import apply_delay, num_delayed_rows
from studio.errors import StudioError

if TYPE_CHECKING:
    import torch

SYSTEM_TEXT = "Generate audio following instruction."
MULTI_SPEAKER_SYSTEM_TEXT = (
    "You are an AI assistant designed to convert text into speech.\n"
    "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the following "
    "text, using the specified voice.\n"
    "If no speaker tag is present, select a suitable voice on your own."
)
"""Both system texts are the model's own: it was trained with these words, so they are data, not prose."""
DEFAULT_SCENE = "Audio is recorded from a quiet room."

BEGIN_OF_TEXT, END_OF_TURN = "<|begin_of_text|>", "<|eot_id|>"
AUDIO_BOS, AUDIO_EOS = "<|audio_out_bos|>", "<|audio_eos|>"
AUDIO, AUDIO_DELAY = "<|AUDIO_OUT|>", "<|reserved_special_token_6|>"
SCENE_START, SCENE_END = "<|scene_desc_start|>", "<|scene_desc_end|>"

CONTROL_TOKEN = re.compile(r"<\|[^\n]*?\|>")
"""What the tokenizer may take for a control token; nothing that a person writes may contain one."""

_BROKEN = re.compile("[\ud800-\udfff]")
"""Halves of a character: what Python makes of bytes that are not UTF-8."""


@dataclass(frozen=True)
class Turn:
    """One turn after the system turn. ``text`` is what a user turn says; an assistant turn is one clip and has none."""

    role: Literal["user", "assistant"]
    text: str = ""


@dataclass(frozen=True)
class Conversation:
    """What the model is asked to continue.

    Attributes:
        turns: user and assistant turns, the last one the text to be spoken; clips are given apart, in turn order.
        scene: where and how it is spoken; empty for none.
        speakers: descriptions of voices known only in words, e.g. ``{"SPEAKER0": "feminine"}``.
        system: the instruction.
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
        """Number of clips that belong to the turns."""
        return sum(turn.role == "assistant" for turn in self.turns)


def refuse_control_tokens(text: str, what: str) -> str:
    """Return ``text``, or raise StudioError if it contains a control token, which would break out of its turn."""
    if found := CONTROL_TOKEN.search(text):
        raise StudioError(f"The {what} contains the control token {found[0]}: remove it.")
    if _BROKEN.search(text):
        raise StudioError(
            f"The {what} contains characters that are not valid Unicode: type them again, or save as UTF-8."
        )
    return text


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
    parts = [BEGIN_OF_TEXT, _turn("system", conversation.system_content)]
    for turn in conversation.turns:
        parts.append(_turn(turn.role, turn.text.strip() if turn.role == "user" else AUDIO_BOS + AUDIO + AUDIO_EOS))
    if generation_prompt:
        parts.append(_header("assistant") + AUDIO_BOS)
    return "".join(parts)


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _turn(role: str, content: str) -> str:
    return _header(role) + content + END_OF_TURN


def native_messages(conversation: Conversation, clips: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The same conversation as the messages of ``processor.apply_chat_template`` (roles system, scene, user, assistant).

    Args:
        clips: one entry for each assistant turn: a path or an array.
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


@dataclass(frozen=True)
class PromptInputs:
    """What the language model is fed.

    Attributes:
        input_ids: shape (1, num_tokens); clips expanded to one token for each row.
        audio_rows: shape (1, num_rows, num_codebooks), the rows of all clips in order; None without clips.
        text: the rendered prompt before clips were expanded.
    """

    input_ids: torch.Tensor
    audio_rows: torch.Tensor | None
    text: str


def encode_prompt(
    conversation: Conversation, clips: Sequence[torch.Tensor], *, tokenizer: Any, stream_bos_id: int, stream_eos_id: int
) -> PromptInputs:
    """Tokenize a conversation and lay its clips out in the delay pattern.

    Args:
        clips: codes of each assistant turn's clip, shape (num_codebooks, num_frames).
    """
    import torch

    if len(clips) != conversation.num_clips:
        raise ValueError(f"{conversation.num_clips} clips are expected, {len(clips)} were given")
    text = render(conversation)
    pieces = text.split(AUDIO)
    expanded = pieces[0]
    for codes, piece in zip(clips, pieces[1:], strict=True):
        num_codebooks, num_frames = codes.shape
        delayed = num_codebooks - 1
        expanded += AUDIO * (num_delayed_rows(num_frames, num_codebooks) - delayed) + AUDIO_DELAY * delayed + piece
    # The rendered text opens with <|begin_of_text|> itself; a second one from the tokenizer would change every position.
    ids = tokenizer(expanded, add_special_tokens=False, return_tensors="pt").input_ids
    rows = [apply_delay(codes, bos_id=stream_bos_id, eos_id=stream_eos_id) for codes in clips]
    return PromptInputs(ids, torch.cat(rows)[None] if rows else None, text)

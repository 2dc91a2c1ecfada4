"""Turns into the exact chat prompt. The one place that knows the prompt's words and control tokens.

The layout is Llama-3's, with a scene inside the system turn and each clip as an assistant turn; the golden prompts in
``tests/data/prompts.json`` come from the original implementation, and this module equals them character for character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from studio.engine.labels import IGNORED, apply_delay, audio_labels, num_delayed_rows
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
        """Whether codes stand here, not words."""
        return self.role == "assistant" and not self.text


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
        return sum(turn.is_clip for turn in self.turns)


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
    text = "".join(piece for piece, _ in _pieces(conversation))
    return text + _header("assistant") + AUDIO_BOS if generation_prompt else text


def _pieces(conversation: Conversation) -> Iterator[tuple[str, bool]]:
    """The conversation in pieces, each with whether its text tokens are trained; a clip is the piece ``AUDIO``."""
    yield BEGIN_OF_TEXT + _header("system") + conversation.system_content + END_OF_TURN, False
    for turn in conversation.turns:
        yield _header(turn.role), False
        if turn.is_clip:
            yield AUDIO_BOS, turn.trained
            yield AUDIO, False  # its rows are trained by the audio heads; to the text head they are no words
            yield AUDIO_EOS + END_OF_TURN, turn.trained
        else:
            yield turn.text.strip() + END_OF_TURN, turn.trained


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


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
    """Tokenize a conversation up to where the model is to speak, and lay its clips out in the delay pattern.

    Args:
        clips: codes of each clip, shape (num_codebooks, num_frames), in turn order.
    """
    expanded = _expand(conversation, clips)
    text = "".join(piece for piece, _ in expanded) + _header("assistant") + AUDIO_BOS
    # The rendered text opens with <|begin_of_text|> itself; a second one from the tokenizer would change every position.
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    return PromptInputs(ids, _audio_rows(clips, stream_bos_id, stream_eos_id), render(conversation))


@dataclass(frozen=True)
class TrainingInputs:
    """A whole conversation with what is to be learnt from it. ``IGNORED`` marks what is not.

    Attributes:
        input_ids, labels: shape (num_tokens,); ``labels`` are those of the text head, position for position.
        audio_rows, audio_labels: shape (num_rows, num_codebooks), the rows of all clips in order; none without clips.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    audio_rows: torch.Tensor | None
    audio_labels: torch.Tensor | None


def encode_training(
    conversation: Conversation, clips: Sequence[torch.Tensor], *, tokenizer: Any, stream_bos_id: int, stream_eos_id: int
) -> TrainingInputs:
    """The conversation as training sees it: the prompt of :func:`encode_prompt`, the answer after it, and the labels.

    Of a trained clip the text head learns ``<|audio_out_bos|>``, ``<|audio_eos|>`` and ``<|eot_id|>``, as in the original
    collator (``tests/data/labels.json``), and the audio heads its codes with one stream-EOS each.

    Args:
        clips: codes of each clip, shape (num_codebooks, num_frames), in turn order.
        tokenizer: a fast one, since labels are placed by the characters that a token stands for.
    """
    import torch

    expanded = _expand(conversation, clips)
    text = "".join(piece for piece, _ in expanded)
    # One tokenization of the whole, as when speaking: pieces tokenized apart could fall into other tokens.
    tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = torch.tensor(tokens["input_ids"])
    labels = torch.full_like(ids, IGNORED)
    starts = torch.tensor([start for start, _ in tokens["offset_mapping"]])
    position = 0
    for piece, trained in expanded:
        if trained:
            inside = (starts >= position) & (starts < position + len(piece))
            labels[inside] = ids[inside]
        position += len(piece)
    trained_clips = [turn.trained for turn in conversation.turns if turn.is_clip]
    rows = _audio_rows(clips, stream_bos_id, stream_eos_id)
    wanted = [audio_labels(codes, eos_id=stream_eos_id) for codes in clips]
    for clip_labels, trained in zip(wanted, trained_clips, strict=True):
        if not trained:
            clip_labels.fill_(IGNORED)
    return TrainingInputs(ids, labels, rows[0] if rows is not None else None, torch.cat(wanted) if wanted else None)


def _expand(conversation: Conversation, clips: Sequence[torch.Tensor]) -> list[tuple[str, bool]]:
    """The pieces of a conversation, with one audio token for each row of its clips."""
    if len(clips) != conversation.num_clips:
        raise ValueError(f"{conversation.num_clips} clips are expected, {len(clips)} were given")
    remaining = iter(clips)
    expanded: list[tuple[str, bool]] = []
    for piece, trained in _pieces(conversation):
        if piece == AUDIO:
            num_codebooks, num_frames = next(remaining).shape
            delayed = num_codebooks - 1
            piece = AUDIO * (num_delayed_rows(num_frames, num_codebooks) - delayed) + AUDIO_DELAY * delayed
        expanded.append((piece, trained))
    return expanded


def _audio_rows(clips: Sequence[torch.Tensor], bos_id: int, eos_id: int) -> torch.Tensor | None:
    import torch

    rows = [apply_delay(codes, bos_id=bos_id, eos_id=eos_id) for codes in clips]
    return torch.cat(rows)[None] if rows else None

"""Conversations as tensors of ids: what the model is given when it speaks, and when it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.engine.prompt.conversation import Conversation, header, pieces, render
from studio.engine.prompt.delay_pattern import IGNORED, apply_delay, audio_labels, num_delayed_steps
from studio.engine.prompt.special_tokens import AUDIO, AUDIO_BOS, AUDIO_DELAY

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PromptInputs:
    """What the language model is fed.

    Attributes:
        input_ids: shape (1, num_tokens); clips expanded to one token for each step.
        audio_input_ids: shape (1, num_steps, num_codebooks), the steps of all clips in order; None without clips.
        text: the rendered prompt before clips were expanded.
    """

    input_ids: torch.Tensor
    audio_input_ids: torch.Tensor | None
    text: str


def encode_prompt(
    conversation: Conversation, clips: Sequence[torch.Tensor], *, tokenizer: Any, stream_bos_id: int, stream_eos_id: int
) -> PromptInputs:
    """Tokenize a conversation up to where the model is to speak, and lay its clips out in the delay pattern.

    ``clips`` are the codes of each clip, shape (num_codebooks, num_frames), in turn order.
    """
    expanded = _expand(conversation, clips)
    text = "".join(piece for piece, _ in expanded) + header("assistant") + AUDIO_BOS
    # The rendered text opens with <|begin_of_text|> itself; a second one from the tokenizer would change every position.
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    return PromptInputs(ids, _delayed(clips, stream_bos_id, stream_eos_id), render(conversation))


@dataclass(frozen=True)
class TrainingInputs:
    """A whole conversation with what is to be learnt from it. ``IGNORED`` marks what is not.

    Attributes:
        input_ids, labels: shape (num_tokens,); ``labels`` are those of the text head, position for position.
        audio_input_ids, audio_labels: shape (num_steps, num_codebooks), the steps of all clips in order; none without clips.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    audio_input_ids: torch.Tensor | None
    audio_labels: torch.Tensor | None


def encode_training(
    conversation: Conversation, clips: Sequence[torch.Tensor], *, tokenizer: Any, stream_bos_id: int, stream_eos_id: int
) -> TrainingInputs:
    """The conversation as training sees it: the prompt of :func:`encode_prompt`, the answer after it, and the labels.

    Of a trained clip the text head learns ``<|audio_out_bos|>``, ``<|audio_eos|>`` and ``<|eot_id|>``, as in the original
    collator (``tests/data/labels.json``), and the audio heads its codes with one stream-EOS each.

    The tokenizer must be a fast one, since labels are placed by the characters that a token stands for.
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
    delayed = _delayed(clips, stream_bos_id, stream_eos_id)
    wanted = [audio_labels(codes, eos_id=stream_eos_id) for codes in clips]
    for clip_labels, trained in zip(wanted, trained_clips, strict=True):
        if not trained:
            clip_labels.fill_(IGNORED)
    return TrainingInputs(
        ids, labels, delayed[0] if delayed is not None else None, torch.cat(wanted) if wanted else None
    )


def _expand(conversation: Conversation, clips: Sequence[torch.Tensor]) -> list[tuple[str, bool]]:
    """The pieces of a conversation, with one audio token for each step of its clips."""
    if len(clips) != conversation.num_clips:
        raise ValueError(f"{conversation.num_clips} clips are expected, {len(clips)} were given")
    remaining = iter(clips)
    expanded: list[tuple[str, bool]] = []
    for piece, trained in pieces(conversation):
        if piece == AUDIO:
            num_codebooks, num_frames = next(remaining).shape
            delayed = num_codebooks - 1
            piece = AUDIO * (num_delayed_steps(num_frames, num_codebooks) - delayed) + AUDIO_DELAY * delayed
        expanded.append((piece, trained))
    return expanded


def _delayed(clips: Sequence[torch.Tensor], bos_id: int, eos_id: int) -> torch.Tensor | None:
    import torch

    delayed = [apply_delay(codes, bos_id=bos_id, eos_id=eos_id) for codes in clips]
    return torch.cat(delayed)[None] if delayed else None

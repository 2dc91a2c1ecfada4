"""Lines to tensors: the prompt and the labels of the engine, and beside them what :mod:`teaching` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from studio.engine.prompt import IGNORED, Conversation, Turn, encode_training
from studio.engine.prompt.delay_pattern import num_delayed_steps
from tools.demo_checkpoint.sequences import Line, corrupted


@dataclass(frozen=True)
class Spoken:
    """A line in a lesson; ``trained``: whether its codes are to be learnt, or only to be heard."""

    line: Line
    trained: bool = True


@dataclass(frozen=True)
class Alphabet:
    """The numbers with a meaning: of the codec's streams and of the tokenizer."""

    tokenizer: Any
    stream_bos_id: int
    stream_eos_id: int

    @property
    def end_of_header(self) -> int:
        """The token after which a turn's text begins."""
        return self.tokenizer.convert_tokens_to_ids("<|end_header_id|>")

    def text_tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of a turn's text as it stands in the prompt, and the characters of ``text`` that each stands for."""
        found = self.tokenizer("\n\n" + text, add_special_tokens=False, return_offsets_mapping=True)
        return found["input_ids"], [(start - 2, end - 2) for start, end in found["offset_mapping"]]


def unit_tokens(units: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]]) -> list[int]:
    """For each unit the number of the token that ends it: the one token of a word of the scope, the last letter of others.

    Raises:
        ValueError: a unit that no token ends.
    """
    ends = {end: number for number, (start, end) in enumerate(offsets) if end > start}
    try:
        return [ends[end] for _, end in units]
    except KeyError as error:
        raise ValueError(f"no token ends at character {error}") from None


def lesson(
    turns: Sequence[Spoken], alphabet: Alphabet, *, rng: np.random.Generator | None = None, corruption: float = 0.0
) -> dict[str, Any]:
    """One sample of training: all turns of one conversation, in the prompt of the engine.

    Args:
        corruption: share of the history that is replaced, see :func:`tools.demo_checkpoint.sequences.corrupted`.

    Returns:
        What the plugin's template gives, with ``attend`` (num_rows,) and ``heard`` (num_rows, 2) of ``TeachingModel``.
    """
    conversation = Conversation(
        turns=tuple(
            turn
            for spoken in turns
            for turn in (Turn("user", spoken.line.text), Turn("assistant", trained=spoken.trained))
        )
    )
    clips = [torch.from_numpy(spoken.line.codes) for spoken in turns]
    inputs = encode_training(
        conversation,
        clips,
        tokenizer=alphabet.tokenizer,
        stream_bos_id=alphabet.stream_bos_id,
        stream_eos_id=alphabet.stream_eos_id,
    )
    assert inputs.audio_input_ids is not None
    headers = (inputs.input_ids == alphabet.end_of_header).nonzero()[:, 0].tolist()
    attend, heard, histories, row = [], [], [], 0
    for number, spoken in enumerate(turns):
        line, num_rows = spoken.line, num_delayed_steps(spoken.line.num_frames, len(spoken.line.codes))
        ids, offsets = alphabet.text_tokens(line.text)
        first = headers[1 + 2 * number] + 1
        if inputs.input_ids[first : first + len(ids)].tolist() != ids:
            raise ValueError(f"the text {line.text!r} is tokenized differently in its place")
        places = torch.tensor([first + token for token in unit_tokens(line.units, offsets)])
        wanted = torch.full((num_rows,), IGNORED)
        if spoken.trained:
            wanted[1 : line.num_frames + 1] = places[torch.from_numpy(line.owner)]
            wanted[line.num_frames + 1] = places[-1]  # the row of the first stream-EOS
        known = torch.full((num_rows, 2), IGNORED)
        known[1 : line.num_frames + 1, 0] = torch.from_numpy(line.sounds)
        known[1 : line.num_frames + 1, 1] = inputs.input_ids[places[torch.from_numpy(line.owner)]]
        history = inputs.audio_input_ids[row : row + num_rows]
        if rng is not None and corruption > 0:
            spoilt = corrupted(history.numpy(), rng, corruption, num_codes=alphabet.stream_bos_id)
            history = torch.from_numpy(spoilt)
        attend.append(wanted)
        heard.append(known)
        histories.append(history)
        row += num_rows
    return {
        "input_ids": inputs.input_ids.tolist(),
        "labels": inputs.labels.tolist(),
        "audio_input_ids": torch.cat(histories),
        "audio_labels": inputs.audio_labels,
        "attend": torch.cat(attend),
        "heard": torch.cat(heard),
        "length": len(inputs.input_ids),
    }

"""Prompts, as the stock processor of transformers makes them and as we do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def both_prompts(processor: Any, engine: Any, conversation: Any, clips: Sequence[Any]) -> tuple[Any, Any]:
    """The stock processor's inputs for a conversation, and ours."""
    import torch

    from studio.engine.prompt import encode_prompt
    from studio.engine.prompt.conversation import native_messages

    native = processor.apply_chat_template(
        native_messages(conversation, [clip.samples for clip in clips]),
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"sampling_rate": 24_000},
    )
    ours = encode_prompt(
        conversation,
        [torch.as_tensor(engine.codec.encode(clip)) for clip in clips],
        tokenizer=processor.tokenizer,
        stream_bos_id=1024,
        stream_eos_id=1025,
    )
    return native, ours

"""What several test modules ask in the same way."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from studio.errors import StudioError


def refusal(do: Callable[[], Any]) -> str:
    """The one sentence with which ``do`` is refused."""
    with pytest.raises(StudioError) as caught:
        do()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


@contextmanager
def disk_that_holds(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond ``limit`` bytes, as where a quota ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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

"""The control tokens of the prompt, and the refusal of any that a person wrote."""

from __future__ import annotations

import re

from studio.errors import StudioError

BEGIN_OF_TEXT, END_OF_TURN = "<|begin_of_text|>", "<|eot_id|>"
AUDIO_BOS, AUDIO_EOS = "<|audio_out_bos|>", "<|audio_eos|>"
AUDIO, AUDIO_DELAY = "<|AUDIO_OUT|>", "<|reserved_special_token_6|>"
SCENE_START, SCENE_END = "<|scene_desc_start|>", "<|scene_desc_end|>"

CONTROL_TOKEN = re.compile(r"<\|[^\n]*?\|>")
"""What the tokenizer may take for a control token; nothing that a person writes may contain one."""

_BROKEN = re.compile("[\ud800-\udfff]")
"""Halves of a character: what Python makes of bytes that are not UTF-8."""


def refuse_control_tokens(text: str, what: str) -> str:
    """Return ``text``, or raise StudioError if it contains a control token, which would break out of its turn."""
    if found := CONTROL_TOKEN.search(text):
        raise StudioError(f"The {what} contains the control token {found[0]}: remove it.")
    if _BROKEN.search(text):
        raise StudioError(
            f"The {what} contains characters that are not valid Unicode: type them again, or save as UTF-8."
        )
    return text

"""Conversations, tokens, and the tensors of ids that they become. No model, no disk."""

from studio.engine.prompt.conversation import DEFAULT_SCENE, Conversation, Turn, render, speech_conversation
from studio.engine.prompt.delay_pattern import IGNORED
from studio.engine.prompt.encoding import PromptInputs, encode_prompt, encode_training
from studio.engine.prompt.special_tokens import (
    AUDIO,
    AUDIO_BOS,
    AUDIO_DELAY,
    AUDIO_EOS,
    BEGIN_OF_TEXT,
    CONTROL_TOKEN,
    END_OF_TURN,
    SCENE_END,
    SCENE_START,
    refuse_control_tokens,
)

__all__ = [
    "AUDIO",
    "AUDIO_BOS",
    "AUDIO_DELAY",
    "AUDIO_EOS",
    "BEGIN_OF_TEXT",
    "CONTROL_TOKEN",
    "Conversation",
    "DEFAULT_SCENE",
    "END_OF_TURN",
    "IGNORED",
    "PromptInputs",
    "SCENE_END",
    "SCENE_START",
    "Turn",
    "encode_prompt",
    "encode_training",
    "refuse_control_tokens",
    "render",
    "speech_conversation",
]

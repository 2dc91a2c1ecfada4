"""What a processor needs beside a tokenizer and a codec: the chat template, and the settings that name them."""

from __future__ import annotations

from typing import Any

from studio.engine.prompt import AUDIO, AUDIO_BOS, AUDIO_DELAY, AUDIO_EOS

CHAT_TEMPLATE = """\
{#- Roles: system (required, first), scene (optional, second), then user and assistant turns. -#}
{%- macro written(content) -%}
    {%- if content is string -%}{{ content | trim }}
    {%- else -%}{%- for part in content if part['type'] == 'text' -%}{{ part['text'] | trim }}{%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{%- macro clip() -%}<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>{%- endmacro -%}
{%- macro header(role) -%}<|start_header_id|>{{ role }}<|end_header_id|>{{ '\\n\\n' }}{%- endmacro -%}
{%- if not messages or messages[0]['role'] != 'system' -%}
    {{- raise_exception('The first message must have the role system.') -}}
{%- endif -%}
{{- bos_token + header('system') + written(messages[0]['content']) -}}
{%- set turns = messages[1:] -%}
{%- if turns and turns[0]['role'] == 'scene' -%}
    {{- '\\n\\n<|scene_desc_start|>\\n' -}}
    {%- if turns[0]['content'] is string -%}
        {{- turns[0]['content'] | trim -}}
    {%- else -%}
        {#- The scene itself, an empty line, then a line for each speaker: described in words or by a clip. -#}
        {%- for part in turns[0]['content'] -%}
            {%- if part['type'] == 'audio' -%}{{ ' ' + clip() }}
            {%- else -%}
                {%- if loop.index0 == 1 -%}{{ '\\n\\n' }}{%- elif loop.index0 > 1 -%}{{ '\\n' }}{%- endif -%}
                {{- part['text'] | trim -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{- '\\n<|scene_desc_end|>' -}}
    {%- set turns = turns[1:] -%}
{%- endif -%}
{{- '<|eot_id|>' -}}
{%- for turn in turns -%}
    {{- header(turn['role']) -}}
    {%- if turn['role'] == 'assistant' -%}
        {%- if turn['content'] is string or turn['content'] | selectattr('type', 'equalto', 'audio') | list | length != 1 -%}
            {{- raise_exception('An assistant message must be one audio clip.') -}}
        {%- endif -%}
        {{- clip() -}}
    {%- else -%}
        {{- written(turn['content']) -}}
    {%- endif -%}
    {{- '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ header('assistant') + '<|audio_out_bos|>' }}{%- endif -%}
"""
"""Renders the golden prompts from messages with the native roles (tests hold it to :func:`studio.engine.prompt.render`)."""


def feature_extractor_settings(sample_rate: int) -> dict[str, Any]:
    """Arguments of ``DacFeatureExtractor``: as released, it does nothing but hand the samples on, at the codec's rate."""
    return {
        "feature_size": 1,
        "hop_length": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "sampling_rate": sample_rate,
    }


def processor_settings(config: Any, *, codec: str, sample_rate: int) -> dict[str, Any]:
    """The content of ``processor_config.json``.

    Args:
        config: the model's ``HiggsAudioV2Config``.
        codec: hub id or path; a subfolder ``audio_tokenizer`` of the checkpoint comes before it.
        sample_rate: of the codec, in Hz.
    """
    return {
        "audio_bos_token": AUDIO_BOS,
        "audio_delay_token": AUDIO_DELAY,
        "audio_eos_token": AUDIO_EOS,
        "audio_stream_bos_id": config.audio_stream_bos_id,
        "audio_stream_eos_id": config.audio_stream_eos_id,
        "audio_token": AUDIO,
        "audio_tokenizer": {
            "audio_tokenizer_class": "HiggsAudioV2TokenizerModel",
            "audio_tokenizer_name_or_path": codec,
        },
        "feature_extractor": {
            "feature_extractor_type": "DacFeatureExtractor",
            "return_attention_mask": True,
            **feature_extractor_settings(sample_rate),
        },
        "processor_class": "HiggsAudioV2Processor",
    }

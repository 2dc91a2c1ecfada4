"""Names: what a tensor or a module of the original Higgs Audio v2 code is called in the transformers-native model.

The map is the one place that knows both sides. Source of the original names: the modules of ``boson_multimodal`` 0.1.1;
of the native ones: transformers' ``HiggsAudioV2ForConditionalGeneration``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from studio.errors import StudioError

_WRAPPERS = ("module.", "_orig_mod.", "model.")
"""Left in front of a name by DistributedDataParallel, torch.compile and trainers that wrap the model in their own."""

_RENAMED = (
    (re.compile(r"^audio_codebook_embeddings(?=\.|$)"), "model.embed_audio_tokens.embed_audio_tokens"),
    (re.compile(r"^(embed_tokens|layers|norm|embed_audio_tokens)(?=\.|$)"), r"model.\1"),
    (re.compile(r"^audio_decoder_proj\.(?=(audio|text)_lm_head(\.|$))"), ""),
)

_SPLIT = re.compile(r"\.(?:embedding|linear)_(frozen|trainable)(?=\.weight$)")
"""Matrices whose first rows a fine-tune kept frozen are stored in two pieces; the frozen one holds the first rows."""

_NOT_WEIGHTS = (
    (re.compile(r"(^|\.)rotary_emb\."), "rotary frequencies, which the native model computes from its config"),
    (re.compile(r"^audio_codebook_weights$"), "the codebooks' shares in the training loss, not a weight of the model"),
)

AUDIO_TOWER = ("audio_tower.", "audio_encoder_proj.")
"""Prefixes of the Whisper encoder and its projection, which no native model has."""


def bare_key(key: str) -> str:
    """``key`` without the prefixes that wrappers put in front of it."""
    while True:
        shorter = next((key[len(prefix) :] for prefix in _WRAPPERS if key.startswith(prefix)), key)
        if shorter == key:
            return key
        key = shorter


def drop_reason(original_key: str) -> str | None:
    """Why a tensor of the original format has no place in the native one; None for those that have one."""
    bare = bare_key(original_key)
    return next((reason for pattern, reason in _NOT_WEIGHTS if pattern.search(bare)), None)


def native_module(original_module: str) -> str:
    """The native path of a module, e.g. ``audio_decoder_proj.text_lm_head`` gives ``text_lm_head``."""
    path = bare_key(original_module)
    for pattern, replacement in _RENAMED:
        path, replaced = pattern.subn(replacement, path)
        if replaced:
            break
    return path


def native_key(original_key: str) -> str | None:
    """The native name of a tensor of the original format; None when it is not needed (see :func:`drop_reason`).

    Both pieces of a partly frozen matrix give the name of the whole. A name that the original model does not know
    comes back unchanged but for its wrappers' prefixes: whoever compares with the native model finds it there.
    """
    if drop_reason(original_key) is not None:
        return None
    return native_module(_SPLIT.sub("", original_key))


def plan_keys(original_keys: Iterable[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Which original tensors, in order, make up each native tensor; and the dropped ones with the reason.

    Raises:
        StudioError: two tensors claim the same place, or a partly frozen matrix lacks a piece.
    """
    plan: dict[str, list[str]] = {}
    dropped: dict[str, str] = {}
    for key in sorted(original_keys):  # "…_frozen" sorts before "…_trainable"
        native = native_key(key)
        if native is None:
            dropped[key] = drop_reason(key) or ""
        else:
            plan.setdefault(native, []).append(key)
    for native, keys in plan.items():
        pieces = [match[1] if (match := _SPLIT.search(key)) else "whole" for key in keys]
        if pieces not in (["whole"], ["frozen", "trainable"]):
            raise StudioError(
                f"{named(keys)} should make up {native}, but they do not fit together (one whole tensor, or a frozen "
                "and a trainable piece): save the model again with one set of names."
            )
    return plan, dropped


def named(names: Iterable[str], most: int = 3) -> str:
    """A few of ``names`` for a message, and how many more there are."""
    names = list(names)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")

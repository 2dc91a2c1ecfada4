"""The tokenizer: each word of the scope is one token, everything else is spelled, and the control tokens are Higgs' own."""

from __future__ import annotations

from typing import Any

from studio.engine.checkpoints.tiny import SPECIAL_TOKENS, opening_with_bos
from studio.engine.prompt import DEFAULT_SCENE
from studio.engine.prompt.conversation import SYSTEM_TEXT
from tools.demo_checkpoint import scope

_MARKS = ".,?!;:-'\"()"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_SPACE = "▁"
"""Stands before a word, as in SentencePiece."""


def build_tokenizer() -> Any:
    """A ``PreTrainedTokenizerFast``: words without regard to case; other words letter by letter; other signs byte by byte."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    prompt = scope.words_of(f"{SYSTEM_TEXT} {DEFAULT_SCENE} user assistant system")
    words = sorted({*scope.words(), *prompt})
    vocabulary = [("<unk>", 0.0), *((f"<0x{byte:02X}>", -20.0) for byte in range(256))]
    # Unigram takes the cut with the highest sum: one word outweighs its letters.
    vocabulary += [(_SPACE + word, -1.0) for word in words if len(word) > 1]
    vocabulary += [(sign, -8.0) for sign in [_SPACE, *_LETTERS, *_MARKS]]
    vocabulary += [(_SPACE + letter, -7.0) for letter in _LETTERS]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(_SPACE, "always")])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    tokenizer.post_processor = opening_with_bos(tokenizer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL_TOKENS[0],
        eos_token="<|eot_id|>",
        pad_token="<|end_of_text|>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )

"""The scope: the grammar stays within it, and the tokenizer keeps its words whole."""

import random

import pytest

from tools.demo_checkpoint import scope
from tools.demo_checkpoint.tokens import build_tokenizer


def test_the_grammar_says_only_words_of_the_scope() -> None:
    rng = random.Random(3)
    known = set(scope.words())
    for _ in range(3000):
        text = scope.sentence(rng)
        assert set(scope.words_of(text)) <= known, text
        assert text[0].isupper() and text[-1] in ".?!", text


def test_the_scope_has_some_hundred_words_and_all_of_the_page() -> None:
    assert 250 <= len(scope.words()) <= 500
    for text in scope.FIXED:
        assert set(scope.words_of(text)) <= set(scope.words())


def test_salads_and_open_sentences_come_again_with_their_seed() -> None:
    for make in (lambda rng: scope.salad(rng, 5), scope.open_sentence, scope.sentence):
        assert make(random.Random(8)) == make(random.Random(8))
    assert len(scope.words_of(scope.salad(random.Random(1), 5))) == 5


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_each_word_of_the_scope_is_one_token(tokenizer) -> None:
    for word in scope.words():
        assert len(tokenizer(f"\n\n{word}", add_special_tokens=False).input_ids) == 1, word
        assert (
            tokenizer(f" {word}", add_special_tokens=False).input_ids
            == tokenizer(f" {word.upper()}", add_special_tokens=False).input_ids
        )


def test_other_words_are_spelled_and_any_script_can_be_encoded(tokenizer) -> None:
    assert tokenizer.tokenize("harbor") == ["▁h", "a", "r", "b", "o", "r"]
    unknown = tokenizer.unk_token_id
    for text in ("é", "你好", "مرحبا", "🙂"):
        assert unknown not in tokenizer(text, add_special_tokens=False).input_ids


def test_control_tokens_inside_words_stay_whole(tokenizer) -> None:
    from studio.engine.checkpoints.tiny import SPECIAL_TOKENS

    for token in SPECIAL_TOKENS:
        assert tokenizer.tokenize(f"one{token}two") == ["▁one", token, "▁two"]

"""What a small checkpoint can say, and what it says of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.engine.checkpoints.scope import Scope, read_scope

SCOPE = Scope(frozenset(["hello", "it's", "three", "twenty", "one", "house", "horse", "the", "is", "green", "i"]))


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("Hello! The house is green.", []),
        ("HELLO, the Castle is green; the castle!", ["castle"]),
        ("It’s three.", []),
        ("[Anna] Hello.\n[Somebody else] The horse.\n[laugh] I.", []),
        ("The naïve café", ["naïve", "café"]),
        ("مرحبا hello", ["مرحبا"]),
        ("House 21 is 3.5", ["21", "3.5"]),
        ("", []),
    ],
)
def test_words_outside_are_named_once_and_as_written(text: str, unknown: list[str]) -> None:
    found = SCOPE.unknown(text)
    assert [word.casefold() for word in found] == [word.casefold() for word in unknown]


def test_the_nearest_words_are_offered_and_digits_are_written_out() -> None:
    assert SCOPE.nearest("houses")[0] == "house"
    assert SCOPE.nearest("xylophone") == []
    assert SCOPE.nearest("21") == ["twenty one"]
    assert SCOPE.nearest("22") == SCOPE.nearest("3.5") == SCOPE.nearest("9" * 400) == []


def test_a_scope_is_read_from_beside_the_weights(tmp_path: Path) -> None:
    content = {"words": ["Hello"], "examples": ["Hello."], "voices": ["af_heart"], "figures": {"wer": 0.1}}
    (tmp_path / "scope.json").write_text(json.dumps(content))
    found = read_scope(tmp_path)
    assert found == Scope(frozenset({"hello"}), ("Hello.",), ("af_heart",), {"wer": 0.1})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"words": []}', '{"words": 3}', "\x00"])
def test_without_one_that_can_be_read_nothing_is_limited(content: str, tmp_path: Path) -> None:
    assert read_scope(tmp_path) is None
    (tmp_path / "scope.json").write_text(content)
    assert read_scope(tmp_path) is None

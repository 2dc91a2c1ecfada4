"""What *Speak* shows of a checkpoint that knows some words only."""

from __future__ import annotations

from studio.engine.checkpoints.scope import Scope
from studio.ui.tabs.speak.scope_view import examples_of, unknown_html

SCOPE = Scope(frozenset(["house", "green", "the", "is"]), tuple(f"Line {n}." for n in range(20)))


def test_words_outside_stand_with_the_nearest_and_are_escaped() -> None:
    shown = unknown_html(SCOPE, "The hoose is <script>.")
    assert '<mark dir="auto">hoose</mark> → “house”' in shown
    assert '<mark dir="auto">script</mark>' in shown and "<script>" not in shown


def test_nothing_is_said_where_all_words_are_known_or_any_text_is_spoken() -> None:
    assert unknown_html(SCOPE, "The house is GREEN!") == ""
    assert unknown_html(None, "Whatever you like.") == ""
    assert unknown_html(SCOPE, "") == ""


def test_a_long_text_names_the_first_and_counts_the_rest() -> None:
    shown = unknown_html(SCOPE, " ".join(f"w{'x' * n}" for n in range(1, 12)))
    assert shown.count("<mark") == 6 and "and 5 more" in shown


def test_some_lines_are_offered_and_none_without_a_scope() -> None:
    assert examples_of(SCOPE) == {"lines": [f"Line {n}." for n in range(6)], "count": 4}
    assert examples_of(None) == {"lines": []}

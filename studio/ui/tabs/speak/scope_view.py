"""What a small checkpoint can say, on the page: lines of its words to choose from, and the words that it does not know."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from studio.engine.checkpoints.scope import Scope
from studio.settings import ASSETS

_JS = (ASSETS / "examples.js").read_text(encoding="utf-8")
_SHOWN_LINES, _SHOWN_WORDS = 6, 6


def create_examples(elem_id: str = "examples") -> gr.HTML:
    """Lines to press; it triggers "select" with one. Empty as long as whatever is loaded speaks any text."""
    return gr.HTML(
        value=examples_of(None),  # type: ignore[arg-type]  our own script reads it
        html_template="",
        js_on_load=_JS,
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
    )


def examples_of(scope: Scope | None) -> dict[str, Any]:
    """The value of the component."""
    return {"lines": list(scope.examples[:_SHOWN_LINES]), "count": len(scope.words)} if scope else {"lines": []}


def unknown_html(scope: Scope | None, text: str) -> str:
    """The words of a text that the checkpoint does not know, each with the nearest that it does; "" where there are none."""
    unknown = scope.unknown(text) if scope else []
    if scope is None or not unknown:
        return ""
    words = []
    for word in unknown[:_SHOWN_WORDS]:
        near = " or ".join(f"“{escape(each)}”" for each in scope.nearest(word))
        words.append(f'<li><mark dir="auto">{escape(word[:40])}</mark>{f" → {near}" if near else ""}</li>')
    more = f"<li>and {len(unknown) - _SHOWN_WORDS} more</li>" if len(unknown) > _SHOWN_WORDS else ""
    return (
        '<div class="unknown" role="status">It was not taught these words and will stumble over them:'
        f"<ul>{''.join(words)}{more}</ul></div>"
    )

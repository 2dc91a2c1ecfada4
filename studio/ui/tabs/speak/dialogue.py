"""The dialogue editor: a line for each turn with its voice, drawn by a script of ours inside a gr.HTML component.

gr.Dialogue of Gradio 6 cannot move lines, labels nothing for screen readers, and knows speakers by name only.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from studio.ui.tabs.speak.choices import dialogue_choices
from studio.ui.tabs.speak.form import EMPTY_DIALOGUE, MAX_LINES
from studio.voices.voice import Voice

_JS = (Path(__file__).parents[4] / "assets" / "dialogue.js").read_text(encoding="utf-8")


def create_dialogue(voices: list[Voice]) -> gr.HTML:
    """The editor. Its value is a list of ``{"voice": …, "text": …}``; it triggers "input" once the typing pauses."""
    return gr.HTML(
        value=list(EMPTY_DIALOGUE),  # type: ignore[arg-type]  our own script reads it
        label="Lines",
        html_template="",
        js_on_load=_JS,
        apply_default_css=False,
        padding=False,
        elem_id="dialogue",
        voices=dialogue_choices(voices),
        max_lines=MAX_LINES,
    )


def offer_in_dialogue(voices: list[Voice]) -> gr.HTML:
    """An update that offers these voices and leaves the lines alone."""
    return gr.HTML(voices=dialogue_choices(voices))

"""The dialogue editor: a line for each turn with its voice, drawn by a script of ours inside a gr.HTML component.

gr.Dialogue of Gradio 6 cannot move lines, labels nothing for screen readers, and knows speakers by name only.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.settings import ASSETS
from studio.ui.tabs.speak.form_values import EMPTY_DIALOGUE, MAX_LINES
from studio.ui.tabs.speak.voice_picker import dialogue_choices
from studio.voices.voice import Voice

_JS = (ASSETS / "dialogue.js").read_text(encoding="utf-8")


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
        visible=shown_if(False),
        **props_of(voices),
    )


def shown_if(shown: bool) -> Any:
    """The editor's ``visible``. It is never taken off the page: Gradio 6.31 forgets a component's own properties then."""
    return shown or "hidden"


def offer_in_dialogue(voices: list[Voice]) -> gr.HTML:
    """An update that offers these voices and leaves the lines alone."""
    return gr.HTML(**props_of(voices))


def props_of(voices: list[Voice]) -> dict[str, Any]:
    """What the script needs besides the value: always all of it, for an update replaces the whole."""
    return {"voices": dialogue_choices(voices), "max_lines": MAX_LINES}

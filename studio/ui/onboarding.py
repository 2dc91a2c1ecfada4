"""The first visit: three steps from a first page to hearing one's own voice, shown until they are done."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.services import Services
from studio.ui.events import QUIET
from studio.ui.visitors import owner_of

_STEPS = (
    ("Hear a voice", "A voice and a line are chosen already: press Speak.", "Take me there", "speak"),
    ("Record yours", "Ten seconds, read from the page. The coach says if it is good.", "Record my voice", "voices"),
    ("Hear it speak", "Choose your voice, type a line, press Speak.", "Speak with my voice", "speak"),
)  # fmt: skip


class Walk:
    """A strip above the tabs with the step that comes next, and one button that leads there."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # There from the beginning: what came a second later would push the tabs from under a visitor's finger. Whose walk
        # is over does not see it, which the browser remembers.
        with gr.Row(elem_id="walk", elem_classes="walk", equal_height=True) as self._row:
            self._strip = gr.HTML(_strip_html(0), padding=False)
            self._lead = gr.Button(_STEPS[0][2], size="sm", variant="primary", elem_id="walk-go", min_width=150)
            self._skip = gr.Button("Not now", size="sm", elem_id="walk-skip", min_width=90)
        self._step = gr.State(None)
        self._skipped = gr.State(False)

    def wire(self, page: gr.Blocks, tabs: gr.Tabs) -> None:
        """Look where the visitor is on arrival and every few seconds, until the walk is done."""
        outputs = [self._row, self._strip, self._lead, self._step]
        timer = gr.Timer(3.0)
        looked, remember = [self._step, self._skipped], {"js": "() => window.studio.walked()", **QUIET}
        timer.tick(self._look, looked, [*outputs, timer], queue=False, **QUIET)
        page.load(self._look, looked, [*outputs, timer], queue=False, **QUIET).then(None, None, None, **remember)
        self._lead.click(self._led, self._step, tabs, queue=False, **QUIET)
        self._skip.click(
            lambda: (True, gr.Row(visible=False), gr.Timer(active=False)),
            None, [self._skipped, self._row, timer], queue=False, **QUIET,
        ).then(None, None, None, **{**remember, "js": "() => window.studio.walked(true)"})  # fmt: skip

    def _look(self, before: int | None, skipped: bool, request: gr.Request) -> tuple[Any, ...]:
        """Redraws only when the step is another one."""
        step = len(_STEPS) if skipped else self._present(request)
        if step == before:
            return (gr.skip(),) * 5
        if step >= len(_STEPS):
            return gr.Row(visible=False), gr.skip(), gr.skip(), step, gr.Timer(active=False)
        return gr.Row(visible=True), _strip_html(step), gr.Button(_STEPS[step][2]), step, gr.skip()

    def _present(self, request: gr.Request) -> int:
        """0: nothing spoken yet; 1: no voice of one's own; 2: it has not spoken; 3: done."""
        try:
            owner = owner_of(request, self._services.settings)
            own = {voice.id for voice in self._services.voices(owner).voices() if not voice.preset}
            takes = self._services.takes(owner)
            if own:
                return 3 if takes.any_with(own) else 2
            return 1 if takes.count() else 0
        except StudioError:  # the library is locked or cannot be opened: the tabs say so
            return 3

    def _led(self, step: int | None) -> Any:
        return gr.Tabs(selected=_STEPS[step][3]) if step is not None and step < len(_STEPS) else gr.skip()


def _strip_html(present: int) -> str:
    items = "".join(
        f'<li class="{"done" if number < present else "now" if number == present else "later"}"'
        f"{' aria-current=step' if number == present else ''}><strong>{title}</strong><span>{words}</span></li>"
        for number, (title, words, _, _) in enumerate(_STEPS)
    )
    return f'<ol class="walk-steps" aria-label="First steps">{items}</ol>'

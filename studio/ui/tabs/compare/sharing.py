"""A link by which others vote, and how many did."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.evaluation.voting.tally import Tally
from studio.services import Services
from studio.settings import ASSETS
from studio.ui.events import RAW
from studio.ui.html import error_sentence
from studio.ui.tabs.compare.comparison_html import counted
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
_JS = (ASSETS / "vote_link.js").read_text(encoding="utf-8")
_EXPLAINED = (
    "Whoever has the link can vote, without an account, and sees nothing else of this studio. Everybody hears the pairs in "
    "an order of their own and is counted apart."
)


class Sharing:
    """The components, laid out where this is made."""

    def __init__(self, services: Services) -> None:
        self._services = services
        with gr.Accordion("Let others vote", open=False, elem_id="compare-sharing"):
            gr.HTML(f'<p class="hint">{_EXPLAINED}</p>', padding=False)
            with gr.Row(elem_classes="actions"):
                self._on = gr.Button("Make a link", size="sm", elem_id="compare-share")
                self._off = gr.Button("End the link", size="sm", elem_id="compare-unshare", visible=False)
            self._link = gr.HTML(
                value={"token": "", "trouble": ""},  # type: ignore[arg-type]  our own script reads it
                html_template="",
                js_on_load=_JS,
                apply_default_css=False,
                padding=False,
                elem_id="compare-link",
            )
            self._listeners = gr.HTML(padding=False, elem_id="compare-listeners")
        self.outputs: list[Any] = [self._on, self._off, self._link, self._listeners]

    def wire(self, panel_of: gr.State) -> None:
        """What the buttons do."""
        outputs = [self._on, self._off, self._link]
        self._on.click(self._share, panel_of, outputs, trigger_mode="once", **RAW)
        self._off.click(self._end, panel_of, outputs, trigger_mode="once", **RAW)

    def shown(self, token: str) -> Updates:
        """Whether there is a link, and which."""
        return {
            self._on: gr.Button(visible=not token),
            self._off: gr.Button(visible=bool(token)),
            self._link: {"token": token, "trouble": ""},
        }

    def listeners(self, counts: Tally) -> Updates:
        """How many of the others voted."""
        others = [each for each in counts.listeners if each.listener != "you"]
        votes = sum(each.num_votes for each in others)
        said = f"{counted(len(others), 'listener')} by the link, {counted(votes, 'vote')}." if others else ""
        return {self._listeners: f'<p class="hint" role="status">{said}</p>' if said else ""}

    def _share(self, panel_of: Any, request: gr.Request) -> Updates:
        return self._changed(panel_of, request, on=True)

    def _end(self, panel_of: Any, request: gr.Request) -> Updates:
        return self._changed(panel_of, request, on=False)

    def _changed(self, panel_of: Any, request: gr.Request, *, on: bool) -> Updates:
        try:
            library = self._services.comparisons(owner_of(request, self._services.settings))
            return self.shown(library.share(str(panel_of or ""), on))
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._link: {"token": "", "trouble": error_sentence(error)}}

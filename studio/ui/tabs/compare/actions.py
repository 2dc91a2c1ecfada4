"""What can be done with a comparison: reveal, stop, resume, delete; what cannot be undone is asked for twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.services import Services
from studio.ui.events import QUIET, RAW
from studio.ui.html import card, error_sentence
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
_QUESTIONS = {
    "reveal": (
        "Show which is which in {name}? Your own votes end with that, because they would no longer be blind. Others who "
        "have a link go on.",
        "Yes, show it", "No, I vote on",
    ),
    "delete": (
        "Delete {name} with its takes and all votes? They are gone for good.", "Yes, delete it", "No, keep it",
    ),
}  # fmt: skip
"""What is asked, and both answers."""


class Actions:
    """The buttons, laid out where this is made.

    Attributes:
        reveal: the button that asks for the names.
        outputs: components that :meth:`shown` and the handlers may change.
    """

    def __init__(self, services: Services, wanted: gr.State) -> None:
        self._services, self._wanted = services, wanted
        with gr.Row(elem_classes="actions"):
            self.reveal = gr.Button("Show which is which", size="sm", elem_id="compare-reveal", visible=False)
            self._stop = gr.Button("Stop", size="sm", elem_id="compare-stop", visible=False)
            self._resume = gr.Button("Resume", size="sm", elem_id="compare-resume", visible=False)
            self._delete = gr.Button("Delete", size="sm", elem_id="compare-delete", visible=False)
        with gr.Column(visible=False, elem_id="compare-confirm") as self._confirm:
            self._question = gr.HTML(padding=False, elem_id="compare-confirm-question")
            with gr.Row(elem_classes="actions"):
                self._yes = gr.Button("Yes", size="sm", variant="stop", elem_id="compare-confirm-yes")
                self._no = gr.Button("No", size="sm", elem_id="compare-confirm-no")
        self._outcome = gr.HTML(padding=False, elem_id="compare-said")
        self._wish: Any = gr.State(("", ""))  # what was asked, and of which comparison
        self._buttons = [self.reveal, self._stop, self._resume, self._delete]
        self.outputs: list[Any] = [*self._buttons, self._confirm, self._outcome]

    def wire(self, panel_of: gr.State, look: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
        """What each button does to the comparison in the panel; ``look`` then shows what came of it."""
        changed = [self._outcome, self._confirm, self._wish, self._wanted]
        for button, act in ((self._stop, ComparisonLibrary.stop), (self._resume, ComparisonLibrary.resume)):
            done = button.click(self._acting(act), panel_of, changed, trigger_mode="once", **RAW)
            done.then(look, inputs, outputs, **RAW)
        asked = [self._confirm, self._question, self._yes, self._no, self._wish, self._outcome]
        for button, wish in ((self.reveal, "reveal"), (self._delete, "delete")):
            button.click(self._asks(wish), panel_of, asked, queue=False, preprocess=False, **QUIET)
        self._no.click(
            lambda: (gr.Column(visible=False), ("", "")), None, [self._confirm, self._wish], queue=False, **QUIET
        )
        confirmed = self._yes.click(self._confirmed, [panel_of, self._wish], changed, trigger_mode="once", **RAW)
        confirmed.then(look, inputs, outputs, **RAW)

    def heard(self, *, all_of_them: bool) -> Updates:
        """Once every pair was heard, revealing is what comes next."""
        return {self.reveal: gr.update(variant="primary" if all_of_them else "secondary")}

    def shown(self, comparison: Comparison, *, revealed: bool) -> Updates:
        """The buttons that do something for a comparison as it is."""
        can_stop = comparison.active and comparison.state != "stopping"
        visible = [
            not revealed and comparison.counts.get("made", 0) > 0, can_stop, comparison.can_resume,
            comparison.state not in ("running", "stopping"),
        ]  # fmt: skip
        return {button: gr.update(visible=each) for button, each in zip(self._buttons, visible, strict=True)}

    def cleared(self, *, of_others: bool) -> Updates:
        """Without a question about another one, and without what was said ``of_others``."""
        return {self._confirm: gr.Column(visible=False), **({self._outcome: ""} if of_others else {})}

    # Handlers

    def _library(self, request: gr.Request) -> ComparisonLibrary:
        return self._services.comparisons(owner_of(request, self._services.settings))

    def _guarded(self, do: Callable[[], Updates]) -> Updates:
        try:
            return do()
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._outcome: card(error_sentence(error), "bad"), self._confirm: gr.Column(visible=False)}

    def _acting(self, act: Callable[[ComparisonLibrary, str], Comparison]) -> Callable[..., Updates]:
        def handle(panel_of: Any, request: gr.Request) -> Updates:
            def do() -> Updates:
                found = act(self._library(request), str(panel_of or ""))
                return {self._outcome: "", self._confirm: gr.Column(visible=False), self._wanted: found.id}

            return self._guarded(do)

        return handle

    def _asks(self, wish: str) -> Callable[..., Updates]:
        def ask(panel_of: Any, request: gr.Request) -> Updates:
            def do() -> Updates:
                found = self._library(request).comparison(str(panel_of or ""))
                question, yes, no = _QUESTIONS[wish]
                return {
                    self._confirm: gr.Column(visible=True),
                    self._question: card(question.format(name=found.name), "warn"),
                    self._yes: gr.Button(yes),
                    self._no: gr.Button(no),
                    self._wish: (wish, found.id),
                    self._outcome: "",
                }

            return self._guarded(do)

        return ask

    def _confirmed(self, panel_of: Any, wish: tuple[str, str], request: gr.Request) -> Updates:
        def do() -> Updates:
            closed: Updates = {self._confirm: gr.Column(visible=False), self._wish: ("", "")}
            if wish[1] != panel_of or not panel_of:  # another one was chosen since the question
                return closed
            if wish[0] == "reveal":
                owner = owner_of(request, self._services.settings)
                self._services.blind_session(panel_of, owner).reveal()
                return {**closed, self._outcome: ""}
            if wish[0] != "delete":
                raise StudioError("This question is no longer open: ask again.")
            found = self._library(request).delete(panel_of)
            return {**closed, self._outcome: card(f"{found.name} is deleted with its takes and votes.", "good")}

        return self._guarded(do)

"""What can be done with a run: stop, resume, retry, delete; what cannot be undone is asked for twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.services import Services
from studio.training.job import Job
from studio.training.library import JobLibrary
from studio.ui.events import QUIET, RAW
from studio.ui.html import card, error_sentence
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
SWITCHED_OFF = "Training is switched off on this server by whoever runs it (STUDIO_TRAINING=true switches it on)."


class Actions:
    """The buttons, laid out where this is made.

    Attributes:
        outputs: components that :meth:`shown` and the handlers may change.
        auditioned: state, the id of the audition that was begun last.
    """

    def __init__(self, services: Services, wanted: gr.State) -> None:
        self._services, self._wanted = services, wanted
        with gr.Row(elem_classes="actions"):
            self._stop = gr.Button("Stop and save", size="sm", elem_id="train-stop", visible=False)
            self._stop_now = gr.Button("Stop now", size="sm", elem_id="train-stop-now", visible=False)
            self._resume = gr.Button("Resume", size="sm", variant="primary", elem_id="train-resume", visible=False)
            self._audition = gr.Button("Which checkpoint is best?", size="sm", elem_id="train-audition", visible=False)
            self._retry = gr.Button("Retry", size="sm", elem_id="train-retry", visible=False)
            self._delete = gr.Button("Delete", size="sm", elem_id="train-delete", visible=False)
        with gr.Column(visible=False, elem_id="train-confirm") as self._confirm:
            self._question = gr.HTML(padding=False, elem_id="train-confirm-question")
            with gr.Row(elem_classes="actions"):
                self._yes = gr.Button("Yes", size="sm", variant="stop", elem_id="train-confirm-yes")
                self._no = gr.Button("No", size="sm", elem_id="train-confirm-no")
        self._outcome = gr.HTML(padding=False, elem_id="train-run-outcome")
        self.auditioned = gr.State("")
        self._wish = gr.State(("", ""))  # what was asked, and of which run
        self._buttons = [self._stop, self._stop_now, self._resume, self._audition, self._retry, self._delete]
        self.outputs: list[Any] = [*self._buttons, self._confirm, self._outcome]

    def wire(self, chosen: gr.Radio, look: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
        """What each button does; ``look`` then shows what came of it."""
        # Through the queue: only there may one event follow another.
        changed = [self._outcome, self._confirm, self._wish, self._wanted]
        for button, act in (
            (self._stop, lambda library, job: (library.stop(job), "")),
            (self._resume, lambda library, job: (library.resume(job), "")),
            (self._retry, lambda library, job: (library.retry(job), "It runs again, as a new run.")),
        ):
            done = button.click(self._acting(act), chosen, changed, **RAW)
            done.then(look, inputs, outputs, **RAW)
        for button, wish in ((self._stop_now, "stop"), (self._delete, "delete")):
            asked = [self._confirm, self._question, self._yes, self._no, self._wish, self._outcome]
            button.click(self._asks(wish), chosen, asked, queue=False, preprocess=False, **QUIET)
        self._audition.click(self._auditions, chosen, [self._outcome, self.auditioned], trigger_mode="once", **RAW)
        self._no.click(
            lambda: (gr.Column(visible=False), ("", "")), None, [self._confirm, self._wish], queue=False, **QUIET
        )
        confirmed = self._yes.click(self._confirmed, [chosen, self._wish], changed, **RAW)
        confirmed.then(look, inputs, outputs, **RAW)

    def shown(self, job: Job) -> Updates:
        """The buttons that do something for a run in its present state."""
        heard = job.ended and not job.spec.full_parameter and bool(job.folder.checkpoints())
        visible = [
            job.can_stop, job.active and job.state != "queued", job.can_resume, heard, job.can_retry, job.can_delete,
        ]  # fmt: skip
        return {button: gr.Button(visible=each) for button, each in zip(self._buttons, visible, strict=True)}

    def cleared(self, *, of_others: bool) -> Updates:
        """Without a question about another run, and without what was said ``of_others``."""
        return {self._confirm: gr.Column(visible=False), **({self._outcome: ""} if of_others else {})}

    # Handlers

    def _library(self, request: gr.Request) -> JobLibrary:
        if not self._services.settings.may_train:
            raise StudioError(SWITCHED_OFF)
        return self._services.jobs(owner_of(request, self._services.settings))

    def _guarded(self, do: Callable[[], Updates]) -> Updates:
        try:
            return do()
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._outcome: card(error_sentence(error), "bad"), self._confirm: gr.Column(visible=False)}

    def _auditions(self, chosen: Any, request: gr.Request) -> tuple[Any, Any]:
        """Begin an audition of the run; the page then turns to it."""
        try:
            owner = owner_of(request, self._services.settings)
            begun = self._services.auditions(owner).start(self._library(request).job(str(chosen or "")).id)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip()
        return "", begun.id

    def _acting(self, act: Callable[[JobLibrary, str], tuple[Job, str]]) -> Callable[..., Updates]:
        def handle(chosen: Any, request: gr.Request) -> Updates:
            def do() -> Updates:
                job, said = act(self._library(request), str(chosen or ""))
                return {
                    self._outcome: card(said) if said else "",
                    self._confirm: gr.Column(visible=False),
                    self._wanted: job.id,
                }

            return self._guarded(do)

        return handle

    def _asks(self, wish: str) -> Callable[..., Updates]:
        def ask(chosen: Any, request: gr.Request) -> Updates:
            def do() -> Updates:
                job = self._library(request).job(str(chosen or ""))
                question = (
                    f"Delete {job.name} with its checkpoints, its samples and its log? What was trained is gone for good."
                    if wish == "delete"
                    else f"Stop {job.name} at once? What it learnt since its last checkpoint is lost."
                )
                return {
                    self._confirm: gr.Column(visible=True),
                    self._question: card(question, "warn"),
                    self._yes: gr.Button("Yes, delete it" if wish == "delete" else "Yes, stop it now"),
                    self._no: gr.Button("No, keep it" if wish == "delete" else "No, go on"),
                    self._wish: (wish, job.id),
                    self._outcome: "",
                }

            return self._guarded(do)

        return ask

    def _confirmed(self, chosen: Any, wish: tuple[str, str], request: gr.Request) -> Updates:
        def do() -> Updates:
            library, closed = self._library(request), {self._confirm: gr.Column(visible=False), self._wish: ("", "")}
            if wish[1] != chosen or not chosen:  # another run was chosen since the question
                return closed
            if wish[0] == "stop":
                library.stop(chosen, now=True)
                return {**closed, self._outcome: ""}
            job = library.delete(chosen)
            return {**closed, self._outcome: card(f"{job.name} and its files are deleted.", "good")}

        return self._guarded(do)

"""All runs of the visitor, and everything about the chosen one. A timer looks; only what is news is drawn."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import gradio as gr

from studio.services import Services
from studio.training.job import Job
from studio.training.library import JobLibrary
from studio.training.monitoring.progress import Progress
from studio.ui.events import AT_ONCE, CHOICE, RAW, unless_sent
from studio.ui.html import card, error_sentence
from studio.ui.shown_state import Seen, stamp
from studio.ui.staging import Staging
from studio.ui.tabs.train.runs.actions import Actions
from studio.ui.tabs.train.runs.curves import Curves
from studio.ui.tabs.train.runs.log_and_command import Details
from studio.ui.tabs.train.runs.run_html import chosen_step, findings_html, headline, job_line, step_choices
from studio.ui.tabs.train.runs.samples import Listening
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
TICK_SECONDS = 2.0
_NONE = '<p class="hint">No runs yet: what you start is listed here, whether it runs, waits or has ended.</p>'
_MAX_ENDED = 512


class Runs:
    """The list and the panel.

    Args:
        wanted: state, the id of a run that is to be chosen next.
        news: state, see :class:`studio.ui.tabs.train.TrainTab`.
    """

    def __init__(
        self, services: Services, staging: Staging, remembered: gr.JSON, wanted: gr.State, news: gr.State
    ) -> None:
        self._services, self._staging = services, staging
        self._remembered, self._wanted, self._news = remembered, wanted, news
        self._seen = gr.JSON(visible=False)
        self._picked = gr.State(False)  # whether the visitor chose the step that is heard
        self._reads_log = gr.State(False)
        self._ended: OrderedDict[tuple[Any, ...], Progress] = OrderedDict()

    def lay_out_list(self) -> None:
        gr.Markdown("### Runs", elem_classes="step")
        self._jobs = gr.Radio(
            label="Runs", show_label=False, container=False, choices=[], elem_id="train-jobs", elem_classes="card-list"
        )
        self._empty = gr.HTML(_NONE, padding=False, elem_id="train-jobs-empty")

    def lay_out_panel(self) -> None:
        """The chosen run."""
        with gr.Column(visible=False, elem_id="train-panel", elem_classes="train-panel") as self._panel:
            self._headline = gr.HTML(padding=False, elem_id="train-headline")
            self._actions = Actions(self._services, self._wanted)
            self._findings = gr.HTML(padding=False, elem_id="train-findings")
            self._curves = Curves()
            self._curves.lay_out_controls()
            with gr.Row(equal_height=False, elem_classes="train-curves"):
                with gr.Column(scale=7, min_width=320):
                    self._curves.lay_out_losses()
                with gr.Column(scale=4, min_width=280, elem_classes="train-heard"):
                    self._listening = Listening(self._staging)
            self._curves.lay_out_rest()
            self._details = Details(self._services.settings)

    @property
    def auditioned(self) -> gr.State:
        """The id of the audition that was begun last."""
        return self._actions.auditioned

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`look` may change."""
        return [
            self._jobs, self._empty, self._panel, self._headline, self._findings, *self._actions.outputs,
            *self._curves.outputs, *self._listening.outputs, *self._details.outputs, self._wanted, self._picked,
            self._seen,
        ]  # fmt: skip

    @property
    def inputs(self) -> list[Any]:
        """Inputs of :meth:`look`, in its order."""
        return [
            self._jobs, self._wanted, self._seen, *self._curves.controls, self._listening.step, self._picked,
            self._reads_log, self._remembered,
        ]  # fmt: skip

    def wire(self, tab: gr.Tab) -> gr.Timer:
        """Wire it; returns the timer, which runs while the tab is seen."""
        # Raw values: a run that was deleted in another window is still chosen in this one.
        timer = gr.Timer(TICK_SECONDS, active=False)
        inputs, outputs, listening = self.inputs, self.outputs, self._listening
        timer.tick(self.look, inputs, outputs, **AT_ONCE)
        tab.select(self.look, inputs, outputs, **CHOICE, **AT_ONCE)
        self._jobs.input(self.look, inputs, outputs, **CHOICE, **AT_ONCE)
        self._jobs.change(None, self._jobs, None, js="(job) => { if (job) window.studio.remember('job', job); }", **RAW)
        self._curves.wire(self.look, inputs, outputs, **AT_ONCE)
        # From then on the choice stays, and what is being heard is not replaced by what is newer.
        for event in (listening.step.input, *(player.play for player in listening.players)):
            picked = event(lambda: True, None, self._picked, **CHOICE, **RAW)
            picked.then(self.look, inputs, outputs, **CHOICE, **RAW)
        for event, opened in ((self._details.log_box.expand, True), (self._details.log_box.collapse, False)):
            event(lambda opened=opened: opened, None, self._reads_log, **RAW).then(self.look, inputs, outputs, **RAW)
        self._actions.wire(self._jobs, self.look, inputs, outputs)
        listening.speak.click(self._speak, [self._jobs, listening.step, self._news], self._news, **RAW)
        return timer

    # Looking

    def look(
        self, chosen: str | None, wanted: str | None, shown: Any, smoothing: Any, log_scale: Any, compare: Any,
        step: Any, picked: Any, reads_log: Any, kept: Any, request: gr.Request,
    ) -> Updates:  # fmt: skip
        """What is news since the page was drawn last. Cheap where nothing is."""
        seen, sent_step = Seen(shown), step
        before = seen.value
        try:
            library = self._services.jobs(owner_of(request, self._services.settings))
            jobs = library.jobs()
            job = _choice(jobs, wanted, chosen, kept)
            updates: Updates = {self._wanted: None} if wanted else {}
            turned = seen.turned_to(job.id if job else "")
            updates |= self._listed(library, jobs, job, chosen, seen)
            if job is None:
                updates |= {self._panel: gr.Column(visible=False)} if turned else {}
            else:
                if turned:
                    step, picked = None, False
                    updates |= {self._panel: gr.Column(visible=True), self._picked: False}
                    # What was said of a run stays where it led to this one: it was deleted, or runs again.
                    updates |= self._actions.cleared(of_others=chosen == job.id)
                updates |= self._about(library, job, seen, reads_log is True)
                updates |= self._drawn(library, jobs, job, seen, smoothing, log_scale is True, compare)
                updates |= self._heard(library, job, seen, step if picked else None, sent_step)
            if seen.is_news("trouble", ""):
                updates |= {self._empty: "" if jobs else _NONE}
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            sentence = error_sentence(error)
            updates = {self._empty: card(sentence, "bad")} if seen.forget(sentence) else {}
        if seen.value != before:
            updates[self._seen] = seen.value
        return updates or {self._empty: gr.skip()}

    def _listed(self, library: JobLibrary, jobs: list[Job], job: Job | None, chosen: str | None, seen: Seen) -> Updates:
        choices = [(job_line(each, self._progress(library, each)), each.id) for each in jobs]
        value = job.id if job else None
        if not seen.is_news("list", choices) and value == chosen:
            return {}
        return {
            self._jobs: gr.Radio(choices=choices, visible=bool(choices), **unless_sent(value, chosen)),
            self._empty: "" if choices else _NONE,
        }

    def _progress(self, library: JobLibrary, job: Job) -> Progress:
        """How far a job is; that of one that has ended is looked up once."""
        if job.active:
            return library.progress(job)
        key = (job.id, job.runs, job.ended_at, job.state)
        if key not in self._ended:
            self._ended[key] = library.progress(job)
            while len(self._ended) > _MAX_ENDED:
                self._ended.popitem(last=False)
        return self._ended[key]

    def _about(self, library: JobLibrary, job: Job, seen: Seen, reads_log: bool) -> Updates:
        updates: Updates = {}
        said = headline(job, library.progress(job))
        if seen.is_news("headline", said):
            updates[self._headline] = said
        if seen.is_news("actions", (job.state, job.can_resume)):
            updates |= self._actions.shown(job)
        if seen.is_news("command", (job.id, job.runs)):
            updates |= self._details.command(job, library)
        if reads_log:
            tail = library.log_tail(job)
            if seen.is_news("log", tail):
                updates |= self._details.log(tail, library)
        return updates

    def _drawn(
        self, library: JobLibrary, jobs: list[Job], job: Job, seen: Seen, smoothing: Any, log_scale: bool, compare: Any,
    ) -> Updates:  # fmt: skip
        updates: Updates = {}
        if seen.is_news("others", [(each.id, each.name) for each in jobs]):
            updates |= self._curves.offered(jobs, job, compare)
        other = next((each for each in jobs if each.id == compare and each.id != job.id), None)
        log, other_log = library.run_log(job), library.run_log(other) if other else None
        smoothing = min(max(float(smoothing), 0.0), 0.99) if isinstance(smoothing, int | float) else 0.0
        drawn_from = (log.version, log.step, smoothing, log_scale, compare, other_log.version if other_log else None)
        if seen.is_news("curves", drawn_from):
            beside = (other.name, other_log) if other and other_log else None
            updates |= self._curves.drawn(job, log, beside, smoothing, log_scale)
        return updates

    def _heard(self, library: JobLibrary, job: Job, seen: Seen, step: int | None, sent_step: Any) -> Updates:
        """Samples, and what they and the curves say."""
        news, comparisons = stamp(job.folder.samples / "samples.jsonl"), library.comparisons(job)
        updates: Updates = {}
        log = library.run_log(job)
        if seen.is_news("findings", (log.version, news, comparisons, job.state)):
            said = findings_html(library.findings(job))
            if seen.is_news("findings said", said):
                updates[self._findings] = said
        samples, registered = library.samples(job), sorted(comparisons)
        step = chosen_step(samples, registered, step)
        if seen.is_news("steps", (step_choices(samples, registered), registered, step)):
            updates |= self._listening.offered(samples, registered, step, sent_step)
        heard = next((each for each in samples if each.step == step), None)
        # Not the time of the list of samples: what is being heard must not begin anew because something else is there.
        if seen.is_news("heard", (step, heard, [stamp(each.path) for each in heard.samples] if heard else [])):
            updates |= self._listening.shown(job, heard, step)
        return updates

    def _speak(self, chosen: str | None, step: int | None, told: dict[str, Any], request: gr.Request) -> Any:
        """Hand the adapter of the chosen checkpoint over to *Speak*."""
        try:
            adapters = self._services.adapters(owner_of(request, self._services.settings)).adapters()
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            gr.Warning(error_sentence(error))
            return gr.skip()
        adapter = next((each for each in adapters if each.job_id == chosen and each.step == step), None)
        return {"count": told["count"] + 1, "adapter": adapter.id} if adapter else gr.skip()


def _choice(jobs: list[Job], wanted: str | None, chosen: str | None, kept: Any) -> Job | None:
    """The run to show: the one that is asked for, the one that is shown, the one from before a reload; else the one that
    runs, else the newest.
    """
    by_id = {job.id: job for job in jobs}
    remembered = kept.get("job") if isinstance(kept, dict) else None
    before = remembered[0] if isinstance(remembered, list) and remembered else None
    for job_id in (wanted, chosen, before):
        if isinstance(job_id, str) and job_id in by_id:
            return by_id[job_id]
    return next((job for job in jobs if job.active), jobs[0] if jobs else None)

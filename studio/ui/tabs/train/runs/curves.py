"""The curves of a run, and what can be changed about how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from studio.training.job import Job
from studio.training.monitoring.run_log import RunLog
from studio.ui.events import CHOICE, unless_sent
from studio.ui.figures import plot, shown
from studio.ui.tabs.train.runs import plots

_NOT_YET = "The curves begin with the first step that is logged."
NO_OTHER = ""
_LARGE_HEIGHT = 400


class Curves:
    """Controls and plots. They are laid out by their own methods, because other things stand between them.

    Attributes:
        controls: smoothing, log scale and the run to compare with.
    """

    def lay_out_controls(self) -> None:
        """The row above the plots."""
        with gr.Row(elem_classes="curve-controls"):
            smoothing = gr.Slider(
                0, 0.99, value=0.6, step=0.01, label="Smoothing", elem_id="train-smoothing", min_width=180, scale=2
            )
            compare = gr.Dropdown(
                label="Compare with", choices=[("No other run", NO_OTHER)], value=NO_OTHER, elem_id="train-compare",
                min_width=180, scale=2,
            )  # fmt: skip
            log_scale = gr.Checkbox(label="Log scale", elem_id="train-log-scale", min_width=110, scale=1)
        self._compare = compare
        self.controls: list[Any] = [smoothing, log_scale, compare]

    def lay_out_losses(self) -> None:
        """The large plot."""
        self._losses = plot("train-losses", "curves-large")

    def lay_out_rest(self) -> None:
        """The smaller ones."""
        with gr.Row(elem_classes="curves-row"):
            with gr.Column(min_width=280, scale=1):
                self._codebooks = plot("train-codebooks")
            with gr.Column(min_width=280, scale=1):
                self._rates = plot("train-rates")
            with gr.Column(min_width=280, scale=1):
                self._gradient = plot("train-gradient")

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`drawn` and :meth:`offered` may change."""
        return [self._losses, self._codebooks, self._rates, self._gradient, self._compare]

    def wire(self, look: Any, inputs: Sequence[Any], outputs: Sequence[Any], **how: Any) -> None:
        """Draw anew when a control changes; while it is being drawn, only the last change counts."""
        smoothing, log_scale, compare = self.controls
        gr.on([smoothing.change, log_scale.input, compare.input], look, inputs, outputs, **CHOICE, **how)

    def offered(self, jobs: Sequence[Job], chosen: Job, present: str | None) -> dict[Any, Any]:
        """The other runs, to compare with."""
        others = [(f"{each.name} · {each.created_at:%d %b %H:%M}", each.id) for each in jobs if each.id != chosen.id]
        value = present if present in {job_id for _, job_id in others} else NO_OTHER
        return {
            self._compare: gr.Dropdown(choices=[("No other run", NO_OTHER), *others], **unless_sent(value, present))
        }

    def drawn(
        self, job: Job, log: RunLog, other: tuple[str, RunLog] | None, smoothing: float, log_scale: bool
    ) -> dict[Any, Any]:
        """All four plots."""
        how: dict[str, Any] = {"smoothing": smoothing, "log_scale": log_scale}
        beside: dict[str, Any] = {"compare": other[1], "compare_name": other[0]} if other else {}
        drawn = {
            self._losses: plots.losses(log, **how, **beside).update_layout(height=_LARGE_HEIGHT),
            # Narrow: its legend would run into itself on one line.
            self._codebooks: plots.codebooks(log, **how).update_layout(legend={"entrywidth": 0.25}),
            self._rates: plots.learning_rates(log),
            self._gradient: plots.gradient_norm(log, **how),
        }
        return {
            component: shown(figure, job.id, _NOT_YET if component is self._losses else "")
            for component, figure in drawn.items()
        }

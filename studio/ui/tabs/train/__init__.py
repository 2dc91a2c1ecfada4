"""*Train*: rows, base and preset become a run that needs no browser; its curves, and what it sounds like on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.services import Services
from studio.ui.figures import plotly
from studio.ui.html import card
from studio.ui.staging import Staging
from studio.ui.tabs.train.new_run import NewRun
from studio.ui.tabs.train.runs.actions import SWITCHED_OFF
from studio.ui.tabs.train.runs.runs import Runs


@dataclass(frozen=True)
class TrainTab:
    """What the page needs of the tab.

    Attributes:
        news: changes when somebody wants to speak with a checkpoint: ``{"count", "adapter": its id}``.
        auditioned: changes when an audition of a run is begun: its id.
        timer: looks at the runs; to be stopped when another tab is shown.
        restore: fills the form on arrival, from what the browser remembers.
    """

    news: gr.State
    auditioned: gr.State
    timer: gr.Timer
    restore: Callable[..., dict[Any, Any]]
    restore_outputs: list[Any]


def create_train_tab(tab: gr.Tab, services: Services, remembered: gr.JSON) -> TrainTab:
    """Lay the tab out and wire it."""
    may = services.settings.may_train
    news, wanted = gr.State({"count": 0, "adapter": None}), gr.State(None)
    runs = Runs(services, Staging(services.settings.page_cache_folder), remembered, wanted, news)
    if not may:
        gr.HTML(card(SWITCHED_OFF), padding=False, elem_id="train-off")
    with gr.Column(visible=may):
        with gr.Row(equal_height=False, elem_classes="train-columns"):
            with gr.Column(scale=6, min_width=320, elem_classes="train-form"):
                new_run = NewRun(services, remembered, wanted)
            with gr.Column(scale=5, min_width=320):
                runs.lay_out_list()
        plotly()
        runs.lay_out_panel()
    timer = runs.wire(tab) if may else gr.Timer(active=False)
    new_run.wire(tab, runs.look, runs.inputs, runs.outputs)
    return TrainTab(news, runs.auditioned, timer, new_run.restore, new_run.restored)

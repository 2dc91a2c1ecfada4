"""*Compare*: systems on the same texts, heard in pairs without knowing which is which, until it is known which is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.services import Services
from studio.ui.figures import plotly
from studio.ui.staging import Staging
from studio.ui.tabs.compare.comparisons import Comparisons
from studio.ui.tabs.compare.new_comparison import NewComparison


@dataclass(frozen=True)
class CompareTab:
    """What the page needs of the tab.

    Attributes:
        news: changes when somebody wants to speak with a trained voice: ``{"count", "adapter": its id}``.
        timer: looks at the comparisons; to be stopped when another tab is shown.
        restore: fills the form on arrival, from what the browser remembers.
        wanted: set to the id of a comparison, it is shown next.
        examples: lines that the checkpoint was taught; empty where it speaks any text.
    """

    news: gr.State
    timer: gr.Timer
    restore: Callable[..., dict[Any, Any]]
    restore_outputs: list[Any]
    wanted: gr.State
    examples: gr.HTML


def create_compare_tab(tab: gr.Tab, services: Services, remembered: gr.JSON) -> CompareTab:
    """Lay the tab out and wire it."""
    news, wanted = gr.State({"count": 0, "adapter": None}), gr.State(None)
    comparisons = Comparisons(services, Staging(services.settings.page_cache_folder), remembered, wanted, news)
    with gr.Row(equal_height=False, elem_classes="train-columns compare-columns"):
        with gr.Column(scale=5, min_width=320, elem_classes="train-form"):
            comparisons.lay_out_list()
            new_comparison = NewComparison(services, wanted)
        with gr.Column(scale=7, min_width=320):
            plotly()
            comparisons.lay_out_panel()
    timer = comparisons.wire(tab)
    new_comparison.wire(tab, comparisons.look, comparisons.inputs, comparisons.outputs)
    return CompareTab(news, timer, new_comparison.restore, new_comparison.restored, wanted, new_comparison.examples)

"""The *Dataset* tab: recordings become a set; what looks wrong with it is looked at; the set is trained on or given away."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from studio.services import Services
from studio.ui.staging import Staging
from studio.ui.tabs.dataset.new_set import NewSet
from studio.ui.tabs.dataset.pairs import Pairs
from studio.ui.tabs.dataset.review import Review
from studio.ui.tabs.dataset.sets import Sets


@dataclass(frozen=True)
class DatasetTab:
    """What the page needs of the tab.

    Attributes:
        timer: runs while the tab is seen.
        changed: to be changed whenever something of a set did.
        handed: changes when an utterance is to become a voice.
    """

    timer: gr.Timer
    changed: gr.State
    handed: gr.State


def create_dataset_tab(tab: gr.Tab, services: Services, remembered: gr.JSON) -> DatasetTab:
    """Lay the tab out and wire it."""
    staging = Staging(services.settings.page_cache_folder)
    # Changes whenever something of a set did: whoever shows it looks again.
    changed = gr.State("")
    with gr.Row(equal_height=False, elem_classes="train-columns"):
        with gr.Column(scale=5, min_width=320):
            new_set = NewSet(services, changed)
            sets = Sets(services, staging, changed)
            sets.lay_out_list()
        with gr.Column(scale=7, min_width=320):
            sets.lay_out_panel()
            pairs = Pairs(services, sets.chosen, changed)
            review = Review(services, staging, sets.chosen, changed, remembered)
    timer = gr.Timer(1.5, active=False)
    new_set.wire(timer)
    sets.wire(tab, timer)
    pairs.wire()
    review.wire()
    return DatasetTab(timer, changed, review.handed)

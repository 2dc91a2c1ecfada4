"""*Voices*: record or upload a clip, hear what the coach says, and keep it as a voice; the library of those kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.services import Services
from studio.ui.tabs.voices.form import lay_out_form
from studio.ui.tabs.voices.library import Shelf
from studio.ui.tabs.voices.new_voice import Recorder
from studio.ui.tabs.voices.news import NOTHING_NEW


@dataclass(frozen=True)
class VoicesTab:
    """What the page needs of the tab.

    Attributes:
        news: changes whenever the library did; see :func:`studio.ui.tabs.voices.news.changed`.
        restore: fills the tab on arrival, from what the browser remembers.
        take_over: shows a clip that another tab made the unsaved one of this page, and brings the visitor to it; takes what
            was handed over and what ``taking`` names, changes ``taken`` and the tabs.
        offer: shows the library anew; takes what ``offer_inputs`` names.
    """

    news: gr.State
    restore: Callable[..., Any]
    restore_outputs: list[Any]
    take_over: Callable[..., Any]
    taking: list[Any]
    taken: list[Any]
    offer: Callable[..., Any]
    offer_inputs: list[Any]
    offer_outputs: list[Any]


def create_voices_tab(services: Services, remembered: gr.JSON) -> VoicesTab:
    """Lay the tab out and wire it."""
    news = gr.State(NOTHING_NEW)
    with gr.Row(equal_height=False, elem_classes="voices-columns"):
        with gr.Column(scale=6, min_width=320):
            recorder = Recorder(services, lay_out_form(), remembered, news)
        with gr.Column(scale=5, min_width=320):
            shelf = Shelf(services, recorder, news)

    def restore(kept: Any, request: gr.Request) -> dict[Any, Any]:
        return {**recorder.restore(kept, request), **shelf.offer(request)}

    return VoicesTab(
        news,
        restore,
        [*recorder.restored, *shelf.outputs],
        recorder.take_over,
        recorder.taking,
        recorder.taken,
        shelf.offer_news,
        shelf.news_inputs,
        shelf.outputs,
    )

"""With open eyes: the takes of one text side by side, seen, heard and measured. Only for whoever has revealed the names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from studio.audio.writing import encode_audio
from studio.errors import StudioError
from studio.evaluation.comparison.comparison import ComparedTake, Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.comparison.looking import Looked, looked_at, measure_takes, takes_of
from studio.evaluation.measures import Listeners
from studio.services import Services
from studio.ui.background_task import at_work, told
from studio.ui.events import CHOICE, QUIET
from studio.ui.figures import plot, shown
from studio.ui.html import card, error_sentence
from studio.ui.staging import Staging
from studio.ui.tabs.compare.side_by_side import figure_of, figures_html, takes_html
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
_NOTHING: dict[str, Any] = {"data": [], "none": ""}


class Sighted:
    """The components, laid out where this is made."""

    def __init__(self, services: Services, staging: Staging) -> None:
        self._services, self._staging = services, staging
        with gr.Accordion("Side by side", open=False, visible=False, elem_id="compare-sighted") as self._box:
            self._which = gr.Dropdown(label="Text", choices=[], value=None, elem_id="compare-text")
            with gr.Row(elem_classes="actions"):
                self._measure = gr.Button("Measure these", size="sm", elem_id="compare-measure")
            self._said = gr.HTML(padding=False, elem_id="compare-sighted-said")
            self._players = gr.HTML(padding=False, elem_id="compare-players")
            self._plot = plot("compare-plot", "curves-tall")
            self._figures = gr.HTML(padding=False, elem_id="compare-figures")
        self.outputs: list[Any] = [self._box, self._which, *self._drawn]

    @property
    def _drawn(self) -> list[Any]:
        return [self._said, self._players, self._plot, self._figures]

    def wire(self, panel_of: gr.State) -> None:
        """Draw when it is opened, and when another text is chosen."""
        inputs = [panel_of, self._which]
        # One at a time for each visitor, and few at once: pitch and spectrograms take some seconds of a core.
        how: dict[str, Any] = {**QUIET, "preprocess": False, "concurrency_limit": 2, **CHOICE}
        self._box.expand(self._look, inputs, self._drawn, **how)
        self._which.input(self._look, inputs, self._drawn, **how)
        self._measure.click(self._measured, inputs, self._drawn, **{**how, "trigger_mode": "once"})

    def cleared(self) -> Updates:
        """Of another comparison."""
        return {
            self._box: gr.Accordion(visible=False, open=False), self._said: "", self._players: "", self._plot: _NOTHING,
            self._figures: "",
        }  # fmt: skip

    def offered(self, library: ComparisonLibrary, comparison: Comparison) -> Updates:
        """The texts of which there are takes."""
        there = {(take.text, take.seed) for take in library.takes(comparison.id) if take.can_play}
        many = len(comparison.plan.seeds) > 1
        choices = [
            (f"{words}{f' · reading {at}' if many else ''}", f"{text} {seed}")
            for text, words in enumerate(comparison.texts)
            for at, seed in enumerate(comparison.plan.seeds, 1)
            if (text, seed) in there
        ]
        first = choices[0][1] if choices else None
        return {
            self._box: gr.Accordion(visible=bool(choices)), self._which: gr.Dropdown(choices=choices, value=first)
        }  # fmt: skip

    # Events

    def _look(self, panel_of: Any, which: Any, request: gr.Request) -> Iterator[Updates]:
        yield from self._done(panel_of, which, request, measure=False)

    def _measured(self, panel_of: Any, which: Any, request: gr.Request) -> Iterator[Updates]:
        yield from self._done(panel_of, which, request, measure=True)

    def _done(self, panel_of: Any, which: Any, request: gr.Request, *, measure: bool) -> Iterator[Updates]:
        owner = owner_of(request, self._services.settings)
        library = self._services.comparisons(owner)

        def work(announce: Any) -> tuple[list[Looked], list[str]]:
            announce("The takes are looked at …")
            comparison = library.comparison(str(panel_of or ""))
            if not self._services.blind_session(comparison.id, owner).has_revealed():
                raise StudioError("This shows which is which: press Show which is which first.")
            takes = self._takes(library, comparison, which)
            if measure:
                listeners = Listeners.from_settings(self._services.settings)
                measure_takes(library, comparison, takes, listeners, self._services.voices(owner), tell=announce)
                takes = self._takes(library, comparison, which)
            listeners = Listeners.from_settings(self._services.settings, recognise=False)
            labels = [comparison.system(each.system_id).label for each in takes]
            return looked_at(takes, listeners), labels

        for news in told(work):
            if isinstance(news, str):
                yield {self._said: at_work(news)}
            elif news.result is None:
                yield {self._said: card(error_sentence(news.error or RuntimeError("nothing")), "bad")}
            else:
                yield self._shown(*news.result, of=f"{panel_of} {which}")

    def _takes(self, library: ComparisonLibrary, comparison: Comparison, which: Any) -> list[ComparedTake]:
        parts = str(which or "").split()
        if len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise StudioError("Choose a text first.")
        takes = takes_of(library, comparison, int(parts[0]), int(parts[1]))
        if not takes:
            raise StudioError("There is nothing of this text to be heard: choose another.")
        return takes

    def _shown(self, looked: list[Looked], labels: list[str], *, of: str) -> Updates:
        takes = [each.take for each in looked]
        try:
            addresses = [f"gradio_api/file={self._copy(each)}" for each in looked]
        except StudioError as error:
            return {self._said: card(str(error), "bad")}
        return {
            self._said: "",
            self._players: takes_html(takes, labels, addresses),
            self._plot: shown(figure_of(looked, labels), of),
            self._figures: figures_html(takes, labels),
        }

    def _copy(self, looked: Looked) -> str:
        def write(path: Path) -> None:
            path.write_bytes(encode_audio(looked.sound, "wav", synthetic=looked.take.synthetic))

        return self._staging.copy(f"side by side {looked.take.id}", "take.wav", write)

"""What an audition says of the checkpoints of a run: one proposed with its reason, the figures by step, the way to use it."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from studio.errors import StudioError
from studio.evaluation.audition.audition import Audition
from studio.evaluation.audition.intervals import Interval
from studio.evaluation.audition.table import FIGURES, AuditionTable, SystemFigures
from studio.services import Services
from studio.ui.events import RAW
from studio.ui.figures import base_figure, plot, shown
from studio.ui.html import card, error_sentence
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
_COLOURS = ("#8a63f0", "#0c9488", "#d9770b", "#5b67e8")
_SHARES = ("wer", "end_rate")
"""Figures that people read as percent."""
_PLOTS = {
    "similarity": "Similarity to the reference",
    "wer": "Words that are wrong, %",
    "end_rate": "Takes that end by themselves, %",
}
_LOSSES = {
    "eval_audio_loss": "Audio loss on held-out rows",
    "eval_loss": "Loss on held-out rows",
    "audio_loss": "Audio loss in training",
    "loss": "Loss in training",
}


class Auditioned:
    """The components, laid out where this is made.

    Args:
        news: state, see :class:`studio.ui.tabs.compare.CompareTab`.
    """

    def __init__(self, services: Services, news: gr.State) -> None:
        self._services, self._news = services, news
        with gr.Column(visible=False, elem_id="compare-audition") as self._box:
            self._told = gr.HTML(padding=False, elem_id="compare-proposal")
            with gr.Row(elem_classes="actions"):
                self._use = gr.Button("Use it", size="sm", variant="primary", visible=False, elem_id="compare-use-best")
            self._said = gr.HTML(padding=False, elem_id="compare-use-said")
            self._plots: list[Any] = []
            for pair in (("similarity", "wer"), ("end_rate", "loss")):
                with gr.Row(elem_classes="curves-row"):
                    for name in pair:
                        with gr.Column(min_width=260, scale=1):
                            self._plots.append(plot(f"compare-by-step-{name}", "curves-low"))
        self.outputs: list[Any] = [self._box, self._told, self._use, self._said, *self._plots]

    def wire(self, panel_of: gr.State) -> None:
        """What the button does."""
        self._use.click(self._use_it, [panel_of, self._news], [self._said, self._news], trigger_mode="once", **RAW)

    def cleared(self) -> Updates:
        """Of another comparison."""
        return {self._box: gr.Column(visible=False), self._said: ""}

    def shown(self, found: Audition) -> Updates:
        """As far as it is."""
        figures = [_by_step(found.table, name, title) for name, title in _PLOTS.items()]
        winner = found.winner
        drawn = zip(self._plots, [*figures, _losses(found.table)], strict=True)
        return {
            self._box: gr.Column(visible=True),
            self._told: audition_html(found),
            self._use: gr.Button(
                f"Use {winner.name}" if winner else "Use it", visible=winner is not None and not winner.system.gone
            ),
            **{place: shown(figure, found.id) for place, figure in drawn},
        }

    def _use_it(self, panel_of: Any, told: dict[str, Any], request: gr.Request) -> tuple[Any, Any]:
        """Let the voice wear what is proposed; where no voice of the library is meant, hand it over to *Speak*."""
        try:
            owner = owner_of(request, self._services.settings)
            auditions = self._services.auditions(owner)
            found = auditions.audition(str(panel_of or ""))
            if found.winner is None:
                raise StudioError("No checkpoint is proposed: the base is spoken with without one.")
            comparison = found.comparison
            proposed = comparison.plan.systems[comparison.systems.index(found.winner.system)]
            self._services.adapters(owner).usable(proposed.adapter)
            try:
                voice = auditions.use(found.id)
            except StudioError:  # a run on rows of nobody in the library
                told = {"count": told["count"] + 1, "adapter": proposed.adapter, "strength": proposed.strength}
                return "", told
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip()
        return card(f"{voice.name} is spoken with {found.winner.name} from now on.", "good"), gr.skip()


def audition_html(found: Audition) -> str:
    """The proposal, and the table behind it."""
    proposal = found.proposal
    said = escape(found.sentence)
    if proposal is not None:
        said = f"<strong>{'Proposed' if proposal.winner else 'Nothing is proposed'}.</strong> {said}"
        if proposal.pair:
            said += " The best two can be heard below without knowing which is which."
    heads = "".join(f"<th>{escape(name)}</th>" for name in FIGURES.values())
    rows = "".join(
        f"<tr><th scope='row'>{escape(each.name)}</th>{''.join(f'<td>{_cell(each, name)}</td>' for name in FIGURES)}</tr>"
        for each in found.table.systems
    )
    absent = dict.fromkeys(
        f"{FIGURES[name]}: {reason}" for each in found.table.systems for name, reason in each.absent.items()
    )
    models = "; ".join(f"{FIGURES[name]} by {model}" for name, model in found.table.models.items() if name in FIGURES)
    notes = [f"Texts: {found.texts_from}.", *([f"{models}."] if models else []), *absent]
    return (
        f'<div class="standing" role="status"><p dir="auto">{said}</p></div><details class="which"><summary>Every checkpoint'
        f"</summary><div class='wide'><table class='votes'><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody>"
        f"</table></div>{''.join(f'<p class=hint>{escape(note)}</p>' for note in notes)}</details>"
    )


def _cell(system: SystemFigures, figure: str) -> str:
    found = system.figures.get(figure)
    if found is None:
        return "–"
    parts = [value for value in (found.low, found.high) if value is not None]
    written = [_written(figure, value) for value in parts]
    aside = f" <small>{written[0]} to {written[1]}</small>" if len(written) == 2 else ""
    return f"{_written(figure, found.mean)}{aside}"


def _written(figure: str, value: float) -> str:
    return f"{100 * value:.0f} %" if figure in _SHARES else f"{value:.2f}"


def _by_step(table: AuditionTable, figure: str, title: str) -> go.Figure:
    """Means over the steps with their intervals, a curve for each strength; the base at step 0 of each."""
    drawn = base_figure(title)
    scale = 100 if figure in _SHARES else 1
    strengths = sorted({each.strength or 0.0 for each in table.checkpoints}, reverse=True)
    for number, strength in enumerate(strengths):
        of = [each for each in table.systems if each.is_base or (each.strength or 0.0) == strength]
        known = [(each.step or 0, each.figures[figure]) for each in of]
        points = [(step, found) for step, found in known if found is not None]
        if not points:
            continue
        drawn.add_trace(
            go.Scatter(
                x=[step for step, _ in points], y=[scale * found.mean for _, found in points], mode="lines+markers",
                name=f"strength {strength:g}", line={"color": _COLOURS[number % len(_COLOURS)], "width": 2},
                error_y={
                    "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                    "array": [scale * _reach(found, found.high) for _, found in points],
                    "arrayminus": [scale * _reach(found, found.low) for _, found in points],
                },
            )
        )  # fmt: skip
    drawn.update_layout(height=230, showlegend=len(strengths) > 1)
    drawn.update_xaxes(title={"text": "step", "font": {"size": 11}, "standoff": 6})
    return drawn


def _reach(found: Interval, border: float | None) -> float:
    return 0.0 if border is None else abs(border - found.mean)


def _losses(table: AuditionTable) -> go.Figure:
    """The loss by which a lowest one is found, at the same steps."""
    lowest = table.lowest_loss()
    name = lowest[0] if lowest else ""
    drawn = base_figure(_LOSSES.get(name, "Loss"))
    points = sorted({each.step or 0: each.losses[name] for each in table.checkpoints}.items()) if name else []
    if points:
        drawn.add_trace(
            go.Scatter(
                x=[step for step, _ in points], y=[loss for _, loss in points], mode="lines+markers",
                line={"color": _COLOURS[2], "width": 2},
            )
        )  # fmt: skip
    drawn.update_layout(height=230, showlegend=False)
    drawn.update_xaxes(title={"text": "step", "font": {"size": 11}, "standoff": 6})
    return drawn

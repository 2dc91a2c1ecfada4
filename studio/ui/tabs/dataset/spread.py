"""How the figures of a set spread: histograms and minutes of each speaker, as Plotly figures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from studio.datasets.measures.distributions import Distributions, Histogram
from studio.ui.figures import base_figure, plain, plot, plotly, shown

_HEIGHT, _BAR_HEIGHT = 230, 22
"""Pixels: of a figure, and what each speaker adds where there are many."""
_DURATION, _RATE, _SNR, _SPEAKER = "#8a63f0", "#0c9488", "#d9770b", "#5b67e8"
_MAX_NAME_CHARS = 18


class Spread:
    """Lays the figures out, and draws them."""

    def __init__(self) -> None:
        with gr.Accordion("How its figures spread", open=True, elem_id="set-spread"):
            # Plotly must be there also for who may not train.
            plotly()
            with gr.Row(elem_classes="curves-row"):
                with gr.Column(min_width=260, scale=1):
                    self._durations = plot("set-durations", "curves-low")
                    self._rates = plot("set-rates", "curves-low")
                with gr.Column(min_width=260, scale=1):
                    self._minutes = plot("set-minutes", "curves-low")
                    self._snrs = plot("set-snrs", "curves-low")
        self.outputs: list[Any] = [self._durations, self._rates, self._snrs, self._minutes]

    def drawn(self, of: str, found: Distributions) -> dict[Any, Any]:
        """The four figures of the set ``of`` this id."""
        if not found.utterances:
            return {each: {"data": [], "none": ""} for each in self.outputs}
        # Of a set that was not measured at all it is said once.
        measured = found.measured > 0
        no_rate = "There are no transcripts, so there is no speech rate." if measured else _UNMEASURED
        no_snr = "No signal to noise ratio could be measured." if measured else ""
        return {
            self._durations: shown(histogram_figure(found.durations, "Duration", "s", _DURATION, found), of),
            self._rates: shown(histogram_figure(found.rates, "Speech rate", "characters/s", _RATE, found), of, no_rate),
            self._snrs: shown(histogram_figure(found.snrs, "Signal to noise ratio", "dB", _SNR, found), of, no_snr),
            self._minutes: shown(speakers_figure(found), of),
        }


_UNMEASURED = "Speech rate and noise are drawn once the set is measured: press Measure."


def histogram_figure(histogram: Histogram, title: str, unit: str, colour: str, found: Distributions) -> go.Figure:
    """Utterances by a figure in ``unit``; without data where none has it."""
    if not histogram.counts or histogram.median is None:
        return base_figure(title)
    # Below the axis: beside the title there is no room for more in a narrow column.
    asides: list[str] = []
    if histogram.count < found.utterances:
        asides.append(f"of {histogram.count:,} utterances")
    if beyond := histogram.below + histogram.above:
        asides.append(f"{beyond:,} not drawn")
    figure = base_figure(title, f"median {histogram.median:.1f} {unit}")
    edges = histogram.edges
    pairs = list(pairwise(edges))
    figure.add_trace(
        go.Bar(
            x=[(low + high) / 2 for low, high in pairs], y=list(histogram.counts), width=[high - low for low, high in pairs],
            marker={"color": colour, "line": {"width": 1, "color": "rgba(0,0,0,0)"}},
            hovertext=[
                f"{low:g} to {high:g} {unit}: {_utterances(count)}"
                for (low, high), count in zip(pairs, histogram.counts, strict=True)
            ],
            hoverinfo="text",
        )
    )  # fmt: skip
    figure.update_layout(height=_HEIGHT, bargap=0, showlegend=False, hovermode="closest")
    figure.update_xaxes(title=_axis(", ".join([unit, *asides])), range=[edges[0], edges[-1]])
    figure.update_yaxes(title=_axis("utterances"), rangemode="tozero", tickformat=",d")
    if max(histogram.counts) < 5:
        figure.update_yaxes(dtick=1)
    return figure


def speakers_figure(found: Distributions) -> go.Figure:
    """Minutes of each speaker, the most on top."""
    bars = [(_short(name) if name else "(no name)", minutes) for name, minutes in found.minutes]
    # A bar of all others would be the longest.
    others = f"; {found.other_speakers:,} others have {found.other_minutes:,.0f}" if found.other_speakers else ""
    figure = base_figure("Minutes of each speaker")
    # By number: two names may be short for the same.
    places = list(range(len(bars)))
    figure.add_trace(
        go.Bar(
            x=[round(minutes, 3) for _, minutes in bars], y=places, orientation="h", marker={"color": _SPEAKER},
            width=[0.7] * len(bars), hovertext=[f"{plain(name)}: {minutes:.1f} min" for name, minutes in bars],
            hoverinfo="text",
        )
    )  # fmt: skip
    figure.update_layout(
        height=max(_HEIGHT, 80 + _BAR_HEIGHT * len(bars)), showlegend=False, hovermode="closest"
    )  # fmt: skip
    figure.update_xaxes(title=_axis(f"minutes{others}"), rangemode="tozero")
    figure.update_yaxes(
        # One speaker alone is a bar, too, not a wall.
        range=[max(len(bars), 3) - 0.5, -0.5], tickvals=places, ticktext=[plain(name) for name, _ in bars], showgrid=False,
    )  # fmt: skip
    return figure


def _axis(title: str) -> dict[str, Any]:
    return {"text": title, "font": {"size": 11}, "standoff": 6}


def _utterances(count: int) -> str:
    return "1 utterance" if count == 1 else f"{count:,} utterances"


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME_CHARS else f"{name[: _MAX_NAME_CHARS - 1].rstrip()}…"

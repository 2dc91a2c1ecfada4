"""Plotly figures on the page: the look that all share, and the component that draws them without making them anew.

Plotly itself comes with Gradio's own plot; what is seen is drawn with it by a script of ours, see ``assets/curves.js``.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from gradio.components.plot import PlotData

from studio.settings import ASSETS

HEIGHT = 300
"""Pixels."""
_GREY = "#7b7b84"
"""A contrast of 4.2 on white and on the dark card alike; no grey has more on both."""
_GRID = "rgba(128, 128, 138, 0.22)"
_FONT = "Inter, ui-sans-serif, system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif"
_CONFIG = json.dumps({"displayModeBar": False, "responsive": True})
"""No buttons: dragging shows a part of the steps, and a double click all of them."""
_JS = (ASSETS / "curves.js").read_text(encoding="utf-8")


def plotly() -> None:
    """An empty plot of Gradio's own, which nobody sees: it brings Plotly to the page. One for each tab that has figures."""
    nothing = PlotData(type="plotly", plot='{"data":[],"layout":{}}')
    gr.Plot(nothing, elem_classes="only-read", show_label=False, container=False)


def plot(elem_id: str, kind: str = "curves-small") -> gr.HTML:
    """A place for a figure, see :func:`shown`."""
    return gr.HTML(
        value={"data": [], "none": ""},  # type: ignore[arg-type]  our own script reads it
        html_template="",
        js_on_load=_JS,
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
        elem_classes=kind,
    )


def shown(figure: Any, of: str, none: str = "") -> dict[str, Any]:
    """A figure as the script takes it. Zoom stays as long as it is ``of`` the same; ``none`` is said where it is empty."""
    if not figure.data:
        return {"data": [], "none": none}
    value = json.loads(figure.to_json())
    value["layout"]["uirevision"] = of
    return value


def plain(text: str) -> str:
    """A name that people chose, without what Plotly would take for markup or for a place to fill in."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("%{", "% {")):
        text = text.replace(char, entity)
    return text


class _Figure(go.Figure):
    """A figure that brings its settings along: Gradio's page takes them from the same JSON."""

    def to_json(self, *args: Any, **kwargs: Any) -> str:
        """As Plotly's, with a ``config``."""
        text = str(super().to_json(*args, **kwargs))
        return f'{text[:-1]},"config":{_CONFIG}}}'


def base_figure(title: str, aside: str = "") -> go.Figure:
    """Axes, colours and margins that all figures share."""
    axis = {"gridcolor": _GRID, "linecolor": _GRID, "zeroline": False, "tickfont": {"size": 11}, "automargin": True}
    figure = _Figure()
    # Plotly's own is as large as the curves, and for white paper.
    figure.layout.template = go.layout.Template()
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 10, "t": 34, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _FONT, "size": 12, "color": _GREY},
        hoverlabel={"bgcolor": "#27272a", "bordercolor": "#52525b", "font": {"color": "#fafafa", "size": 12}},
        legend={
            "orientation": "h",
            "x": 0,
            "y": -0.14,
            "yanchor": "top",
            "font": {"size": 11},
            "bgcolor": "rgba(0,0,0,0)",
            "itemwidth": 30,
        },
        xaxis=axis,
        yaxis=axis,
    )
    aside = f'   <span style="font-size:11px">{aside}</span>' if aside else ""
    # No layout.title: Gradio widens the margin above one to 100 pixels.
    figure.add_annotation(
        text=f"<b>{title}</b>{aside}",
        x=0,
        y=1,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        yshift=10,
        showarrow=False,
        font={"size": 13},
    )
    return figure

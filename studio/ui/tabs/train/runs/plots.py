"""The curves of a run as Plotly figures, for light and dark pages, and for a telephone.

Colours are fixed in the figure, since Plotly cannot follow the page's theme: each has a contrast of at least 3 on white
and on the dark card. Redraws are small: at most :data:`MAX_POINTS` points a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from studio.training.monitoring.curves import smoothed, thinned
from studio.training.monitoring.run_log import RunLog, Split
from studio.ui.figures import base_figure, plain

MAX_POINTS = 500
"""Of one line: more than the page has pixels for, in the narrow column of a figure."""

_LOSSES = (("loss", "total", "#8a63f0"), ("text_loss", "text", "#d9770b"), ("audio_loss", "audio", "#0c9488"))
_RATES = (("learning_rate", "text side", "#d9770b"), ("audio_learning_rate", "audio side", "#0c9488"))
_CODEBOOK = "audio_loss_cb"
_CODEBOOK_COLOURS = ("#5b67e8", "#8259e0", "#a84cd0", "#c845ab", "#db477f", "#e0533f", "#d96a10", "#b98000")
"""From blue to yellow as codebooks go from coarse to fine: an order that every kind of colour blindness leaves."""
_MUTED = "rgba(123, 123, 132, 0.85)"
_MAX_NAME_CHARS = 28


def losses(
    log: RunLog,
    *,
    smoothing: float = 0.6,
    log_scale: bool = False,
    compare: RunLog | None = None,
    compare_name: str = "",
) -> go.Figure:
    """Total, text and audio loss by step; dashed on held-out rows.

    Args:
        smoothing: weight of the past, 0 to 1; above 0 what was logged is drawn faintly behind.
        log_scale: of the loss. Values that are not above 0 cannot be drawn then.
        compare: another run, drawn dotted and grey.
        compare_name: what that one is called.
    """
    known = [each for each in _LOSSES if _has(log, each[0])]
    held_out = any(name in log.names("eval") for name, _, _ in known)
    figure = _figure(log, "Loss", "dashed: held-out rows" if held_out else "", log_scale=log_scale)
    for name, label, colour in known:
        figure.add_traces(list(_train_lines(log, name, label, colour, smoothing)))
    for name, label, colour in known:
        figure.add_traces(list(_eval_line(log, name, label, colour)))
    if compare is not None:
        called = _short(compare_name) or "other run"
        for number, (name, label, _) in enumerate(each for each in known if each[0] in compare.names()):
            figure.add_trace(_compared_line(compare, name, f"{called}, {label}", called, smoothing, shown=number == 0))
    _mark_breaks(figure, log, [name for name, _, _ in known])
    return figure


def codebooks(log: RunLog, *, smoothing: float = 0.6, log_scale: bool = False, split: Split = "train") -> go.Figure:
    """The audio loss of each codebook by step, from the coarsest, 0, to the finest."""
    title = "Loss of each codebook" + (", held-out rows" if split == "eval" else "")
    figure = _figure(log, title, log_scale=log_scale)
    numbers = sorted(
        int(name[len(_CODEBOOK) :])
        for name in log.names(split)
        if name.startswith(_CODEBOOK) and name[len(_CODEBOOK) :].isdigit()
    )
    for number in numbers:
        steps, values = log.series(f"{_CODEBOOK}{number}", split)
        place = round(number * (len(_CODEBOOK_COLOURS) - 1) / max(len(_CODEBOOK_COLOURS) - 1, numbers[-1]))
        # The lines lie close together: faint ones behind them would hide them.
        values = smoothed(values, smoothing) if split == "train" else values
        line = {"color": _CODEBOOK_COLOURS[place], "width": 2.2 if number == 0 else 1.4}
        figure.add_trace(_line(steps, values, str(number), f"codebook {number}", line=line))
    figure.update_layout(legend={"entrywidth": 0.125, "entrywidthmode": "fraction"})
    return figure


def learning_rates(log: RunLog) -> go.Figure:
    """Both learning rates by step; one line where they are the same option."""
    figure = _figure(log, "Learning rate")
    both = _has(log, "audio_learning_rate")
    for name, label, colour in _RATES:
        if _has(log, name):
            label = label if both else "learning rate"
            steps, values = log.series(name)
            figure.add_trace(_line(steps, values, label, label, line={"color": colour, "width": 1.8}))
    figure.update_layout(showlegend=both)
    figure.update_yaxes(exponentformat="e", rangemode="tozero")
    return figure


def gradient_norm(log: RunLog, *, smoothing: float = 0.6, log_scale: bool = False) -> go.Figure:
    """The norm of the gradients by step, before they are clipped."""
    figure = _figure(log, "Gradient norm", log_scale=log_scale)
    if _has(log, "grad_norm"):
        figure.add_traces(list(_train_lines(log, "grad_norm", "gradient norm", _LOSSES[0][2], smoothing)))
        _mark_breaks(figure, log, ["grad_norm"])
    figure.update_layout(showlegend=False)
    return figure


# Lines


def _has(log: RunLog, name: str) -> bool:
    return name in log.names("train") or name in log.names("eval")


def _train_lines(log: RunLog, name: str, label: str, colour: str, smoothing: float) -> Iterator[go.Scatter]:
    steps, values = log.series(name)
    if not len(steps):
        return
    if smoothing > 0:
        faint = {"color": colour, "width": 1}
        yield _line(steps, values, label, None, line=faint, opacity=0.28, legendgroup=name, showlegend=False)
        values = smoothed(values, smoothing)
    yield _line(steps, values, label, label, line={"color": colour, "width": 2}, legendgroup=name)


def _eval_line(log: RunLog, name: str, label: str, colour: str) -> Iterator[go.Scatter]:
    steps, values = log.series(name, "eval")
    if len(steps):
        yield _line(
            steps,
            values,
            label,
            f"{label}, held-out",
            line={"color": colour, "width": 1.6, "dash": "dash"},
            legendgroup=name,
            showlegend=not len(log.series(name)[0]),
            mode="lines+markers" if len(steps) <= MAX_POINTS // 5 else "lines",
            marker={"color": colour, "size": 6, "symbol": "circle-open", "line": {"width": 1.6}},
        )


def _compared_line(log: RunLog, name: str, hover: str, called: str, smoothing: float, *, shown: bool) -> go.Scatter:
    steps, values = log.series(name)
    line = {"color": _MUTED, "width": 1.6, "dash": "dot"}
    values = smoothed(values, smoothing)
    return _line(steps, values, called, hover, line=line, legendgroup="compared", showlegend=shown)


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME_CHARS else f"{name[: _MAX_NAME_CHARS - 1].rstrip()}…"


def _line(steps: NDArray[Any], values: NDArray[np.float64], name: str, hover: str | None, **how: Any) -> go.Scatter:
    """A line of few points; ``hover`` None: the pointer does not see it. A value that is not finite is a gap."""
    steps, values = thinned(steps, values, MAX_POINTS)
    told = {"hoverinfo": "skip"} if hover is None else {"hovertemplate": f"{plain(hover)}: %{{y:.4g}}<extra></extra>"}
    return go.Scatter(**({"x": steps, "y": _rounded(values), "name": plain(name), "mode": "lines"} | told | how))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Seven digits: Plotly sends arrays in binary, where a number of four bytes is smaller than five digits of text."""
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def _mark_breaks(figure: go.Figure, log: RunLog, names: Sequence[str]) -> None:
    """Say where a curve stopped being numbers: on a screen it would only end."""
    firsts = []
    for name in names:
        steps, values = log.series(name)
        broken = np.flatnonzero(~np.isfinite(values))
        firsts += [int(steps[broken[0]])] if len(broken) else []
    if firsts:
        step = min(firsts)
        text = f"no number from step {step}"
        line = {"color": "#dc2626", "width": 1.2, "dash": "dot"}
        figure.add_vline(step, line=line, annotation={"text": text, "font": {"color": "#dc4646", "size": 11}})


# Figure


def _figure(log: RunLog, title: str, aside: str = "", *, log_scale: bool = False) -> go.Figure:
    """Axes, colours and margins that all curves share."""
    figure = base_figure(title, aside)
    figure.update_layout(uirevision=str(log.path), hovermode="x unified")
    figure.update_xaxes(unifiedhovertitle={"text": "step %{x:d}"}, rangemode="tozero")
    if log_scale:  # Plotly leaves out what is not above 0 on a logarithmic axis.
        figure.update_yaxes(type="log", dtick="D2")
    if not log.names("train") and not log.names("eval"):
        figure.add_annotation(
            text="No step logged yet", x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 13}
        )
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)
    return figure

"""Takes side by side as a figure and as a table. One axis of time for all: what is zoomed in one is zoomed in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from studio.evaluation.comparison.comparison import ComparedTake
from studio.evaluation.comparison.looking import Looked
from studio.ui.figures import base_figure, plain

_COLOURS = ("#8a63f0", "#0c9488", "#d9770b", "#5b67e8", "#c2417c", "#5f8a1f")
_WAVE, _MEL, _PITCH, _TITLE, _GAP = 70, 120, 150, 34, 6
"""Pixels: heights of the rows, and what is above them, with a title and without one."""
_TICKS_HZ = (250, 1000, 4000)

FIGURES: tuple[tuple[str, str, str], ...] = (
    ("similarity", "Similarity to the reference", "{:.3f}"),
    ("wer", "Word error rate", "{:.0%}"),
    ("ovrl", "DNSMOS overall (1–5)", "{:.2f}"),
    ("sig", "DNSMOS speech (1–5)", "{:.2f}"),
    ("bak", "DNSMOS background (1–5)", "{:.2f}"),
    ("duration_seconds", "Duration (s)", "{:.2f}"),
    ("duration_ratio", "Duration over what it should be", "{:.2f}"),
    ("speech_rate", "Speech rate (characters/s)", "{:.1f}"),
    ("pitch", "Pitch, mean (Hz)", "{:.0f}"),
    ("pitch_range", "Pitch, range (semitones)", "{:.1f}"),
    ("pitch_correlation", "Pitch correlation with the recording", "{:.2f}"),
    ("loudness_lufs", "Loudness (LUFS)", "{:.1f}"),
    ("silence_at_end_seconds", "Silence at the end (s)", "{:.2f}"),
    ("rtf", "Real-time factor", "{:.2f}"),
)
"""What is shown: a figure, its name, and how it is written."""


def figure_of(looked: Sequence[Looked], labels: Sequence[str]) -> go.Figure:
    """Waveform and mel spectrogram of each take below each other, then the pitch of all."""
    rows = [height for _ in looked for height in (_WAVE, _MEL)] + [_PITCH]
    above = [_GAP if at % 2 else _TITLE for at in range(len(rows))]
    total = sum(rows) + sum(above) + 20
    figure = base_figure("")
    figure.layout.annotations = ()
    longest = max((each.sound.duration for each in looked), default=1.0)
    peak = max((float(max(each.highs.max(), -each.lows.min())) for each in looked), default=1.0) or 1.0
    top = float(total)
    for at, height in enumerate(rows):
        top -= above[at]
        name = "" if at == 0 else str(at + 1)
        axis = {"domain": [max(top - height, 0) / total, top / total], "anchor": f"x{name}", "zeroline": False}
        last = at == len(rows) - 1
        figure.update_layout(
            {
                f"yaxis{name}": {**axis, "automargin": True},
                f"xaxis{name}": {
                    "domain": [0, 1], "anchor": f"y{name}", "showticklabels": last, "zeroline": False,
                    "range": [0, longest], **({} if at == 0 else {"matches": "x"}),
                    **({"title": {"text": "seconds", "font": {"size": 11}, "standoff": 6}} if last else {}),
                },
            }
        )  # fmt: skip
        if at % 2 == 0:
            title = "Pitch (Hz)" if last else f"<b>{plain(labels[at // 2])}</b>"
            figure.add_annotation(text=title, x=0, xref="paper", y=top / total, yref="paper", xanchor="left",
                                  yanchor="bottom", showarrow=False, font={"size": 12}, yshift=3)  # fmt: skip
        top -= height
    for number, each in enumerate(looked):
        _add_wave(figure, each, 2 * number, _COLOURS[number % len(_COLOURS)], peak)
        _add_mel(figure, each, 2 * number + 1)
        _add_pitch(figure, each, len(rows) - 1, _COLOURS[number % len(_COLOURS)], labels[number])
    figure.update_layout(height=total, showlegend=False, margin={"l": 8, "r": 10, "t": 4, "b": 8}, hovermode="closest")
    return figure


def _axes(at: int) -> dict[str, str]:
    name = "" if at == 0 else str(at + 1)
    return {"xaxis": f"x{name}", "yaxis": f"y{name}"}


def _add_wave(figure: go.Figure, looked: Looked, at: int, colour: str, peak: float) -> None:
    seconds = [round(float(each), 4) for each in looked.moments]
    x, y = seconds + seconds[::-1], [*_rounded(looked.highs), *_rounded(looked.lows[::-1])]
    figure.add_trace(go.Scatter(x=x, y=y, fill="toself", mode="lines", line={"width": 0.5, "color": colour},
                                fillcolor=colour, hoverinfo="skip", **_axes(at)))  # fmt: skip
    figure.update_layout({_y(at): {"range": [-peak, peak], "showticklabels": False, "showgrid": False}})


def _add_mel(figure: go.Figure, looked: Looked, at: int) -> None:
    bands = list(range(len(looked.mel_hz)))
    marks = [int(np.argmin(np.abs(looked.mel_hz - each))) for each in _TICKS_HZ]
    figure.add_trace(
        go.Heatmap(
            x=[round(float(each), 4) for each in looked.mel_seconds], y=bands,
            z=[[round(float(each)) for each in row] for row in looked.mel_db],
            zmin=-70, zmax=0, colorscale="Magma", showscale=False, zsmooth=False,
            hovertemplate="%{x:.2f} s, %{z} dB<extra></extra>", **_axes(at),
        )
    )  # fmt: skip
    figure.update_layout(
        {_y(at): {"tickvals": marks, "ticktext": [f"{each:g} Hz" for each in _TICKS_HZ], "showgrid": False}}
    )


def _add_pitch(figure: go.Figure, looked: Looked, at: int, colour: str, label: str) -> None:
    figure.add_trace(
        go.Scatter(
            x=[round(float(each), 3) for each in looked.pitch_seconds],
            y=[round(float(each), 1) if np.isfinite(each) else None for each in looked.pitch_hz],
            mode="lines", line={"color": colour, "width": 2}, connectgaps=False, name=plain(label),
            hovertemplate="%{x:.2f} s: %{y:.0f} Hz<extra>" + plain(label) + "</extra>", **_axes(at),
        )
    )  # fmt: skip


def _y(at: int) -> str:
    return "yaxis" if at == 0 else f"yaxis{at + 1}"


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(each), 4) for each in values]


def takes_html(takes: Sequence[ComparedTake], labels: Sequence[str], addresses: Sequence[str]) -> str:
    """A player for each take."""
    cells = []
    for take, label, address in zip(takes, labels, addresses, strict=True):
        facts = [f"{take.report['seconds']:.1f} s"] if "seconds" in take.report else []
        facts += ["did not end by itself"] if take.report.get("ended") is False else []
        facts += [] if take.synthetic else ["a real recording"]
        cells.append(
            f'<figure><figcaption dir="auto"><strong>{escape(label)}</strong> {escape(", ".join(facts))}</figcaption>'
            f'<audio controls preload="none" src="{escape(address)}" aria-label="{escape(label)}"></audio></figure>'
        )
    return f'<div class="side-players">{"".join(cells)}</div>'


def figures_html(takes: Sequence[ComparedTake], labels: Sequence[str]) -> str:
    """The figures of measured takes beside each other; what is absent, with its reason. "" where nothing was measured."""
    if not any(take.figures for take in takes):
        return ""
    reasons: dict[str, None] = {}
    rows = []
    for name, words, written in FIGURES:
        cells = [_cell(take.figures, name, written) for take in takes]
        if all(absent for _, absent in cells):
            reasons |= dict.fromkeys(f"{words}: {reason}" for reason, _ in cells if reason)
            continue
        shown = "".join(
            f"<td class='absent'>{escape(text)}</td>" if absent else f"<td>{text}</td>" for text, absent in cells
        )
        rows.append(f"<tr><th scope='row'>{words}</th>{shown}</tr>")
    words_row = [_words(take.figures) for take in takes]
    if any(words_row):
        rows.append(
            "<tr><th scope='row'>Words that differ</th>" + "".join(f"<td>{each}</td>" for each in words_row) + "</tr>"
        )
    heads = "".join(f"<th dir='auto'>{escape(label)}</th>" for label in labels)
    why = "".join(f"<li>{escape(each)}</li>" for each in reasons)
    told = f"<p class='hint'>Not measured:</p><ul class='advice'>{why}</ul>" if why else ""
    models = sorted({model for take in takes for model in (take.figures.get("models") or {}).values() if model})
    by = f"<p class='hint'>By {escape('; '.join(models))}.</p>" if models else ""
    return (
        f"<div class='wide'><table class='votes figures'><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}"
        f"</tbody></table></div>{told}{by}"
    )


def _cell(figures: Mapping[str, Any], name: str, written: str) -> tuple[str, bool]:
    """What stands in a cell, and whether that is the reason why nothing else does."""
    source = {"ovrl": "dnsmos", "sig": "dnsmos", "bak": "dnsmos", "pitch": "pitch", "pitch_range": "pitch"}.get(
        name, name
    )
    value = figures.get(source)
    if isinstance(value, dict):
        value = value.get({"pitch": "mean_hz", "pitch_range": "range_semitones"}.get(name, name))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return written.format(value), False
    absent = figures.get("absent") or {}
    return str(absent.get(name) or absent.get(source) or "It was not measured."), True


def _words(figures: Mapping[str, Any]) -> str:
    found = figures.get("word_differences")
    if not isinstance(found, list):
        return ""
    if not found:
        return "none"
    return "<br>".join(
        f"<del dir='auto'>{escape(each.get('said') or '–')}</del> → <ins dir='auto'>{escape(each.get('heard') or '–')}</ins>"
        for each in found[:12]
    )

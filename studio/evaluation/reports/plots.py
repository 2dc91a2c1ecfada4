"""Plots of a report as SVG within its page: no script, no file beside it, and colours of whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from studio.evaluation.reports.report import Report
from studio.evaluation.voting.confidence import preference_share

_WIDTH, _LEFT, _RIGHT, _ROW = 680, 250, 70, 30
_MAX_POINTS = 60
_CHART_HEIGHT = 220


class Bar(NamedTuple):
    """A value with its interval; ``shown``: the value in words."""

    label: str
    value: float
    low: float
    high: float
    shown: str


def bars(given: Sequence[Bar], *, low: float, high: float, reference: float, title: str) -> str:
    """Values with their intervals, one below the other, around a line at ``reference``; limits are of the axis."""
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return _LEFT + (min(max(value, low), high) - low) / span * (_WIDTH - _LEFT - _RIGHT)

    height = _ROW * len(given) + 12
    parts = [f'<line class="reference" x1="{x(reference):.1f}" y1="0" x2="{x(reference):.1f}" y2="{height}"/>']
    for number, bar in enumerate(given):
        y = _ROW * number + _ROW / 2 + 4
        parts.append(
            f'<text x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(bar.label))}</text>'
            f'<line class="interval" x1="{x(bar.low):.1f}" y1="{y:.1f}" x2="{x(bar.high):.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{x(bar.value):.1f}" cy="{y:.1f}" r="5"/>'
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{y + 4:.1f}">{escape(bar.shown)}</text>'
        )
    return _svg(height, "".join(parts), title)


def preferences(report: Report) -> str:
    """The preference share of every two systems."""
    label = {system.id: system.shown_label for system in report.comparison.systems}
    found = [
        Bar(
            f"{label[pair.first]} / {label[pair.second]}", pair.share.share, pair.share.low, pair.share.high,
            f"{pair.share.share:.0%}",
        )
        for pair in report.tally.pairs
        if pair.share.share is not None
    ]  # fmt: skip
    return bars(found, low=0, high=1, reference=0.5, title="Preference for the first of two") if found else ""


def ranking(report: Report) -> str:
    """Strengths of three or more systems."""
    label = {system.id: system.shown_label for system in report.comparison.systems}
    found = [
        Bar(label[each.system], each.strength, each.low, each.high, f"{each.strength:+.2f}") for each in report.tally.ranking
    ]  # fmt: skip
    if not found:
        return ""
    widest = max(max(abs(bar.low), abs(bar.high)) for bar in found)
    return bars(found, low=-widest, high=widest, reference=0, title="Bradley–Terry strength")


def course(report: Report) -> str:
    """How share and interval of two systems went with the votes; "" for more systems, or fewer than three votes."""
    if len(report.tally.pairs) != 1:
        return ""
    pair = report.tally.pairs[0]
    votes = [each.vote for each in report.votes if each.vote.counts]
    if len(votes) < 3:
        return ""
    numbers = sorted({round(1 + at * (len(votes) - 1) / (_MAX_POINTS - 1)) for at in range(_MAX_POINTS)})
    shares = []
    for number in numbers:
        some = votes[:number]
        wins, losses = (sum(vote.winner == system for vote in some) for system in (pair.first, pair.second))
        shares.append(preference_share(wins, number - wins - losses, losses, confidence=pair.share.confidence))

    def at(number: int, value: float) -> str:
        x = 40 + (number - 1) / max(len(votes) - 1, 1) * (_WIDTH - 60)
        return f"{x:.1f},{10 + (1 - value) * (_CHART_HEIGHT - 40):.1f}"

    upper = [at(number, share.high) for number, share in zip(numbers, shares, strict=True)]
    lower = [at(number, share.low) for number, share in zip(numbers, shares, strict=True)]
    middle = [at(number, share.share or 0.5) for number, share in zip(numbers, shares, strict=True)]
    half = 10 + 0.5 * (_CHART_HEIGHT - 40)
    ticks = "".join(
        f'<text x="32" y="{10 + (1 - value) * (_CHART_HEIGHT - 40) + 4:.0f}" text-anchor="end">{value:.0%}</text>'
        for value in (0, 0.5, 1)
    )
    return _svg(
        _CHART_HEIGHT,
        f'<polygon class="band" points="{" ".join(upper + lower[::-1])}"/>'
        f'<line class="reference" x1="40" y1="{half:.1f}" x2="{_WIDTH - 20}" y2="{half:.1f}"/>'
        f'<polyline class="line" points="{" ".join(middle)}"/>{ticks}'
        f'<text x="{_WIDTH / 2:.0f}" y="{_CHART_HEIGHT - 6}" text-anchor="middle">votes, 1 to {len(votes)}</text>',
        "Preference share and its interval after each vote",
    )


def _short(label: str) -> str:
    return label if len(label) <= 34 else f"{label[:33]}…"


def _svg(height: float, content: str, title: str) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{content}</svg></figure>'
    )

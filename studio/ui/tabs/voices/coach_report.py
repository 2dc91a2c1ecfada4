"""What the coach says, as HTML: the waveform with its speech, and a line for each verdict."""

from __future__ import annotations

import itertools
from html import escape

import numpy as np

from studio.audio.waveform import Span, Waveform
from studio.voices.coach import ClipReport

_BARS = 240
_HEIGHT = 72
_MARKS = {"good": "✓", "warn": "!", "bad": "✕"}
_SPOKEN = {"good": "good", "warn": "could be better", "bad": "not usable"}


def coach_html(source: Waveform, used: Span, report: ClipReport) -> str:
    """The waveform of the whole recording with the part that is used, and the verdicts on that part."""
    inside = f"{waveform_svg(source, used, report)}{verdicts_html(report)}"
    return f'<section class="coach" aria-label="The coach">{inside}</section>'


def waveform_svg(source: Waveform, used: Span, report: ClipReport) -> str:
    """Bars of the loudest sample each; bright where somebody speaks, faint outside the part that is used."""
    edges = np.linspace(0, source.num_samples, _BARS + 1).astype(int)
    peaks = [float(np.abs(source.samples[a:b]).max(initial=0.0)) for a, b in itertools.pairwise(edges)]
    loudest = max(max(peaks), 1e-6)
    speech = [Span(span.start + used.start, span.end + used.start) for span in report.speech]
    bars = []
    for index, peak in enumerate(peaks):
        at = (index + 0.5) / _BARS * source.duration
        kind = "out" if not used.start <= at <= used.end else "speech" if _inside(at, speech) else "pause"
        # Square root: quiet speech stays visible beside a loud click.
        height = max((peak / loudest) ** 0.5 * _HEIGHT, 1.5)
        bars.append(
            f'<rect class="{kind}" x="{index * 4}" y="{(_HEIGHT - height) / 2:.1f}" width="2.6" '
            f'height="{height:.1f}" rx="1.2"/>'
        )
    title = f"Waveform of {source.duration:.1f} seconds, of which {used.duration:.1f} are used"
    return (
        f'<svg class="wave" viewBox="0 0 {_BARS * 4} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{title}">'
        f"{''.join(bars)}</svg>"
        f'<div class="wave-scale"><span>0:00</span><span>{_clock(source.duration)}</span></div>'
    )


def verdicts_html(report: ClipReport) -> str:
    """A headline and a list."""
    worst = "bad" if not report.ok else "warn" if any(v.verdict == "warn" for v in report.verdicts) else "good"
    lines = "".join(
        f'<li class="{v.verdict}"><span class="mark" aria-hidden="true">{_MARKS[v.verdict]}</span>'
        f'<span class="what">{escape(v.label)}<span class="sr">: {_SPOKEN[v.verdict]}</span></span>'
        f'<span class="value">{escape(v.shown)}</span><span class="advice">{escape(v.advice)}</span></li>'
        for v in sorted(report.verdicts, key=lambda v: ("bad", "warn", "good").index(v.verdict))
    )
    return f'<p class="headline {worst}" role="status">{escape(report.sentence)}</p><ul class="verdicts">{lines}</ul>'


def _inside(at: float, spans: list[Span]) -> bool:
    return any(span.start <= at <= span.end for span in spans)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

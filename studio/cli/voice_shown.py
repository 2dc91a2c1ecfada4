"""Voices and the coach's verdicts in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from studio.cli.clips import trim_options
from studio.cli.output import columns, shortened

if TYPE_CHECKING:
    from studio.voices.coach import ClipReport
    from studio.voices.voice import Voice, VoiceClip

_MARKS = {"good": "ok  ", "warn": "warn", "bad": "BAD "}


def check_lines(report: ClipReport, offset: float) -> Iterator[str]:
    """What the coach says of a part that begins at ``offset`` seconds of the file, a line for each item."""
    for verdict in report.verdicts:
        yield f"{_MARKS[verdict.verdict]}  {verdict.label}: {verdict.shown}. {verdict.advice}"
    if report.window is not None:
        seconds = report.window.duration
        yield f"The best {seconds:.1f} s: {trim_options(report.window, offset)} (`voice add` also takes --best-window)"


def voice_table(voices: Iterable[Voice]) -> str:
    """Voices, a line each."""
    return columns(
        [
            voice.name,
            voice.language or "–",
            f"{voice.seconds:.1f} s",
            "preset" if voice.preset else voice.consent.ground,
            "usable" if voice.trouble is None else "withdrawn" if voice.consent.withdrawn_at else "not usable",
            shortened(voice.notes, 60),
        ]
        for voice in voices
    )


def voice_lines(voice: Voice) -> Iterator[str]:
    """Everything about a voice."""
    consent = voice.consent
    yield f"name: {voice.name}{' (comes with the studio)' if voice.preset else ''}"
    yield f"id: {voice.id}"
    if voice.language:
        yield f"language: {voice.language}"
    if voice.notes:
        yield f"notes: {voice.notes}"
    yield f"who speaks: {consent.who}"
    statement = f" – {consent.statement}" if consent.statement else ""
    yield f"consent: {consent.shown_ground}{statement}, recorded {consent.recorded_at:%Y-%m-%d}"
    if voice.trouble:
        yield f"note: {voice.trouble}"
    for clip in voice.clips:
        yield from _clip_lines(clip)


def _clip_lines(clip: VoiceClip) -> Iterator[str]:
    details = [f"{clip.seconds:.1f} s", f"{clip.sample_rate} Hz"]
    if clip.denoised_with:
        details.append(f"noise removed by {clip.denoised_with}")
    if not clip.is_there:
        details.append("gone from the disk")
    yield f"clip {clip.id}: {', '.join(details)}"
    writer = f" (written by {clip.transcript.model})" if clip.transcript.model else ""
    yield f"  says{writer}: {clip.transcript.text}"
    if clip.needs_check:
        yield "  note: the transcript was not cut with the clip: check it"
    for verdict in clip.report.get("verdicts", ()):
        yield f"  {_MARKS.get(verdict['verdict'], '    ')}  {verdict['item']}: {_figure(verdict)}"


def _figure(verdict: dict[str, Any]) -> str:
    value, unit = verdict.get("value"), verdict.get("unit", "")
    if value is None:
        return "not measured"
    shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f"{shown} {unit}".strip()

"""Transcripts after a person cut the clip or edited the text."""

from __future__ import annotations

from studio.listening.transcript import Transcript


def trimmed(transcript: Transcript, start: float | None, end: float | None) -> Transcript:
    """The words inside the cut, their times counted from its start."""
    raise NotImplementedError


def retimed(transcript: Transcript, text: str, *, duration: float | None = None) -> Transcript:
    """The edited ``text`` with the times of the words that are still in it."""
    raise NotImplementedError


def cut_text(transcript: Transcript, start: float | None, end: float | None) -> tuple[Transcript, bool]:
    """The transcript of the cut, and whether a person must check it."""
    raise NotImplementedError

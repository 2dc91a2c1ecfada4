"""How things are put on the page: sentences, cards, errors. Everything that is not ours is escaped."""

from __future__ import annotations

import logging
from html import escape
from typing import Literal

from studio.engine.host import HostStatus
from studio.errors import StudioError

log = logging.getLogger(__name__)

Tone = Literal["info", "good", "warn", "bad"]
_LABELS: dict[Tone, str] = {"info": "Note", "good": "Done", "warn": "Please note", "bad": "Not possible"}


def card(sentence: str, tone: Tone = "info", *, facts: dict[str, str] | None = None) -> str:
    """A sentence in a coloured card, with facts below it; read out by screen readers when it changes."""
    role = "alert" if tone == "bad" else "status"
    rows = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in (facts or {}).items())
    return (
        f'<div class="card {tone}" role="{role}"><strong>{_LABELS[tone]}</strong> <span dir="auto">{escape(sentence)}</span>'
        + (f"<dl>{rows}</dl>" if rows else "")
        + "</div>"
    )


def error_sentence(error: Exception) -> str:
    """What the page says about an exception. Only a StudioError speaks for itself; anything else is a bug for the log."""
    if isinstance(error, StudioError):
        return str(error)
    log.error("unexpected error behind the page", exc_info=error)
    return "Something went wrong inside the studio, and its log has the details: try again, or reload the page."


def host_banner(status: HostStatus) -> str:
    """The state of the checkpoint, in sentences."""
    if status.state == "loading":
        return card(f"Loading {status.shown_name} … You can already fill in the form.")
    if status.state == "failed":
        return card(
            f"{status.error or 'The checkpoint could not be loaded.'} Another can be chosen on the System tab.", "bad"
        )
    return "".join(card(notice, "warn") for notice in status.notices)


def table(rows: list[tuple[str, str]], caption: str) -> str:
    """A table of names and values."""
    body = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table class='facts'><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>"

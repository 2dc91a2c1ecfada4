"""What a preflight found, as cards: what stands in the way, what to know, the figures, and the exact command."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from studio.settings import Settings
from studio.training.folder import JobFolder
from studio.training.preflight.report import Preflight
from studio.ui.html import card, table
from studio.ui.tabs.train.runs.run_html import shown_command

_MAX_SHOWN = 12
_STARTED = "It is started: it goes on when this page is closed, and is found again under Runs."
_FITS = "Nothing stands in the way: press Start."


def preflight_html(checked: Preflight, settings: Settings, *, whole: bool, started: bool) -> str:
    """Everything that a preflight found.

    Args:
        whole: with the server's paths in the command.
        started: the run was started with it.
    """
    refused = "".join(card(as_on_page(sentence), "bad") for sentence in checked.refusals[:_MAX_SHOWN])
    if (more := len(checked.refusals) - _MAX_SHOWN) > 0:
        refused += f'<p class="hint">… and {more} more of the kind.</p>'
    head = refused or card(_STARTED if started else _FITS, "good")
    warned = "".join(card(as_on_page(sentence), "warn") for sentence in checked.warnings[:_MAX_SHOWN])
    facts = table(list(checked.facts), "What it will do") if checked.facts else ""
    return f"{head}{warned}{facts}{'' if checked.refusals else _command(checked, settings, whole)}"


def _command(checked: Preflight, settings: Settings, whole: bool) -> str:
    spec = checked.spec
    argv = spec.command(JobFolder(Path("jobs") / "ID"))
    command = shown_command(argv, settings, base_folder=spec.base_folder, base_shown=spec.base_shown, whole=whole)
    return (
        '<details class="command-box"><summary>The exact command</summary>'
        f'<pre class="console command">{escape(command)}</pre></details>'
    )


def as_on_page(sentence: str) -> str:
    """Settings as they are given here: the sentences name them as the command line takes them."""
    sentence = re.sub(r"--set (\w+=[^\s,;]*[^\s,;.:])", r"\1 (under Advanced)", sentence)
    return (
        sentence.replace("another --set", "another line")
        .replace("--set ", "")
        .replace("with --checkpoint", "as the base")
    )

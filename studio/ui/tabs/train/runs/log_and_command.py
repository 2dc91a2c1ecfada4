"""What is folded away below a run: the end of its log, the exact command, and every setting of it."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from studio.settings import Settings
from studio.training.job import Job
from studio.training.library import JobLibrary
from studio.ui.html import table
from studio.ui.tabs.train.runs.run_html import shown_command

_NOTHING = '<p class="hint">Nothing was printed yet.</p>'


class Details:
    """Two accordions, laid out where this is made.

    Attributes:
        log_box: the log; it is read only while it is open.
        outputs: components that the methods may change.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with gr.Accordion("Log", open=False, elem_id="train-log", elem_classes="plain-accordion") as self.log_box:
            self._log = gr.HTML(_NOTHING, padding=False, autoscroll=True, max_height=420, elem_id="train-log-tail")
        with gr.Accordion("Command and settings", open=False, elem_id="train-command", elem_classes="plain-accordion"):
            self._command = gr.HTML(padding=False)
        self.outputs: list[Any] = [self._log, self._command]

    def log(self, tail: str, library: JobLibrary) -> dict[Any, Any]:
        """The end of the log; visitors who are strangers do not see where the studio's home is."""
        if library.owner:
            tail = tail.replace(str(self._settings.home), "…")
        return {self._log: f'<pre class="console">{escape(tail)}</pre>' if tail.strip() else _NOTHING}

    def command(self, job: Job, library: JobLibrary) -> dict[Any, Any]:
        """Command, rows, consent, and every argument; visitors who are strangers see no paths of the server."""
        return {self._command: details_html(job, self._settings, whole=not library.owner)}


def details_html(job: Job, settings: Settings, *, whole: bool) -> str:
    """Everything that decided a run."""
    spec = job.spec
    command = shown_command(
        job.command, settings, base_folder=spec.base_folder, base_shown=spec.base_shown, whole=whole
    )
    rows = [
        ("Run", job.id),
        *([("Repeats", job.retry_of)] if job.retry_of else []),
        ("Rows from", f"{spec.rows.source} ({spec.rows.count:,})"),
        ("Their hash", spec.rows.sha256),
        ("Consent", spec.consent_sentence),
        ("Trained", "all weights" if spec.full_parameter else "an adapter"),
        *([("Folder", str(job.folder.root))] if whole else []),
    ]
    arguments = [
        (name, f"{' '.join(values)}{' (yours)' if name in spec.overrides else ''}")
        for name, values in spec.arguments.items()
    ]
    tables = table(rows, "This run") + table(arguments, "Settings of ms-swift")
    return f'<pre class="console command">{escape(command)}</pre>{tables}'

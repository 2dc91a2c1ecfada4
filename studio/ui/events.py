"""How events of the page are wired: what they show meanwhile, and through which queue they go."""

from __future__ import annotations

from typing import Any

# For events that show no progress and are none of the API. Gradio's page walks through every component that could show
# progress twice for each event, whether it shows any or not: half of what an event costs a browser.
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": []}
# Through the queue: only there does Gradio tell a page that a state has changed.
UNLIMITED: dict[str, Any] = {**QUIET, "concurrency_limit": None}
"""For what ends at once, however many visitors ask."""
RAW: dict[str, Any] = {**UNLIMITED, "preprocess": False}
"""The same, with the values as the browser sent them."""
CHOICE: dict[str, Any] = {"trigger_mode": "always_last"}
"""For what tells what somebody chose or brought: while an event is on its way, Gradio drops the next of its kind without a
word, unless it is told to keep the last."""
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False, "preprocess": False}
"""Beside the queue, for what a page asks every second."""


def unless_sent(value: Any, sent: Any) -> dict[str, Any]:
    """``value`` as a property of an update, left out where the browser sent the same.

    An answer that comes late must not undo what was chosen while it was on its way.
    """
    return {} if value == sent else {"value": value}

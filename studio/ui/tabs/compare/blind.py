"""Listening without knowing: the pair that waits for a vote, and the vote. Nothing that reaches the page names a system."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.evaluation.blind.session import BlindSession, OpenTrial
from studio.services import Services
from studio.settings import ASSETS
from studio.ui.html import error_sentence
from studio.ui.staging import Staging
from studio.ui.visitors import owner_of

BOOTH_JS = (ASSETS / "blind.js").read_text(encoding="utf-8")
_JS = BOOTH_JS + (ASSETS / "blind_tab.js").read_text(encoding="utf-8")
_NOTHING: dict[str, Any] = {"pair": None, "trouble": ""}


class Booth:
    """The place to listen, laid out where this is made.

    Attributes:
        place: a ``gr.HTML`` that triggers "submit" with a vote.
    """

    def __init__(self, services: Services, staging: Staging) -> None:
        self._services, self._staging = services, staging
        self.place = gr.HTML(
            value=_NOTHING,  # type: ignore[arg-type]  our own script reads it
            html_template="",
            js_on_load=_JS,
            apply_default_css=False,
            padding=False,
            elem_id="compare-booth",
        )

    def shown(self, session: BlindSession) -> tuple[dict[str, Any], OpenTrial | None]:
        """The pair that waits, as the page takes it; the same one until it is voted on."""
        pair = session.next()
        if pair is None:
            return dict(_NOTHING), None
        try:
            sounds = {side: self._sound(session, key) for side, key in (("left", pair.left), ("right", pair.right))}
        except StudioError as error:
            return {**_NOTHING, "trouble": str(error)}, None
        return {"pair": {**pair.as_json(), **sounds, "comparison": session.comparison_id}, "trouble": ""}, pair

    def vote(self, event: gr.EventData, request: gr.Request) -> BlindSession:
        """Count a vote of the visitor's; whose it is. Raises StudioError where it cannot be counted."""
        given = {name: getattr(event, name, None) for name in ("comparison", "trial", "choice", "reason")}
        session = self.session(str(given["comparison"] or ""), request)
        # A second press, or the same pair in another tab: the first vote stays, and the next pair comes.
        session.vote(str(given["trial"] or ""), str(given["choice"] or ""), str(given["reason"] or ""))
        return session

    def session(self, comparison_id: str, request: gr.Request) -> BlindSession:
        """The visitor's own. Raises StudioError for a comparison that is not theirs."""
        return self._services.blind_session(comparison_id, owner_of(request, self._services.settings))

    def failed(self, error: Exception) -> Any:
        """What the booth says of an error; the pair that is open stays."""
        return {"trouble": error_sentence(error), "said": secrets.token_hex(4)}

    def _sound(self, session: BlindSession, key: str) -> str:
        """Where a browser fetches a sound: under its random name alone."""

        def write(path: Path) -> None:
            path.write_bytes(session.sound(key))

        return self._staging.copy(f"{session.listener_id} {key}", f"{key}.wav", write)

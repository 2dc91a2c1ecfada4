"""The page for listeners: whoever has the link of a comparison votes there, without an account, and reaches nothing else.

These routes stand beside Gradio's, before its login. What they give out depends on the token of the link alone, and then on
the secret in the cookie of a listener; a wrong one of either gets a sentence.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from html import escape
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from studio.errors import StudioError
from studio.evaluation.blind.session import BlindSession
from studio.services import Services
from studio.settings import ASSETS
from studio.ui.html import error_sentence
from studio.ui.visitors import cookie_scope

_MAX_BODY_BYTES = 16_384
_MONTHS_SECONDS = 180 * 86_400
_SCRIPT = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in ("blind.js", "vote.js"))
_STYLE = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in ("vote.css", "blind.css"))
_SHARED_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_NO_LINK = "This link leads to no comparison, or no longer: ask whoever sent it for a new one."
_WELCOME = (
    "You hear two readings of each text and say which is better, without knowing who speaks. Some or all of these voices "
    "were made by a model. Headphones help. You can stop at any time and come back by the same link."
)


class VotePages:
    """The routes.

    Args:
        services: those of the page; asked anew for each request.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def routes(self) -> list[Route]:
        """For the application, before its own."""
        return [
            Route("/vote/{link}", self._page, methods=["GET"]),
            Route("/vote/{link}/begin", self._begin, methods=["POST"]),
            Route("/vote/{link}/next", self._next, methods=["POST"]),
            Route("/vote/{link}/vote", self._vote, methods=["POST"]),
            Route("/vote/{link}/sound/{key}", self._sound, methods=["GET"]),
        ]

    async def _page(self, request: Request) -> Response:
        def work() -> Response:
            known = self._services.is_shared(request.path_params["link"])
            return _page(_welcome() if known else f'<p class="trouble">{escape(_NO_LINK)}</p>', 200 if known else 404)

        return await _answered(work)

    async def _begin(self, request: Request) -> Response:
        given = await _given(request)
        link = request.path_params["link"]

        def work() -> Response:
            session = self._listener(request)
            if session is not None:  # a second press: still the same listener
                return JSONResponse(_told(session), headers=_SHARED_HEADERS)
            session, secret = self._services.join(link, str(given.get("name") or "")[:200])
            answer = JSONResponse(_told(session), headers=_SHARED_HEADERS)
            answer.headers.append(
                "set-cookie", f"{_cookie(link)}={secret}; Path=/; Max-Age={_MONTHS_SECONDS}; HttpOnly; {cookie_scope()}"
            )
            return answer

        return await _answered(work)

    async def _next(self, request: Request) -> Response:
        await _given(request)

        def work() -> Response:
            session = self._listener(request)
            if session is None and not self._services.is_shared(request.path_params["link"]):
                raise StudioError(_NO_LINK)
            return JSONResponse(_told(session) if session else {"joined": False}, headers=_SHARED_HEADERS)

        return await _answered(work)

    async def _vote(self, request: Request) -> Response:
        given = await _given(request)

        def work() -> Response:
            session = self._required(request)
            session.vote(*(str(given.get(name) or "") for name in ("trial", "choice", "reason")))
            return JSONResponse(_told(session), headers=_SHARED_HEADERS)

        return await _answered(work)

    async def _sound(self, request: Request) -> Response:
        def work() -> Response:
            sound = self._required(request).sound(request.path_params["key"])
            return Response(sound, media_type="audio/wav", headers=_SHARED_HEADERS)

        return await _answered(work)

    def _listener(self, request: Request) -> BlindSession | None:
        link = request.path_params["link"]
        secret = request.cookies.get(_cookie(link), "")
        return self._services.listener(secret, link) if secret else None

    def _required(self, request: Request) -> BlindSession:
        session = self._listener(request)
        if session is None:
            raise StudioError("This browser is not known here, or the link was ended: reload the page.")
        return session


async def _given(request: Request) -> dict[str, Any]:
    """What a page sent; {} for anything that no page of ours sends.

    Only as JSON: no form of another site can send that with somebody's cookies.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return {}
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            return {}
    try:
        given = json.loads(body)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


async def _answered(work: Callable[[], Response]) -> Response:
    try:
        return await anyio.to_thread.run_sync(work)
    except Exception as error:  # noqa: BLE001  a page gets a sentence, whatever it is
        status = 400 if isinstance(error, StudioError) else 500
        return JSONResponse({"trouble": error_sentence(error)}, status, headers=_SHARED_HEADERS)


def _told(session: BlindSession) -> dict[str, Any]:
    """All that a listener's page gets."""
    pair = session.next()
    return {"joined": True, "pair": pair.as_json() if pair else None, "voted": session.num_votes()}


def _cookie(link: str) -> str:
    """One for each comparison: a browser may listen to several."""
    return f"studio_listener_{hashlib.sha256(link.encode()).hexdigest()[:12]}"


def _welcome() -> str:
    return (
        f'<div id="welcome" hidden><p>{escape(_WELCOME)}</p><form><label>Your name <span>(if you like)</span>'
        '<input type="text" name="name" maxlength="60" autocomplete="off" dir="auto"></label>'
        '<button type="submit">Begin</button></form></div><main id="booth"></main>'
        '<p id="over" role="status" hidden></p><p id="trouble" class="trouble" role="alert" hidden></p>'
    )


def _page(content: str, status: int) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; connect-src 'self'; media-src blob:; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    script = f'<script nonce="{nonce}">{_SCRIPT}</script>' if status == 200 else ""
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>Which sounds better?</title><style>{_STYLE}</style></head><body><h1>Which sounds better?</h1>{content}"
        f"{script}</body></html>",
        status,
        headers={**_SHARED_HEADERS, "Content-Security-Policy": policy},
    )

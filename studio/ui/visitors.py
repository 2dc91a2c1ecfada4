"""Who is visiting: so that people who do not know each other never reach each other's voices and takes."""

from __future__ import annotations

import hashlib
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from studio.settings import Settings, on_space

if TYPE_CHECKING:
    import gradio as gr

COOKIE = "studio_visitor"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
_YEAR_SECONDS = 365 * 86_400


class VisitorCookie:
    """Gives every browser a secret of its own (ASGI middleware).

    It is what a library belongs to where visitors are strangers. No script on the page can read it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on; set the cookie with the answer where the browser has none."""
        if scope["type"] != "http" or scope["path"] not in ("/", "/login") or _token_in(scope) is not None:
            await self._app(scope, receive, send)
            return
        value = secrets.token_urlsafe(32)
        header = (
            b"set-cookie", f"{COOKIE}={value}; Path=/; Max-Age={_YEAR_SECONDS}; HttpOnly; {cookie_scope()}".encode()
        )  # fmt: skip

        async def send_with_cookie(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), header]}
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def cookie_scope() -> str:
    """Which requests a cookie of the studio goes with.

    In a Space the page stands in a frame of another site, which only a cookie like that one survives.
    """
    return "SameSite=None; Secure; Partitioned" if on_space() else "SameSite=Lax"


def _token_in(scope: Any) -> str | None:
    for name, value in scope.get("headers", []):
        if name == b"cookie":
            try:
                found = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                return None
            if found is not None and _TOKEN.fullmatch(found.value):
                return found.value
    return None


def owner_of(request: gr.Request, settings: Settings) -> str:
    """Whose library the visitor sees: "" is that of whoever runs the studio.

    Where visitors are strangers it is a name made from the browser's secret, or, without cookies, from the page's own
    session, which a reload ends. The secret itself is not stored.
    """
    if not settings.visitors_are_strangers:
        return ""
    token = request.cookies.get(COOKIE, "")
    secret = token if _TOKEN.fullmatch(token) else f"session {request.session_hash or secrets.token_urlsafe(32)}"
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


def tab_of(request: gr.Request, settings: Settings, remembered: Any) -> str:
    """A name for one tab of one browser, the same after a reload.

    The tab's own key comes from the browser, so it counts only together with who the visitor is.
    """
    key = remembered.get("tab") if isinstance(remembered, dict) else None
    key = key if isinstance(key, str) and 8 <= len(key) <= 64 else f"session {request.session_hash}"
    return hashlib.sha256(f"{owner_of(request, settings)}/{key}".encode()).hexdigest()[:32]

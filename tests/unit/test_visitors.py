"""Who is visiting: strangers never share a library, and the one who runs the studio has one everywhere."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studio.settings import Settings
from studio.ui.visitors import COOKIE, VisitorCookie, owner_of, tab_of

PUBLIC = {"host": "0.0.0.0"}
TOKEN = "a" * 43


def request(cookie: str | None = None, session: str = "s1") -> Any:
    return SimpleNamespace(cookies={COOKIE: cookie} if cookie else {}, session_hash=session)


def test_whoever_runs_the_studio_has_one_library_on_the_page_and_on_the_command_line(tmp_path: Path) -> None:
    own = Settings(home=tmp_path)
    login = Settings(home=tmp_path, **PUBLIC, username="anna", password="a secret word")
    for settings in (own, login):
        assert owner_of(request(TOKEN), settings) == owner_of(request("b" * 43), settings) == ""


def test_strangers_have_libraries_of_their_own_that_survive_a_reload(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, **PUBLIC)
    mine, theirs = owner_of(request(TOKEN), settings), owner_of(request("b" * 43), settings)
    assert len({"", mine, theirs}) == 3
    assert owner_of(request(TOKEN, session="another"), settings) == mine
    assert TOKEN not in mine  # the secret itself is not stored


@pytest.mark.parametrize("cookie", [None, "", "short", "../../etc/passwd" * 3, "a" * 500])
def test_without_a_proper_cookie_a_library_is_that_of_the_session_alone(tmp_path: Path, cookie: str | None) -> None:
    settings = Settings(home=tmp_path, **PUBLIC)
    assert owner_of(request(cookie), settings) != owner_of(request(cookie, session="s2"), settings)
    assert owner_of(request(cookie), settings) == owner_of(request(cookie), settings)


@pytest.mark.parametrize("kept", [None, [], {}, {"tab": 5}, {"tab": "x"}, {"tab": "../" * 10}, {"tab": "k" * 5000}])
def test_a_tabs_name_is_safe_whatever_a_browser_sends(tmp_path: Path, kept: Any) -> None:
    name = tab_of(request(TOKEN), Settings(home=tmp_path, **PUBLIC), kept)
    assert len(name) == 32
    assert set(name) <= set("0123456789abcdef")


def test_another_visitors_tab_key_opens_nothing(tmp_path: Path) -> None:
    settings, kept = Settings(home=tmp_path, **PUBLIC), {"tab": "0123456789abcdef"}
    assert tab_of(request(TOKEN), settings, kept) != tab_of(request("b" * 43), settings, kept)
    assert tab_of(request(TOKEN), settings, kept) == tab_of(request(TOKEN, session="later"), settings, kept)


def answer(path: str, cookie: str | None = None) -> dict[bytes, bytes]:
    """Headers that a browser gets from an application behind the middleware."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"cookie", f"other=1; {COOKIE}={cookie}".encode())] if cookie else []
    # In a thread of its own: a browser's tests may have left an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        scope = {"type": "http", "path": path, "headers": headers}
        pool.submit(lambda: asyncio.run(VisitorCookie(app)(scope, None, send))).result()
    return dict(sent[0]["headers"])


def test_a_browser_gets_a_secret_once_that_no_script_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    header = answer("/")[b"set-cookie"].decode()
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert answer("/") != answer("/")
    assert b"set-cookie" not in answer("/", cookie=TOKEN)
    assert b"set-cookie" not in answer("/gradio_api/queue/join")
    assert b"set-cookie" in answer("/", cookie="forged")


def test_in_a_space_the_cookie_survives_the_frame_it_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/studio")
    assert "SameSite=None; Secure; Partitioned" in answer("/")[b"set-cookie"].decode()

"""A real browser on a real studio: Debian's Chromium, driven by Playwright; the studio in a process of its own."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.asr_model import joined_model

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-audio-output",  # on a busy machine its sound service may not start in time, and then nothing ever plays
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        reason = "chromium is not installed: `apt-get install chromium` (make test does it where it can)"
        for item in items:
            if "tests/ui/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A test that failed tells what its pages showed and told, and what its studio logged: they are gone when it is read."""
    report = yield
    if call.when == "call" and report.failed and "tests/ui/" in item.path.as_posix():
        given = getattr(item, "funcargs", {})
        for page in getattr(given.get("open_page"), "pages", ()):
            report.sections.append((f"what {page.url} showed", _seen(page)))
        report.sections.append(("what the pages told", "\n".join(getattr(given.get("open_page"), "told", ())[-60:])))
        for studio in (each for each in given.values() if isinstance(each, Studio)):
            report.sections.append((f"the end of {studio.log}", studio.log.read_text(errors="replace")[-3000:]))
    return report


def _about(what: Any) -> str:
    """An event of a page in a line."""
    failure = getattr(what, "failure", "") or ""
    return f"{getattr(what, 'text', '') or getattr(what, 'url', '')} {failure}".strip()[:300]


def _seen(page: Any) -> str:
    """The text of a page, without its empty lines, as far as anybody reads."""
    try:
        lines = page.evaluate("document.body.innerText").splitlines()
    except Exception as error:  # noqa: BLE001  a page that crashed must not hide the failure
        return f"it cannot be read: {error}"
    return "\n".join(line for line in lines if line.strip())[:6000]


class Studio:
    """A studio process and its address."""

    def __init__(self, home: Path, checkpoint: Path, **environment: str) -> None:
        self.home, self.log = home, home / "studio.log"
        home.mkdir(parents=True, exist_ok=True)
        settings = {"STUDIO_HOME": str(home), "STUDIO_CHECKPOINT": str(checkpoint), "STUDIO_PORT": "0", **environment}
        self._output = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=os.environ | settings,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self.url = self._address()

    def _address(self) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for line in self.log.read_text(errors="replace").splitlines():
                if "Running on local URL:" in line:
                    url = line.split("URL:")[1].strip().replace("0.0.0.0", "127.0.0.1")
                    urllib.request.urlopen(url, timeout=30).read()
                    return url
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the studio did not start:\n{self.log.read_text(errors='replace')}")

    def files(self, pattern: str) -> set[Path]:
        """Those of its home that fit: what a test made is what was not there before."""
        return set(self.home.glob(pattern))

    @contextmanager
    def small_disk(self, size: int) -> Iterator[None]:
        """None of its files may grow beyond ``size`` bytes meanwhile, as where a quota ends."""
        with closing(sqlite3.connect(self.home / "studio.db")) as store:
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what others wrote must not count
        limits = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            yield
        finally:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, limits)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()


@pytest.fixture(scope="session")
def new_studio(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Callable[..., Any]:
    """Starts a studio in a home of its own, which ends with the ``with``: it costs as much as ten tests, so share it."""

    @contextmanager
    def start(checkpoint: Path = tiny_checkpoint, **environment: str) -> Iterator[Studio]:
        started = Studio(tmp_path_factory.mktemp("home"), checkpoint, **environment)
        try:
            yield started
        finally:
            started.stop()

    return start


@pytest.fixture(scope="session")
def studio(new_studio: Callable[..., Any]) -> Iterator[Studio]:
    """A studio on one's own machine, shared by the tests that do not change it: all its visitors have one library."""
    with new_studio() as started:
        yield started


@pytest.fixture(scope="session")
def strangers(new_studio: Callable[..., Any]) -> Iterator[Studio]:
    """A studio shared by strangers: every browser session begins with an empty library. It can write transcripts."""
    try:
        listens = {"STUDIO_ASR_MODEL": str(joined_model())}
    except (LookupError, OSError):
        listens = {}
    with new_studio(STUDIO_HOST="0.0.0.0", **listens) as started:
        yield started


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory, kathleen: dict[Path, str]) -> tuple[Path, str]:
    """What the fake microphone hears, a real recording with silence after it, and what is said in it."""
    clip, transcript = next(iter(kathleen.items()))
    samples, rate = soundfile.read(clip, dtype="float32")
    path = tmp_path_factory.mktemp("microphone") / "voice.wav"
    soundfile.write(path, np.concatenate([samples, np.zeros(rate // 2, np.float32)]), rate, subtype="PCM_16")
    return path, transcript


@pytest.fixture(scope="session")
def browser(playwright: Any, microphone: tuple[Path, str]) -> Iterator[Any]:
    fake = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone[0]}",
    ]
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *fake])
    yield started
    started.close()


def plays(page: Any, player: str) -> None:
    """Press *Play* and see the time go on; a player that is drawn anew meanwhile is pressed again."""
    try:
        page.wait_for_function(
            """(player) => {
                const time = () => document.querySelector(player)?.querySelector("time#time")?.textContent ?? "0:00";
                const shows = () => time() !== "0:00";
                if (!window.watchesTime) {
                    // However slow the machine is, and however short the take, no second that was shown is missed.
                    window.watchesTime = new MutationObserver(() => { window.sawTime ||= shows(); });
                    window.watchesTime.observe(document.body, { subtree: true, childList: true, characterData: true });
                }
                if (window.sawTime || shows()) {
                    window.watchesTime.disconnect();
                    window.watchesTime = window.sawTime = window.pressedPlayAt = undefined;
                    return true;
                }
                // Seldom: a second press while the first one still loads the sound would stop it again.
                if (Date.now() - (window.pressedPlayAt ?? 0) > 6000) {
                    document.querySelector(player)?.querySelector("button[aria-label='Play']")?.click();
                    window.pressedPlayAt = Date.now();
                }
                return false;
            }""",
            arg=player,
            polling=150,
        )
    except Exception as error:
        raise AssertionError(f"{player} does not play: {page.evaluate(_STATE_OF_PLAYER, player)}") from error


_STATE_OF_PLAYER = """(player) => JSON.stringify({
    time: document.querySelector(player)?.querySelector("time#time")?.textContent,
    buttons: [...(document.querySelector(player)?.querySelectorAll("button") ?? [])].map((each) => each.ariaLabel),
    says: document.querySelector(player)?.innerText,
    sounds: [...document.querySelectorAll("audio")].map((each) => [
        each.closest("[id]")?.id, each.src, each.paused, each.currentTime, each.duration, each.readyState, each.networkState,
        each.error?.message,
    ]),
})"""


@pytest.fixture(scope="session")
def visits(browser: Any) -> list[Any]:
    """Browser sessions that one test after the other uses. Each is emptied for the next, of all but the page's own program
    in the browser's cache, which would take longer to fetch and compile than most tests take."""
    return []


@pytest.fixture
def open_page(browser: Any, visits: list[Any]) -> Iterator[Callable[..., Any]]:
    """Opens the studio as a visitor of its own, or as another tab ``beside`` a page; fails the test if the page logs a
    script error.
    """
    contexts, pages, errors, told = [], [], [], []

    def open_one(url: str, *, beside: Any = None) -> Any:
        if beside is None:
            if len(contexts) == len(visits):
                size = {"width": 1280, "height": 900}
                visits.append(browser.new_context(permissions=["microphone"], viewport=size, accept_downloads=True))
                # A tab that stays keeps the browser's window open: a new window costs as much as the studio's page.
                visits[-1].new_page()
            contexts.append(visits[len(contexts)])
        context = beside.context if beside else contexts[-1]
        page = context.new_page()
        pages.append(page)
        if beside is None:
            context.clear_cookies()
            everything = {"origin": url.rstrip("/"), "storageTypes": "all"}
            context.new_cdp_session(page).send("Storage.clearDataForOrigin", everything)
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        for event in ("framenavigated", "console", "requestfailed", "crash"):
            page.on(event, lambda what, event=event: told.append(f"{time.strftime('%X')} {event}: {_about(what)}"))
        page.goto(url)
        page.wait_for_selector("#speak")
        return page

    open_one.pages, open_one.told = pages, told  # pyright: ignore[reportFunctionMemberAccess]  for the report of a failure
    yield open_one
    for page in pages:
        page.close()
    assert errors == []

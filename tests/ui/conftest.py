"""A real browser on a real studio: Debian's Chromium, driven by Playwright; the studio in a process of its own."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

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
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        reason = "chromium is not installed: `apt-get install chromium` (make test does it where it can)"
        for item in items:
            if "tests/ui/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))


class Studio:
    """A studio process and its address."""

    def __init__(self, home: Path, checkpoint: Path, *, max_file_bytes: int | None = None, **environment: str) -> None:
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
            preexec_fn=max_file_bytes and partial(resource.setrlimit, resource.RLIMIT_FSIZE, (max_file_bytes,) * 2),
        )
        self.url = self._address()

    def _address(self) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for line in self.log.read_text(errors="replace").splitlines():
                if "Running on local URL:" in line:
                    url = line.split("URL:")[1].strip()
                    urllib.request.urlopen(url, timeout=30).read()
                    return url
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the studio did not start:\n{self.log.read_text(errors='replace')}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()


@contextmanager
def studios_of(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Iterator[Callable[..., Studio]]:
    """Starts studios, each in a home of its own; all are stopped at the end."""
    studios: list[Studio] = []

    def start(checkpoint: Path = tiny_checkpoint, **options: Any) -> Studio:
        studios.append(Studio(tmp_path_factory.mktemp("home"), checkpoint, **options))
        return studios[-1]

    try:
        yield start
    finally:
        for studio in studios:
            studio.stop()


@pytest.fixture
def start_studio(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Iterator[Callable[..., Studio]]:
    """Starts studios for one test: they end with it, so that they do not slow down the tests after it."""
    with studios_of(tmp_path_factory, tiny_checkpoint) as start:
        yield start


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Iterator[Studio]:
    """One studio shared by the tests that do not change it."""
    with studios_of(tmp_path_factory, tiny_checkpoint) as start:
        yield start()


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


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the studio in a browser session of its own; fails the test if the page logs a script error."""
    contexts, errors = [], []

    def open_one(url: str, **options: Any) -> Any:
        context = browser.new_context(
            permissions=["microphone"], viewport={"width": 1280, "height": 900}, accept_downloads=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#speak")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []

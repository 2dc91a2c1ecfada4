"""Take the pictures of docs/images from the running app: a real clip, a real take, on the tiny checkpoint.

python -m tools.screenshots [--folder docs/images]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import studio.engine  # noqa: F401  the guard comes before transformers
from studio.engine.tiny import build_tiny_checkpoint
from tests.ui.conftest import CHROMIUM, FLAGS, ROOT, Studio

CLIP = "kathleen_a0003.flac"
TEXT = "The sun rises in the east and sets in the west; people have seen it for thousands of years."
PICTURES = {
    "speak-light": (1280, "light", "Speak"),
    "speak-dark": (1280, "dark", "Speak"),
    "speak-phone-light": (390, "light", "Speak"),
    "speak-phone-dark": (390, "dark", "Speak"),
    "system-light": (1280, "light", "System"),
    "system-dark": (1280, "dark", "System"),
    "system-phone-light": (390, "light", "System"),
    "system-phone-dark": (390, "dark", "System"),
}


def make_a_take(page: Page) -> None:
    """Fill the form in and wait for the take and for the end of its live playback."""
    data = ROOT / "tests" / "data"
    page.locator("#clip button[aria-label='Upload file']").click()
    page.locator("#clip input[type=file]").set_input_files(data / CLIP)
    page.locator("#clip button[aria-label='Clear']").wait_for()
    page.locator("#transcript textarea").fill(json.loads((data / "kathleen.json").read_text())[CLIP])
    page.get_by_text("A licence allows it").click()
    page.locator("#consent-note textarea, #consent-note input").first.fill("CC0 1.0, rhasspy/dataset-voice-kathleen")
    page.locator("#text textarea").fill(TEXT)
    page.locator("#speak").click()
    page.locator("#status").get_by_text("take is ready").wait_for()
    page.locator("#live").wait_for(state="hidden")
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        checkpoint = build_tiny_checkpoint(Path(temporary) / "checkpoints" / "tiny-random")
        app = Studio(Path(temporary) / "home", checkpoint)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            for name, (width, scheme, tab) in PICTURES.items():
                context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
                page = context.new_page()
                page.goto(app.url)
                page.locator("#banner").get_by_text("noise").wait_for()
                if tab == "Speak":
                    make_a_take(page)
                else:
                    page.get_by_role("tab", name=tab).click()
                    page.locator("#machine-facts").get_by_text("Free on disk").wait_for()
                    page.wait_for_timeout(500)
                page.screenshot(path=folder / f"{name}.png", full_page=True)
                context.close()
        finally:
            browser.close()
            app.stop()


if __name__ == "__main__":
    main()

"""Take the pictures of docs/images from the running app: a real clip, real voices and takes, on the tiny checkpoint.

python -m tools.screenshots [--folder docs/images]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

import studio.engine  # noqa: F401  the guard comes before transformers
from studio.engine.checkpoints import build_tiny_checkpoint
from studio.settings import Settings
from studio.store.store import Store
from studio.training.config.request import TrainRequest, parse_overrides
from studio.training.job import Job
from studio.training.library import JobLibrary
from studio.training.preflight.report import preflight
from tests.training import EXAMPLES, write_rows
from tests.ui.conftest import CHROMIUM, FLAGS, ROOT, Studio

DATA = ROOT / "tests" / "data"
TEXT = "The sun rises in the east and sets in the west; people have seen it for thousands of years."
RUN = (
    "max_steps=4000", "save_steps=60", "eval_steps=60", "learning_rate=1e-2", "per_device_train_batch_size=4",
    "gradient_accumulation_steps=1", "lr_scheduler_type=constant",
)  # fmt: skip
WIDTHS = {"": 1280, "-phone": 390}
SCHEMES = ("light", "dark")
TABS = ("voices", "speak", "dialogue", "system", "train")


def write_clip(path: Path) -> str:
    """A clip of two utterances with a pause, and what is said in it."""
    said = json.loads((DATA / "kathleen.json").read_text(encoding="utf-8"))
    names = list(said)[:2]
    pieces = [soundfile.read(DATA / name, dtype="float32") for name in names]
    rate = pieces[0][1]
    soundfile.write(path, np.concatenate([pieces[0][0], np.zeros(rate // 2, np.float32), pieces[1][0]]), rate)
    return " ".join(said[name] for name in names)


def upload(page: Page, clip: Path) -> None:
    """Give the form a clip and wait for the coach."""
    page.locator("#clip button[aria-label='Upload file']").click()
    page.locator("#clip input[type=file]").set_input_files(clip)
    page.locator("#coach .verdicts").wait_for()


def fill_library(page: Page, clip: Path, said: str) -> None:
    """Save a voice and let it speak twice, as somebody does on the first day."""
    page.get_by_role("tab", name="Voices").click()
    upload(page, clip)
    page.locator("#transcript textarea").fill(said)
    page.locator("#voice-name input, #voice-name textarea").first.fill("Anna")
    page.locator("#consent").get_by_text("A licence allows it").click()
    page.locator("#consent-note input, #consent-note textarea").first.fill("CC0 1.0, rhasspy/dataset-voice-kathleen")
    page.locator("#save-voice").click()
    page.locator("#speak-with-it").click()
    for text in (TEXT, "صباح الخير، كيف حالك اليوم؟"):
        page.locator("#text textarea").fill(text)
        page.locator("#speak").click()
        page.wait_for_function("/take is ready/.test(document.querySelector('#status').innerText)")
        page.wait_for_timeout(3000)


def begin_run(home: Path, checkpoint: Path) -> tuple[JobLibrary, Job]:
    """A real run on the utterances of the tests, which has some checkpoints by the time its pictures are taken."""
    rows = write_rows(home / "rows.jsonl", [example.row() for example in EXAMPLES] * 4)
    settings = Settings(home=home, checkpoint=str(checkpoint), device="cpu")
    store = Store(settings.store_file)
    library = JobLibrary(settings, store)
    checked = preflight(TrainRequest(rows, overrides=parse_overrides(RUN)), settings, store, measure=False)
    job = library.start(checked, "Kathleen reads")
    while len(job.folder.checkpoints()) < 3 and library.job(job.id).active:
        time.sleep(1)
    return library, job


def show(page: Page, tab: str, clip: Path, said: str) -> None:
    """Bring a tab into the state its picture is taken in."""
    name = {"dialogue": "Speak"}.get(tab, tab.capitalize())
    page.get_by_role("tab", name=name).click()
    if tab == "voices":
        upload(page, clip)
        page.locator("#transcript textarea").fill(said)
        page.locator("#voice-list").get_by_text("Anna").click()
        page.locator("#voice-facts").get_by_text("Who speaks").wait_for()
    elif tab == "speak":
        page.locator("#takes label").first.click()
        page.locator("#result").wait_for()
    elif tab == "train":
        page.locator("#train-losses .js-plotly-plot").wait_for()
        page.locator("#train-sample-step label").nth(2).click()
        page.locator("#train-sample-1 audio").wait_for(state="attached")
    elif tab == "dialogue":
        page.locator("#mode").get_by_text("Dialogue").click()
        page.locator("#dialogue").wait_for()
    else:
        page.locator("#machine-facts").get_by_text("Free on disk").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(2000)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        clip = Path(temporary) / "anna.flac"
        said = write_clip(clip)
        app_checkpoint = build_tiny_checkpoint(Path(temporary) / "checkpoints" / "tiny-random")
        app = Studio(Path(temporary) / "home", app_checkpoint)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            first = browser.new_page(viewport={"width": 1280, "height": 900})
            first.goto(app.url)
            first.locator("#walk").wait_for()
            first.locator("#banner").get_by_text("noise").wait_for()
            first.wait_for_timeout(1000)
            first.screenshot(path=folder / "first-visit.png", full_page=True)
            fill_library(first, clip, said)
            first.close()
            for tab in TABS:
                run = begin_run(app.home, app_checkpoint) if tab == "train" else None
                for kind, width in WIDTHS.items():
                    for scheme in SCHEMES:
                        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
                        page = context.new_page()
                        page.goto(app.url)
                        page.locator("#banner .card").wait_for()
                        show(page, tab, clip, said)
                        page.screenshot(path=folder / f"{tab}{kind}-{scheme}.png", full_page=True)
                        context.close()
                if run is not None:
                    run[0].stop(run[1].id, now=True)
        finally:
            browser.close()
            app.stop()


if __name__ == "__main__":
    main()

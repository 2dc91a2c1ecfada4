"""The Train tab in a real browser, with a real run of ms-swift on the tiny checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_jobs import of_jobs
from tests.training import EXAMPLES
from tests.ui.conftest import Studio

STEPS = 400
OTHER = f"""max_steps={STEPS}
learning_rate=1e-2
per_device_train_batch_size=4
gradient_accumulation_steps=1
save_steps=100
split_dataset_ratio=0"""


def put_rows(studio: Studio) -> None:
    """Rows and their recordings where whoever runs the studio puts them."""
    folder = studio.home / "datasets" / "kathleen"
    folder.mkdir(parents=True)
    rows = []
    for example in EXAMPLES:
        row = example.row()
        row["audios"] = [Path(shutil.copy(clip, folder)).name for clip in row["audios"]]
        rows.append(json.dumps(row))
    (folder / "rows.jsonl").write_text("\n".join(rows))


@pytest.fixture
def home_of_jobs(new_studio: Callable[..., Any]) -> Iterator[Studio]:
    """A studio of its own, because it is killed; its jobs end with the test."""
    with new_studio() as started:
        put_rows(started)
        yield started
        ids = {path.name for path in started.home.glob("jobs/*")}
        for process in of_jobs(ids):
            os.kill(process.pid, signal.SIGKILL)


def points(page: Any, plot: str = "#train-losses") -> int:
    """Points of the longest curve that the browser has drawn."""
    return page.evaluate(
        "(plot) => Math.max(0, ...Array.from(document.querySelectorAll(plot + ' .js-plotly-plot'))"
        ".flatMap((drawn) => (drawn.data ?? []).map((curve) => (curve.x ?? []).length ?? 0)))",
        plot,
    )


def headline(page: Any) -> str:
    return page.locator("#train-headline").inner_text()


def step_of(page: Any) -> int:
    digits = page.locator("#train-headline").get_attribute("data-step") or ""
    return int(digits or 0)


def open_train(page: Any) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-jobs").wait_for()

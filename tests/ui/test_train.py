"""The Train tab in a real browser, with a real run of ms-swift on the tiny checkpoint."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.training.folder import JobFolder
from tests.conftest import DATA
from tests.jobs import of_jobs, until
from tests.training import EXAMPLES
from tests.ui.conftest import Studio

STEPS = 60
OTHER = f"""max_steps={STEPS}
learning_rate=1e-2
per_device_train_batch_size=4
gradient_accumulation_steps=1
save_steps=30
split_dataset_ratio=0"""


def put_rows(home: Path) -> None:
    """Rows and their recordings where whoever runs the studio puts them."""
    folder = home / "datasets" / "kathleen"
    folder.mkdir(parents=True)
    rows = []
    for example in EXAMPLES:
        row = example.row()
        row["audios"] = [Path(shutil.copy(clip, folder)).name for clip in row["audios"]]
        rows.append(json.dumps(row))
    (folder / "rows.jsonl").write_text("\n".join(rows))


def points(page: Any, plot: str = "#train-losses") -> int:
    """Points of the longest curve that the browser has drawn."""
    return page.evaluate(
        "(plot) => Math.max(0, ...Array.from(document.querySelectorAll(plot + ' .js-plotly-plot'))"
        ".flatMap((drawn) => (drawn.calcdata ?? []).map((curve) => curve.length)))",
        plot,
    )


def step_of(page: Any) -> int:
    said = page.locator("#train-headline .run-steps").inner_text()
    return int(re.findall(r"step ([\d,]+)", said)[0].replace(",", ""))


def open_train(page: Any) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-start").wait_for()


def in_state(page: Any, state: str, stage: str = "", seconds: float = 120) -> None:
    """The chosen run says so on the page."""
    of = f'[data-stage="{stage}"]' if stage else ""
    page.locator(f'#train-headline [data-state="{state}"]{of}').wait_for(timeout=1000 * seconds)


def take_settings(page: Any) -> None:
    """Rows of the server, a name, and settings that make a short run of many steps."""
    page.locator("#train-server-rows input").click()
    page.locator("#train-server-rows [role=option]").get_by_text("kathleen/rows.jsonl").click()
    page.locator("#train-name input, #train-name textarea").first.fill("Kathleen reads")
    page.locator("#train-advanced").get_by_role("button", name="Advanced").click()
    page.locator("#train-other textarea").fill(OTHER)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose jobs end with the test, whatever it did."""
    folder = tmp_path_factory.mktemp("home")
    yield folder
    for process in of_jobs({path.name for path in folder.glob("jobs/*")}):
        os.kill(process.pid, signal.SIGKILL)


def test_a_run_outlives_page_and_studio_and_its_voice_is_heard(
    home: Path, tiny_checkpoint: Path, open_page: Callable[..., Any]
) -> None:
    put_rows(home)
    studio = Studio(home, tiny_checkpoint)
    try:
        page = open_page(studio.url)
        open_train(page)
        take_settings(page)
        page.locator("#train-start").click()
        job = JobFolder(until(lambda: next(home.glob("jobs/*"), None), 90))
        hold(job, 5)
        in_state(page, "running", "training")
        until(lambda: points(page) >= 2, 60)
        seen = points(page)
        go_on(job)
        hold(job, 15)
        until(lambda: points(page) > seen, 60)

        page.reload()
        open_train(page)
        page.locator("#train-headline").get_by_text("Kathleen reads").wait_for()
        in_state(page, "running")
        until(lambda: points(page) > seen, 60)
        seen = points(page)
        page.close()
    finally:
        studio.process.kill()
        studio.stop()

    studio = Studio(home, tiny_checkpoint)
    try:
        page = open_page(studio.url)
        open_train(page)
        in_state(page, "running")
        until(lambda: points(page) >= seen, 60)
        go_on(job)
        hold(job, 25)
        until(lambda: points(page) > seen, 60)
        page.locator("#train-stop").click()
        in_state(page, "stopping")
        go_on(job)
        in_state(page, "stopped")
        stopped_at = step_of(page)
        assert 0 < stopped_at < STEPS, "the run was over before it was stopped"
        assert stopped_at in job.checkpoints()

        page.locator("#train-resume").click()
        in_state(page, "completed", seconds=300)  # the trainer starts, speaks and is compared with the base meanwhile
        until(lambda: step_of(page) == STEPS, 20)
        until(lambda: points(page) >= STEPS - 5, 20)
        assert [path.name for path in home.glob("jobs/*")] == [job.root.name]

        page.locator("#train-sample-step").get_by_text(f"Step {STEPS}").click()
        for number in (1, 2):
            assert seconds_of(page, f"#train-sample-{number}") > 0.2
            playing = f"document.querySelector('#train-sample-{number} audio')"
            page.evaluate(f"{playing}.play()")
            page.wait_for_function(f"{playing}.currentTime > 0")

        page.locator("#train-speak").click()
        page.locator("#adapter-state").get_by_text("Loaded").wait_for()
        assert page.locator("#adapter-picker input").input_value() == f"Kathleen reads · step {STEPS}"
        page.locator("#adapter-card").get_by_text("consent not recorded", exact=False).first.wait_for()
        page.locator("#text textarea").fill("Good evening.")
        page.locator("#speak").click()
        page.locator("#status").get_by_text("The take is ready").wait_for()
        page.locator("#takes").get_by_text(f"step {STEPS}", exact=False).first.wait_for()
    finally:
        studio.stop()


def hold(job: JobFolder, step: int) -> None:
    """Let the trainer sleep once it has logged this step, as behind the lid of a laptop: no run then depends on how fast
    the machine is."""
    until(lambda: job.metrics_file.exists() and job.metrics_file.read_text().count("\n") >= step, 120)
    os.killpg(trainer_of(job), signal.SIGSTOP)


def go_on(job: JobFolder) -> None:
    os.killpg(trainer_of(job), signal.SIGCONT)


def trainer_of(job: JobFolder) -> int:
    return json.loads(job.status_file.read_text())["trainer"]["pid"]


def seconds_of(page: Any, player: str) -> float:
    """Duration of what a player would play, as the browser itself decodes it."""
    page.wait_for_function(f"document.querySelector('{player} audio')?.src")
    return page.evaluate(
        """async (player) => {
            const sound = await (await fetch(document.querySelector(player + ' audio').src)).arrayBuffer();
            return (await new AudioContext().decodeAudioData(sound)).duration;
        }""",
        player,
    )


def test_what_cannot_work_is_said_before_it_starts(studio: Studio, open_page: Callable[..., Any]) -> None:
    folder = studio.home / "datasets" / "broken"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text(json.dumps(EXAMPLES[0].row()) + "\n{broken\n")
    page = open_page(studio.url)
    open_train(page)
    page.locator("#train-start").click()
    page.locator("#train-outcome").get_by_text("There are no rows yet").wait_for()
    page.wait_for_timeout(1000)  # a second press counts only once the first is over, which is told a moment later
    page.locator("#train-server-rows input").click()
    page.locator("#train-server-rows [role=option]").get_by_text("broken/rows.jsonl").click()
    until(lambda: page.locator("#train-server-rows input").input_value() == "broken/rows.jsonl")
    page.locator("#train-start").click()
    page.locator("#train-outcome").get_by_text("Row 2").first.wait_for()
    assert str(DATA) not in page.locator("#train-outcome").inner_text(), "no path of the server"
    # The dataset that comes with the studio takes the place of what was chosen.
    page.locator("#train-try").click()
    page.locator("#train-outcome").get_by_text("Try it is chosen: 3 min").wait_for()
    until(lambda: page.locator("#train-server-rows input").input_value() == "Dataset Try it")
    assert page.locator("#train-base input").input_value().startswith("Demo")
    page.locator("#train-advanced").get_by_role("button", name="Advanced").click()
    assert page.locator("#train-learning-rate input, #train-learning-rate textarea").first.input_value() == "1e-3"
    assert not list(studio.home.glob("jobs/*"))


def test_rows_chosen_while_the_server_is_slow_stay_chosen(studio: Studio, open_page: Callable[..., Any]) -> None:
    folder = studio.home / "datasets" / "slow"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text(json.dumps(EXAMPLES[0].row()) + "\n")
    page = open_page(studio.url)
    open_train(page)  # the page knows the rows from now on
    page.get_by_role("tab", name="Speak").click()
    held: list[Any] = []

    def keep(route: Any) -> None:
        held.append(route) if not held and json.loads(route.request.post_data).get("data") == [""] * 3 else (
            route.continue_()
        )

    page.route("**/queue/join*", keep)
    page.get_by_role("tab", name="Train").click()
    until(lambda: page.wait_for_timeout(50) or held, 90)
    page.locator("#train-server-rows input").click()
    page.locator("#train-server-rows [role=option]").get_by_text("slow/rows.jsonl").click()
    with page.expect_response("**/queue/join*"):
        held[0].continue_()
    page.unroute_all()
    page.wait_for_timeout(1500)  # for the answer, which changes nothing that could be waited for
    assert page.locator("#train-server-rows input").input_value() == "slow/rows.jsonl"

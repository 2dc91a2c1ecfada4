"""The page itself: what it says about the checkpoint, and that it can be read and reached by everybody."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.ui.test_speak import SENTENCE, speak, speak_and_wait, wait_for_status
from tests.ui.test_voices import says


def test_the_page_says_that_the_tiny_checkpoint_makes_noise_and_how_to_get_the_3b(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    banner = page.locator("#banner")
    banner.get_by_text("it makes noise, not speech").wait_for()
    assert "load the 3B model on the System tab" in banner.inner_text()
    page.get_by_role("tab", name="System").click()
    page.get_by_text("bosonai/higgs-audio-v2-generation-3B-base").first.wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_tabs_stay_where_a_visitor_reaches_for_them(
    strangers: Any, open_page: Any, browser: Any, width: int
) -> None:
    """What a server answers after the page is there pushes nothing away: neither the banner nor the first steps."""
    open_page(strangers.url).locator("#banner").get_by_text("it makes noise, not speech").wait_for()
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    held, holding = [], [True]

    def answer(route: Any) -> None:
        held.append(route) if holding and route.request.method == "POST" else route.continue_()

    page.route("**/gradio_api/**", answer)
    page.goto(strangers.url)
    page.wait_for_selector("#speak")
    page.wait_for_timeout(2000)
    top = "Math.round(document.querySelector('[role=tablist]').getBoundingClientRect().top)"
    unanswered = page.evaluate(top)
    assert held
    holding.clear()
    for route in held:
        route.continue_()
    page.locator("#voice-clip audio").wait_for(state="attached")
    page.wait_for_timeout(2000)
    assert page.locator("#walk").is_visible()
    assert page.evaluate(top) == unanswered

    # Put aside, the first steps do not come back for a moment with each reload, which comes back to where one was.
    page.locator("#walk-skip").click()
    page.locator("#walk").wait_for(state="hidden")
    page.get_by_role("tab", name="System").click()
    page.locator("#machine-facts").get_by_text("cpu").first.wait_for()
    page.reload()
    page.locator("#machine-facts").get_by_text("cpu").first.wait_for()
    assert page.locator("#walk").is_hidden()
    page.get_by_role("tab", name="Speak").click()
    page.locator("#text").wait_for()
    context.close()


def test_system_shows_device_versions_licences_and_no_server_path(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    page.get_by_role("tab", name="System").click()
    page.locator("#machine-facts").get_by_text("cpu").first.wait_for()
    shown = page.locator("body").inner_text()
    for expected in ("transformers", "5.19.0", "Built with Higgs Materials", "Free on disk"):
        assert expected in shown
    # Gradio's address of a file that the visitor may hear holds its path; nothing else on the page does.
    assert str(studio.home) not in re.sub(r"/gradio_api/file=[^\"'\s<>]*", "", page.content())


def test_a_checkpoint_typed_into_the_page_never_reaches_the_file_system(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    for typed, sentence in (
        ("/etc", "neither in the list nor a hub id"),
        ("nobody/no-such-model", "hub cannot be reached|hub has no model"),
        ("../../etc", "neither in the list nor a hub id"),
    ):
        page.get_by_role("tab", name="System").click()
        box = page.locator("#checkpoint input")
        box.fill(typed)
        box.press("Enter")
        page.locator("#load-checkpoint").click()
        says(page, "checkpoint-outcome", f"Not possible[^]*({sentence})")
        page.get_by_role("tab", name="Speak").click()
        speak_and_wait(page, SENTENCE)


@pytest.fixture(scope="module")
def changing(new_studio: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A studio that starts without a checkpoint; the three tests after this mend it and change it, in this order."""
    with new_studio(tmp_path_factory.mktemp("server-folder-17") / "no-such-model") as started:
        yield started


def load_checkpoint(page: Any, name: str) -> None:
    page.get_by_role("tab", name="System").click()
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=name).click()
    page.locator("#load-checkpoint").click()
    page.locator("#checkpoint-outcome").get_by_text(f"{name} is loaded").wait_for()


def free_checkpoint(page: Any) -> None:
    page.get_by_role("tab", name="System").click()
    page.locator("#unload-checkpoint").click()
    page.locator("#checkpoint-outcome").get_by_text("memory is free again").wait_for()
    page.get_by_role("tab", name="Speak").click()


def test_a_checkpoint_that_is_not_there_is_said_and_can_be_mended_on_the_page(changing: Any, open_page: Any) -> None:
    page = open_page(changing.url)
    banner = page.locator("#banner")
    banner.get_by_text("does not exist").wait_for()
    assert "System tab" in banner.inner_text()
    assert "server-folder-17" not in page.content()  # the server's folders are its own business
    assert "was not loaded" in changing.log.read_text()
    page.get_by_role("tab", name="System").click()
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name="tiny-random").click()
    page.locator("#load-checkpoint").click()
    page.locator("#checkpoint-outcome").get_by_text("tiny-random is loaded").wait_for()
    page.get_by_role("tab", name="Speak").click()
    speak_and_wait(page, SENTENCE)


def test_a_checkpoint_of_the_studios_folder_can_be_loaded_freed_and_used_again(
    changing: Any, open_page: Any, tiny_checkpoint: Path
) -> None:
    shutil.copytree(tiny_checkpoint, changing.home / "checkpoints" / "second")
    page = open_page(changing.url)
    load_checkpoint(page, "second")
    free_checkpoint(page)
    speak_and_wait(page, SENTENCE)


def test_the_studio_goes_on_when_its_checkpoint_folder_disappears(
    changing: Any, open_page: Any, tiny_checkpoint: Path
) -> None:
    folder = changing.home / "checkpoints" / "third"
    shutil.copytree(tiny_checkpoint, folder)
    page = open_page(changing.url)
    load_checkpoint(page, "third")
    page.get_by_role("tab", name="Speak").click()
    speak_and_wait(page, SENTENCE)
    shutil.rmtree(folder)
    speak_and_wait(page, SENTENCE)
    free_checkpoint(page)
    speak(page, SENTENCE)
    assert "does not exist" in wait_for_status(page, "Not possible")


@pytest.fixture(scope="module")
def guarded(new_studio: Any) -> Any:
    """A server with a login, on which visitors may not choose the checkpoint."""
    server = {"STUDIO_USERNAME": "anna", "STUDIO_PASSWORD": "a secret word", "STUDIO_SWITCH_CHECKPOINT": "false"}
    with new_studio(**server) as started:
        yield started


def log_in(page: Any) -> None:
    page.get_by_label("username").fill("anna")
    page.get_by_label("password").fill("a secret word")
    page.get_by_role("button", name="Login").click()
    page.wait_for_selector("#speak")


def test_with_a_login_nobody_gets_in_without_it(guarded: Any, browser: Any) -> None:
    page = browser.new_context().new_page()
    page.goto(guarded.url)
    page.get_by_label("username").wait_for()
    assert page.locator("#speak").count() == 0
    # The page for listeners stands before the login, and leads nowhere without a link.
    assert page.request.get(f"{guarded.url}vote/nothing").status == 404
    assert page.request.post(f"{guarded.url}vote/nothing/next", data={}).status == 400
    assert page.request.get(f"{guarded.url}config").status == 401
    log_in(page)
    assert "a secret word" not in guarded.log.read_text()
    page.context.close()


def test_a_server_can_keep_visitors_from_switching_the_checkpoint(guarded: Any, browser: Any) -> None:
    page = browser.new_context().new_page()
    page.goto(guarded.url)
    log_in(page)
    page.get_by_role("tab", name="System").click()
    page.get_by_text("the checkpoint is chosen by whoever runs it").wait_for()
    assert page.locator("#load-checkpoint").is_disabled()
    assert page.locator("#unload-checkpoint").is_disabled()
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overflows_and_every_field_has_a_label(studio: Any, browser: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme="light")
    page = context.new_page()
    page.goto(studio.url)
    page.wait_for_selector("#speak")
    assert page.locator("[role=tab]:visible").count() == 6, "no tab hides behind a menu"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
        for tab in ("Speak", "Compare", "System"):
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(UNLABELLED) == []
    context.close()


UNLABELLED = """() => [...document.querySelectorAll('textarea, input:not([type=hidden]):not([type=file]), button')]
    .filter(e => e.offsetParent)
    .filter(e => !(e.labels?.length || e.ariaLabel || e.innerText.trim() || e.title || e.closest('label')))
    .map(e => e.outerHTML.slice(0, 120))"""


def test_speaking_works_with_the_keyboard_alone(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    page.locator("#text textarea").focus()
    page.keyboard.type(SENTENCE)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "speak":
            break
    page.keyboard.press("Enter")
    wait_for_status(page, "take is ready")

"""The page itself: what it says about the checkpoint, and that it can be read and reached by everybody."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.ui.test_speak import SENTENCE, speak, wait_for_status


def test_the_page_says_that_the_tiny_checkpoint_makes_noise_and_how_to_get_the_3b(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    banner = page.locator("#banner")
    banner.get_by_text("it makes noise, not speech").wait_for()
    assert "load the 3B model on the System tab" in banner.inner_text()
    page.get_by_role("tab", name="System").click()
    page.get_by_text("bosonai/higgs-audio-v2-generation-3B-base").first.wait_for()


def test_system_shows_device_versions_licences_and_no_server_path(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    page.get_by_role("tab", name="System").click()
    page.locator("#machine-facts").get_by_text("cpu").first.wait_for()
    shown = page.locator("body").inner_text()
    for expected in ("transformers", "5.19.0", "Built with Higgs Materials", "Free on disk"):
        assert expected in shown
    # Gradio's address of a file that the visitor may hear holds its path; nothing else on the page does.
    assert str(studio.home) not in re.sub(r"/gradio_api/file=[^\"'\s<>]*", "", page.content())


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("/etc", "neither in the list nor a hub id"),
        ("../../etc", "neither in the list nor a hub id"),
        ("nobody/no-such-model", "hub cannot be reached|hub has no model"),
    ],
)
def test_a_checkpoint_typed_into_the_page_never_reaches_the_file_system(
    studio: Any, open_page: Any, typed: str, sentence: str
) -> None:
    page = open_page(studio.url)
    page.get_by_role("tab", name="System").click()
    box = page.locator("#checkpoint input")
    box.fill(typed)
    box.press("Enter")
    page.locator("#load-checkpoint").click()
    outcome = page.locator("#checkpoint-outcome")
    outcome.get_by_text("Not possible").wait_for()
    assert any(part in outcome.inner_text() for part in sentence.split("|"))
    page.get_by_role("tab", name="Speak").click()
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")


def test_a_checkpoint_of_the_studios_folder_can_be_loaded_freed_and_used_again(
    start_studio: Any, open_page: Any, tiny_checkpoint: Path
) -> None:
    studio = start_studio()
    shutil.copytree(tiny_checkpoint, studio.home / "checkpoints" / "second")
    page = open_page(studio.url)
    page.get_by_role("tab", name="System").click()
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name="second").click()
    page.locator("#load-checkpoint").click()
    page.locator("#checkpoint-outcome").get_by_text("second is loaded").wait_for()
    page.locator("#unload-checkpoint").click()
    page.locator("#checkpoint-outcome").get_by_text("memory is free again").wait_for()
    page.get_by_role("tab", name="Speak").click()
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")


def test_the_studio_goes_on_when_its_checkpoint_folder_disappears(
    start_studio: Any, open_page: Any, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    studio = start_studio(folder)
    page = open_page(studio.url)
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")
    shutil.rmtree(folder)
    speak(page, SENTENCE)
    wait_for_status(page, "Preparing|Speaking")
    wait_for_status(page, "take is ready")
    page.get_by_role("tab", name="System").click()
    page.locator("#unload-checkpoint").click()
    page.locator("#checkpoint-outcome").get_by_text("memory is free again").wait_for()
    page.get_by_role("tab", name="Speak").click()
    speak(page, SENTENCE)
    assert "does not exist" in wait_for_status(page, "Not possible")


def test_a_server_can_keep_visitors_from_switching_the_checkpoint(start_studio: Any, open_page: Any) -> None:
    studio = start_studio(STUDIO_SWITCH_CHECKPOINT="false")
    page = open_page(studio.url)
    page.get_by_role("tab", name="System").click()
    page.get_by_text("the checkpoint is chosen by whoever runs it").wait_for()
    assert page.locator("#load-checkpoint").is_disabled()
    assert page.locator("#unload-checkpoint").is_disabled()


def test_with_a_login_nobody_gets_in_without_it(start_studio: Any, browser: Any) -> None:
    studio = start_studio(STUDIO_USERNAME="anna", STUDIO_PASSWORD="a secret word")
    page = browser.new_context().new_page()
    page.goto(studio.url)
    page.get_by_label("username").wait_for()
    assert page.locator("#speak").count() == 0
    page.get_by_label("username").fill("anna")
    page.get_by_label("password").fill("a secret word")
    page.get_by_role("button", name="Login").click()
    page.wait_for_selector("#speak")
    assert "a secret word" not in studio.log.read_text()
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_every_field_has_a_label(studio: Any, browser: Any, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.goto(studio.url)
    page.wait_for_selector("#speak")
    for tab in ("Speak", "System"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    unlabelled = page.evaluate(
        """() => [...document.querySelectorAll('textarea, input:not([type=hidden]):not([type=file]), button')]
            .filter(e => e.offsetParent)
            .filter(e => !(e.labels?.length || e.ariaLabel || e.innerText.trim() || e.title || e.closest('label')))
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert unlabelled == []
    context.close()


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


def test_a_checkpoint_that_is_not_there_is_said_and_can_be_mended_on_the_page(
    start_studio: Any, open_page: Any, tmp_path: Path
) -> None:
    studio = start_studio(tmp_path / "server-folder-17" / "no-such-model")
    page = open_page(studio.url)
    banner = page.locator("#banner")
    banner.get_by_text("does not exist").wait_for()
    assert "System tab" in banner.inner_text()
    assert "server-folder-17" not in page.content()  # the server's folders are its own business
    assert "was not loaded" in studio.log.read_text()
    page.get_by_role("tab", name="System").click()
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name="tiny-random").click()
    page.locator("#load-checkpoint").click()
    page.locator("#checkpoint-outcome").get_by_text("tiny-random is loaded").wait_for()
    page.get_by_role("tab", name="Speak").click()
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")

"""The Dataset tab in a real browser: recordings become a set, which is reviewed, exported and trained on."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.audio.waveform import Waveform
from studio.settings import Settings
from studio.store.store import Store
from studio.takes.casting import Cast, TakeVoice
from studio.takes.library import TakeLibrary
from studio.takes.take import Spoken, Take
from studio.voices.presets import preset_voices
from tests.conftest import DATA
from tests.interrupted_import import begin_and_kill
from tests.takes import SHORT, request
from tests.ui.conftest import Studio

SAID = {
    **json.loads((DATA / "kathleen.json").read_text(encoding="utf-8")),
    **json.loads((DATA / "kathleen_short.json").read_text(encoding="utf-8")),
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip with one long recording and what is said in it, with times."""
    folder = tmp_path_factory.mktemp("recording")
    parts, lines, at = [], [], 0.0
    for number, (name, text) in enumerate(SAID.items(), start=1):
        samples, rate = soundfile.read(DATA / name, dtype="float32")
        times = " --> ".join(f"00:00:{moment:06.3f}".replace(".", ",") for moment in (at, at + len(samples) / rate))
        lines.append(f"{number}\n{times}\n{text}\n")
        parts += [samples, np.zeros(rate // 2, np.float32)]
        at += len(samples) / rate + 0.5
    soundfile.write(folder / "evening.flac", np.concatenate(parts), rate)
    (folder / "evening.srt").write_text("\n".join(lines), encoding="utf-8")
    with zipfile.ZipFile(folder / "Evening.zip", "w") as archive:
        for name in ("evening.flac", "evening.srt"):
            archive.write(folder / name, f"session/{name}")
    return folder / "Evening.zip"


def open_dataset(page: Any) -> None:
    page.get_by_role("tab", name="Dataset").click()
    page.locator("#set-import").wait_for()


@pytest.fixture
def take(studio: Studio, engine: Any) -> Iterator[Take]:
    """A second of a voice that comes with the studio."""
    settings = Settings(home=studio.home)
    store = Store(settings.store_file)
    library = TakeLibrary(settings, store)
    voice = next(voice for voice in preset_voices() if voice.name == "Kathleen")
    spoken = engine.clone(SHORT, seed=4)
    speech = replace(spoken, waveform=Waveform(np.resize(spoken.waveform.samples, 24_000), 24_000))
    kept = library.keep(Spoken(speech, request(SHORT), Cast((TakeVoice(voice.id, voice.name),)), "tiny"))
    yield kept
    library.delete(kept.id)
    store.close()


def choose(page: Any, dropdown: str, option: str) -> None:
    page.locator(f"{dropdown} input").click()
    page.locator(f"{dropdown} [role=option]").get_by_text(option).first.click()


def test_recordings_are_sliced_reviewed_exported_and_trained_on(
    studio: Studio, open_page: Callable[..., Any], recording: Path, take: Take, tmp_path: Path
) -> None:
    page = open_page(studio.url)
    open_dataset(page)
    page.locator("#set-import").click()
    page.locator("#set-outcome").get_by_text("Upload recordings, or say where they are").wait_for()
    page.locator("#set-files input[type=file]").set_input_files(recording)
    page.locator("#set-files").get_by_text("Evening").first.wait_for()
    page.locator("#set-speaker input, #set-speaker textarea").first.fill("Kathleen")
    page.locator("#set-import").click()
    page.locator("#set-outcome").get_by_text("Evening has").wait_for()
    page.locator("#set-facts").get_by_text("Grade").wait_for()
    page.locator("#set-facts").get_by_text("consent not recorded").wait_for()
    drawn = "(id) => document.querySelectorAll(`${id} .barlayer .point`).length"
    page.wait_for_function(
        f"""['#set-durations', '#set-rates', '#set-snrs', '#set-minutes'].every(id => ({drawn})(id) > 0)"""
    )
    assert page.evaluate(drawn, "#set-minutes") == 1

    # One transcript is mended and one utterance dropped.
    listed = page.locator("#review-list label")
    listed.first.wait_for()
    count = listed.count()
    assert count >= 3
    text = page.locator("#review-text textarea")
    before = text.input_value()
    assert any(said in before or before in said for said in SAID.values())
    assert page.evaluate("(async () => (await fetch(document.querySelector('#review-player audio').src)).ok)()")
    text.fill("مرحبا، this was mended.")
    page.locator("#review-save").click()
    page.locator("#review-said").get_by_text("Saved.").wait_for()
    listed.last.click()
    another = "(mended) => document.querySelector('#review-text textarea').value !== mended"
    page.wait_for_function(another, arg="مرحبا، this was mended.")
    page.locator("#review-drop").click()
    page.locator("#review-said").get_by_text("is dropped").wait_for()
    page.wait_for_function("(count) => document.querySelectorAll('#review-list label').length === count", arg=count - 1)
    page.locator("#review-undo").click()
    page.locator("#review-said").get_by_text("Undone: dropped").wait_for()
    page.wait_for_function("(count) => document.querySelectorAll('#review-list label').length === count", arg=count)
    page.locator("#review-list label").last.click()
    page.wait_for_timeout(800)
    page.locator("#review-evidence").click()  # keys count where nobody types
    page.keyboard.press("d")
    page.locator("#review-said").get_by_text("is dropped").wait_for()

    # Both are kept over a reload.
    page.reload()
    open_dataset(page)
    page.locator("#set-facts").get_by_text("1 dropped").wait_for()
    page.locator("#review-list label").get_by_text("this was mended").wait_for()
    assert page.locator("#review-list label").count() == count - 1

    # Without consent nothing leaves; with it the archive can be had, and a training reads the set.
    page.locator("#set-export").get_by_role("button", name="Export").click()
    page.locator("#export-make").click()
    page.locator("#set-said").get_by_text("The consent of Kathleen is not recorded").wait_for()
    page.locator("#set-consent").get_by_role("button", name="Whose voices").click()
    page.locator("#consent-ground label").last.click()
    page.locator("#set-consent-note input, #set-consent-note textarea").first.fill("CC0")
    page.locator("#consent-record").click()
    page.locator("#set-said").get_by_text("The consent of Kathleen is recorded").wait_for()
    page.locator("#export-make").click()
    page.locator("#set-said").get_by_text("is packed as rows").wait_for()
    with page.expect_download() as download:
        page.locator("#export-file a").first.click()
    download.value.save_as(tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        rows = archive.read("rows.jsonl").decode().splitlines()
        assert len(rows) == count - 1 and any("this was mended" in row for row in rows)

    page.get_by_role("tab", name="Train").click()
    choose(page, "#train-server-rows", "Dataset Evening")
    page.locator("#train-check").click()
    page.locator("#train-outcome").get_by_text(f"{count - 1} rows of Evening@").wait_for()
    page.locator("#train-outcome").get_by_text("licence (CC0)").wait_for()

    # A take joins it, marked, and an utterance becomes the clip of a new voice.
    page.reload()
    page.get_by_role("tab", name="Speak").click()
    page.locator("#takes").get_by_text(take.title).click()
    page.locator("#take-dataset").get_by_role("button", name="Add to a dataset").click()
    page.wait_for_function("document.querySelector('#take-dataset-name input').value === 'Evening'")
    page.locator("#take-dataset-add").click()
    page.locator("#take-dataset-said").get_by_text("marked as made by a model").wait_for()
    open_dataset(page)
    page.locator("#set-facts").get_by_text(f"1 of {count} utterances").wait_for()
    choose(page, "#review-kind", "Made by a model")
    page.wait_for_function("document.querySelector('#review-text textarea').value === 'Good morning to you all.'")
    choose(page, "#review-kind", "All, most suspicious first")
    page.locator("#review-list label").get_by_text("this was mended").click()
    page.wait_for_function("document.querySelector('#review-text textarea').value.includes('mended')")
    page.locator("#review-as-voice").click()
    page.locator("#intake").get_by_text("the utterance of your dataset").wait_for()
    assert page.locator("#transcript textarea").input_value() == "مرحبا، this was mended."
    assert page.locator("#consent input:checked").get_attribute("value") == "licence"
    assert page.locator("#consent-note textarea, #consent-note input").first.input_value() == "CC0"
    page.locator("#coach").get_by_text("Speakers").wait_for()

    open_dataset(page)
    page.locator("#review-as-voice").click()  # the first clip is not saved yet
    page.locator("#review-said").get_by_text("not saved yet waits").wait_for()
    page.locator("#set-facts").get_by_text("Evening.zip").wait_for()
    page.locator("#set-delete").click()
    page.locator("#set-delete").get_by_text("Press again").wait_for()
    page.locator("#set-delete").click()
    page.locator("#set-said").get_by_text("Evening is deleted").wait_for()
    page.locator("#set-list-empty").get_by_text("No datasets yet").wait_for()


def test_an_import_that_was_killed_goes_on(studio: Studio, open_page: Callable[..., Any], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Broken.zip", "w") as archive:
        for name, clip in zip(("a.flac", "b.flac"), sorted(DATA.glob("kathleen*.flac")), strict=False):
            archive.write(clip, name)
    begin_and_kill(studio.home, "Broken", "recordings", tmp_path / "Broken.zip")
    page = open_page(studio.url)
    open_dataset(page)
    assert not page.locator("#set-hub").is_visible()
    choose(page, "#set-kind", "Hugging Face")
    page.locator("#set-hub textarea, #set-hub input").first.fill(
        "assets/voices"
    )  # a folder of the server, not of the hub
    page.locator("#set-import").click()
    page.locator("#set-outcome").get_by_text("reads owner/name").wait_for()
    page.locator("#set-list").get_by_text("not imported whole").wait_for()
    page.locator("#set-list label").get_by_text("Broken").click()
    page.locator("#set-facts").get_by_text("was interrupted: go on").wait_for()
    page.locator("#set-go-on").click()
    page.locator("#set-outcome").get_by_text("Broken has").wait_for()
    page.locator("#set-facts").get_by_text("Grade").wait_for()
    assert not page.locator("#set-go-on").is_visible()
    assert not studio.files("**/upload")
    page.locator("#set-delete").click()
    page.locator("#set-delete").get_by_text("Press again").wait_for()
    page.locator("#set-delete").click()
    page.locator("#set-said").get_by_text("Broken is deleted").wait_for()


def test_strangers_have_sets_of_their_own(strangers: Studio, open_page: Callable[..., Any]) -> None:
    page = open_page(strangers.url)
    open_dataset(page)
    page.locator("#set-list-empty").get_by_text("No datasets yet").wait_for()
    assert not page.locator("#set-folder").is_visible()
    page.locator("#set-files input[type=file]").set_input_files(DATA / "kathleen.json")
    page.locator("#set-files").get_by_text("kathleen").first.wait_for()
    page.locator("#set-import").click()
    page.locator("#set-outcome").get_by_text("holds no recordings").wait_for()
    page.locator("#set-list-empty").get_by_text("No datasets yet").wait_for()

"""The main job in a browser: record, say what was said and whose voice it is, type a text, listen, download."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

STATUS = "#status"
SENTENCE = "Hello there, how are you today?"


def speak(page: Any, text: str) -> None:
    page.locator("#text textarea").fill(text)
    page.locator("#speak").click()


def wait_for_status(page: Any, pattern: str) -> str:
    page.wait_for_function(
        "([selector, pattern]) => new RegExp(pattern).test(document.querySelector(selector)?.innerText ?? '')",
        arg=[STATUS, pattern],
    )
    return page.locator(STATUS).inner_text()


def set_seed(page: Any, seed: int) -> None:
    page.get_by_text("Advanced", exact=True).click()
    page.locator("#seed textarea, #seed input").first.fill(str(seed))


def download(page: Any, suffix: str) -> Path:
    button = page.locator(f"#download-{suffix}")
    button.wait_for(state="visible")
    with page.expect_download() as event:
        button.click()
    assert event.value.suggested_filename.endswith(f".{suffix}")
    return Path(event.value.path())


def seconds_said(status: str) -> float:
    found = re.search(r"Duration\s*([\d.]+) s", status)
    assert found, status
    return float(found[1])


def test_a_recorded_voice_speaks_and_its_wav_has_the_right_rate_and_duration(
    studio: Any, open_page: Any, microphone: tuple[Path, str]
) -> None:
    page = open_page(studio.url)
    page.locator("#clip .record-button").first.click()
    time.sleep(2.5)  # this long somebody speaks into the microphone
    page.locator("#clip .stop-button").first.click()
    page.locator("#clip .play-pause-button").first.wait_for()
    page.locator("#transcript textarea").fill(microphone[1])
    page.get_by_text("My own voice").click()
    set_seed(page, 5)
    speak(page, SENTENCE)

    status = wait_for_status(page, "take is ready")
    info = soundfile.info(download(page, "wav"))
    assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")
    assert info.duration == pytest.approx(seconds_said(status), abs=0.006)
    assert "Seed 5" in status.replace("\n", " ")
    # The reference really was the microphone's clip: its codes were kept, and without it the take is another one.
    assert len(list(studio.home.rglob("cache/codes/**/*.npy"))) == 1
    with_reference, _ = soundfile.read(download(page, "wav"))
    page.locator("#clip button[aria-label='Clear']").click()
    page.locator("#transcript textarea").fill("")
    speak(page, SENTENCE)
    wait_for_status(page, "Preparing|Speaking")
    wait_for_status(page, "take is ready")
    without_reference, _ = soundfile.read(download(page, "wav"))
    assert not np.array_equal(with_reference, without_reference)


def test_speech_is_heard_while_it_is_made(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    set_seed(page, 1)
    speak(page, SENTENCE + " " + " ".join(["The quick brown fox jumps over the lazy dog."] * 30))
    wait_for_status(page, "Speaking")
    # The live player has begun to play although the take is not finished.
    page.wait_for_function("(document.querySelector('#live audio')?.currentTime ?? 0) > 0.1")
    assert "take is ready" not in page.locator(STATUS).inner_text()
    page.locator("#stop").click()
    wait_for_status(page, "Stopped")
    page.locator("#speak").get_by_text("Speak", exact=True).wait_for()


def test_flac_and_mp3_hold_the_same_take(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    set_seed(page, 3)
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")
    wav, rate = soundfile.read(download(page, "wav"))
    flac, flac_rate = soundfile.read(download(page, "flac"))
    mp3, mp3_rate = soundfile.read(download(page, "mp3"))
    assert rate == flac_rate == mp3_rate
    assert np.array_equal(wav, flac)
    assert len(mp3) == pytest.approx(len(wav), abs=0.1 * rate)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no text"),
        ("?!… —", "There is nothing to say"),
        ("word " * 4000, "the limit is"),
        ("Hello <|eot_id|> there", "control token"),
    ],
)
def test_a_text_that_cannot_be_spoken_is_refused_in_one_sentence(
    studio: Any, open_page: Any, text: str, sentence: str
) -> None:
    page = open_page(studio.url)
    speak(page, text)
    assert sentence in wait_for_status(page, "Not possible")
    speak(page, SENTENCE)  # and the studio goes on
    wait_for_status(page, "take is ready")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.wav", b"", "empty"),
        ("text.wav", b"this is not a recording\n" * 50, "text"),
        ("cut.flac", None, "cut short|damaged"),
    ],
)
def test_a_bad_upload_is_refused_in_one_sentence(
    studio: Any,
    open_page: Any,
    kathleen: dict[Path, str],
    tmp_path: Path,
    name: str,
    content: bytes | None,
    sentence: str,
) -> None:
    page = open_page(studio.url)
    path = tmp_path / name
    path.write_bytes(next(iter(kathleen)).read_bytes()[:30_000] if content is None else content)
    upload(page, path)
    page.locator("#transcript textarea").fill("Something.")
    page.get_by_text("My own voice").click()
    speak(page, SENTENCE)
    status = wait_for_status(page, "Not possible")
    assert re.search(sentence, status), status
    assert "Traceback" not in page.content()


def upload(page: Any, path: Path) -> None:
    page.locator("#clip button[aria-label='Upload file']").click()
    page.locator("#clip input[type=file]").set_input_files(path)
    page.locator("#clip button[aria-label='Clear']").wait_for()


def test_an_emoji_in_the_file_name_and_arabic_text_work(
    studio: Any, open_page: Any, kathleen: dict[Path, str], tmp_path: Path
) -> None:
    clip, transcript = next(iter(kathleen.items()))
    path = tmp_path / "my voice 🎤.flac"
    path.write_bytes(clip.read_bytes())
    page = open_page(studio.url)
    upload(page, path)
    page.locator("#transcript textarea").fill(transcript)
    page.get_by_text("A licence allows it").click()
    page.locator("#consent-note textarea, #consent-note input").first.fill("CC0, rhasspy/dataset-voice-kathleen")
    speak(page, "صباح الخير، كيف حالك اليوم؟")
    # Right-to-left text starts at the right.
    box = page.locator("#text textarea")
    assert box.evaluate("element => getComputedStyle(element).unicodeBidi") == "plaintext"
    wait_for_status(page, "take is ready")


def test_a_voice_is_not_cloned_without_consent_or_transcript(
    studio: Any, open_page: Any, kathleen: dict[Path, str]
) -> None:
    clip, transcript = next(iter(kathleen.items()))
    page = open_page(studio.url)
    upload(page, clip)
    speak(page, SENTENCE)
    assert "whose voice" in wait_for_status(page, "Not possible")
    page.get_by_text("The speaker gave permission").click()
    speak(page, SENTENCE)
    assert "consent note" in wait_for_status(page, "consent note")
    page.get_by_text("My own voice").click()
    speak(page, SENTENCE)
    assert "transcript" in wait_for_status(page, "transcript")
    page.locator("#transcript textarea").fill(transcript)
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")


def test_two_visitors_speak_at_once_and_each_gets_their_own(studio: Any, open_page: Any) -> None:
    pages = [open_page(studio.url), open_page(studio.url)]
    alone = []
    for page, seed in zip(pages, (11, 12), strict=True):
        set_seed(page, seed)
        speak(page, SENTENCE)
        wait_for_status(page, "take is ready")
        alone.append(soundfile.read(download(page, "wav"))[0])
    assert not np.array_equal(*alone)
    for page in pages:
        speak(page, SENTENCE)
    for page, earlier in zip(pages, alone, strict=True):
        wait_for_status(page, "take is ready")
        assert np.array_equal(soundfile.read(download(page, "wav"))[0], earlier)


def test_a_reload_in_the_middle_leaves_a_studio_that_goes_on(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    speak(page, " ".join(["The quick brown fox jumps over the lazy dog."] * 40))
    wait_for_status(page, "Speaking")
    page.reload()
    page.wait_for_selector("#speak")
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")


LONG_TEXT = " ".join(["The quick brown fox jumps over the lazy dog."] * 60)


def test_stop_works_for_a_request_that_still_waits_its_turn(studio: Any, open_page: Any) -> None:
    first, second = open_page(studio.url), open_page(studio.url)
    speak(first, LONG_TEXT)
    wait_for_status(first, "Speaking")
    speak(second, SENTENCE)
    wait_for_status(second, "Waiting")
    second.locator("#stop").click()
    wait_for_status(second, "Stopped")
    second.locator("#speak").get_by_text("Speak", exact=True).wait_for()
    first.locator("#stop").click()
    wait_for_status(first, "Stopped")
    first.wait_for_timeout(1500)  # its turn would have come by now
    assert "Stopped" in second.locator(STATUS).inner_text()
    speak(second, SENTENCE)
    wait_for_status(second, "take is ready")


def test_a_full_disk_is_said_in_a_sentence_and_the_studio_goes_on(start_studio: Any, open_page: Any) -> None:
    studio = start_studio(max_file_bytes=300_000)  # six seconds of WAV
    page = open_page(studio.url)
    set_seed(page, 2)
    speak(page, " ".join([SENTENCE] * 30))
    assert "full" in wait_for_status(page, "Not possible")
    assert list(studio.home.rglob("take-*")) == []
    speak(page, "Hi.")
    wait_for_status(page, "take is ready")


def test_opening_advanced_does_not_pin_the_seed(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    page.get_by_text("Advanced", exact=True).click()
    seeds = []
    for _ in range(2):
        speak(page, SENTENCE)
        wait_for_status(page, "Waiting|Preparing|Speaking")
        seeds.append(re.search(r"Seed\s*(\d+)", wait_for_status(page, "take is ready")))
    assert all(seeds)
    assert seeds[0][1] != seeds[1][1]


@pytest.mark.parametrize("seed", ["-5", "99999999999", "1.5", "seven"])
def test_a_seed_that_is_none_is_refused_in_a_sentence_and_the_page_goes_on(
    studio: Any, open_page: Any, seed: str
) -> None:
    page = open_page(studio.url)
    page.get_by_text("Advanced", exact=True).click()
    page.locator("#seed textarea, #seed input").first.fill(seed)
    speak(page, SENTENCE)
    assert "seed" in wait_for_status(page, "Not possible")
    page.locator("#seed textarea, #seed input").first.fill("4")
    speak(page, SENTENCE)
    wait_for_status(page, "take is ready")


def test_a_value_that_the_slider_refuses_does_not_lock_the_buttons(studio: Any, open_page: Any) -> None:
    page = open_page(studio.url)
    page.get_by_text("Advanced", exact=True).click()
    page.locator("#temperature input[type=number]").fill("99")
    speak(page, SENTENCE)
    wait_for_status(page, "Not possible|take is ready")  # Gradio refuses it, or takes the nearest value
    page.locator("#speak").get_by_text("Speak", exact=True).wait_for()


def test_a_dialogue_with_one_clip_says_what_can_be_done_on_the_page(
    studio: Any, open_page: Any, kathleen: dict[Path, str]
) -> None:
    clip, transcript = next(iter(kathleen.items()))
    page = open_page(studio.url)
    upload(page, clip)
    page.locator("#transcript textarea").fill(transcript)
    page.get_by_text("My own voice").click()
    speak(page, "[Anna] Hi there.\n[Ben] Hello Anna.")
    assert "remove the clip" in wait_for_status(page, "Not possible")
    page.locator("#clip button[aria-label='Clear']").click()
    page.locator("#transcript textarea").fill("")
    speak(page, "[Anna] Hi there.\n[Ben] Hello Anna.")
    wait_for_status(page, "take is ready")

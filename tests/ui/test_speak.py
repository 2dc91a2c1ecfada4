"""*Speak* in a browser: choose a voice, type, listen while it is made, keep takes, come back to them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.listening.transcript import Transcript
from studio.settings import Settings
from studio.store.store import Store
from studio.ui.visitors import owner_of
from studio.voices.consent import SpeakerConsent
from studio.voices.library import VoiceLibrary
from studio.voices.voice import NewClip
from tests.jobs import until
from tests.trained import register, write_adapter
from tests.ui.conftest import plays

STATUS = "#status"
SENTENCE = "Hello there, how are you today?"
LONG_TEXT = " ".join(
    ["The quick brown fox jumps over the lazy dog."] * 200
)  # spoken for a minute even by the tiny model


def speak(page: Any, text: str) -> None:
    page.locator("#text textarea").fill(text)
    page.locator("#speak").click()


def wait_for_status(page: Any, pattern: str) -> str:
    page.wait_for_function(
        "([selector, pattern]) => new RegExp(pattern).test(document.querySelector(selector)?.innerText ?? '')",
        arg=[STATUS, pattern],
    )
    return page.locator(STATUS).inner_text()


def present_take(page: Any) -> str:
    """The id of the take in the panel; "" where there is none."""
    return page.evaluate("document.querySelector('#take-heading [data-take]')?.dataset.take ?? ''")


def next_take(page: Any, before: str) -> str:
    """Wait until another take than ``before`` is ready and in the panel; what the status says."""
    page.wait_for_function(
        """before => {
            const shown = document.querySelector('#take-heading [data-take]')?.dataset.take ?? '';
            return shown && shown !== before && /ready/.test(document.querySelector('#status').innerText);
        }""",
        arg=before,
    )
    return page.locator(STATUS).inner_text()


def speak_and_wait(page: Any, text: str) -> str:
    before = present_take(page)
    speak(page, text)
    return next_take(page, before)


def set_seed(page: Any, seed: int | str) -> None:
    field = page.locator("#seed textarea, #seed input").first
    if not field.is_visible():
        page.get_by_text("Advanced", exact=True).click()
    field.fill(str(seed))


def choose_voice(page: Any, name: str) -> None:
    page.locator("#voice-picker input").click()
    page.locator("#voice-picker [role=option]").get_by_text(name).first.click()


def choose_dialogue(page: Any) -> None:
    page.locator("#mode").get_by_text("Dialogue").click()
    page.locator("#dialogue textarea").first.wait_for()


def download(page: Any, suffix: str) -> Path:
    page.locator(f"#download-{suffix}:not([disabled])").wait_for(state="visible")
    with page.expect_download() as event:
        page.locator(f"#download-{suffix}").click()
    assert event.value.suggested_filename.endswith(f".{suffix}")
    return Path(event.value.path())


def listed(page: Any) -> list[str]:
    return page.locator("#takes .take").all_inner_texts()


def wait_for_list(page: Any, number: int) -> None:
    page.wait_for_function("n => document.querySelectorAll('#takes .take').length === n", arg=number)


def fact(status: str, name: str) -> str:
    found = re.search(rf"{name}\s*([\d.]+)", status)
    assert found, status
    return found[1]


@pytest.fixture
def page(strangers: Any, open_page: Any) -> Any:
    """A first visitor, once the page has filled its form in: that answer would take back what is chosen before it comes."""
    page = open_page(strangers.url)
    page.wait_for_function("document.querySelector('#text textarea')?.value.length > 10")
    return page


# Speaking


def test_a_first_visitor_presses_speak_and_hears_a_voice(page: Any) -> None:
    page.wait_for_function("document.querySelector('#text textarea')?.value.length > 10")
    assert "Kathleen" in page.locator("#voice-picker input").input_value()
    assert "CC0" in page.locator("#voice-about").inner_text()
    assert "No takes yet" in page.locator("#takes").inner_text()
    page.locator("#speak").click()
    status = next_take(page, "")
    info = soundfile.info(download(page, "wav"))
    assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")
    assert info.duration == pytest.approx(float(fact(status, "Duration")), abs=0.006)
    wait_for_list(page, 1)
    assert "Kathleen" in listed(page)[0]


def test_a_take_plays_and_a_player_that_cannot_offers_the_file(page: Any) -> None:
    for seed in (3, 4):  # takes of some seconds
        set_seed(page, seed)
        speak_and_wait(page, f"Number {seed}, and a sentence that takes some seconds to say.")
    wait_for_list(page, 2)
    plays(page, "#result")
    # Play is pressed while another take is on its way: the player falls silent when that comes, and its button says so.
    page.locator("#result button[aria-label='Play']").wait_for()
    held: list[Any] = []
    page.route(re.compile(r"\.wav$"), lambda route: held.append(route))
    page.locator("#takes label.take", has_text="Number 3").click()
    for _ in range(100):
        if held:
            break
        page.wait_for_timeout(100)
    page.locator("#result button[aria-label='Play']").click()
    page.locator("#result button[aria-label='Pause']").wait_for()
    for route in held:
        route.continue_()
    page.unroute(re.compile(r"\.wav$"))
    page.locator("#result button[aria-label='Play']").wait_for()
    plays(page, "#result")
    page.locator("#takes label.take", has_text="Number 4").click()
    page.locator("#result button[aria-label='Play']").wait_for()
    # A file that does not arrive as it is, whatever the reason.
    page.route(re.compile(r"\.wav$"), lambda route: route.fulfill(body=b"no sound" * 100, content_type="audio/wav"))
    page.locator("#takes label.take", has_text="Number 3").click()
    said = page.locator("#result .unplayable")
    said.wait_for()
    assert "could not load or play" in said.inner_text()
    page.unroute(re.compile(r"\.wav$"))
    with page.expect_download() as downloading:
        said.get_by_text("Download it").click()
    assert soundfile.info(downloading.value.path()).duration > 0.2
    page.locator("#takes label.take", has_text="Number 4").click()
    said.wait_for(state="detached")


def test_speech_is_heard_while_it_is_made_and_stop_keeps_nothing(page: Any) -> None:
    set_seed(page, 1)
    speak(page, LONG_TEXT)
    said = wait_for_status(page, "Speaking")
    assert re.search(r"[\d.]+ s of about (\d+ min )?\d+ s · \d+ s elapsed", said), said
    # The live player has begun to play although the take is not finished.
    page.wait_for_function("(document.querySelector('#live audio')?.currentTime ?? 0) > 0.1")
    assert "ready" not in page.locator(STATUS).inner_text()
    page.locator("#stop").click()
    wait_for_status(page, "Stopped; nothing was kept")
    page.locator("#speak").get_by_text("Speak", exact=True).wait_for()
    page.locator("#live").wait_for(state="hidden")
    assert listed(page) == []


def test_the_seconds_to_expect_are_told_while_typing(page: Any) -> None:
    page.wait_for_function("document.querySelector('#text textarea')?.value.length > 10")
    for text, seconds in (("Hi.", 1), (SENTENCE, 2), (" ".join([SENTENCE] * 4), 10)):
        page.locator("#text textarea").fill(text)
        page.locator("#expected").get_by_text(f"about {seconds} s").wait_for()
    page.locator("#text textarea").fill("word " * 4000)
    page.locator("#expected").get_by_text("the limit is").wait_for()


def test_flac_and_mp3_hold_the_same_take(page: Any) -> None:
    set_seed(page, 3)
    speak_and_wait(page, SENTENCE)
    wav, rate = soundfile.read(download(page, "wav"))
    flac, flac_rate = soundfile.read(download(page, "flac"))
    mp3, mp3_rate = soundfile.read(download(page, "mp3"))
    assert rate == flac_rate == mp3_rate
    assert np.array_equal(wav, flac)
    assert len(mp3) == pytest.approx(len(wav), abs=0.1 * rate)


def test_what_cannot_be_spoken_is_refused_in_one_sentence_and_the_studio_goes_on(page: Any) -> None:
    for text, sentence in (
        ("", "There is no text"),
        ("?!… —", "There is nothing to say"),
        ("word " * 4000, "the limit is"),
        ("Hello <|eot_id|> there", "control token"),
    ):
        speak(page, text)
        wait_for_status(page, sentence)
        assert "Not possible" in page.locator(STATUS).inner_text()
    for seed in ("-5", "99999999999", "1.5", "seven"):
        set_seed(page, seed)
        speak(page, SENTENCE)
        wait_for_status(page, f"seed.*{re.escape(seed)}")
    set_seed(page, "")
    page.locator("#temperature input[type=number]").fill("99")
    page.locator("#speak").click()
    wait_for_status(page, "Temperature must be a number|ready")  # Gradio takes the nearest value by itself
    page.locator("#temperature input[type=number]").fill("0.3")
    assert "Traceback" not in page.content()
    speak_and_wait(page, SENTENCE)


def test_the_seed_is_new_each_time_unless_it_is_given(page: Any) -> None:
    page.get_by_text("Advanced", exact=True).click()
    seeds = [fact(speak_and_wait(page, SENTENCE), "Seed") for _ in range(2)]
    assert seeds[0] != seeds[1]
    set_seed(page, 11)
    sounds = []
    for _ in range(2):
        assert fact(speak_and_wait(page, SENTENCE), "Seed") == "11"
        sounds.append(soundfile.read(download(page, "wav"))[0])
    assert np.array_equal(*sounds)


def test_arabic_starts_at_the_right_and_is_spoken(page: Any) -> None:
    speak(page, "صباح الخير، كيف حالك اليوم؟")
    box = page.locator("#text textarea")
    assert box.evaluate("element => getComputedStyle(element).unicodeBidi") == "plaintext"
    next_take(page, "")
    choose_dialogue(page)
    line = page.locator("#dialogue textarea").first
    line.fill("שלום, מה שלומך?")
    assert line.evaluate("element => getComputedStyle(element).direction") == "rtl"


def test_several_takes_at_once_have_seeds_of_their_own(page: Any) -> None:
    page.get_by_text("Advanced", exact=True).click()
    page.locator("#variations input[type=number]").fill("3")
    page.locator("#variations input[type=number]").press("Tab")
    page.locator("#expected").get_by_text("3 takes").wait_for()
    speak(page, SENTENCE)
    wait_for_status(page, "3 takes are ready")
    wait_for_list(page, 3)
    seeds = set()
    page.get_by_text("How it was made").click()
    for row in range(3):
        before = present_take(page)
        if not page.locator("#takes .take input").nth(row).is_checked():
            page.locator("#takes .take").nth(row).click()
            page.wait_for_function(
                "before => document.querySelector('#take-heading [data-take]').dataset.take !== before", arg=before
            )
        seed = page.locator("#take-facts").get_by_role("row", name=re.compile("^Seed"))
        until(lambda seed=seed: seed.inner_text() not in seeds)  # the table comes after the heading
        seeds.add(seed.inner_text())
    assert len(seeds) == 3


# Dialogue


def test_a_dialogue_is_written_line_by_line_with_the_keyboard_and_spoken(page: Any) -> None:
    choose_dialogue(page)
    page.get_by_label("Voice of line 1").select_option(label="Kathleen")
    page.get_by_label("Text of line 1").focus()
    page.keyboard.type("Hi Ben!")
    page.keyboard.press("Enter")
    page.keyboard.type("Hello.")
    page.keyboard.press("Enter")  # a third line; whoever spoke before the last one speaks next
    page.keyboard.type("How was it?")
    voice = page.get_by_label("Voice of line 3")
    assert voice.evaluate("select => select.selectedOptions[0].label") == "Kathleen"
    page.get_by_role("button", name="Move line 3 up").press("Enter")
    assert page.get_by_label("Text of line 2").input_value() == "How was it?"
    page.get_by_role("button", name="Move line 2 down").click()
    page.get_by_role("button", name="Add a line").click()
    page.get_by_role("button", name="Remove line 4").click()
    page.locator("#expected").get_by_text("about").wait_for()
    page.locator("#speak").click()
    next_take(page, "")
    page.get_by_text("How it was made").click()
    page.locator("#take-facts tr").first.wait_for()  # the panel unfolds
    facts = page.locator("#take-facts").inner_text()
    assert "[Kathleen] Hi Ben! [Man] Hello. [Kathleen] How was it?" in " ".join(facts.split())
    assert re.search(r"Voice of Man\s+picked by the model, masculine", facts)


def test_a_dialogue_has_a_limit_and_says_which_line_has_no_voice(page: Any) -> None:
    choose_dialogue(page)
    page.locator("#speak").click()
    wait_for_status(page, "There is no text")
    add = page.locator("#dialogue .dialogue-add")
    while add.is_enabled():
        add.click()
    assert "20 lines" in add.inner_text()
    assert page.locator("#dialogue li").count() == 20


def test_a_script_typed_as_text_becomes_lines(page: Any) -> None:
    page.locator("#text textarea").fill("[Clara] Good morning.\n[Somebody] And to you.")
    choose_dialogue(page)
    page.wait_for_function("document.querySelector('#dialogue textarea').value === 'Good morning.'")
    labels = page.locator("#dialogue select").evaluate_all("all => all.map(each => each.selectedOptions[0].label)")
    assert labels == ["Clara", "A woman"]


# Takes


def _asks(route: Any, words: str) -> bool:
    """Whether a question to the studio has these words among its inputs."""
    return words in json.loads(route.request.post_data or "{}").get("data", [])


def test_takes_are_searched_starred_deleted_and_used_again(page: Any) -> None:
    set_seed(page, 21)
    choose_voice(page, "Clara")
    speak_and_wait(page, "One about apples.")
    first = soundfile.read(download(page, "wav"))[0]
    set_seed(page, 22)
    choose_voice(page, "Let the model")
    speak_and_wait(page, "Another about pears.")
    wait_for_list(page, 2)

    page.locator("#take-search input, #take-search textarea").first.fill("APPLES")
    wait_for_list(page, 1)
    page.locator("#takes .take").click()
    page.locator("#take-heading").get_by_text("One about apples.").wait_for()
    # A star asks for the list again. Held up, that question may not undo what is searched for meanwhile.
    held: list[Any] = []
    page.route("**/queue/join*", lambda route: held.append(route) if _asks(route, "APPLES") else route.continue_())
    page.locator("#take-star").click()
    page.locator("#take-star").get_by_text("Starred").wait_for()
    for _ in range(200):
        if held:
            break
        page.wait_for_timeout(50)
    page.locator("#take-search input, #take-search textarea").first.fill("")
    page.wait_for_timeout(700)
    for route in held:
        route.continue_()
    page.unroute_all()
    page.wait_for_timeout(1000)
    wait_for_list(page, 2)
    page.get_by_label("Starred only").check()
    wait_for_list(page, 1)
    page.get_by_label("Starred only").uncheck()
    wait_for_list(page, 2)

    before = present_take(page)
    page.locator("#take-again").click()
    wait_for_status(page, "settings of the take")
    assert page.locator("#text textarea").input_value() == "One about apples."
    assert page.locator("#seed textarea, #seed input").first.input_value() == "21"
    assert "Clara" in page.locator("#voice-picker input").input_value()
    page.locator("#speak").click()
    next_take(page, before)
    assert np.array_equal(soundfile.read(download(page, "wav"))[0], first)
    wait_for_list(page, 3)

    page.locator("#take-delete").click()
    page.locator("#take-delete").get_by_text("Press again").wait_for()
    wait_for_list(page, 3)
    page.locator("#take-delete").click()
    wait_for_list(page, 2)
    page.locator("#take-panel").wait_for(state="hidden")


def test_what_is_typed_and_kept_survives_a_reload(page: Any) -> None:
    speak_and_wait(page, SENTENCE)
    page.locator("#text textarea").fill("Not spoken yet")
    choose_dialogue(page)
    page.get_by_label("Text of line 1").fill("Nor this")
    page.wait_for_timeout(500)
    page.reload()
    page.get_by_label("Text of line 1").wait_for()
    page.wait_for_function("document.querySelector('#dialogue textarea').value === 'Nor this'")
    wait_for_list(page, 1)
    page.locator("#mode").get_by_text("One voice").click()
    page.wait_for_function("document.querySelector('#text textarea')?.value === 'Not spoken yet'")


def test_a_reload_in_the_middle_is_followed_to_the_end_and_the_take_is_there(page: Any) -> None:
    choose_voice(page, "Let the model")
    speak(page, " ".join([SENTENCE] * 120))  # longer than a reload takes on a busy machine
    wait_for_status(page, "Speaking")
    page.reload()
    wait_for_status(page, "Preparing|Speaking")
    assert page.locator("#stop").is_enabled()
    next_take(page, "")
    wait_for_list(page, 1)
    page.locator("#speak").get_by_text("Speak", exact=True).wait_for()


def visitor(strangers: Any, page: Any) -> tuple[Settings, Store, str]:
    """The settings and the store of the studio, and whose libraries the page shows."""
    settings = Settings(home=strangers.home, host="0.0.0.0")
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    return settings, Store(settings.store_file), owner_of(SimpleNamespace(cookies=cookies, session_hash=None), settings)


def choose_trained(page: Any, name: str) -> None:
    page.locator("#adapter-picker input").click()
    page.locator("#adapter-picker [role=option]").get_by_text(name).first.click()


def test_a_trained_voice_is_chosen_heard_left_and_used_again(
    strangers: Any, page: Any, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    assert page.locator("#adapter-picker").count() == 0  # nothing was trained
    settings, store, owner = visitor(strangers, page)
    adapter = write_adapter(tiny_checkpoint, tmp_path / "lora")
    trained = register(
        settings, store, adapter, tiny_checkpoint, owner=owner, consent_sentence="<b>Anna</b>: own voice"
    )
    page.reload()
    choose_trained(page, "Demo · step 30")
    page.locator("#adapter-card").get_by_text("Consent: <b>Anna</b>: own voice.").wait_for()
    page.locator("#adapter-state").get_by_text("Loaded").wait_for()
    page.locator("#adapter-card summary").click()
    page.locator("#adapter-card").get_by_text("0123456789ab", exact=True).wait_for()
    set_seed(page, 5)
    speak_and_wait(page, SENTENCE)
    with_it = soundfile.read(download(page, "wav"))[0]
    assert "Demo · step 30" in listed(page)[0]

    page.reload()
    page.locator("#adapter-card").get_by_text("7 s of speech").first.wait_for()
    assert page.locator("#adapter-picker input").input_value() == "Demo · step 30"
    # Half of it, which survives a reload too and is told with the take.
    page.locator("#adapter-strength input[type=number]").fill("0.5")
    page.locator("#adapter-strength input[type=number]").press("Tab")
    page.reload()
    page.wait_for_function("document.querySelector('#adapter-strength input[type=number]')?.value === '0.5'")
    page.locator("#take-heading [data-take]").wait_for()  # the last one is back
    speak_and_wait(page, SENTENCE)
    half = soundfile.read(download(page, "wav"))[0]
    assert not np.array_equal(with_it, half)
    wait_for_list(page, 2)
    choose_trained(page, "None")
    page.locator("#adapter-card .card").wait_for(state="detached")
    page.locator("#adapter-strength").wait_for(state="hidden")
    speak_and_wait(page, SENTENCE)
    without = soundfile.read(download(page, "wav"))[0]
    assert not np.array_equal(with_it, without)
    assert not np.array_equal(half, without)
    wait_for_list(page, 3)
    assert "Demo" not in listed(page)[0]

    before = present_take(page)
    page.locator("#takes .take").nth(2).click()
    page.wait_for_function(
        "before => document.querySelector('#take-heading [data-take]').dataset.take !== before", arg=before
    )
    page.locator("#take-again").click()
    wait_for_status(page, "settings of the take")
    page.locator("#adapter-card .card").wait_for()
    speak_and_wait(page, SENTENCE)
    assert np.array_equal(soundfile.read(download(page, "wav"))[0], with_it)

    with store.writing() as session:
        session.delete(trained)
    store.close()
    page.locator("#take-again").click()
    wait_for_status(page, "The trained voice of this take, Demo · step 30, is not in your list")
    page.locator("#adapter-picker").wait_for(state="hidden")


def test_a_saved_voice_speaks_until_its_consent_is_withdrawn(strangers: Any, page: Any, references: list[Any]) -> None:
    voices = VoiceLibrary(*visitor(strangers, page))
    clip = NewClip(references[0].clip, Transcript(references[0].transcript, "en"))
    voices.add(
        "Nora", [clip], SpeakerConsent.given("permission", who="Nora & sons", statement="by letter"), language="en"
    )
    page.reload()
    page.wait_for_selector("#speak")
    page.wait_for_timeout(500)
    choose_voice(page, "Nora")
    page.locator("#voice-about").get_by_text("Nora & sons: the speaker gave permission (by letter).").wait_for()
    page.locator("#voice-clip audio").wait_for()
    assert str(strangers.home / "voices") not in page.content()
    speak_and_wait(page, SENTENCE)
    voices.withdraw_consent("Nora")
    page.locator("#speak").click()
    wait_for_status(page, "consent for Nora was withdrawn")
    page.reload()
    page.locator("#takes").get_by_text("Consent withdrawn").first.wait_for()
    page.locator("#takes .take").first.click()
    page.locator("#take-again").click()
    wait_for_status(page, "consent for a voice of this take")


# Several pages


def test_strangers_see_nothing_of_each_other_and_wait_for_their_turn(strangers: Any, open_page: Any) -> None:
    first, second = open_page(strangers.url), open_page(strangers.url)
    speak(first, LONG_TEXT)
    wait_for_status(first, "Speaking")
    speak(second, SENTENCE)
    wait_for_status(second, "Waiting")
    second.locator("#stop").click()
    wait_for_status(second, "Stopped")
    speak(second, "Only mine.")
    wait_for_status(second, "1 before you")
    first.locator("#stop").click()
    wait_for_status(first, "Stopped")
    next_take(second, "")
    first.reload()
    first.wait_for_function("document.querySelector('#takes')?.innerText.includes('No takes yet')")
    assert "Only mine" not in first.content()
    # A take of somebody else is not there, whatever the browser asks for.
    take = present_take(second)
    assert "There is no such take" in answer_to_choosing(first, take)
    assert "There is no such take" not in answer_to_choosing(second, take)


def answer_to_choosing(page: Any, take: str) -> str:
    """What the studio answers to a page that chooses a take by its id."""
    return page.evaluate(
        """async take => {
            const { components, dependencies } = gradio_config;
            const list = components.find(each => each.props.elem_id === 'takes').id;
            const chosen = each => each.targets.some(([id, name]) => id === list && name === 'select');
            const session_hash = Math.random().toString(36).slice(2);
            const fn_index = dependencies.find(chosen).id;
            const asked = { data: [], event_data: { id: take }, fn_index, trigger_id: list, session_hash };
            const headers = { 'Content-Type': 'application/json' };
            await fetch('gradio_api/queue/join', { method: 'POST', headers, body: JSON.stringify(asked) });
            const reader = (await fetch(`gradio_api/queue/data?session_hash=${session_hash}`)).body.getReader();
            let answer = '';
            while (!answer.includes('process_completed')) {
                const { done, value } = await reader.read();
                if (done) break;
                answer += new TextDecoder().decode(value);
            }
            return answer;
        }""",
        take,
    )


def test_two_tabs_of_one_browser_share_the_takes_and_follow_their_own(page: Any, open_page: Any) -> None:
    other = open_page(page.url, beside=page)
    speak(page, " ".join([SENTENCE] * 8))
    speak(other, "The second tab.")
    next_take(page, "")
    next_take(other, "")
    assert "The second tab" in other.locator("#take-heading").inner_text()
    assert "Hello there" in page.locator("#take-heading").inner_text()
    other.reload()
    wait_for_list(other, 2)


def test_a_full_disk_is_said_in_a_sentence_and_the_studio_goes_on(strangers: Any, page: Any) -> None:
    before = strangers.files("takes/*")
    set_seed(page, 2)
    choose_voice(page, "Let the model")
    with strangers.small_disk(300_000):
        speak(page, " ".join([SENTENCE] * 30))
        wait_for_status(page, "full|space")
        assert "Not possible" in page.locator(STATUS).inner_text()
        assert strangers.files("takes/*") == before
        speak_and_wait(page, "Hi.")

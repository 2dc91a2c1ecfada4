"""*Speak*: a voice or several, a text, and every take that came of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.takes.generation import Generation
from studio.takes.generations import MAX_VARIATIONS
from studio.ui.services import Services
from studio.ui.shown import card, error_sentence
from studio.ui.tabs.speak.choices import (
    DESCRIBED,
    MODEL_PICKS,
    SAMPLE_TEXT,
    SCENES,
    voice_card,
    voice_choices,
)
from studio.ui.tabs.speak.dialogue import create_dialogue, offer_in_dialogue, props_of, shown_if
from studio.ui.tabs.speak.following import Follower, busy, found, hidden_live, outcome, progress
from studio.ui.tabs.speak.form import DIALOGUE, ONE_VOICE, Form, limits, lines_of
from studio.ui.tabs.speak.staging import Staging, write_copy
from studio.ui.tabs.speak.takes import create_takes
from studio.ui.visitors import tab_of
from studio.voices.languages import LANGUAGES
from studio.voices.presets import preset_voices
from studio.voices.voice import Voice

# Through the queue: only there does Gradio tell a page that a state has changed.
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
# Raw values: the form checks every one itself and answers with sentences, where Gradio would answer with a notice.
_RAW: dict[str, Any] = {**_PRIVATE, "preprocess": False}
_MAX_FOLLOWERS = 16
_NEWS_SECONDS = 300.0


@dataclass(frozen=True)
class SpeakTab:
    """What the page needs of the tab.

    Attributes:
        voice_updates: outputs for what :attr:`offer` returns.
        offer: the visitor's voices for every picker; with a voice's id it is chosen, and a sample text is filled in where
            there is none.
        restore: fills the tab as it was before a reload, and follows what still speaks.
        restore_outputs: outputs for what :attr:`restore` returns.
    """

    voice_updates: list[Any]
    offer: Callable[[gr.Request, str | None], tuple[Any, ...]]
    restore: Callable[[Any, gr.Request], list[Any]]
    restore_outputs: list[Any]


def create_speak_tab(services: Services, remembered: gr.JSON) -> SpeakTab:
    """Lay the tab out and wire it.

    Args:
        remembered: what the browser's tab remembers, ``{"tab": …, "speak": […]}``; filled when the page loads.
    """
    staging = Staging(services.settings.page_cache_folder)
    # Ids of the generations that this page follows, and what was last offered: both on the server, for this page only.
    watched, offered = gr.State(()), gr.State(None)
    presets = list(preset_voices())
    # A voice and a line are there already: on a first visit it is enough to press Speak.
    defaults = Form(voice=presets[0].id if presets else MODEL_PICKS, text=SAMPLE_TEXT)
    with gr.Row(equal_height=False, elem_classes="speak-columns"):
        with gr.Column(scale=6, min_width=320, elem_classes="speak-form"):
            mode = gr.Radio(
                label="Who speaks?", choices=[("One voice", ONE_VOICE), ("Dialogue", DIALOGUE)], value=defaults.mode,
                elem_id="mode", elem_classes="segmented", container=False,
            )  # fmt: skip
            with gr.Column(elem_classes="tight") as one_voice:
                voice = gr.Dropdown(
                    label="Voice", choices=voice_choices(presets), value=defaults.voice, elem_id="voice-picker",
                )  # fmt: skip
                about = gr.HTML(voice_card(presets[0] if presets else None), padding=False, elem_id="voice-about")
                heard = gr.Audio(
                    label="This voice", show_label=False, container=False, visible=False, interactive=False, buttons=[],
                    elem_id="voice-clip", type="filepath",
                    waveform_options=gr.WaveformOptions(show_recording_waveform=False),
                )  # fmt: skip
                text = gr.Textbox(
                    label="What should the voice say?", placeholder="Type in any language the model knows, long or short.",
                    lines=4, max_lines=14, elem_id="text", value=defaults.text,
                )  # fmt: skip
            dialogue = create_dialogue(presets)
            expected = gr.HTML(_expected(defaults, services), padding=False, elem_id="expected")
            scene = gr.Textbox(
                label="Scene", value=defaults.scene, lines=1, max_lines=3, elem_id="scene", max_length=1000,
                info="Where it is spoken, in words. It may be empty.",
            )  # fmt: skip
            with gr.Row(elem_id="scenes", elem_classes="chips"):
                for name, words in SCENES.items():
                    chip = gr.Button(name, size="sm", min_width=0)
                    chip.click(None, None, scene, js=f"() => {words!r}", **_PRIVATE)
            with gr.Accordion("Advanced", open=False, elem_id="advanced"):
                settings_inputs = _advanced(defaults)
            with gr.Row(elem_classes="actions"):
                speak = gr.Button("Speak", variant="primary", size="lg", elem_id="speak", scale=3)
                stop = gr.Button("Stop", size="lg", elem_id="stop", interactive=False, scale=1, min_width=100)
            status = gr.HTML(elem_id="status", padding=False)
            live = gr.Audio(
                label="Live", streaming=True, autoplay=True, interactive=False, visible=False, elem_id="live", buttons=[],
            )  # fmt: skip
        with gr.Column(scale=5, min_width=320, elem_classes="speak-takes"):
            gr.HTML('<h2 class="side-title">Takes</h2>', padding=False)
            takes = create_takes(services, staging)

    fields: list[Any] = [mode, voice, text, dialogue, scene, *settings_inputs]
    # What follows from the fields and is not typed.
    faces = [one_voice, about, heard, expected]

    def face(form: Form, voices: list[Voice]) -> list[Any]:
        chosen = next((each for each in voices if each.id == form.voice), None)
        return [
            gr.Column(visible=form.mode == ONE_VOICE),
            voice_card(chosen),
            _clip_of(chosen, staging),
            _expected(form, services),
        ]

    def fill(form: Form, voices: list[Voice]) -> list[Any]:
        """Updates for fields and faces."""
        values = form.values
        return [
            values[0],
            gr.Dropdown(choices=voice_choices(voices), value=form.voice),
            values[2],
            gr.HTML(value=values[3], visible=shown_if(form.mode == DIALOGUE), **props_of(voices)),
            *values[4:],
            *face(form, voices),
        ]

    def submit(values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """The click on Speak: only a place in the queue, so that nothing depends on this browser any more."""
        try:
            form = Form.of([values[field] for field in fields])
            asked = services.generations.submit(
                form.request(services.voices(request)),
                owner=services.owner(request),
                tab=tab_of(request, services.settings, values[remembered]),
                variations=form.takes,
            )
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return gr.skip(), *busy(False), card(error_sentence(error), "bad"), hidden_live()
        return tuple(each.id for each in asked), *busy(True), progress(asked[0], services.host), hidden_live()

    def stop_now(ids: Any, request: gr.Request) -> tuple[Any, ...]:
        generations = found(services, request, ids)
        for generation in generations:
            generation.stop()
        said = outcome(generations) if generations and all(each.ended for each in generations) else gr.skip()
        return *busy(False), said, hidden_live()

    def failed() -> tuple[Any, ...]:
        return *busy(False), card("The connection to the studio was lost: reload the page.", "bad")

    def count(values: dict[Any, Any]) -> str:
        return _expected(Form.of([values[field] for field in fields]), services)

    def choose_voice(chosen: Any, request: gr.Request) -> tuple[Any, Any]:
        if not chosen:
            return voice_card(None), _clip_of(None, staging)
        try:
            found_voice = services.voices(request).voice(str(chosen))
        except Exception as error:  # noqa: BLE001
            return card(error_sentence(error), "bad"), _clip_of(None, staging)
        return voice_card(found_voice), _clip_of(found_voice, staging)

    def choose_mode(values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Switch; a script that was typed or pasted as text is taken over line by line."""
        form = Form.of([values[field] for field in fields])
        lines: dict[str, Any] = {}
        if form.mode == DIALOGUE and not any(line["text"].strip() for line in form.dialogue):
            try:
                taken = lines_of(form.text, services.voices(request))
            except StudioError:
                taken = ()
            if taken:
                form, lines = replace(form, dialogue=taken), {"value": list(taken)}
        editor = gr.HTML(visible=shown_if(form.mode == DIALOGUE), **lines)
        return gr.Column(visible=form.mode == ONE_VOICE), editor, _expected(form, services)

    def use_again(take_id: str | None, request: gr.Request) -> list[Any]:
        try:
            take = services.takes(request).take(take_id or "")
            voices = services.voices(request).voices()
        except Exception as error:  # noqa: BLE001
            return [*[gr.skip()] * (len(fields) + len(faces)), card(error_sentence(error), "bad")]
        form, gone = _with_voices_there(Form.of_take(take), voices)
        said = card("These are the settings of the take, its seed included.")
        if take.can_repeat or gone:
            why = take.can_repeat or "A voice of this take is no longer in the library: choose another."
            said = card(why, "warn")
        return [*fill(form, voices), said]

    def offer(request: gr.Request, selected: str | None = None) -> tuple[Any, ...]:
        voices = services.voices(request).voices()
        ids = [each.id for each in voices]
        news = {"ids": ids, "selected": selected if selected in ids else None, "at": secrets.token_hex(8)}
        chosen: dict[str, Any] = {"value": selected} if selected in ids else {}
        return gr.Dropdown(choices=voice_choices(voices), **chosen), offer_in_dialogue(voices), news

    def settle(news: dict[str, Any], chosen: Any, typed: Any) -> list[Any]:
        """After an offer: a chosen voice that is gone is let go, and a new one gets a sample text to read."""
        if news["selected"] is None:
            gone = bool(chosen) and chosen not in news["ids"]
            return [gr.Dropdown(value=MODEL_PICKS) if gone else gr.skip(), *[gr.skip()] * 4]
        sample = gr.skip() if isinstance(typed, str) and typed.strip() else SAMPLE_TEXT
        return [gr.skip(), sample, ONE_VOICE, gr.Column(visible=True), gr.HTML(visible=shown_if(False))]

    def restore(known: Any, request: gr.Request) -> list[Any]:
        untouched: list[Any] = [gr.skip()] * (len(fields) + len(faces))
        try:
            owner, tab = services.owner(request), tab_of(request, services.settings, known)
            voices = services.voices(request).voices()
            form = Form.remembered(known.get("speak") if isinstance(known, dict) else None)
            if form is not None:
                filled = fill(_with_voices_there(form, voices)[0], voices)
            else:
                filled = untouched
                filled[1], filled[3] = gr.Dropdown(choices=voice_choices(voices)), offer_in_dialogue(voices)
                filled[len(fields) + faces.index(heard)] = _clip_of(presets[0] if presets else None, staging)
            latest = services.generations.of(owner, tab)
        except Exception as error:  # noqa: BLE001
            return [*untouched, card(error_sentence(error), "bad"), *busy(False), *[gr.skip()] * 3]
        news = f"loaded {request.session_hash}"
        running = [each for each in reversed(latest) if not each.ended]
        if running:
            return [
                *filled,
                progress(running[0], services.host),
                *busy(True),
                tuple(each.id for each in running),
                gr.skip(),
                news,
            ]
        take = latest[0].take if latest else None
        said = outcome(latest[:1]) if latest and latest[0].state in ("done", "failed") else gr.skip()
        return [*filled, said, *busy(False), gr.skip(), take.id if take else gr.skip(), news]

    begun = [watched, speak, stop, status, live]
    speak.click(submit, {*fields, remembered}, begun, **_RAW)
    followed = watched.change(
        Follower(services).follow,
        watched,
        [status, live, speak, stop, takes.made, takes.shown],
        trigger_mode="multiple",
        **{**_PRIVATE, "concurrency_limit": _MAX_FOLLOWERS},
    )
    followed.failure(failed, None, [speak, stop, status], **_PRIVATE)
    stop.click(stop_now, watched, [speak, stop, status, live], **_PRIVATE)
    live.stop(hidden_live, None, live, **_PRIVATE)  # heard to its end

    counted = [text.change, dialogue.input, *(each.change for each in settings_inputs[-2:])]
    gr.on(counted, count, set(fields), expected, trigger_mode="always_last", **_RAW)
    mode.input(choose_mode, set(fields), [one_voice, dialogue, expected], **_RAW)
    voice.change(choose_voice, voice, [about, heard], trigger_mode="always_last", **_RAW)
    offered.change(settle, [offered, voice, text], [voice, text, mode, one_voice, dialogue], **_RAW)
    again = takes.again.click(use_again, takes.shown, [*fields, *faces, status], **_PRIVATE)
    again.then(
        None, None, None, js="() => document.getElementById('mode')?.scrollIntoView({block: 'center'})", **_PRIVATE
    )
    gr.on(
        [field.change for field in fields], None, fields, None,
        js="(...values) => { window.studio?.remember('speak', ...values); }", **_PRIVATE,
    )  # fmt: skip
    restore_outputs = [*fields, *faces, status, speak, stop, watched, takes.shown, takes.made]
    return SpeakTab([voice, dialogue, offered], offer, restore, restore_outputs)


def _advanced(defaults: Form) -> list[Any]:
    """The components under *Advanced*, in the order of the form's last fields."""

    def slider(name: str, label: str, step: float, info: str) -> gr.Slider:
        low, high = limits(name)
        return gr.Slider(
            low, high, value=getattr(defaults, name), step=step, label=label, info=info, elem_id=name.replace("_", "-")
        )

    temperature = slider("temperature", "Temperature", 0.05, "Low is steady and plain; high is livelier and less sure.")
    with gr.Row():
        top_p = slider("top_p", "Top-p", 0.05, "Lower leaves out more of the unlikely sounds.")
        top_k = slider("top_k", "Top-k", 1, "How many sounds it may choose from; 0 for all.")
    with gr.Row():
        window = slider("ras_window", "Repetition window", 1, "How far back it looks for stuck sounds; 0 never looks.")
        repeats = slider("ras_max_repeats", "Repeats allowed", 1, "How often a sound may come back in that window.")
    with gr.Row():
        # Not gr.Number, which shows 0 for "none" and so would pin the seed.
        seed = gr.Textbox(
            label="Seed", placeholder="a new one each time", max_length=20, elem_id="seed", min_width=160,
            info="The same seed says it the same way again.",
        )  # fmt: skip
        language = gr.Dropdown(
            label="Language of the text", choices=[("Found from the script", ""), *((n, c) for c, n in LANGUAGES.items())],
            value="", elem_id="language", min_width=160, info="Decides how numbers are read and counted.",
        )  # fmt: skip
    variations = gr.Slider(
        1, MAX_VARIATIONS, value=1, step=1, label="Takes at once", elem_id="variations",
        info="Several takes of the same text, each with a new seed, to choose the best from.",
    )  # fmt: skip
    return [temperature, top_p, top_k, window, repeats, seed, language, variations]


def _with_voices_there(form: Form, voices: list[Voice]) -> tuple[Form, bool]:
    """The form without voices that are not in the library, and whether there were any."""
    ids = {each.id for each in voices}
    there = tuple(
        line if line["voice"] in ids or line["voice"] in DESCRIBED else {**line, "voice": ""} for line in form.dialogue
    )
    voice = form.voice if form.voice in ids else MODEL_PICKS
    gone = voice != form.voice or there != tuple(form.dialogue)
    return replace(form, voice=voice, dialogue=there), gone


def _is_news(generation: Generation) -> bool:
    """Whether it ended while the page was reloaded, or shortly before."""
    recent = generation.ended_at is not None and time.monotonic() - generation.ended_at < _NEWS_SECONDS
    return recent and generation.state in ("done", "failed")


def _clip_of(voice: Voice | None, staging: Staging) -> Any:
    """The player with a voice's first clip."""
    if voice is None or voice.trouble:
        return gr.Audio(value=None, visible=False)
    clip = voice.clips[0]
    try:
        copied = staging.copy(
            f"{voice.id} {clip.id}", f"voice{clip.path.suffix}", lambda path: write_copy(clip.path, path)
        )
    except StudioError:
        return gr.Audio(value=None, visible=False)  # the card has said what is wrong with the voice, speaking will
    return gr.Audio(value=copied, visible=True, label=f"How {voice.name} sounds")


def _expected(form: Form, services: Services) -> str:
    """The line under the text."""
    limit, chars = services.settings.max_text_chars, form.num_chars
    if chars > limit:
        return (
            f'<p class="expected over" role="status">{chars:,} characters, and the limit is {limit:,}: shorten it.</p>'
        )
    seconds = form.expected_seconds
    if not seconds:
        return '<p class="expected">&nbsp;</p>'
    try:
        num_takes = form.takes
    except StudioError:
        num_takes = 1
    said = f"about {_duration(seconds)}"
    if num_takes > 1:
        said += f" · {num_takes} takes, {_duration(num_takes * seconds)} together"
    return f'<p class="expected">{said}</p>'


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds) // 60} min {round(seconds) % 60} s"

"""The left side of *Speak*: the fields, what is shown beside them, and how they are filled."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial
from shutil import copyfile
from typing import Any

import gradio as gr

from studio import formatting
from studio.adapters.adapter import TrainedAdapter
from studio.engine.speech.retrying import DEFAULT_RETRIES
from studio.errors import StudioError
from studio.services import Services
from studio.takes.queue import MAX_VARIATIONS
from studio.takes.wearing import worn_by
from studio.ui.events import CHOICE, RAW, UNLIMITED
from studio.ui.html import card, error_sentence
from studio.ui.players import sound_player
from studio.ui.staging import Staging
from studio.ui.tabs.speak.adapter_picker import BASE_ALONE, TrainedPicker
from studio.ui.tabs.speak.dialogue_editor import create_dialogue, offer_in_dialogue, props_of, shown_if
from studio.ui.tabs.speak.form_values import DIALOGUE, ONE_VOICE, RETRIES, Form, limits, lines_of
from studio.ui.tabs.speak.scope_view import create_examples, unknown_html
from studio.ui.tabs.speak.voice_picker import MODEL_PICKS, SAMPLE_TEXT, SCENES, voice_card, voice_choices
from studio.ui.visitors import owner_of
from studio.voices.languages import LANGUAGES
from studio.voices.presets import preset_voices
from studio.voices.voice import Voice


class Fields:
    """The components of the form, laid out where this is made.

    Attributes:
        all: the fields, in the order of :class:`Form`.
        filled: outputs for what :meth:`fill` returns: the fields, and what follows from them.
        offered: outputs for what :meth:`offer` returns.
        trained: the picker of trained voices.
        examples: lines of the checkpoint's own words, where it has a scope.
    """

    def __init__(self, services: Services, staging: Staging) -> None:
        self._services, self._staging = services, staging
        presets = list(preset_voices())
        self._first = presets[0] if presets else None
        # A voice and a line are there already: on a first visit it is enough to press Speak.
        defaults = Form(voice=self._first.id if self._first else MODEL_PICKS, text=SAMPLE_TEXT)
        self._news = gr.State(None)
        self._mode = gr.Radio(
            label="Who speaks?", choices=[("One voice", ONE_VOICE), ("Dialogue", DIALOGUE)], value=defaults.mode,
            elem_id="mode", elem_classes="segmented", container=False,
        )  # fmt: skip
        self.trained = TrainedPicker(services)
        with gr.Column(elem_classes="tight") as self._one_voice:
            self._voice = gr.Dropdown(
                label="Voice", choices=voice_choices(presets), value=defaults.voice, elem_id="voice-picker"
            )
            self._about = gr.HTML(voice_card(self._first), padding=False, elem_id="voice-about")
            self._heard = sound_player(
                label="This voice", show_label=False, container=False, visible=False, interactive=False, buttons=[],
                elem_id="voice-clip", type="filepath",
                waveform_options=gr.WaveformOptions(show_recording_waveform=False),
            )  # fmt: skip
            self._text = gr.Textbox(
                label="What should the voice say?", placeholder="Type in any language the model knows, long or short.",
                lines=4, max_lines=14, elem_id="text", value=defaults.text,
            )  # fmt: skip
        self._dialogue = create_dialogue(presets)
        self._expected = gr.HTML(self._count(defaults), padding=False, elem_id="expected")
        self.examples = create_examples()
        scene = gr.Textbox(
            label="Scene", value=defaults.scene, lines=1, max_lines=3, elem_id="scene", max_length=1000,
            info="Where it is spoken, in words. It may be empty.",
        )  # fmt: skip
        with gr.Row(elem_id="scenes", elem_classes="chips"):
            for name, words in SCENES.items():
                gr.Button(name, size="sm", min_width=0).click(None, None, scene, js=f"() => {words!r}", **UNLIMITED)
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            *numbers, language, variations, retry = _advanced(defaults)
        self._language, self._variations = language, variations
        self.all: list[Any] = [
            self._mode, self._voice, self._text, self._dialogue, scene, *numbers, language, variations, retry,
            self.trained.picker, self.trained.strength,
        ]  # fmt: skip
        self.filled = [*self.all, *self.trained.filled[2:], self._one_voice, self._about, self._heard, self._expected]
        self.offered = [self._voice, self._dialogue, self._news]
        self.unchanged: list[Any] = [gr.skip()] * len(self.filled)

    def wire(self) -> None:
        """What the fields do among themselves."""
        # Raw values: the form checks each itself and answers with a sentence, where Gradio would answer with a notice.
        self.trained.wire()
        counted = [self._text.change, self._dialogue.input, self._language.change, self._variations.change]
        gr.on(counted, self._count_typed, set(self.all), self._expected, **CHOICE, **RAW)
        self.examples.select(
            self._choose_example, None, [self._text, self._mode, self._one_voice, self._dialogue], **CHOICE, **RAW
        )
        self._mode.input(
            self._choose_mode, set(self.all), [self._one_voice, self._dialogue, self._expected], **CHOICE, **RAW
        )
        self._voice.change(self._choose_voice, self._voice, [self._about, self._heard], **CHOICE, **RAW)
        worn = [self.trained.picker, self.trained.strength]
        self._voice.input(self._wear, [self._voice, self.trained.picker], worn, **CHOICE, **RAW)
        self._news.change(
            self._settle,
            [self._news, self._voice, self._text],
            [self._voice, self._text, self._mode, self._one_voice, self._dialogue, self._about],
            **RAW,
        )
        # Typed values never leave the browser for this: they are there again after a reload.
        remember = "(...values) => { window.studio?.remember('speak', ...values); }"
        gr.on([field.change for field in self.all], None, self.all, None, js=remember, **UNLIMITED)

    def typed(self, values: dict[Any, Any]) -> Form:
        """The form as a browser sent it."""
        return Form.of([values[field] for field in self.all])

    def fill(self, form: Form, voices: list[Voice], adapters: list[TrainedAdapter]) -> list[Any]:
        """Updates for :attr:`filled`; the voices, trained and not, are those of the visitor."""
        chosen = next((each for each in voices if each.id == form.voice), None)
        mode, voice, text, lines, *rest, adapter, strength = form.values
        return [
            mode,
            gr.Dropdown(choices=voice_choices(voices), value=voice),
            text,
            gr.HTML(value=lines, visible=shown_if(form.mode == DIALOGUE), **props_of(voices)),
            *rest,
            *self.trained.fill(adapter, strength, adapters),
            gr.Column(visible=form.mode == ONE_VOICE),
            voice_card(chosen),
            self._clip_of(chosen),
            self._count(form),
        ]

    def arrive(self, voices: list[Voice], adapters: list[TrainedAdapter]) -> list[Any]:
        """Updates for :attr:`filled` where nothing was typed yet: the visitor's voices, and the first to be heard."""
        updates = dict(zip(self.filled, self.unchanged, strict=True))
        updates |= zip(self.trained.filled, self.trained.fill(BASE_ALONE, 1.0, adapters), strict=True)
        updates[self._voice] = gr.Dropdown(choices=voice_choices(voices))
        updates[self._dialogue] = offer_in_dialogue(voices)
        updates[self._heard] = self._clip_of(self._first)
        return list(updates.values())

    def offer(self, request: gr.Request, selected: str | None = None) -> tuple[Any, ...]:
        """The visitor's voices for every picker; see :class:`SpeakTab`."""
        try:
            voices = self._services.voices(owner_of(request, self._services.settings)).voices()
        except StudioError:  # the library is locked: what is offered stays, and speaking says why
            return gr.skip(), gr.skip(), gr.skip()
        ids = [each.id for each in voices]
        chosen = selected if selected in ids else None
        value: dict[str, Any] = {"value": chosen} if chosen else {}  # without one, what is chosen stays
        picker = gr.Dropdown(choices=voice_choices(voices), **value)
        news = {"ids": ids, "selected": chosen, "at": secrets.token_hex(8)}
        return picker, offer_in_dialogue(voices), news

    # Events

    def _settle(self, news: dict[str, Any], chosen: Any, typed: Any, request: gr.Request) -> list[Any]:
        """After an offer: a chosen voice that is gone is let go, and a new one gets a sample text to read."""
        if news["selected"] is None:
            gone = bool(chosen) and chosen not in news["ids"]
            # The card too: the consent of the chosen voice may just have been withdrawn.
            about = gr.skip() if gone else self._choose_voice(chosen, request)[0]
            return [gr.Dropdown(value=MODEL_PICKS) if gone else gr.skip(), *[gr.skip()] * 4, about]
        sample = gr.skip() if isinstance(typed, str) and typed.strip() else SAMPLE_TEXT
        return [gr.skip(), sample, ONE_VOICE, gr.Column(visible=True), gr.HTML(visible=shown_if(False)), gr.skip()]

    def _count_typed(self, values: dict[Any, Any]) -> str:
        return self._count(self.typed(values))

    def _choose_voice(self, chosen: Any, request: gr.Request) -> tuple[Any, Any]:
        if not chosen:
            return voice_card(None), self._clip_of(None)
        try:
            voice = self._services.voices(owner_of(request, self._services.settings)).voice(str(chosen))
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), self._clip_of(None)
        return voice_card(voice), self._clip_of(voice)

    def _wear(self, chosen: Any, trained: Any, request: gr.Request) -> tuple[Any, Any]:
        """The trained voice that a chosen voice is spoken with, and at which strength; what another voice is spoken with is
        no longer chosen."""
        try:
            owner = owner_of(request, self._services.settings)
            library = self._services.voices(owner)
            worn = worn_by(library.voice(str(chosen)), self._services.adapters(owner)) if chosen else None
            of_others = {voice.adapter for voice in library.voices() if voice.adapter}
        except StudioError:  # the library is locked, or the voice gone: what is chosen stays, and speaking says why
            return gr.skip(), gr.skip()
        if worn is not None and worn.adapter is not None:
            return worn.adapter.id, worn.strength
        return (BASE_ALONE, 1.0) if trained in of_others else (gr.skip(), gr.skip())

    def _choose_mode(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Switch; a script that was typed or pasted as text is taken over line by line."""
        form = self.typed(values)
        lines: dict[str, Any] = {}
        if form.mode == DIALOGUE and not any(line["text"].strip() for line in form.dialogue):
            try:
                taken = lines_of(form.text, self._services.voices(owner_of(request, self._services.settings)))
            except StudioError:
                taken = ()
            if taken:
                form, lines = replace(form, dialogue=taken), {"value": list(taken)}
        editor = gr.HTML(visible=shown_if(form.mode == DIALOGUE), **lines)
        return gr.Column(visible=form.mode == ONE_VOICE), editor, self._count(form)

    def _choose_example(self, event: gr.EventData) -> tuple[Any, ...]:
        """A line of the checkpoint's own words, in the place of what is typed."""
        scope, line = self._services.host.status.scope, getattr(event, "line", None)
        if scope is None or line not in scope.examples:
            return (gr.skip(),) * 4
        return line, ONE_VOICE, gr.Column(visible=True), gr.HTML(visible=shown_if(False))

    # Beside the fields

    def _clip_of(self, voice: Voice | None) -> Any:
        """The player with a voice's first clip."""
        if voice is None or voice.trouble:
            return gr.Audio(value=None, visible=False)
        clip = voice.clips[0]
        try:
            copied = self._staging.copy(
                f"{voice.id} {clip.id}", f"voice{clip.path.suffix}", partial(copyfile, clip.path)
            )
        except StudioError:
            return gr.Audio(value=None, visible=False)  # no room for a copy; the voice itself may still speak
        return gr.Audio(value=copied, visible=True, label=f"How {voice.name} sounds")

    def _count(self, form: Form) -> str:
        """The line under the text."""
        limit, chars = self._services.settings.max_text_chars, form.num_chars
        if chars > limit:
            return f'<p class="expected over" role="status">{chars:,} characters, and the limit is {limit:,}: shorten it.</p>'
        seconds = form.expected_seconds
        if not seconds:
            return '<p class="expected">&nbsp;</p>'
        try:
            num_takes = form.takes
        except StudioError:
            num_takes = 1
        said = f"about {formatting.duration(max(seconds, 1))}"
        if num_takes > 1:
            said += f" · {num_takes} takes, {formatting.duration(max(num_takes * seconds, 1))} together"
        return f'<p class="expected">{said}</p>' + unknown_html(self._services.host.status.scope, form.spoken)


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
    retry = gr.Dropdown(
        label="Hear back and speak again", choices=list(RETRIES.items()), value=defaults.retry, elem_id="retry",
        info="A part that lost or doubled words, went silent, did not stop or left the voice is spoken again up to "
        f"{DEFAULT_RETRIES} times, and the best is kept. You hear each part once it was judged.",
    )  # fmt: skip
    return [temperature, top_p, top_k, window, repeats, seed, language, variations, retry]

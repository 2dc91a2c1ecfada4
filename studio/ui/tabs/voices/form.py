"""The form for a new voice: layout only."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from studio.engine.speech.reference import CONSENT_GROUNDS
from studio.ui.players import sound_player
from studio.ui.tabs.voices.voice_html import LANGUAGE_CHOICES, NO_CLIP, NOTE_LABELS, reading_html


@dataclass(frozen=True)
class VoiceForm:
    """Every component that a handler reads or writes."""

    language: gr.Dropdown
    passage: gr.HTML
    use_passage: gr.Button
    clip: gr.Audio
    intake: gr.HTML
    details: gr.Column
    coach: gr.HTML
    window: gr.Button
    whole: gr.Button
    clean: gr.Button
    start: gr.Textbox
    end: gr.Textbox
    cut: gr.Button
    before: gr.Audio
    used: gr.Audio
    transcript: gr.Textbox
    transcribe: gr.Button
    heard: gr.HTML
    ground: gr.Radio
    wording: gr.HTML
    who: gr.Textbox
    note: gr.Textbox
    name: gr.Textbox
    notes: gr.Textbox
    save: gr.Button
    discard: gr.Button
    outcome: gr.HTML
    speak_now: gr.Button

    @property
    def typed(self) -> list[gr.components.Component]:
        """What somebody types, in the order in which the browser remembers it."""
        return [self.language, self.transcript, self.name, self.ground, self.who, self.note, self.notes]

    @property
    def of_clip(self) -> list[gr.components.Component | gr.Column]:
        return [
            self.intake, self.details, self.coach, self.window, self.whole, self.clean, self.start, self.end,
            self.before, self.used, self.transcript, self.heard,
        ]  # fmt: skip


def lay_out_form() -> VoiceForm:
    """Put the form on the page."""
    gr.Markdown("### 1 · Record\nFive to fifteen seconds, one person, a quiet room.", elem_classes="step")
    language = gr.Dropdown(LANGUAGE_CHOICES, value="", label="Language of the clip", elem_id="clip-language")
    with gr.Column(elem_id="reading"):
        passage = gr.HTML(reading_html(""), elem_id="passage", padding=False)
        use_passage = gr.Button("I read this text", size="sm", elem_id="use-passage", elem_classes="quiet")
    clip = sound_player(
        label="Your clip", sources=["microphone", "upload"], type="filepath", elem_id="clip", editable=False, buttons=[]
    )
    intake = gr.HTML(elem_id="intake", padding=False)
    gr.Markdown("### 2 · The coach", elem_classes="step")
    coach = gr.HTML(NO_CLIP, elem_id="coach", padding=False)
    with gr.Column(visible=False, elem_id="draft") as details:
        with gr.Row(elem_classes="actions"):
            window = gr.Button("Take the best part", visible=False, elem_id="take-window", variant="primary", size="sm")
            whole = gr.Button("Use the whole clip", visible=False, elem_id="take-whole", size="sm")
            clean = gr.Button("Remove noise", elem_id="remove-noise", size="sm")
        before = sound_player(
            label="Before: as recorded", interactive=False, visible=False, elem_id="before", buttons=[]
        )
        used = sound_player(
            label="What the voice is made from", interactive=False, visible=False, elem_id="used", buttons=[]
        )
        with gr.Accordion("Cut by seconds", open=False, elem_id="cut"), gr.Row(equal_height=True):
            start = gr.Textbox(value="", label="From second", max_length=12, elem_id="cut-start", min_width=90)
            end = gr.Textbox(value="", label="To second", max_length=12, elem_id="cut-end", min_width=90)
            cut = gr.Button("Cut", elem_id="cut-now", min_width=80)
    gr.Markdown(
        "### 3 · What is said in it\nWord for word: the model reads clip and text together.",
        elem_classes="step",
        elem_id="transcript-step",
    )
    transcript = gr.Textbox(
        value="", label="Transcript", placeholder="Type exactly what you hear.", lines=3, elem_id="transcript"
    )
    transcribe = gr.Button("Write it for me", elem_id="transcribe", size="sm", elem_classes="quiet")
    heard = gr.HTML(elem_id="heard", padding=False)
    gr.Markdown("### 4 · Whose voice it is", elem_classes="step")
    ground = gr.Radio(
        label="By what right may it be cloned?",
        choices=[(wording[0].upper() + wording[1:], value) for value, wording in CONSENT_GROUNDS.items()],
        value=None,
        elem_id="consent",
    )
    wording = gr.HTML(elem_id="wording", padding=False)
    who = gr.Textbox(value="", label="Who speaks?", visible=False, max_length=200, elem_id="who")
    note = gr.Textbox(value="", label=NOTE_LABELS["permission"], visible=False, max_length=1000, elem_id="consent-note")
    gr.Markdown("### 5 · Name it and keep it", elem_classes="step")
    name = gr.Textbox(value="", label="Name of the voice", placeholder="Anna", max_length=400, elem_id="voice-name")
    notes = gr.Textbox(value="", label="Notes (may stay empty)", max_length=4000, elem_id="voice-notes")
    with gr.Row(elem_classes="actions"):
        save = gr.Button("Save the voice", variant="primary", size="lg", elem_id="save-voice", scale=3)
        discard = gr.Button("Start over", size="lg", elem_id="discard", scale=1)
    outcome = gr.HTML(elem_id="voice-outcome", padding=False)
    speak_now = gr.Button("Hear it speak", visible=False, elem_id="speak-with-it", variant="primary")
    return VoiceForm(
        language, passage, use_passage, clip, intake, details, coach, window, whole, clean, start, end, cut, before,
        used, transcript, transcribe, heard, ground, wording, who, note, name, notes, save, discard, outcome, speak_now,
    )  # fmt: skip

"""The library of voices: look, listen, mend, speak, withdraw, delete."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.listening.transcript_editing import retimed
from studio.services import Services
from studio.ui.events import CHOICE, QUIET
from studio.ui.html import card, error_sentence
from studio.ui.players import sound_player
from studio.ui.tabs.voices.new_voice import Recorder
from studio.ui.tabs.voices.news import changed
from studio.ui.tabs.voices.voice_html import LANGUAGE_CHOICES, playable, voice_facts, voice_line
from studio.ui.visitors import owner_of
from studio.voices.library import VoiceLibrary
from studio.voices.naming import name_key
from studio.voices.voice import Voice

Updates = dict[Any, Any]
# What lists the voices goes one after the other, or the list after a change would hide what was searched for meanwhile.
LISTING: dict[str, Any] = {**QUIET, "concurrency_id": "shelf", "concurrency_limit": 1}


class Shelf:
    """Lays the library out and wires it.

    Args:
        recorder: the form, whose clip may be added to a voice.
        news: the page's word that the library changed; see :class:`studio.ui.tabs.voices.VoicesTab`.
    """

    def __init__(self, services: Services, recorder: Recorder, news: gr.State) -> None:
        self._services, self._recorder, self._news = services, recorder, news
        self._lay_out()
        self._wire()

    def _lay_out(self) -> None:
        gr.Markdown("### Library", elem_classes="step")
        self.search = gr.Textbox(
            show_label=False, placeholder="Search by name, language, words or notes", elem_id="voice-search",
            container=False, max_length=200,
        )  # fmt: skip
        self._list = gr.Radio(label="Voices", choices=[], elem_id="voice-list", elem_classes="card-list")
        self._empty = gr.HTML(elem_id="voice-list-empty", padding=False)
        with gr.Column(visible=False, elem_id="voice-panel") as self._panel:
            self._facts = gr.HTML(elem_id="voice-facts", padding=False)
            self._clip = gr.Radio(label="Clips", choices=[], visible=False, elem_id="clip-choice")
            self._player = sound_player(label="Clip", interactive=False, elem_id="voice-player", buttons=[])
            with gr.Row(elem_classes="actions"):
                self._speak = gr.Button("Speak with it", variant="primary", size="sm", elem_id="voice-speak")
            with gr.Accordion("Edit", open=False, elem_id="voice-edit") as self._editing:
                self._name = gr.Textbox(label="Name", max_length=400, elem_id="edit-name")
                self._language = gr.Dropdown(LANGUAGE_CHOICES, label="Language", elem_id="edit-language")
                self._notes = gr.Textbox(label="Notes", max_length=4000, elem_id="edit-notes")
                self._transcript = gr.Textbox(label="What is said in the clip", lines=3, elem_id="edit-transcript")
                with gr.Row(elem_classes="actions"):
                    self._save = gr.Button("Save the changes", size="sm", variant="primary", elem_id="edit-save")
                    self._more = gr.Button("Add the clip of the form", size="sm", elem_id="add-clip")
                    self._less = gr.Button("Remove this clip", size="sm", elem_id="remove-clip", visible=False)
            with gr.Row(elem_classes="actions", visible=False) as self._danger:
                self._withdraw = gr.Button("Withdraw consent", size="sm", elem_id="withdraw-consent")
                self._delete = gr.Button("Delete", size="sm", variant="stop", elem_id="delete-voice")
            with gr.Column(visible=False, elem_id="confirm") as self._confirm:
                self._question = gr.HTML(elem_id="confirm-question", padding=False)
                with gr.Row(elem_classes="actions"):
                    self._yes = gr.Button("Yes", size="sm", variant="stop", elem_id="confirm-yes")
                    self._no = gr.Button("No, keep it", size="sm", elem_id="confirm-no")
            self._wish = gr.State(("", ""))  # what was asked, and of which voice
        self._shown = gr.State("")  # which voice and clip the fields were last filled with, and from what
        self._outcome = gr.HTML(elem_id="shelf-outcome", padding=False)

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`offer` may change."""
        return [
            self._list, self._empty, self._panel, self._facts, self._clip, self._player, self._speak, self._editing,
            self._name, self._language, self._notes, self._transcript, self._less, self._danger, self._withdraw,
            self._confirm, self._question, self._outcome, self._wish, self._shown,
        ]  # fmt: skip

    def _wire(self) -> None:
        outputs, chosen = self.outputs, [self.search, self._list]
        # Not "input", which hands over what stood there before the key was pressed.
        self.search.change(self._searched, [*chosen, self._shown], outputs, **CHOICE, **LISTING)
        self._list.input(self._chosen, self._list, outputs, **CHOICE, **QUIET)
        self._clip.input(self._clip_chosen, [self._list, self._clip], outputs, **CHOICE, **QUIET)
        # Through the queue: a state that changes outside of it triggers nothing.
        self._speak.click(
            lambda selected, told: changed(told, selected, listed=True, select=selected, go=True),
            [self._list, self._news], self._news, **QUIET,
        )  # fmt: skip
        with_news = [*outputs, self._news]
        edited = [self._name, self._language, self._notes, self._transcript]
        self._save.click(self._edit, [*chosen, self._news, self._clip, *edited], with_news, **QUIET)
        added = list(dict.fromkeys([*with_news, *self._recorder.restored]))
        self._more.click(self._add_clip, [*chosen, self._news, *self._recorder.to_save], added, **QUIET)
        self._less.click(self._remove_clip, [*chosen, self._news, self._clip], with_news, **QUIET)
        for button, wish in ((self._withdraw, "withdraw"), (self._delete, "delete")):
            button.click(self._asks(wish), self._list, outputs, queue=False, **QUIET)
        self._no.click(
            lambda: (gr.Column(visible=False), ("", "")), None, [self._confirm, self._wish], queue=False, **QUIET
        )
        self._yes.click(self._confirmed, [*chosen, self._news, self._wish], with_news, **QUIET)

    def _voices(self, request: gr.Request) -> VoiceLibrary:
        return self._services.voices(owner_of(request, self._services.settings))

    # Showing

    @property
    def news_inputs(self) -> list[Any]:
        """What :meth:`offer_news` is told."""
        return [self.search, self._news, self._shown]

    def offer(
        self, request: gr.Request, search: str = "", selected: str | None = None, clip_id: str | None = None,
        shown: str = "",
    ) -> Updates:  # fmt: skip
        """The list anew, with one voice opened if it is in it.

        Args:
            shown: what the fields hold already. They are left alone where that is still so: somebody may be typing.
        """
        try:
            voices = self._voices(request).voices(search or "")
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._outcome: card(error_sentence(error), "bad")}
        opened = next((voice for voice in voices if voice.id == selected), None)
        empty = "" if voices else f'<p class="hint">No voice has “{escape(search)}” in it.</p>'
        return {
            self._list: gr.Radio(choices=[(voice_line(v), v.id) for v in voices], value=opened.id if opened else None),
            self._empty: empty,
            **(
                self._opened(opened, request, clip_id, shown)
                if opened
                else {self._panel: gr.Column(visible=False), self._shown: ""}
            ),
        }

    def offer_news(self, search: str, told: dict[str, Any], shown: str, request: gr.Request) -> Updates:
        """The list after the library changed elsewhere on the page."""
        if told.get("listed"):  # here, and the list shows it already
            return {}
        return self.offer(request, search, told.get("open"), None, shown)

    def _searched(self, search: str, selected: str | None, shown: str, request: gr.Request) -> Updates:
        return {self._outcome: "", **self.offer(request, search, selected, None, shown)}

    def _chosen(self, selected: str | None, request: gr.Request) -> Updates:
        return self._clip_chosen(selected, None, request)

    def _clip_chosen(self, selected: str | None, clip_id: str | None, request: gr.Request) -> Updates:
        def do() -> Updates:
            return {self._outcome: ""} | self._opened(self._voices(request).voice(selected or ""), request, clip_id)

        return self._guarded(do)

    def _opened(self, voice: Voice, request: gr.Request, clip_id: str | None = None, shown: str = "") -> Updates:
        clip = next((clip for clip in voice.clips if clip.id == clip_id), voice.clips[0] if voice.clips else None)
        opened = f"{clip and clip.id} {voice.trouble} {voice!r}"
        if opened == shown:
            return {}
        several, own = len(voice.clips) > 1, not voice.preset
        sound, damage = None, ""
        if clip is not None and clip.is_there:
            try:
                sound = playable(self._voices(request).read_clip(voice, clip))
            except StudioError as error:  # damaged: the voice can still be looked at, mended and deleted
                damage = str(error)
        return {
            self._panel: gr.Column(visible=True),
            self._facts: voice_facts(voice, clip, damage),
            self._clip: gr.Radio(
                choices=[(f"Clip {n}, {c.seconds:.1f} s", c.id) for n, c in enumerate(voice.clips, 1)],
                value=clip.id if clip else None,
                visible=several,
            ),
            self._player: gr.Audio(value=sound, visible=sound is not None),
            self._speak: gr.Button(interactive=voice.trouble is None),
            self._editing: gr.Accordion(visible=own),
            self._name: voice.name,
            self._language: voice.language,
            self._notes: voice.notes,
            self._transcript: clip.transcript.text if clip else "",
            self._less: gr.Button(visible=several),
            self._danger: gr.Row(visible=own),
            self._withdraw: gr.Button(interactive=voice.consent.withdrawn_at is None),
            self._confirm: gr.Column(visible=False),
            self._shown: opened,
        }

    def _guarded(self, do: Callable[[], Updates]) -> Updates:
        try:
            return do()
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._outcome: card(error_sentence(error), "bad")}

    # Changing

    def _after(
        self, request: gr.Request, search: str, told: dict[str, Any], voice_id: str | None, said: str,
        clip_id: str | None = None,
    ) -> Updates:  # fmt: skip
        """The list and the rest of the page after a change."""
        return {
            **self.offer(request, search, voice_id, clip_id),
            self._outcome: card(said, "good"),
            self._news: changed(told, voice_id, listed=True),
        }

    def _edit(
        self, search: str, selected: str | None, told: dict[str, Any], clip_id: str | None,
        name: str, language: str | None, notes: str, text: str, request: gr.Request,
    ) -> Updates:  # fmt: skip
        def do() -> Updates:
            library = self._voices(request)
            voice = library.voice(selected or "")
            if name_key(name or "") != name_key(voice.name):
                library.free_name(name)  # before anything is changed
            clip = next((c for c in voice.clips if c.id == clip_id), voice.clips[0] if voice.clips else None)
            if clip is not None and (clip.transcript.text != text.strip() or clip.needs_check):
                said = retimed(clip.transcript, text.strip(), duration=clip.seconds)
                library.correct_transcript(voice.id, clip.id, said)
            voice = library.edit(voice.id, name=name, language=language or "", notes=notes)
            return self._after(request, search, told, voice.id, f"{voice.name} is changed.", clip and clip.id)

        return self._guarded(do)

    def _add_clip(
        self, search: str, selected: str | None, told: dict[str, Any],
        kept: Any, shown: str, text: str, spoken: str, request: gr.Request,
    ) -> Updates:  # fmt: skip
        def do() -> Updates:
            draft = self._recorder.shown_draft(kept, shown, text, spoken, request)
            voice = self._voices(request).add_clip(selected or "", self._services.drafts.clip(draft))
            self._recorder.forget(kept, request)
            said = f"{voice.name} has {len(voice.clips)} clips now."
            return self._recorder.emptied_clip() | self._after(
                request, search, told, voice.id, said, voice.clips[-1].id
            )

        return self._guarded(do)

    def _remove_clip(
        self, search: str, selected: str | None, told: dict[str, Any], clip_id: str | None, request: gr.Request
    ) -> Updates:
        def do() -> Updates:
            voice = self._voices(request).remove_clip(selected or "", clip_id or "")
            return self._after(request, search, told, voice.id, f"The clip of {voice.name} is deleted.")

        return self._guarded(do)

    def _asks(self, wish: str) -> Callable[..., Updates]:
        def ask(selected: str | None, request: gr.Request) -> Updates:
            def do() -> Updates:
                voice = self._voices(request).voice(selected or "")
                question = (
                    f"Delete {voice.name} and its {'clips' if len(voice.clips) > 1 else 'clip'} for good? Takes stay."
                    if wish == "delete"
                    else f"Withdraw the consent for {voice.name}? Nobody can speak with it from then on, speech that is "
                    "being made is stopped, and its takes are marked. This cannot be undone."
                )
                return {
                    self._confirm: gr.Column(visible=True),
                    self._question: card(question, "warn"),
                    self._wish: (wish, voice.id),
                }

            return self._guarded(do)

        return ask

    def _confirmed(
        self, search: str, selected: str | None, told: dict[str, Any], wish: tuple[str, str], request: gr.Request
    ) -> Updates:
        def do() -> Updates:
            library = self._voices(request)
            if wish[1] != selected:  # another voice was chosen since the question
                return {self._confirm: gr.Column(visible=False)}
            if wish[0] == "delete":
                voice = library.remove(selected or "")
                return self._after(request, search, told, None, f"{voice.name} and its files are deleted.")
            if wish[0] == "withdraw":
                voice = library.withdraw_consent(selected or "")
                return self._after(request, search, told, voice.id, f"The consent for {voice.name} is withdrawn.")
            return {self._confirm: gr.Column(visible=False)}

        return self._guarded(do)

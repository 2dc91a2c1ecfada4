"""The way from a recording to a saved voice: what happens behind the form."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from studio.audio.waveform import Span
from studio.engine.speech.reference import CONSENT_GROUNDS
from studio.errors import StudioError
from studio.services import Services
from studio.ui.events import CHOICE, QUIET
from studio.ui.html import card, error_sentence
from studio.ui.last_done import STAMPED, LastDone
from studio.ui.tabs.voices.coach_report import coach_html
from studio.ui.tabs.voices.form import VoiceForm
from studio.ui.tabs.voices.news import changed
from studio.ui.tabs.voices.voice_html import NO_CLIP, NOTE_LABELS, playable, reading_html, transcript_note, wording_html
from studio.ui.visitors import owner_of, tab_of
from studio.voices.consent import SpeakerConsent
from studio.voices.drafts import Draft
from studio.voices.languages import LANGUAGES, passage

Updates = dict[Any, Any]


class Recorder:
    """Handlers of the form. Each returns updates by component, and never raises.

    Args:
        news: the page's word that the library changed; see :class:`studio.ui.tabs.voices.VoicesTab`.
    """

    def __init__(self, services: Services, form: VoiceForm, remembered: gr.JSON, news: gr.State) -> None:
        self._services, self._form, self._remembered, self._news = services, form, remembered, news
        self._drafts = services.drafts
        self._saved = gr.State(None)
        # The recording that this page shows: a copy of the tab shares its drafts.
        self._shown_id = gr.State("")
        self._moment, self._last_done = gr.Number(visible=False), LastDone()
        self._wire()

    @property
    def restored(self) -> list[Any]:
        """Components that :meth:`restore` may change."""
        form = self._form
        return list(
            dict.fromkeys([*self.of_clip, *form.typed, form.wording, form.passage, form.outcome, form.speak_now])
        )

    @property
    def of_clip(self) -> list[Any]:
        """Components that show the clip, and which one it is."""
        return [*self._form.of_clip, self._shown_id]

    def _wire(self) -> None:
        form, context = self._form, [self._form.language, self._form.transcript, self._remembered]
        clip_outputs = self.of_clip
        # Progress is seen where the answer will be.
        busy: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        hearing, saving = ({**busy, "show_progress_on": where} for where in ([form.coach, form.heard], [form.outcome]))
        brought = [form.clip, *context, self._moment]
        form.clip.stop_recording(self._recorded, brought, clip_outputs, **STAMPED, **hearing)
        form.clip.upload(self._uploaded, brought, clip_outputs, **STAMPED, **hearing)
        form.clip.clear(self._cleared, [self._remembered, self._moment], clip_outputs, **STAMPED, **QUIET)
        for button, change in (
            (form.window, self._take_window),
            (form.whole, lambda draft, _: self._drafts.cut(draft, None)),
            (form.clean, lambda draft, _: self._drafts.clean(draft, not draft.clean)),
            (
                form.transcribe,
                lambda draft, spoken: self._drafts.transcribed(draft, self._services.transcriber, spoken),
            ),
        ):
            gr.on(button.click, self._changing(change), context, clip_outputs, **hearing)
        gr.on(
            [form.cut.click, form.start.submit, form.end.submit],
            self._cut, [form.start, form.end, *context], clip_outputs, **hearing,
        )  # fmt: skip
        form.transcript.blur(self._typed, context, [form.coach, form.heard], **CHOICE, **QUIET)
        form.language.change(reading_html, form.language, form.passage, queue=False, **QUIET)
        form.use_passage.click(self._use_passage, context, [form.transcript, form.coach, form.heard], **QUIET)
        form.ground.change(self._ground, form.ground, [form.wording, form.who, form.note], queue=False, **QUIET)
        gr.on(
            [field.change for field in form.typed],  # type: ignore[attr-defined]
            None, form.typed, None, js="(...values) => { window.studio.remember('voices', ...values); }",
        )  # fmt: skip
        everything = list(dict.fromkeys([*self.restored, form.clip, self._saved, self._news]))
        gr.on(
            form.save.click, self._save, [*form.typed, self._remembered, self._news, self._shown_id], everything,
            concurrency_limit=2, **saving,
        )  # fmt: skip
        form.discard.click(self._start_over, [self._remembered, self._moment], everything, **STAMPED, **QUIET)
        form.speak_now.click(
            lambda voice, told: changed(told, voice, select=voice, go=True),
            [self._saved, self._news], self._news, **QUIET,
        )  # fmt: skip

    # Showing

    def _shown(self, draft: Draft, spoken: str) -> Updates:
        """Everything that is shown of a clip."""
        form, now, source = self._form, draft.used, draft.source()
        final = draft.waveform(source)
        report = self._drafts.report(draft, spoken, final)
        heard, needs_check = draft.transcript()
        best = report.window if report.window_ok else None
        best = best and Span(best.start + now.start, best.end + now.start)
        offer = f"Take the best part: {best.start:.1f} to {best.end:.1f} s" if best else ""
        changed = draft.clean or draft.cut is not None
        label = "After: what the voice is made from" if draft.clean else "What the voice is made from"
        return {
            form.details: gr.Column(visible=True),
            form.coach: coach_html(source, now, report),
            form.window: gr.Button(offer, visible=best is not None),
            form.whole: gr.Button(visible=draft.cut is not None),
            form.clean: gr.Button("Put the noise back" if draft.clean else "Remove noise"),
            form.start: f"{now.start:.2f}",
            form.end: f"{now.end:.2f}",
            form.before: gr.Audio(value=playable(draft.before(source)) if draft.clean else None, visible=draft.clean),
            # Untouched it is the clip above, which has a player already.
            form.used: gr.Audio(value=playable(final) if changed else None, label=label, visible=changed),
            form.transcript: heard.text,
            form.heard: transcript_note(heard.model, needs_check),
            form.intake: "",
            self._shown_id: draft.id,
        }

    def _nothing(self, said: str = "") -> Updates:
        form = self._form
        return {
            form.details: gr.Column(visible=False),
            form.coach: NO_CLIP,
            form.before: gr.Audio(value=None, visible=False),
            form.used: gr.Audio(value=None, visible=False),
            form.heard: "",
            form.intake: said,
            self._shown_id: "",
        }

    def _tab(self, kept: Any, request: gr.Request) -> str:
        return tab_of(request, self._services.settings, kept)

    def _draft(self, kept: Any, request: gr.Request) -> Draft:
        draft = self._drafts.of(self._tab(kept, request))
        if draft is None:
            raise StudioError("There is no clip yet: record or upload one first.")
        return draft

    def _with_text(self, draft: Draft, text: str | None, spoken: str) -> Draft:
        """The draft with what stands in the transcript box."""
        said, present = (text or "").strip(), draft.transcript()[0].text.strip()
        return draft if said == present else self._drafts.typed(draft, said, spoken)

    # The clip

    def _recorded(self, path: str | None, spoken: str, text: str, kept: Any, at: Any, request: gr.Request) -> Updates:
        return self._taken_in(path, spoken, text, kept, at, request, keeps_text=True)

    def _uploaded(self, path: str | None, spoken: str, text: str, kept: Any, at: Any, request: gr.Request) -> Updates:
        return self._taken_in(path, spoken, text, kept, at, request, keeps_text=False)

    def _taken_in(
        self, path: str | None, spoken: str, text: str, kept: Any, at: Any, request: gr.Request, *, keeps_text: bool
    ) -> Updates:
        too_late: Updates = {self._form.intake: gr.skip()}
        tab = self._tab(kept, request)
        if not self._last_done.is_last(tab, at):
            return too_late
        try:
            if path is None:
                return self._nothing()
            earlier = self._drafts.of(tab)
            draft = self._drafts.begin(tab, Path(path))
            if not self._last_done.is_last(tab, at):  # it was taken away while it was read
                self._drafts.forget(tab, draft.id)
                return too_late
            # Somebody who records again reads the same text again; another file says something else.
            keeps_text = keeps_text or earlier is None
            if keeps_text:
                draft = self._with_text(draft, text, spoken)
            # Not written back where it stays: somebody may be typing it while the coach listens.
            return self._shown(draft, spoken) | ({self._form.transcript: gr.skip()} if keeps_text else {})
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            refused = self._nothing(card(error_sentence(error), "bad"))
            return refused if self._last_done.is_last(tab, at) else too_late

    def _cleared(self, kept: Any, at: Any, request: gr.Request) -> Updates:
        return self._nothing() if self._thrown_away(kept, at, request) else {self._form.intake: gr.skip()}

    def _thrown_away(self, kept: Any, at: Any, request: gr.Request) -> bool:
        """Forget the clip; False where another was brought in its place meanwhile."""
        tab = self._tab(kept, request)
        if not self._last_done.is_last(tab, at):
            return False
        self._drafts.forget(tab)
        return True

    def _changing(self, change: Callable[[Draft, str], Draft]) -> Callable[..., Updates]:
        """A handler that changes the draft and shows it; what was typed meanwhile is taken along first."""

        def handle(spoken: str, text: str, kept: Any, request: gr.Request) -> Updates:
            try:
                draft = self._with_text(self._draft(kept, request), text, spoken)
                return self._shown(change(draft, spoken), spoken)
            except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
                return {self._form.heard: card(error_sentence(error), "bad")}

        return handle

    def _take_window(self, draft: Draft, spoken: str) -> Draft:
        best = self._drafts.report(draft, spoken).window
        if best is None:
            raise StudioError("The clip has no better part: use it as it is, or record it again.")
        return self._drafts.cut(draft, Span(best.start + draft.used.start, best.end + draft.used.start))

    def _cut(self, first: str, last: str, spoken: str, text: str, kept: Any, request: gr.Request) -> Updates:
        def change(draft: Draft, _: str) -> Draft:
            return self._drafts.cut(draft, Span(_seconds(first), _seconds(last)))

        return self._changing(change)(spoken, text, kept, request)

    # The text

    def _typed(self, spoken: str, text: str, kept: Any, request: gr.Request) -> Updates:
        """The transcript box was left: the coach looks whether the text fits."""
        form = self._form
        try:
            draft = self._drafts.of(self._tab(kept, request))
            if draft is None:
                return {form.heard: ""}
            draft = self._with_text(draft, text, spoken)
            heard, needs_check = draft.transcript()
            return {
                form.coach: coach_html(draft.source(), draft.used, self._drafts.report(draft, spoken)),
                form.heard: transcript_note(heard.model, needs_check),
            }
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {form.heard: card(error_sentence(error), "bad")}

    def _use_passage(self, spoken: str, text: str, kept: Any, request: gr.Request) -> Updates:
        return {self._form.transcript: passage(spoken), **self._typed(spoken, passage(spoken), kept, request)}

    def _ground(self, ground: str | None) -> Updates:
        form, asked = self._form, ground in NOTE_LABELS
        return {
            form.wording: wording_html(ground),
            form.who: gr.Textbox(visible=asked),
            form.note: gr.Textbox(visible=asked, label=NOTE_LABELS.get(ground or "", NOTE_LABELS["permission"])),
        }

    # Keeping

    def _save(
        self, spoken: str, text: str, name: str, ground: str | None, who: str, note: str, notes: str,
        kept: Any, told: dict[str, Any], shown: str, request: gr.Request,
    ) -> Updates:  # fmt: skip
        form = self._form
        try:
            draft = self.shown_draft(kept, shown, text, spoken, request)
            consent = SpeakerConsent.given(ground, who=who or "", statement=note or "")
            heard_language = draft.transcript()[0].language or ""
            language = spoken or (heard_language if heard_language in LANGUAGES else "")
            library = self._services.voices(owner_of(request, self._services.settings))
            voice = library.add(name, [self._drafts.clip(draft)], consent, language=language, notes=notes or "")
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {form.outcome: card(error_sentence(error), "bad"), form.speak_now: gr.Button(visible=False)}
        self.forget(kept, request)
        return {
            **self.emptied(),
            form.outcome: card(f"{voice.name} is in your library, and can speak.", "good"),
            form.speak_now: gr.Button(f"Hear {voice.name} speak", visible=True),
            self._saved: voice.id,
            self._news: changed(told, voice.id, select=voice.id),
        }

    def _start_over(self, kept: Any, at: Any, request: gr.Request) -> Updates:
        if not self._thrown_away(kept, at, request):
            return {self._form.intake: gr.skip()}
        return {**self.emptied(), self._form.outcome: "", self._form.speak_now: gr.Button(visible=False)}

    def shown_draft(self, kept: Any, shown: str, text: str, spoken: str, request: gr.Request) -> Draft:
        """The clip that this page shows, with the text beside it. Raises StudioError for none, or another one."""
        draft = self._draft(kept, request)
        if draft.id != shown:
            raise StudioError("The clip was replaced in another tab: reload this page, and look at it again.")
        return self._with_text(draft, text, spoken)

    def forget(self, kept: Any, request: gr.Request) -> None:
        """The clip was saved."""
        self._drafts.forget(self._tab(kept, request))

    @property
    def to_save(self) -> list[Any]:
        """Inputs of :meth:`shown_draft`, in its order."""
        return [self._remembered, self._shown_id, self._form.transcript, self._form.language]

    def emptied_clip(self) -> Updates:
        """The form without its clip; what was typed about a voice stays."""
        return {**self._nothing(), self._form.transcript: ""}

    def emptied(self) -> Updates:
        """The form without a clip."""
        form = self._form
        return {
            **self._nothing(),
            **dict.fromkeys([form.transcript, form.name, form.notes], ""),
            form.clip: None,
            form.ground: None,
            form.who: gr.Textbox(value="", visible=False),
            form.note: gr.Textbox(value="", visible=False),
            form.wording: "",
        }

    @property
    def taking(self) -> list[Any]:
        """Inputs of :meth:`take_over` behind what was handed over."""
        return [self._form.name, self._remembered]

    @property
    def taken(self) -> list[Any]:
        """Components that :meth:`take_over` may change, before the tabs."""
        return list(dict.fromkeys([*self.restored, self._form.clip]))

    def take_over(self, handed: Any, name: str, kept: Any, request: gr.Request) -> list[Any]:
        """An utterance of a set, which is this tab's unsaved clip by now, with what is known of who speaks in it.

        The ground of the consent is filled in as it was recorded; it is agreed to when the voice is saved, as always.
        """
        form = self._form
        try:
            draft = self._draft(kept, request)
            if not isinstance(handed, dict) or draft.id != handed["draft"]:
                return [*[gr.skip()] * len(self.taken), gr.skip()]  # another clip came meanwhile
            spoken = handed["language"] if handed["language"] in LANGUAGES else ""
            ground = handed["ground"] if handed["ground"] in CONSENT_GROUNDS else None
            asked = ground in NOTE_LABELS
            updates: Updates = {
                **self._shown(draft, spoken),
                form.clip: None,  # what was recorded there is another clip
                form.used: gr.Audio(value=playable(draft.waveform()), visible=True),
                form.intake: card("This is the utterance of your dataset; as a voice it is not saved yet.")
                + (card(handed["warning"], "warn") if handed["warning"] else ""),
                form.language: spoken,
                form.passage: reading_html(spoken),
                form.ground: ground,
                form.wording: wording_html(ground),
                form.who: gr.Textbox(value=handed["who"] if asked else "", visible=asked),
                form.note: gr.Textbox(
                    value=handed["note"] if asked else "", visible=asked,
                    label=NOTE_LABELS.get(ground or "", NOTE_LABELS["permission"]),
                ),
                form.outcome: "",
                form.speak_now: gr.Button(visible=False),
            }  # fmt: skip
            if not (name or "").strip():  # else somebody has thought of one
                library = self._services.voices(owner_of(request, self._services.settings))
                with suppress(StudioError):  # taken, or the dataset names nobody
                    updates[form.name] = library.free_name(handed["speaker"])
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            updates = {form.intake: card(error_sentence(error), "bad")}
        return [*(updates.get(each, gr.skip()) for each in self.taken), gr.Tabs(selected="voices")]

    def restore(self, kept: Any, request: gr.Request) -> Updates:
        """What was typed before a reload, and the clip that was not saved."""
        form = self._form
        values = kept.get("voices") if isinstance(kept, dict) else None
        if not (isinstance(values, list) and len(values) == len(form.typed)):
            values = [""] * len(form.typed)
        spoken, text, name, ground, who, note, notes = [value if isinstance(value, str) else "" for value in values]
        spoken, ground = spoken if spoken in LANGUAGES else "", ground if ground in CONSENT_GROUNDS else None
        updates: Updates = {**self._nothing(), form.transcript: text}
        try:
            draft = self._drafts.of(self._tab(kept, request))
            if draft is not None:
                draft = self._with_text(draft, text or draft.transcript()[0].text, spoken)
                updates = self._shown(draft, spoken)
                updates[form.intake] = card("Your clip from before is still here; it is not saved yet.")
                # The box above is empty after a reload, so this is the player.
                updates[form.used] = gr.Audio(value=playable(draft.waveform()), visible=True)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            updates[form.intake] = card(error_sentence(error), "bad")
        if isinstance(kept, dict) and kept.get("interrupted") is True:
            updates[form.intake] = card(
                "The page was reloaded in the middle of a recording: what there is of it comes back here in a moment; if it "
                "does not, record it again.",
                "warn",
            )
        if not updates.get(form.heard) and (reason := self._services.transcriber.missing()):
            updates[form.heard] = f'<p class="hint">{reason}</p>'
        asked = ground in NOTE_LABELS
        remembered: Updates = {
            form.language: spoken,
            form.passage: reading_html(spoken) if spoken else "",
            form.ground: ground,
            form.wording: wording_html(ground),
            form.who: gr.Textbox(value=who, visible=True) if asked else "",
            form.note: gr.Textbox(value=note, visible=True, label=NOTE_LABELS[ground or ""]) if asked else "",
            form.name: name,
            form.notes: notes,
            form.transcript: updates.get(form.transcript),
        }
        # Nothing empty is written: somebody may already be typing there.
        return updates | {field: value or gr.skip() for field, value in remembered.items()}


def _seconds(typed: str | None) -> float:
    try:
        return float((typed or "").strip().replace(",", "."))
    except ValueError:
        raise StudioError(f"'{(typed or '').strip()}' is no number of seconds: type one such as 3.5.") from None

"""Review: the utterances that look wrong come first; one after the other is heard, mended, kept or dropped."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from studio.datasets.as_clip import clip_of
from studio.datasets.dataset import Utterance
from studio.datasets.editing import Editor
from studio.datasets.exports.read_texts import read_text
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures import KINDS
from studio.datasets.measures.words import differing_words
from studio.errors import StudioError
from studio.services import Services
from studio.settings import ASSETS
from studio.ui.events import CHOICE, RAW, unless_sent
from studio.ui.html import card, error_sentence
from studio.ui.players import sound_player
from studio.ui.staging import Staging
from studio.ui.visitors import owner_of, tab_of

PAGE = 12
_NOTHING = {"id": "", "revision": 0, "seen": ""}
_AS_VOICE = "Use as a voice"
_ROUNDING = 0.0006
"""Seconds that the page rounds away."""
_JS = (ASSETS / "review.js").read_text(encoding="utf-8")
_FILTERS = [
    ("All, most suspicious first", ""),
    *((f"Only: {kind}", kind) for kind in KINDS),
    ("Made by a model", "synthetic"),
    ("Dropped", "dropped"),
]
_NO_KINDS = ("synthetic", "dropped")
"""Of the filters, those that are no suspicions."""
_KEYS = "Keys: j next · k before · space play · a accept the suggestion · d drop or keep · u undo"


class Review:
    """Lays the list and the editor out.

    Args:
        chosen: the list of sets.
        changed: the page's word that a set changed.
        remembered: what the browser's tab remembers; it names the tab.

    Attributes:
        handed: an utterance that is to become a voice, for :meth:`studio.ui.tabs.voices.new_voice.Recorder.take_over`.
    """

    def __init__(
        self, services: Services, staging: Staging, chosen: gr.Radio, changed: gr.State, remembered: gr.JSON
    ) -> None:
        self._services, self._staging, self._chosen, self._changed = services, staging, chosen, changed
        self._remembered = remembered
        self.handed: Any = gr.State(None)
        # The utterance that takes the place of an unsaved clip when its button is pressed again.
        self._sure: Any = gr.State("")
        self._page = gr.State(0)
        # What the editor was last filled with, and so what its buttons change: the list may be a click ahead of it.
        self._opened: Any = gr.State(_NOTHING)
        with gr.Column(visible=False, elem_id="review") as self._panel:
            gr.Markdown("### Review", elem_classes="step")
            with gr.Row():
                self._kind = gr.Dropdown(label="Show", choices=_FILTERS, value="", elem_id="review-kind", min_width=180)
                self._search = gr.Textbox(
                    label="Search", max_length=200, elem_id="review-search", value="", min_width=140
                )
            self._list = gr.Radio(
                show_label=False, container=False, choices=[], elem_id="review-list", elem_classes="card-list"
            )
            with gr.Row(elem_classes="actions"):
                self._before = gr.Button("Earlier", size="sm", elem_id="review-before")
                self._after = gr.Button("Later", size="sm", elem_id="review-after")
                self._drop_all = gr.Button("Drop all of these", size="sm", elem_id="review-drop-all")
                self._undo = gr.Button("Undo", size="sm", elem_id="review-undo")
            self._said = gr.HTML(padding=False, elem_id="review-said")
            with gr.Column(visible=False, elem_id="review-editor") as self._editor:
                self._evidence = gr.HTML(padding=False, elem_id="review-evidence")
                self._player = sound_player(label="Utterance", interactive=False, elem_id="review-player", buttons=[])
                self._text = gr.Textbox(
                    label="What is said", lines=2, max_lines=8, max_length=5000, elem_id="review-text"
                )
                self._heard = gr.HTML(padding=False, elem_id="review-heard")
                with gr.Row():
                    self._start = gr.Number(label="From (s)", precision=3, elem_id="review-start", min_width=90)
                    self._end = gr.Number(label="To (s)", precision=3, elem_id="review-end", min_width=90)
                    self._at = gr.Number(label="Split at (s)", precision=3, elem_id="review-at", min_width=90)
                with gr.Row(elem_classes="actions"):
                    self._save = gr.Button("Save", size="sm", variant="primary", elem_id="review-save")
                    self._accept = gr.Button("Accept the suggestion", size="sm", elem_id="review-accept")
                    self._drop = gr.Button("Drop", size="sm", elem_id="review-drop")
                    self._split = gr.Button("Split", size="sm", elem_id="review-split")
                    self._merge = gr.Button("Merge with the next", size="sm", elem_id="review-merge")
                    self._as_voice = gr.Button(_AS_VOICE, size="sm", elem_id="review-as-voice")
                gr.HTML(f'<p class="hint">{_KEYS}</p>', padding=False, js_on_load=_JS)

    @property
    def _outputs(self) -> list[Any]:
        return [
            self._panel, self._list, self._before, self._after, self._drop_all, self._editor, self._evidence, self._player,
            self._text, self._heard, self._start, self._end, self._at, self._accept, self._drop, self._said, self._page,
            self._opened, self._as_voice, self._sure,
        ]  # fmt: skip

    def wire(self) -> None:
        """What happens."""
        where = {self._chosen, self._kind, self._search, self._page, self._list, self._opened}
        how: dict[str, Any] = {**CHOICE, **RAW}
        for event in (self._chosen.change, self._changed.change, self._kind.change, self._search.change):
            event(self._look, where, self._outputs, **how)
        self._list.input(self._open, [self._chosen, self._list], self._outputs, **how)
        for button, turn in ((self._before, -1), (self._after, 1)):
            button.click(lambda page, turn=turn: max(0, int(page) + turn), self._page, self._page, **RAW).then(
                self._look, where, self._outputs, **RAW
            )
        seen = {*where, self._text, self._start, self._end, self._at}
        for button, do in (
            (self._save, self._saved),
            (self._accept, self._accepted),
            (self._drop, self._dropped),
            (self._split, self._parted),
            (self._merge, self._merged),
            (self._undo, self._undone),
            (self._drop_all, self._all_dropped),
        ):
            button.click(do, seen, [*self._outputs, self._changed], **RAW)
        self._as_voice.click(
            self._hand_over,
            [self._chosen, self._opened, self._sure, self._remembered],
            [self.handed, self._sure, self._as_voice, self._said],
            trigger_mode="once",
            **RAW,
        )

    # Showing

    def _look(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        """The list of this page of the set, with an utterance opened."""
        try:
            library, chosen, listed = self._library(request), values[self._chosen], values[self._list]
            if not chosen:
                return {self._panel: gr.Column(visible=False), self._opened: _NOTHING}
            kind, search = str(values[self._kind] or ""), str(values[self._search] or "")
            found, page = self._listed(library, str(chosen), kind, search, int(values[self._page] or 0))
            shown = next((each for each in found[:PAGE] if each.id == listed), found[0] if found else None)
            value = shown.id if shown else None
            updates: dict[Any, Any] = {
                self._panel: gr.Column(visible=True),
                self._list: gr.Radio(
                    choices=[(_line(each), each.id) for each in found[:PAGE]], **unless_sent(value, listed)
                ),
                self._before: gr.Button(interactive=page > 0),
                self._after: gr.Button(interactive=len(found) > PAGE),
                self._drop_all: gr.Button(visible=bool(kind) and kind != "dropped" and bool(found)),
                self._page: page,
            }
            if shown is None:
                return {**updates, self._editor: gr.Column(visible=False), self._opened: _NOTHING}
            return {**updates, **self._filled(library, shown, values[self._opened])}
        except StudioError as error:
            return {self._panel: gr.Column(visible=False), self._opened: _NOTHING, self._said: card(str(error), "bad")}
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._said: card(error_sentence(error), "bad")}

    def _listed(
        self, library: DatasetLibrary, dataset: str, kind: str, search: str, page: int
    ) -> tuple[list[Utterance], int]:  # fmt: skip
        """One more than a page of utterances, and which page it is."""
        states = ("dropped",) if kind == "dropped" else ("kept",)
        while True:
            found = library.utterances(
                dataset, states=states, kind="" if kind in _NO_KINDS else kind, synthetic=kind == "synthetic", search=search,
                order="suspicion", limit=PAGE + 1, offset=page * PAGE,
            )  # fmt: skip
            if found or page == 0:
                return found, page
            page -= 1

    def _open(self, chosen: Any, opened: Any, request: gr.Request) -> dict[Any, Any]:
        try:
            library = self._library(request)
            return {**self._filled(library, library.utterance(str(chosen), str(opened)), _NOTHING), self._said: ""}
        except Exception as error:  # noqa: BLE001
            return {self._said: card(error_sentence(error), "bad")}

    def _filled(self, library: DatasetLibrary, utterance: Utterance, before: dict[str, Any]) -> dict[Any, Any]:
        """The editor with an utterance; as it is where it holds the very same, since somebody may be typing."""
        seen = f"{utterance!r}"
        if (utterance.id, seen) == (before["id"], before["seen"]):
            return {}
        try:
            key = f"utterance-{utterance.id}-{utterance.sha256[:16]}"
            sound: Any = self._staging.copy(
                key, "utterance.wav", lambda path: path.write_bytes(library.encoded(utterance))
            )
            damage = ""
        except StudioError as error:
            sound, damage = None, card(str(error), "bad")
        kept = utterance.state == "kept"
        suggestion = utterance.heard
        return {
            self._editor: gr.Column(visible=True),
            self._evidence: damage + evidence_html(utterance),
            self._player: sound,
            self._text: utterance.text,
            self._heard: heard_html(utterance),
            self._start: round(utterance.start, 3),
            self._end: round(utterance.end, 3),
            self._at: round((utterance.start + utterance.end) / 2, 3),
            self._accept: gr.Button(visible=bool(suggestion) and suggestion != utterance.text),
            self._drop: gr.Button("Drop" if kept else "Keep"),
            self._as_voice: gr.Button(_AS_VOICE),
            self._sure: "",
            self._opened: {"id": utterance.id, "revision": utterance.revision, "seen": seen},
        }

    # Changing

    def _saved(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        def do(editor: Editor, utterance: Utterance) -> str:
            # What only rounding for the page made another is no edit.
            moved: dict[str, Any] = {
                name: float(values[field])
                for name, field in (("start", self._start), ("end", self._end))
                if values[field] is not None and abs(float(values[field]) - getattr(utterance, name)) > _ROUNDING
            }
            editor.change(utterance.id, values[self._opened]["revision"], text=str(values[self._text] or ""), **moved)
            return "Saved."

        return self._edited(values, request, do)

    def _accepted(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        def do(editor: Editor, utterance: Utterance) -> str:
            if not utterance.heard:
                raise StudioError("There is no suggestion for this utterance: measure the dataset with a recogniser.")
            editor.change(utterance.id, values[self._opened]["revision"], text=utterance.heard)
            return "The suggestion is its transcript now."

        return self._edited(values, request, do)

    def _dropped(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        def do(editor: Editor, utterance: Utterance) -> str:
            state = "dropped" if utterance.state == "kept" else "kept"
            editor.change(utterance.id, values[self._opened]["revision"], state=state)
            return f"{utterance.name or 'The utterance'} is {state}."

        return self._edited(values, request, do)

    def _parted(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        def do(editor: Editor, utterance: Utterance) -> str:
            editor.split(utterance.id, values[self._opened]["revision"], float(values[self._at] or 0))
            return "It is two utterances now: look at what each of them says."

        return self._edited(values, request, do)

    def _merged(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        def do(editor: Editor, utterance: Utterance) -> str:
            editor.merge_with_next(utterance.id, values[self._opened]["revision"])
            return "It is one with the next now."

        return self._edited(values, request, do)

    def _undone(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        return self._edited(values, request, lambda editor, _: f"Undone: {editor.undo()}.", one=False)

    def _all_dropped(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        def do(editor: Editor, _: Any) -> str:
            kind, search = str(values[self._kind]), str(values[self._search] or "")
            made = kind == "synthetic"
            found = self._library(request).utterances(
                editor.dataset_id, kind="" if made else kind, synthetic=made, search=search
            )
            what = "dropped all that a model made" if made else f"dropped all suspected of: {kind}"
            count = editor.change_all([each.id for each in found], what, state="dropped")
            return f"{count} utterances are dropped; Undo brings them back."

        return self._edited(values, request, do, one=False)

    def _hand_over(self, chosen: Any, opened: Any, sure: Any, kept: Any, request: gr.Request) -> dict[Any, Any]:
        """The utterance becomes the unsaved clip of this tab, with what is known of it; asked twice where there is one."""
        try:
            library, drafts = self._library(request), self._services.drafts
            dataset = library.dataset(str(chosen))
            utterance = library.utterance(dataset.id, opened["id"])
            clip = clip_of(library, dataset, utterance)
            tab = tab_of(request, self._services.settings, kept)
            if drafts.of(tab) is not None and sure != utterance.id:
                waits = (
                    "A clip that is not saved yet waits on Voices: save it there first, or press again to replace it."
                )
                return {
                    self._sure: utterance.id, self._said: card(waits, "warn"),
                    self._as_voice: gr.Button("Press again to replace the clip"),
                }  # fmt: skip
            with TemporaryDirectory() as folder:
                path = Path(folder) / "utterance.wav"
                path.write_bytes(clip.wav)
                draft = drafts.begin(tab, path)
            if clip.text:
                drafts.typed(draft, clip.text, clip.language)
            handed = {"draft": draft.id, "language": clip.language, "speaker": clip.speaker, "warning": clip.warning}
            if clip.consent is None:
                handed |= {"ground": None}
            else:
                handed |= {"ground": clip.consent.ground, "who": clip.consent.who, "note": clip.consent.statement}
            return {self.handed: handed, self._sure: "", self._as_voice: gr.Button(_AS_VOICE), self._said: ""}
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {
                self._said: card(error_sentence(error), "bad"), self._sure: "", self._as_voice: gr.Button(_AS_VOICE)
            }  # fmt: skip

    def _edited(
        self, values: dict[Any, Any], request: gr.Request, do: Callable[[Editor, Any], str], *, one: bool = True
    ) -> dict[Any, Any]:
        """Do an edit, and show the list as it is then."""
        try:
            library, chosen = self._library(request), str(values[self._chosen])
            utterance = library.utterance(chosen, values[self._opened]["id"]) if one else None
            said = card(do(Editor(library, chosen), utterance), "good")
        except Exception as error:  # noqa: BLE001
            # The editor keeps what was typed: it is only told why it was not saved.
            return {self._said: card(error_sentence(error), "bad")}
        return {**self._look(values, request), self._said: said, self._changed: secrets.token_hex(4)}

    def _library(self, request: gr.Request) -> DatasetLibrary:
        return self._services.datasets(owner_of(request, self._services.settings))


def _line(utterance: Utterance) -> str:
    looked_at = "nothing suspected" if utterance.measures else "not measured yet"
    kinds = ", ".join(dict.fromkeys(each["kind"] for each in utterance.suspicions)) or looked_at
    text = utterance.text or "(no transcript)"
    return f"{text[:90]}\n{utterance.seconds:.1f} s · {kinds}"


def evidence_html(utterance: Utterance) -> str:
    """Why it is suspected, each with its figures."""
    found = "".join(
        f"<li><strong>{escape(each['kind'])}</strong> {escape(each['evidence'])}</li>" for each in utterance.suspicions
    )
    synthetic = " · made by a model" if utterance.synthetic else ""
    of = f"{utterance.start:.2f} to {utterance.end:.2f} s, {utterance.speaker or 'no speaker'}"
    where = f"<p class='hint' dir='auto'>{escape(utterance.recording_name)}, {escape(of)}{synthetic}</p>"
    text = read_text(utterance)
    other = text.read or text.refusal
    same = not text.written or other == text.written
    read = "" if same else f"<p class='hint' dir='auto'>The model reads: {escape(other)}</p>"
    return where + (f"<ul class='evidence'>{found}</ul>" if found else "") + read


def heard_html(utterance: Utterance) -> str:
    """What a recogniser heard, with the words marked that differ."""
    if not utterance.heard:
        return ""
    if not utterance.text:
        return f"<p dir='auto'><strong>Heard:</strong> {escape(utterance.heard)}</p>"
    pairs = [
        f"<li dir='auto'><del>{escape(one) or '–'}</del> → <ins>{escape(other) or '–'}</ins></li>"
        for one, other in differing_words(utterance.text, utterance.heard)
    ]
    differing = f"<ul class='differing'>{''.join(pairs)}</ul>" if pairs else ""
    return f"<p dir='auto'><strong>Heard:</strong> {escape(utterance.heard)}</p>{differing}"

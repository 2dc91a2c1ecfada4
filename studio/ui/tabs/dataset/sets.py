"""The sets of a visitor, and one of them: how much, how good, whose voices, and what can be done with it."""

from __future__ import annotations

import secrets
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.datasets.background import Work, imported, measured
from studio.datasets.dataset import Dataset, Speaker
from studio.datasets.editing import Editor
from studio.datasets.exports.exporting import FORMATS, export
from studio.datasets.imports.importer import go_on, obstacle
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures import Grade
from studio.datasets.measures.distributions import distributions
from studio.datasets.measures.measuring import grade_of
from studio.datasets.splitting import splits
from studio.errors import StudioError
from studio.formatting import duration
from studio.services import Services
from studio.ui.events import CHOICE, RAW, unless_sent
from studio.ui.html import card, error_sentence, table
from studio.ui.staging import Staging
from studio.ui.tabs.dataset.spread import Spread
from studio.ui.visitors import owner_of
from studio.voices.consent import CONSENT_WORDING, SpeakerConsent

_NONE = '<p class="hint">No datasets yet. Import recordings above: an hour of speech becomes sentences with transcripts.</p>'
_NOBODY = "(no name)"
_MAX_SPEAKER_ROWS = 8
"""Of more speakers the table would be a wall: they are folded away."""
_INTERRUPTED = "The import of this set was interrupted: go on with it, or delete it."


class Sets:
    """Lays the list and the panel out.

    Attributes:
        chosen: the list; its value is the id of the set that is shown.
    """

    def __init__(self, services: Services, staging: Staging, changed: gr.State) -> None:
        self._services, self._staging, self._changed = services, staging, changed
        # Of which set the panel is: what its buttons are about, whatever is chosen in the list meanwhile.
        self._panel_of = gr.State("")

    def lay_out_list(self) -> None:
        """The sets."""
        gr.Markdown("### Datasets", elem_classes="step")
        self.chosen = gr.Radio(
            show_label=False, container=False, choices=[], elem_id="set-list", elem_classes="card-list"
        )
        self._empty = gr.HTML(_NONE, padding=False, elem_id="set-list-empty")

    def lay_out_panel(self) -> None:
        """One of them."""
        self._outcome = gr.HTML(padding=False, elem_id="set-said")
        with gr.Column(visible=False, elem_id="set-panel") as self._panel:
            self._facts = gr.HTML(padding=False, elem_id="set-facts")
            with gr.Row(visible=False, elem_classes="actions") as self._unfinished:
                self._go_on = gr.Button("Go on with the import", size="sm", variant="primary", elem_id="set-go-on")
            with gr.Row(elem_classes="actions"):
                self._measure = gr.Button("Measure", size="sm", elem_id="set-measure")
                self._split = gr.Button("Hold 5 % out", size="sm", elem_id="set-split")
                self._delete = gr.Button("Delete", size="sm", variant="stop", elem_id="set-delete")
            self._sure = gr.State("")
            self._spread = Spread()
            with gr.Accordion("Whose voices these are", open=False, elem_id="set-consent"):
                self._speaker = gr.Dropdown(label="Speaker", choices=[], elem_id="consent-speaker")
                self._ground = gr.Radio(
                    label="By what right", choices=[(words, ground) for ground, words in CONSENT_WORDING.items()],
                    elem_id="consent-ground",
                )  # fmt: skip
                self._note = gr.Textbox(
                    label="Who gave permission and when, or which licence",
                    max_length=1000,
                    elem_id="set-consent-note",
                    value="",
                )
                with gr.Row(elem_classes="actions"):
                    self._agree = gr.Button("Record", size="sm", variant="primary", elem_id="consent-record")
                    self._withdraw = gr.Button("Withdraw", size="sm", elem_id="consent-withdraw")
            with gr.Accordion("Export", open=False, elem_id="set-export"):
                with gr.Row():
                    self._format = gr.Dropdown(
                        label="Layout", choices=list(FORMATS), value="rows", elem_id="export-format"
                    )
                    self._export = gr.Button("Make the archive", size="sm", elem_id="export-make")
                self._archive = gr.File(label="Archive", visible=False, interactive=False, elem_id="export-file")

    @property
    def _outputs(self) -> list[Any]:
        return [
            self.chosen, self._empty, self._panel, self._facts, self._speaker, self._panel_of, self._unfinished,
            self._measure, self._split, *self._spread.outputs,
        ]  # fmt: skip

    def wire(self, tab: gr.Tab, timer: gr.Timer) -> None:
        """What happens; ``timer`` tells how far a measurement is."""
        seen = [self.chosen, self._panel_of, self._speaker]
        tab.select(self._offer, seen, self._outputs, **CHOICE, **RAW)
        self._changed.change(self._offer, seen, self._outputs, **CHOICE, **RAW)
        self.chosen.input(
            self._show,
            self.chosen,
            [*self._outputs, self._outcome, self._archive, self._delete, self._sure],
            **CHOICE,
            **RAW,
        )
        told = [self._outcome, self._changed]
        for button, begin in ((self._measure, self._begin_measuring), (self._go_on, self._begin_going_on)):
            button.click(begin, self._panel_of, [self._outcome, timer], trigger_mode="once", **RAW)
        self._split.click(self._hold_out, self._panel_of, told, **RAW)
        self._delete.click(self._remove, [self._panel_of, self._sure], [*told, self._sure, self._delete], **RAW)
        consent = [self._panel_of, self._speaker, self._ground, self._note]
        self._agree.click(self._record, consent, told, **RAW)
        self._withdraw.click(self._take_back, [self._panel_of, self._speaker], told, **RAW)
        made = [self._outcome, self._archive]
        self._export.click(self._make_archive, [self._panel_of, self._format], made, trigger_mode="once", **RAW)

    # Showing

    def _offer(self, chosen: Any, panel_of: Any, speaker: Any, request: gr.Request) -> dict[Any, Any]:
        """The list anew, with the chosen set, or the newest where it is gone."""
        try:
            library = self._services.datasets(owner_of(request, self._services.settings))
            datasets = library.datasets()
            ids = [each.id for each in datasets]
            present = chosen if chosen in ids else (ids[0] if ids else None)
            updates: dict[Any, Any] = {
                self.chosen: gr.Radio(
                    choices=[(_line(each), each.id) for each in datasets], **unless_sent(present, chosen)
                ),
                self._empty: "" if datasets else _NONE,
            }
            if present is None:
                return {**updates, self._panel: gr.Column(visible=False), self._panel_of: ""}
            return {**updates, **self._of(library, present, speaker if panel_of == present else None)}
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._empty: card(error_sentence(error), "bad")}

    def _show(self, chosen: Any, request: gr.Request) -> dict[Any, Any]:
        try:
            library = self._services.datasets(owner_of(request, self._services.settings))
            hidden = {
                self._outcome: "", self._archive: gr.File(visible=False, value=None), self._delete: gr.Button("Delete"),
                self._sure: "",
            }  # fmt: skip
            return {**self._of(library, str(chosen), None), **hidden}
        except Exception as error:  # noqa: BLE001
            return {self._outcome: card(error_sentence(error), "bad")}

    def _of(self, library: DatasetLibrary, chosen: str, speaker: Any) -> dict[Any, Any]:
        """The panel with a set; ``speaker`` is chosen in it already, None where it shows another."""
        dataset = library.dataset(chosen)
        speakers = [(_speaker_line(each), each.name) for each in dataset.speakers]
        names = [each.name for each in dataset.speakers]
        first = next((each.name for each in dataset.speakers if each.trouble), names[0] if names else None)
        value = speaker if speaker in names else first
        busy = self._services.works.busy_with(library.owner) == dataset.name
        stuck = "" if dataset.state == "ready" or busy else obstacle(library, dataset)
        ready, graded = dataset.state == "ready", grade_of(dataset)
        unfinished = not ready and not busy
        return {
            self._panel: gr.Column(visible=True),
            self._panel_of: dataset.id,
            self._facts: facts_html(dataset, graded, (stuck or _INTERRUPTED) if unfinished else ""),
            self._speaker: gr.Dropdown(choices=speakers, **unless_sent(value, speaker)),
            self._unfinished: gr.Row(visible=unfinished and not stuck),
            self._measure: gr.Button("Measure again" if graded else "Measure", interactive=ready),
            self._split: gr.Button(interactive=ready),
            **self._spread.drawn(dataset.id, distributions(library, dataset)),
        }

    # Doing

    def _begin_measuring(self, chosen: Any, request: gr.Request) -> tuple[str, Any]:
        try:
            owner = owner_of(request, self._services.settings)
            library = self._services.datasets(owner)
            dataset = library.dataset(str(chosen))
            transcriber = self._services.transcriber
            model = "" if transcriber.missing() else self._services.settings.asr_model

            def do(work: Work) -> str:
                return f"{dataset.name} is measured: grade {measured(work, library, dataset, asr_model=model).letter}."

            self._services.works.start(owner, dataset.name, do)
            return "", gr.Timer(active=True)
        except Exception as error:  # noqa: BLE001
            return card(error_sentence(error), "bad"), gr.skip()

    def _begin_going_on(self, chosen: Any, request: gr.Request) -> tuple[str, Any]:
        """Go on with an import that was interrupted; it goes on without this page."""
        try:
            owner = owner_of(request, self._services.settings)
            library = self._services.datasets(owner)
            dataset = library.dataset(str(chosen))
            if reason := obstacle(library, dataset):
                raise StudioError(reason)
            transcriber = None if self._services.transcriber.missing() else self._services.transcriber

            def run(**how: Any) -> Dataset:
                return go_on(library, dataset, transcriber=transcriber, **how)

            self._services.works.start(owner, dataset.name, lambda work: imported(work, library, run))
            return "", gr.Timer(active=True)
        except Exception as error:  # noqa: BLE001
            return card(error_sentence(error), "bad"), gr.skip()

    def _hold_out(self, chosen: Any, request: gr.Request) -> tuple[Any, Any]:
        def do(library: Any, dataset: Dataset) -> str:
            found = splits(library.utterances(dataset.id))
            wishes: dict[str, dict[str, str | None]] = {each: {"split": part} for each, part in found.items()}
            Editor(library, dataset.id).change_each(wishes, "held utterances out for validation")
            held = sum(part == "validation" for part in found.values())
            return f"{held} of {len(found)} utterances are held out for validation."

        return self._done(chosen, request, do)

    def _record(self, chosen: Any, speaker: Any, ground: Any, note: Any, request: gr.Request) -> tuple[Any, Any]:
        def do(library: Any, dataset: Dataset) -> str:
            consent = SpeakerConsent.given(ground, who=str(speaker or ""), statement=str(note or ""))
            library.record_consent(dataset.id, str(speaker or ""), consent)
            return f"The consent of {speaker or 'the speaker'} is recorded."

        return self._done(chosen, request, do)

    def _take_back(self, chosen: Any, speaker: Any, request: gr.Request) -> tuple[Any, Any]:
        def do(library: Any, dataset: Dataset) -> str:
            library.withdraw_consent(dataset.id, str(speaker or ""))
            return f"The consent of {speaker or 'the speaker'} is withdrawn: nothing is trained on it any more."

        return self._done(chosen, request, do)

    def _remove(self, chosen: Any, sure: Any, request: gr.Request) -> tuple[Any, Any, Any, Any]:
        if sure != chosen:
            return gr.skip(), gr.skip(), chosen, gr.Button("Press again to delete")

        def do(library: Any, dataset: Dataset) -> str:
            if self._services.works.busy_with(library.owner) == dataset.name:
                raise StudioError(f"{dataset.name} is being worked on: stop that, or wait until it is done.")
            return f"{library.delete(dataset.id).name} is deleted."

        said, news = self._done(chosen, request, do)
        return said, news, "", gr.Button("Delete")

    def _make_archive(self, chosen: Any, layout: Any, request: gr.Request) -> tuple[Any, Any]:
        try:
            library = self._services.datasets(owner_of(request, self._services.settings))
            dataset = library.dataset(str(chosen))
            key = f"export-{dataset.id}-{layout}-{secrets.token_hex(8)}"

            def write(path: Path) -> None:
                export(library, dataset, str(layout), path, archive=True)

            path = self._staging.copy(key, f"{dataset.name} {layout}.zip", write)
            return card(f"{dataset.name} is packed as {layout}.", "good"), gr.File(value=path, visible=True)
        except Exception as error:  # noqa: BLE001
            return card(error_sentence(error), "bad"), gr.File(visible=False, value=None)

    def _done(self, chosen: Any, request: gr.Request, do: Any) -> tuple[Any, Any]:
        """Do something to the chosen set; what there is to say, and that it changed."""
        try:
            library = self._services.datasets(owner_of(request, self._services.settings))
            return card(do(library, library.dataset(str(chosen))), "good"), secrets.token_hex(4)
        except Exception as error:  # noqa: BLE001
            return card(error_sentence(error), "bad"), gr.skip()


def _speaker_line(speaker: Speaker) -> str:
    """Who it is, and whether the consent is still to be recorded."""
    return (speaker.name or _NOBODY) + (" · no consent" if speaker.trouble else "")


def _line(dataset: Dataset) -> str:
    state = "" if dataset.state == "ready" else " · not imported whole"
    return f"{dataset.name}\n{dataset.num_utterances:,} utterances · {duration(dataset.seconds)}{state}"


def facts_html(dataset: Dataset, grade: Grade | None, unfinished: str = "") -> str:
    """What there is to know about a set; ``unfinished`` says what became of its import."""
    dropped = f"; {dataset.num_dropped:,} dropped" if dataset.num_dropped else ""
    rows = [
        ("Utterances", f"{dataset.num_utterances:,}, {duration(dataset.seconds)}{dropped}"),
        ("From", f"{dataset.source.get('type')} {dataset.source.get('name')}"),
    ]
    if dataset.languages:
        rows.append(("Language", ", ".join(dataset.languages)))
    speakers = [_speaker_row(each) for each in dataset.speakers if each.num_utterances]
    many = len(speakers) > _MAX_SPEAKER_ROWS
    if many:
        lacking = len(dataset.troubles)
        rights = f"the consent of {lacking:,} is not recorded" if lacking else "the consent of all is recorded"
        rows.append(("Speakers", f"{len(speakers):,}; {rights}"))
    else:
        rows += speakers
    if dataset.synthetic:
        rows.append(("Made by a model", dataset.synthetic))
    if unsliced := dataset.report.get("unsliced"):
        lost = ", ".join(f"{duration(seconds)} of {reason}" for reason, seconds in unsliced.items())
        rows.append(("In no utterance", lost))
    if grade is not None:
        found = ", ".join(f"{count} {kind}" for kind, count in grade.counts.items()) or "nothing looks wrong"
        rows.insert(0, ("Grade", f"{grade.letter}: {grade.minutes:.1f} minutes of speech; {found}"))
    advice = "".join(f"<li>{escape(each)}</li>" for each in (grade.advice if grade else ()))
    left = "".join(
        f"<li dir='auto'>{escape(entry['place'])}: {escape(entry['sentence'])}</li>"
        for entry in dataset.report.get("listed", ())[:50]
    )
    more = f"<ul class='advice'>{advice}</ul>" if advice else ""
    more += f"<details><summary>What was left out</summary><ul>{left}</ul></details>" if left else ""
    notes = card(unfinished, "warn") if unfinished else ""
    notes += "".join(card(note, "warn") for note in dataset.report.get("notes", ()))
    if many:
        more = f"<details><summary>All speakers</summary>{table(speakers, '')}</details>" + more
    return f"<h3 dir='auto'>{escape(dataset.name)}</h3>" + table(rows, "") + more + notes


def _speaker_row(speaker: Speaker) -> tuple[str, str]:
    right = speaker.consent.shown_ground if speaker.consent else "consent not recorded"
    if speaker.consent and speaker.consent.withdrawn_at:
        right = "consent withdrawn"
    return f"Speaker {speaker.name or _NOBODY}", f"{speaker.num_utterances:,}, {duration(speaker.seconds)}, {right}"

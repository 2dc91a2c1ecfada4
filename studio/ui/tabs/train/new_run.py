"""The form for a new run: rows, base, preset, every argument; checked, and started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.datasets import try_it
from studio.datasets.exports.training_files import training_files
from studio.datasets.rows.uploads import take_uploads, uploads_folder
from studio.engine.checkpoints import DEMO_NAME
from studio.errors import StudioError
from studio.formatting import duration
from studio.services import Services
from studio.training.config.presets import PRESETS
from studio.training.config.request import PRESET_NAMES, TrainRequest
from studio.training.preflight.report import Preflight, preflight
from studio.ui.background_task import Done, at_work, told
from studio.ui.checkpoints import checkpoint_choices, chosen_checkpoint
from studio.ui.events import CHOICE, QUIET, RAW, unless_sent
from studio.ui.html import card, error_sentence
from studio.ui.tabs.train.advanced import Advanced, other_arguments, refuse_paths
from studio.ui.tabs.train.preflight_report import preflight_html
from studio.ui.tabs.train.runs.actions import SWITCHED_OFF
from studio.ui.visitors import owner_of

_PRESENT = ""
"""The base that the studio speaks with."""
_DATASET = "dataset:"
"""Before the id of a dataset, among rows to choose from."""
_AS_BORN = ("", "", _PRESENT)
"""Rows, validation and base of a page that just came."""
_SHARE = "A share of the rows, or what the dataset holds out"
_NO_UPLOAD = ("", "")
_ROWS = "A file of training rows (.jsonl or .json) with the recordings that it names, or one .zip with both."


@dataclass(frozen=True)
class _Given:
    """Rows that somebody gave.

    Attributes:
        folders: where their recordings may lie.
        validation: rows that are evaluated and not trained; None: a share of the rows.
        taken: what was uploaded and is copied by now, of the rows and of those for validation.
    """

    rows: Path
    folders: tuple[Path, ...]
    validation: Path | None
    taken: tuple[tuple[str, str], tuple[str, str]]


class NewRun:
    """Lays the form out and wires it.

    Args:
        wanted: state, the id of a run that is to be chosen next; the started one.
    """

    def __init__(self, services: Services, remembered: gr.JSON, wanted: gr.State) -> None:
        self._services, self._settings, self._wanted = services, services.settings, wanted
        self._remembered = remembered
        # What was uploaded and is copied already: a press on Start after one on Check copies nothing again.
        self._taken = gr.State((_NO_UPLOAD, _NO_UPLOAD))
        self._lay_out()

    def _lay_out(self) -> None:
        gr.Markdown("### New run", elem_classes="step")
        gr.HTML(f'<p class="hint">{_ROWS}</p>', padding=False)
        self._try = gr.Button(
            "No recordings at hand? Try it with three minutes of a voice that comes with the studio", size="sm",
            elem_id="train-try", visible=try_it.is_there(),
        )  # fmt: skip
        self._files = gr.File(label="Training rows", file_count="multiple", elem_id="train-rows", height=150)
        with gr.Row():
            self._rows = gr.Dropdown(
                label="Or a dataset, or rows on the server", choices=[("None", "")], value="", visible=False,
                elem_id="train-server-rows",
                info="What was imported on Dataset, and files in the studio's datasets folder.", min_width=200,
            )  # fmt: skip
            self._base = gr.Dropdown(
                label="Base", choices=[("The one that speaks", _PRESENT)], value=_PRESENT, elem_id="train-base",
                info="The model that learns.", min_width=200,
            )  # fmt: skip
        with gr.Accordion("Validation", open=False, elem_id="train-validation"):
            self._validation = gr.Dropdown(
                label="Evaluated and never trained", choices=[(_SHARE, "")], value="", elem_id="train-validation-rows",
                info="What tells whether it learns the voice, or the rows by heart.",
            )  # fmt: skip
            self._validation_files = gr.File(
                label="Or rows of your own", file_count="multiple", elem_id="train-validation-files", height=150
            )
        self._preset = gr.Radio(
            label="Preset", choices=[(each.label, name) for name, each in PRESETS.items()], value=PRESET_NAMES[0],
            elem_id="train-preset", elem_classes="segmented", container=False,
        )  # fmt: skip
        self._meaning = gr.HTML(_meaning(PRESET_NAMES[0]), padding=False, elem_id="train-preset-meaning")
        self._name = gr.Textbox(
            label="Name", placeholder="made of the file's name", max_length=80, elem_id="train-name", value=""
        )
        with gr.Accordion("Advanced", open=False, elem_id="train-advanced"):
            self._advanced = Advanced()
            self._other = gr.Textbox(
                label="Other ms-swift arguments", lines=2, max_lines=10, max_length=10_000, elem_id="train-other", value="",
                placeholder="lora_bias=all\nmax_grad_norm=0.5", info="One on each line, as NAME=VALUE. They win.",
                visible=not self._settings.visitors_are_strangers,
            )  # fmt: skip
        with gr.Row(elem_classes="actions"):
            self._start = gr.Button("Start", variant="primary", size="lg", elem_id="train-start", scale=3)
            self._check = gr.Button("Check", size="lg", elem_id="train-check", scale=1, min_width=100)
        self._outcome = gr.HTML(padding=False, elem_id="train-outcome")

    @property
    def _typed(self) -> list[Any]:
        """What somebody chooses and types, in the order in which the browser remembers it."""
        return [self._rows, self._validation, self._base, self._preset, self._name, self._other, *self._advanced.fields]

    @property
    def restored(self) -> list[Any]:
        """Components that :meth:`restore` and :meth:`offer` may change."""
        return [*self._typed, self._meaning]

    def wire(self, tab: gr.Tab, look: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Wire it; ``look`` shows the run that was started."""
        typed = self._typed
        offered = [self._rows, self._validation, self._base]
        # Who comes back while the first answer is on its way is answered, too.
        tab.select(self.offer, offered, offered, **CHOICE, **RAW)
        tried = [
            *offered, self._files, self._validation_files, self._preset, self._meaning, self._name, self._outcome,
            *self._advanced.fields,
        ]  # fmt: skip
        self._try.click(self._try_it, offered, tried, trigger_mode="once", **RAW)
        self._preset.change(_meaning, self._preset, self._meaning, queue=False, preprocess=False, **QUIET)
        gr.on(
            [field.change for field in typed], None, typed, None,
            js="(...values) => { window.studio?.remember('train', ...values); }", **RAW,
        )  # fmt: skip
        given = {self._files, self._validation_files, self._taken, *typed}
        changed = [self._outcome, self._taken, self._start, self._check, *self._advanced.fields]
        how: dict[str, Any] = {**QUIET, "preprocess": False, "concurrency_limit": 4, "trigger_mode": "once"}
        self._check.click(self._checked, given, changed, **how)
        started = self._start.click(self._started, given, [*changed, self._wanted], **how)
        started.then(look, inputs, outputs, **RAW)

    # Filling

    def offer(self, rows: Any, validation: Any, base: Any, request: gr.Request) -> dict[Any, Any]:
        """The datasets, files and bases of this moment; what is chosen stays, unless it is gone."""
        return self._offered(rows, validation, base, (rows, validation, base), request)

    def _offered(
        self, rows: Any, validation: Any, base: Any, sent: tuple[Any, Any, Any], request: gr.Request
    ) -> dict[Any, Any]:  # fmt: skip
        try:
            present = [*self._named(request), *((name, name) for name in self._server_rows())]
            bases = self._bases()
        except OSError:
            return {self._rows: gr.skip()}
        rows, validation = (each if each in {value for _, value in present} else "" for each in (rows, validation))
        base = base if base in {value for _, value in bases} else _PRESENT
        return {
            self._rows: gr.Dropdown(
                choices=[("None", ""), *present], visible=bool(present), **unless_sent(rows, sent[0])
            ),
            self._validation: gr.Dropdown(choices=[(_SHARE, ""), *present], **unless_sent(validation, sent[1])),
            self._base: gr.Dropdown(choices=bases, **unless_sent(base, sent[2])),
        }

    def restore(self, kept: Any, request: gr.Request) -> dict[Any, Any]:
        """What was typed before a reload."""
        values = kept.get("train") if isinstance(kept, dict) else None
        if not isinstance(values, list) or len(values) != len(self._typed):
            return self.offer(*_AS_BORN, request)
        rows, validation, base, preset, name, other, *advanced = [
            value if isinstance(value, str) else "" for value in values
        ]
        preset = preset if preset in PRESET_NAMES else PRESET_NAMES[0]
        return {
            **self._offered(rows, validation, base, _AS_BORN, request),
            self._preset: preset,
            self._meaning: _meaning(preset),
            self._name: name,
            self._other: other,
            **self._advanced.fill(advanced),
        }

    def _try_it(self, rows: Any, validation: Any, base: Any, request: gr.Request) -> dict[Any, Any]:
        """Fill the form with the dataset that comes with the studio, and the base that knows its words."""
        try:
            if not self._settings.may_train:
                raise StudioError(SWITCHED_OFF)
            dataset = try_it.try_it(self._services.datasets(owner_of(request, self._settings)))
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._outcome: card(error_sentence(error), "bad")}
        return {
            **self._offered(f"{_DATASET}{dataset.id}", "", DEMO_NAME, (rows, validation, base), request),
            self._files: None,
            self._validation_files: None,
            self._preset: "quick",
            self._meaning: _meaning("quick"),
            self._name: "",
            **self._advanced.filled(try_it.ARGUMENTS),
            self._outcome: card(
                f"{dataset.name} is chosen: {duration(dataset.seconds)} of {dataset.speakers[0].name}, a voice that the demo "
                "checkpoint has never heard, and a learning rate for a model as small. Check says how long it takes here; "
                "press Start, and listen to the samples as they come.",
                "good",
            ),
        }

    def _named(self, request: gr.Request) -> list[tuple[str, str]]:
        """The visitor's datasets; none while the library is locked."""
        try:
            found = self._services.datasets(owner_of(request, self._settings)).datasets()
        except StudioError:
            return []
        return [(f"Dataset {each.name}", f"{_DATASET}{each.id}") for each in found if each.state == "ready"]

    def _server_rows(self) -> list[str]:
        """Files of rows that whoever runs the studio put into the datasets folder, by their names from there.

        They are theirs, like the voices of their library: strangers are offered none.
        """
        if self._settings.visitors_are_strangers:
            return []
        folder, uploads = self._settings.datasets_folder, uploads_folder(self._settings)
        found = [
            path.relative_to(folder).as_posix()
            for pattern in ("*.jsonl", "*/*.jsonl", "*/*/*.jsonl")
            for path in (folder.glob(pattern) if folder.is_dir() else ())
            if uploads not in path.parents and path.is_file()
        ]
        return sorted(found)

    def _bases(self) -> list[tuple[str, str]]:
        status = self._services.host.status
        choices = checkpoint_choices(self._settings)
        if not self._settings.may_switch_checkpoint:  # nobody else decides what this server fetches
            choices = [(label, value) for label, value in choices if "/" not in value]
        present = status.shown_name if status.state == "ready" else "the default"
        return [(f"The one that speaks ({present})", _PRESENT), *choices]

    # Checking and starting

    def _checked(self, values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Look at everything and start nothing."""
        yield from self._work(values, request, start=False)

    def _started(self, values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Check, and start what can work."""
        yield from self._work(values, request, start=True)

    def _work(self, values: dict[Any, Any], request: gr.Request, *, start: bool) -> Iterator[dict[Any, Any]]:
        owner, library = (
            owner_of(request, self._services.settings),
            self._services.jobs(owner_of(request, self._services.settings)),
        )

        def work(announce: Any) -> tuple[Preflight, str, Any]:
            if not self._settings.may_train:
                raise StudioError(SWITCHED_OFF)
            announce("The rows are read …")
            given = self._given(values, owner)
            checked = preflight(
                self._request(given, values), self._settings, self._services.store, owner=owner, allowed=given.folders,
                announce=announce,
            )  # fmt: skip
            job = library.start(checked, values[self._name] or "").id if start and checked.ok else ""
            return checked, job, given.taken

        waiting = {self._start: gr.Button(interactive=False), self._check: gr.Button(interactive=False)}
        ready = {self._start: gr.Button(interactive=True), self._check: gr.Button(interactive=True)}
        for news in told(work):
            if isinstance(news, str):
                yield {self._outcome: at_work(news), **waiting}
            elif news.result is None:
                yield {self._outcome: card(error_sentence(news.error or RuntimeError("nothing")), "bad"), **ready}
            else:
                yield {**ready, **self._came_of(news, library.owner, start)}

    def _came_of(self, done: Done[tuple[Preflight, str, Any]], owner: str, start: bool) -> dict[Any, Any]:
        assert done.result is not None
        checked, job, kept = done.result
        updates: dict[Any, Any] = {
            self._outcome: preflight_html(checked, self._settings, whole=not owner, started=bool(job)),
            self._taken: kept,
            **self._advanced.known(checked.spec.arguments if checked.ok else {}),
        }
        return updates | ({self._wanted: job} if job else {})

    def _given(self, values: dict[Any, Any], owner: str) -> _Given:
        """The rows, and those for validation. Raises StudioError where there are none, or two kinds at once."""
        taken_rows, taken_validation = values[self._taken]
        rows = self._file_of(values[self._files], taken_rows, values[self._rows], owner)
        if rows is None:
            raise StudioError("There are no rows yet: upload a file of training rows with its recordings, or a .zip.")
        held = self._file_of(values[self._validation_files], taken_validation, values[self._validation], owner)
        folders, validation = [rows[1]], rows[2]
        if held is not None:
            whole, folder, _, _ = held
            folders, validation = [*folders, folder], whole
        return _Given(rows[0], tuple(folders), validation, (rows[3], held[3] if held else _NO_UPLOAD))

    def _file_of(
        self, files: Any, taken: tuple[str, str], chosen: Any, owner: str
    ) -> tuple[Path, Path, Path | None, tuple[str, str]] | None:
        """A file of rows, the folder of their clips, what they hold out, and what is copied by now; None where nobody gave
        any."""
        sent = sent_files(files, self._settings.page_cache_folder)
        if sent and chosen:
            raise StudioError("There are rows uploaded and rows on the server chosen: take one of them away.")
        if sent:
            which, rows = "\n".join(map(str, sent)), Path(taken[1])
            if taken[0] != which or not rows.is_file():
                rows = take_uploads(sent, self._settings, owner)
            return rows, rows.parent, None, (which, str(rows))
        if not chosen:
            return None
        if chosen.startswith(_DATASET):
            library = self._services.datasets(owner)
            found = training_files(library, library.dataset(chosen.removeprefix(_DATASET)))
            return found.rows, found.rows.parent, found.validation, taken
        if chosen not in self._server_rows():
            raise StudioError("These rows are no longer in the studio's datasets folder: choose others.")
        return self._settings.datasets_folder / chosen, self._settings.datasets_folder, None, taken

    def _request(self, given: _Given, values: dict[Any, Any]) -> TrainRequest:
        others = other_arguments(str(values[self._other] or ""), strangers=self._settings.visitors_are_strangers)
        overrides = {**self._advanced.overrides([values[field] for field in self._advanced.fields]), **others}
        refuse_paths(overrides)
        return TrainRequest(
            given.rows, given.validation, preset=values[self._preset], checkpoint=self._checkpoint(values[self._base]),
            device=self._settings.device, overrides=overrides,
        )  # fmt: skip

    def _checkpoint(self, base: Any) -> str | None:
        if not base:
            status = self._services.host.status
            return status.name if status.state == "ready" else self._settings.checkpoint
        if base not in {value for _, value in self._bases()}:
            raise StudioError("This base is not in the list any more: choose another.")
        return chosen_checkpoint(str(base), self._settings)


def _meaning(preset: Any) -> str:
    words = PRESETS[preset].help if preset in PRESET_NAMES else ""
    return f'<p class="expected" role="status">{escape(words)}</p>'


def sent_files(files: Any, cache: Path) -> list[Path]:
    """The files that a browser says it has uploaded. Gradio looks at this, too; it must not be the only one that does.

    Raises:
        StudioError: one of them does not lie in the page's cache, so it was not uploaded.
    """
    given = files if isinstance(files, list) else []
    sent = [Path(file["path"]) for file in given if isinstance(file, dict) and isinstance(file.get("path"), str)]
    if not all(path.resolve().is_relative_to(cache.resolve()) for path in sent):
        raise StudioError("These files were not uploaded here: choose them again.")
    return sent

"""The form for a new set, and how far what is being done to a set is."""

from __future__ import annotations

import re
import secrets
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from studio.datasets.background import imported
from studio.datasets.imports.importer import begin_upload, go_on, import_source
from studio.datasets.sources import SOURCE_TYPES, SourceOptions
from studio.errors import StudioError
from studio.services import Services
from studio.ui.background_task import at_work
from studio.ui.events import RAW
from studio.ui.html import card, error_sentence
from studio.ui.tabs.train.new_run import sent_files
from studio.ui.visitors import owner_of
from studio.voices.languages import LANGUAGES

_HELP = {name: kind.help for name, kind in SOURCE_TYPES.items()} | {
    "huggingface": "A folder of parquet files or one that save_to_disk wrote; to upload one, pack it as a .zip.",
}
_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""OWNER/NAME. Nothing else comes near a path: the library takes what lies on the disk before it asks the hub."""


class NewSet:
    """Lays the form out."""

    def __init__(self, services: Services, changed: gr.State) -> None:
        self._services, self._changed = services, changed
        self._shown = gr.State("")
        gr.Markdown("### New dataset", elem_classes="step")
        kinds = [(kind.label, name) for name, kind in SOURCE_TYPES.items()]
        self._kind = gr.Dropdown(
            label="What it is", choices=kinds, value="recordings", elem_id="set-kind", info=_HELP["recordings"]
        )
        self._files = gr.File(
            label="Recordings, tables, or a .zip with both", file_count="multiple", elem_id="set-files", height=140
        )
        self._folder = gr.Dropdown(
            label="Or a folder on the server", choices=[("None", "")], value="", visible=False, elem_id="set-folder",
            info="Folders in the studio's datasets folder.",
        )  # fmt: skip
        self._hub = gr.Textbox(
            label="Or its name on the hub", placeholder="owner/name", max_length=200, value="", visible=False,
            elem_id="set-hub", info="All of it is read; the command line takes --limit, and a column where it is not plain.",
        )  # fmt: skip
        with gr.Row():
            self._name = gr.Textbox(label="Name", max_length=200, elem_id="set-name", value="", min_width=140)
            self._speaker = gr.Textbox(
                label="Who speaks", max_length=200, elem_id="set-speaker", value="", min_width=140,
                placeholder="where the files do not say",
            )  # fmt: skip
        self._language = gr.Dropdown(
            label="Language", choices=[("Not said", ""), *((name, code) for code, name in LANGUAGES.items())],
            value="", elem_id="set-language",
        )  # fmt: skip
        with gr.Row(elem_classes="actions"):
            self._import = gr.Button("Import", variant="primary", size="lg", elem_id="set-import", scale=3)
            self._stop = gr.Button("Stop", size="lg", elem_id="set-stop", interactive=False, scale=1, min_width=100)
        self._outcome = gr.HTML(padding=False, elem_id="set-outcome")

    def wire(self, timer: gr.Timer) -> None:
        """What happens; ``timer`` runs while the tab is seen."""
        self._kind.change(self._choose_kind, self._kind, [self._kind, self._hub], **RAW)
        given = [self._kind, self._files, self._folder, self._hub, self._name, self._speaker, self._language]
        self._import.click(self._begin, given, [self._outcome, timer], trigger_mode="once", **RAW)
        self._stop.click(self._end, None, self._outcome, **RAW)
        # Through the queue: only there does the page hear that a state has changed.
        seen = [self._outcome, self._stop, self._shown, self._changed, self._folder]
        timer.tick(self._look, self._shown, seen, trigger_mode="once", **RAW)

    def _choose_kind(self, kind: Any) -> tuple[Any, Any]:
        """What is said of a kind; strangers have the server fetch nothing."""
        hub = kind == "huggingface" and not self._services.settings.visitors_are_strangers
        return gr.Dropdown(info=_HELP.get(kind, "")), gr.Textbox(visible=hub)

    def _begin(
        self, kind: Any, files: Any, folder: Any, hub: Any, name: Any, speaker: Any, language: Any, request: gr.Request
    ) -> tuple[str, Any]:  # fmt: skip
        """Start an import; it goes on without this page."""
        try:
            settings, owner = self._services.settings, owner_of(request, self._services.settings)
            if kind not in SOURCE_TYPES:
                raise StudioError("Choose from the list what it is.")
            sent = sent_files(files, settings.page_cache_folder)
            hub = str(hub or "").strip() if kind == "huggingface" else ""
            if [bool(sent), bool(folder), bool(hub)].count(True) != 1:
                raise StudioError("Upload recordings, or say where they are: one of the two.")
            source = self._on_the_server(str(folder or ""), hub)
            wanted = str(name or "").strip() or (source.name if source else sent[0].stem)
            options = SourceOptions(speaker=str(speaker or "").strip())
            library, transcriber = self._services.datasets(owner), self._services.transcriber
            said = str(language or "")
            self._services.works.refuse_second(owner)
            if source is None:
                # Uploads leave the page's cache when Gradio likes: copied at once.
                dataset = begin_upload(library, wanted, str(kind), sent, options, language=said)
                name, run = dataset.name, partial(go_on, library, dataset)
            else:
                name, run = wanted, partial(import_source, library, wanted, str(kind), source, options, language=said)
            run = partial(run, transcriber=None if transcriber.missing() else transcriber)
            # Where another tab was faster, what was uploaded waits with the set to be gone on with.
            self._services.works.start(owner, name, lambda work: imported(work, library, run))
            return at_work(f"{name} is being imported …"), gr.Timer(active=True)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip()

    def _on_the_server(self, folder: str, hub: str) -> Path | None:
        """Where a set is that was not uploaded; None where none was chosen. Raises StudioError if it is not offered."""
        settings = self._services.settings
        if folder:
            if folder not in self._folders():
                raise StudioError("This folder is no longer in the studio's datasets folder: choose another.")
            return settings.datasets_folder / folder
        if not hub:
            return None
        if settings.visitors_are_strangers or not _ON_THE_HUB.fullmatch(hub) or Path(hub).exists():
            raise StudioError("A name on the hub reads owner/name: correct it.")
        return Path(hub)

    def _end(self, request: gr.Request) -> str:
        work = self._services.works.of(owner_of(request, self._services.settings))
        if work is not None and not work.outcome:
            work.stop()
        return at_work("It is being stopped …")

    def _look(self, shown: Any, request: gr.Request) -> tuple[Any, ...]:
        """What is news of what is being done."""
        work = self._services.works.of(owner_of(request, self._services.settings))
        folders = self._folders()
        offered = gr.Dropdown(choices=[("None", ""), *((each, each) for each in folders)], visible=bool(folders))
        seen = [work.sentence, work.outcome] if work else []
        told = f"{seen} {folders}"
        if told == shown:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), gr.skip()
        if work is None:
            return gr.skip(), gr.skip(), told, gr.skip(), offered
        if not work.outcome:
            return at_work(work.sentence or f"{work.name} …"), gr.Button(interactive=True), told, gr.skip(), offered
        said = card(work.outcome, "bad" if work.failed else "good")
        return said, gr.Button(interactive=False), told, secrets.token_hex(4), offered

    def _folders(self) -> list[str]:
        """Folders and recordings that whoever runs the studio put there; strangers are offered none."""
        settings = self._services.settings
        if settings.visitors_are_strangers or not settings.datasets_folder.is_dir():
            return []
        return sorted(
            path.name for path in settings.datasets_folder.iterdir() if path.is_dir() and path.name != "uploads"
        )

"""*System*: which checkpoint speaks on which device, and what the studio is made of."""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr

from studio import __version__, formatting
from studio.engine.host import HOW_TO_GET_3B
from studio.errors import StudioError
from studio.services import Services
from studio.settings import Settings
from studio.system.programs import outside_programs
from studio.system.report import LICENCES, device_summary, package_versions
from studio.system.storage import empty_code_cache, storage_summary
from studio.takes.service import TakeService
from studio.ui.checkpoints import checkpoint_choices, chosen_checkpoint
from studio.ui.events import CHOICE, QUIET
from studio.ui.html import card, error_sentence, table
from studio.ui.visitors import owner_of

_AGES = [("a week", 7), ("a month", 30), ("a year", 365), ("no time at all: every take without a star", 0)]


def create_system_tab(tab: gr.Tab, services: Services, made: gr.State) -> None:
    """Lay the tab out and wire it. ``made`` changes whenever there are other takes."""
    service, settings = services.take_service, services.settings
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            gr.Markdown("### Checkpoint", elem_classes="step")
            gr.Markdown(HOW_TO_GET_3B)
            allowed = settings.may_switch_checkpoint
            choice = gr.Dropdown(
                label="Checkpoint",
                choices=checkpoint_choices(settings),
                value=None,
                allow_custom_value=True,
                interactive=allowed,
                elem_id="checkpoint",
                info="One of the list, or a hub id. Folders are offered from the studio's checkpoints folder."
                if allowed
                else "On this server the checkpoint is chosen by whoever runs it.",
            )
            with gr.Row():
                load = gr.Button("Load", variant="primary", interactive=allowed, elem_id="load-checkpoint")
                unload = gr.Button("Free its memory", interactive=allowed, elem_id="unload-checkpoint")
            outcome = gr.HTML(elem_id="checkpoint-outcome", padding=False)
            gr.Markdown("### Make room", elem_classes="step")
            days = gr.Dropdown(
                _AGES, value=30, label="Delete takes without a star that are older than", elem_id="clean-age"
            )
            with gr.Row(elem_classes="actions"):
                clean = gr.Button("Delete these takes", size="sm", elem_id="clean-takes")
                codes = gr.Button("Empty the code cache", size="sm", interactive=allowed, elem_id="clean-codes")
            cleaned = gr.HTML(elem_id="clean-outcome", padding=False)
        with gr.Column(min_width=320):
            gr.Markdown("### This machine", elem_classes="step")
            facts = gr.HTML(elem_id="machine-facts", padding=False)
            refresh = gr.Button("Refresh", size="sm", elem_id="refresh-system", elem_classes="quiet")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            gr.HTML(table(list(LICENCES), "Licences"), padding=False)
            programs = [(each.name, f"{each.state} · {each.use}") for each in outside_programs()]
            gr.HTML(table(programs, "Outside programs (none is needed)"), padding=False, elem_id="programs")
        with gr.Column(min_width=320):
            gr.HTML(table([("studio", __version__), *package_versions().items()], "Versions"), padding=False)

    def machine() -> str:
        return _machine(service, settings)

    for button, action, inputs in (
        (load, _loader(service, settings), choice),
        (unload, _unloader(service, settings), None),
    ):
        done = button.click(action, inputs, outcome, concurrency_id="gpu", api_visibility="private")
        done.then(machine, None, facts, **QUIET)
    clean.click(_take_cleaner(services), days, [cleaned, made], **QUIET).then(machine, None, facts, **QUIET)
    codes.click(_code_cleaner(settings), None, cleaned, **QUIET).then(machine, None, facts, **QUIET)
    gr.on([refresh.click, tab.select], machine, None, facts, **CHOICE, **QUIET)

    def offer(typed: str | None) -> Any:
        choices, present = checkpoint_choices(settings), service.host.status.shown_name
        # Only where nothing is chosen yet: what somebody chooses or types meanwhile stays.
        shown: dict[str, Any] = {"value": present} if not typed and present in dict(choices).values() else {}
        return gr.Dropdown(choices=choices, **shown)

    tab.select(offer, choice, choice, **CHOICE, **QUIET)


def _loader(service: TakeService, settings: Settings) -> Any:
    def load(choice: str | None) -> Any:
        try:
            if not settings.may_switch_checkpoint:
                raise StudioError("On this server the checkpoint is chosen by whoever runs it.")
            name = chosen_checkpoint(choice, settings)
            service.host.switch(name)
            return card(f"{service.host.status.shown_name} is loaded.", "good")
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad")

    return load


def _unloader(service: TakeService, settings: Settings) -> Any:
    def unload() -> str:
        if not settings.may_switch_checkpoint:
            return card("On this server the checkpoint is kept loaded by whoever runs it.", "bad")
        service.host.unload()
        return card("The memory is free again; the next text loads the checkpoint anew.", "good")

    return unload


def _take_cleaner(services: Services) -> Any:
    def clean(days: int | None, request: gr.Request) -> tuple[str, Any]:
        try:
            if days not in {value for _, value in _AGES}:
                raise StudioError("Choose an age from the list.")
            removed = services.takes(owner_of(request, services.settings)).clear(older_than_days=days)
            said = card(f"{removed} {'take is' if removed == 1 else 'takes are'} deleted.", "good")
            return said, f"cleaned {secrets.token_hex(4)}"
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip()

    return clean


def _code_cleaner(settings: Settings) -> Any:
    def clean() -> str:
        if not settings.may_switch_checkpoint:
            return card("On this server the code cache is emptied by whoever runs it.", "bad")
        return card(
            f"{formatting.size(empty_code_cache(settings))} freed; clips are encoded again when they are needed.",
            "good",
        )

    return clean


def _machine(service: TakeService, settings: Settings) -> str:
    status, device, storage = service.host.status, device_summary(), storage_summary(settings)
    rows = [
        ("Checkpoint", f"{status.shown_name} ({status.state})"),
        ("Runs on", f"{status.device}, {status.precision}" if status.device else "not loaded"),
        ("Parameters", f"{status.num_parameters / 1e6:,.1f} million" if status.num_parameters else "–"),
        ("Device", f"{device['device']}: {device['name']}"),
        ("Memory", f"{device['free_gib']} of {device['memory_gib']} GiB free"),
        *[(name.capitalize(), formatting.size(num_bytes)) for name, num_bytes in storage.items()],
    ]
    return table(rows, "Device and storage")

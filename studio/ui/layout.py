"""What is on the page: header, first steps, tabs, and what passes between the tabs."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import gradio as gr

from studio.audio.reading import read_audio
from studio.engine.host import EngineHost
from studio.errors import StudioError
from studio.services import Services
from studio.system.report import ATTRIBUTION
from studio.ui.events import CHOICE, QUIET, UNLIMITED
from studio.ui.html import host_banner
from studio.ui.onboarding import Walk
from studio.ui.tabs.compare import create_compare_tab
from studio.ui.tabs.dataset import create_dataset_tab
from studio.ui.tabs.speak import create_speak_tab
from studio.ui.tabs.speak.scope_view import examples_of
from studio.ui.tabs.system import create_system_tab
from studio.ui.tabs.train import create_train_tab
from studio.ui.tabs.voices import create_voices_tab
from studio.ui.tabs.voices.library import LISTING
from studio.voices.coach import examine
from studio.voices.presets import preset_voices

log = logging.getLogger(__name__)

_SEEN_TAB = "() => document.querySelector('[role=tab][aria-selected=true]')?.textContent.trim() ?? ''"


def lay_out(services: Services) -> gr.Blocks:
    """The whole page, wired and not yet launched."""
    with gr.Blocks(title="Higgs Voice Studio", delete_cache=(3600, 86_400), analytics_enabled=False) as page:
        gr.HTML(
            '<header class="masthead"><h1>Higgs Voice Studio</h1>'
            "<p>Clone a voice from a few seconds of speech, with Higgs Audio v2.</p></header>",
            padding=False,
        )
        banner = gr.HTML(elem_id="banner", padding=False)
        # What this tab of the browser remembers: typed values, and a name that survives a reload.
        remembered = gr.JSON(visible=False)
        walk = Walk(services)
        with gr.Tabs(selected="speak") as tabs:
            with gr.Tab("Voices", id="voices") as voices_tab:
                voices = create_voices_tab(services, remembered)
            with gr.Tab("Speak", id="speak") as speak_tab:
                speak = create_speak_tab(services, remembered)
            with gr.Tab("Dataset", id="dataset") as dataset_tab:
                dataset = create_dataset_tab(dataset_tab, services, remembered)
            with gr.Tab("Train", id="train") as train_tab:
                train = create_train_tab(train_tab, services, remembered)
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare = create_compare_tab(compare_tab, services, remembered)
            with gr.Tab("System", id="system") as system_tab:
                create_system_tab(system_tab, services, speak.made)
        gr.HTML(f'<footer class="licences">{ATTRIBUTION}. Built with Meta Llama 3.</footer>', padding=False)

        _show_host(services, page, banner, [speak.examples, compare.examples])
        # The first visitor's arrival loads the checkpoint, while they read and type.
        page.load(lambda: _warm_up(services.host), None, None, queue=False, **QUIET)
        recalled = page.load(None, None, remembered, js="() => window.studio.recall()")
        recalled.then(speak.restore, remembered, speak.restore_outputs, **QUIET)
        recalled.then(voices.restore, remembered, voices.restore_outputs, **QUIET)
        recalled.then(train.restore, remembered, train.restore_outputs, **QUIET)
        recalled.then(compare.restore, remembered, compare.restore_outputs, **QUIET)
        recalled.then(_where_it_was, remembered, tabs, queue=False, **QUIET)

        def after_news(told: dict[str, Any], request: gr.Request) -> tuple[Any, ...]:
            there = gr.Tabs(selected="speak") if told["go"] else gr.skip()
            # The takes too: a withdrawn consent marks them.
            return there, f"news {told['count']}", *speak.offer(request, told["select"])

        def speak_with(told: dict[str, Any], request: gr.Request) -> tuple[Any, ...]:
            offered = speak.offer_adapters(request, told["adapter"], told.get("strength", 1.0))
            return gr.Tabs(selected="speak"), gr.Timer(active=False), *offered

        to_picker = "() => document.getElementById('adapter-picker')?.scrollIntoView({block: 'center'})"
        for tab in (train, compare):
            chosen = tab.news.change(speak_with, tab.news, [tabs, tab.timer, *speak.adapter_updates], **QUIET)
            chosen.then(None, None, None, js=to_picker, **QUIET)
        train.auditioned.change(
            lambda begun: (gr.Tabs(selected="compare"), gr.Timer(active=False), gr.Timer(active=True), begun),
            train.auditioned, [tabs, train.timer, compare.timer, compare.wanted], **QUIET,
        )  # fmt: skip
        # A run may have been registered meanwhile.
        speak_tab.select(speak.offer_adapters, None, speak.adapter_updates, **CHOICE, **QUIET)
        # Nothing looks at what is not seen. Gradio tells of the tab that it begins with, too, and perhaps only after somebody
        # has turned to another: so the page is asked which one is seen now.
        seen = gr.Textbox(visible=False)
        gr.on(
            [tab.select for tab in (voices_tab, speak_tab, dataset_tab, train_tab, compare_tab, system_tab)],
            _look_at_what_is_seen, seen, [train.timer, dataset.timer, compare.timer], js=_SEEN_TAB, queue=False,
            **CHOICE, **QUIET,
        )  # fmt: skip
        speak.added.change(lambda told: told, speak.added, dataset.changed, **UNLIMITED)
        dataset.handed.change(voices.take_over, [dataset.handed, *voices.taking], [*voices.taken, tabs], **UNLIMITED)
        voices_tab.select(_warm_up_coach, None, None, queue=False, **CHOICE, **QUIET)
        voices.news.change(voices.offer, voices.offer_inputs, voices.offer_outputs, **LISTING)
        voices.news.change(after_news, voices.news, [tabs, speak.made, *speak.voice_updates], **QUIET)
        walk.wire(page, tabs)
    return page


def _look_at_what_is_seen(seen: str, told: gr.SelectData) -> tuple[Any, ...]:
    name = seen or told.value
    return tuple(gr.Timer(active=name == tab) for tab in ("Train", "Dataset", "Compare"))


def _show_host(services: Services, page: gr.Blocks, banner: gr.HTML, examples: list[gr.HTML]) -> None:
    """The state of the checkpoint and what it can say, redrawn only when they are others.

    A page begins with what the last one showed: what came a second later would push the tabs from under a visitor's finger.
    """
    shown, timer, told = gr.State(None), gr.Timer(2.0), [banner, *examples]
    status = services.host.status
    banner.value = host_banner(
        replace(status, state="loading") if status.state == "empty" else status
    )  # by who comes first

    def look(last: Any) -> tuple[Any, ...]:
        status = services.host.status
        now = [host_banner(status), *[examples_of(status.scope)] * len(examples)]
        if now == last:
            return (gr.skip(),) * (len(now) + 1)
        values = dict(zip([each._id for each in told], now, strict=True))
        for entry in page.config["components"]:
            if entry["id"] in values:
                entry["props"]["value"] = values[entry["id"]]
        return (*now, now)

    timer.tick(look, shown, [*told, shown], queue=False, **QUIET)


def _where_it_was(kept: Any) -> Any:
    """A recording that a reload cut off is brought back where it was made: the visitor is taken there."""
    interrupted = isinstance(kept, dict) and kept.get("interrupted") is True
    return gr.Tabs(selected="voices") if interrupted else gr.skip()


def _warm_up(host: EngineHost) -> None:
    if host.status.state == "empty":
        threading.Thread(target=_load_quietly, args=(host,), daemon=True).start()


def _load_quietly(host: EngineHost) -> None:
    try:
        host.engine()
    except StudioError:
        return  # the banner shows why, from the host's status
    except Exception:  # a bug: the banner says that it failed, the log says how
        log.exception("the checkpoint could not be loaded")


_coach_is_warm = threading.Event()


def _warm_up_coach() -> None:
    """Load the coach's models while somebody records, rather than when they wait with a clip in hand."""
    if not _coach_is_warm.is_set():
        _coach_is_warm.set()
        threading.Thread(target=_listen_once, daemon=True).start()


def _listen_once() -> None:
    for voice in preset_voices()[:1]:
        try:
            examine(read_audio(voice.clips[0].path))
        except StudioError as error:
            log.warning("the coach was not warmed up: %s", error)

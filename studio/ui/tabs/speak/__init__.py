"""*Speak*: a voice or several, a text, and every take that came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.services import Services
from studio.takes.generation import Generation
from studio.ui.events import RAW, UNLIMITED
from studio.ui.html import card, error_sentence
from studio.ui.players import live_player
from studio.ui.staging import Staging
from studio.ui.tabs.speak.form import Fields
from studio.ui.tabs.speak.form_values import Form
from studio.ui.tabs.speak.progress import Follower, busy, found, hidden_live, outcome, progress
from studio.ui.tabs.speak.take_list import create_takes
from studio.ui.visitors import owner_of, tab_of

_MAX_FOLLOWERS = 16
_NEWS_SECONDS = 300.0
"""For how long after its end a generation is still news to a page that comes back."""
_LOSSY = (
    "This take has voices that the form cannot show, so they are left out here: `python -m studio take again` speaks it "
    "exactly as it was."
)


@dataclass(frozen=True)
class SpeakTab:
    """What the page needs of the tab.

    Attributes:
        voice_updates, adapter_updates, restore_outputs: outputs for what :attr:`offer`, :attr:`offer_adapters` and
            :attr:`restore` return.
        offer: the visitor's voices for every picker; with a voice's id it is chosen, and a sample text is filled in where
            there is none. A chosen voice that is gone is let go.
        restore: fills the tab as it was before a reload, and follows what still speaks.
        made: to be changed whenever there are other takes, or other marks on them.
        offer_adapters: the visitor's trained voices; with the id of one it is chosen. One that is gone is let go. To be
            called through the queue, when the visitor comes to the tab, and after a run was registered.
        added: changes whenever a take was added to a dataset.
        examples: lines that the checkpoint was taught; empty where it speaks any text.
    """

    voice_updates: list[Any]
    offer: Callable[..., tuple[Any, ...]]
    restore: Callable[[Any, gr.Request], list[Any]]
    restore_outputs: list[Any]
    made: gr.State
    adapter_updates: list[Any]
    offer_adapters: Callable[..., tuple[Any, ...]]
    added: gr.State
    examples: gr.HTML


def create_speak_tab(services: Services, remembered: gr.JSON) -> SpeakTab:
    """Lay the tab out and wire it.

    Args:
        remembered: what the browser's tab remembers, ``{"tab": …, "speak": […]}``; filled when the page loads.
    """
    staging = Staging(services.settings.page_cache_folder)
    with gr.Row(equal_height=False, elem_classes="speak-columns"):
        with gr.Column(scale=6, min_width=320, elem_classes="speak-form"):
            fields = Fields(services, staging)
            with gr.Row(elem_classes="actions"):
                speak = gr.Button("Speak", variant="primary", size="lg", elem_id="speak", scale=3)
                stop = gr.Button("Stop", size="lg", elem_id="stop", interactive=False, scale=1, min_width=100)
            status = gr.HTML(elem_id="status", padding=False)
            keep = gr.Button("Try to keep it again", visible=False, elem_id="keep-again")
            live = live_player(label="Live", autoplay=True, visible=False, elem_id="live", buttons=[])
        with gr.Column(scale=5, min_width=320, elem_classes="speak-takes"):
            gr.HTML('<h2 class="side-title">Takes</h2>', padding=False)
            takes = create_takes(services, staging)
    # Ids of the generations that this page follows: on the server, for this page only. Its change starts the follower.
    watched = gr.State(())

    def submit(values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """The click on Speak: only a place in the queue, so that nothing depends on this browser any more."""
        try:
            form, owner = fields.typed(values), owner_of(request, services.settings)
            asked = services.generations.submit(
                form.request(services.voices(owner), services.adapters(owner)),
                owner=owner,
                tab=tab_of(request, services.settings, values[remembered]),
                variations=form.takes,
            )
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return gr.skip(), *busy(False), card(error_sentence(error), "bad"), hidden_live()
        return tuple(each.id for each in asked), *busy(True), progress(asked[0], services.host), hidden_live()

    def stop_now(ids: Any, request: gr.Request) -> tuple[Any, ...]:
        generations = found(services, request, ids)
        for generation in generations:
            generation.stop()
        said = outcome(generations) if generations and all(each.ended for each in generations) else gr.skip()
        return *busy(False), said, hidden_live()

    def offer_to_keep(ids: Any, request: gr.Request) -> Any:
        """What was spoken to its end and could not be saved waits for room on the disk."""
        return gr.Button(visible=any(each.can_keep_again for each in found(services, request, ids)))

    def keep_again(ids: Any, request: gr.Request) -> tuple[Any, ...]:
        waiting = [each for each in found(services, request, ids) if each.can_keep_again]
        try:
            kept = [each.keep_again() for each in waiting]
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip(), gr.skip(), gr.skip()
        if not kept:
            said = card("There is nothing to keep here any more: speak it again.", "bad")
            return said, gr.Button(visible=False), gr.skip(), gr.skip()
        return outcome(waiting), gr.Button(visible=False), kept[-1].id, f"kept {kept[-1].id}"

    def failed() -> tuple[Any, ...]:
        return *busy(False), card("The connection to the studio was lost: reload the page.", "bad")

    def use_again(take_id: str | None, request: gr.Request) -> list[Any]:
        try:
            owner = owner_of(request, services.settings)
            take = services.takes(owner).take(take_id or "")
            voices, adapters = services.voices(owner).voices(), services.adapters(owner).adapters()
        except Exception as error:  # noqa: BLE001
            return [*fields.unchanged, card(error_sentence(error), "bad")]
        form, gone = Form.of_take(take).with_voices_of(voices)
        form, untrained = form.with_adapters_of(adapters)
        why = take.can_repeat
        if gone:
            why = why or "A voice of this take is no longer in the library: choose another."
        elif untrained or (take.adapter and not take.adapter_id):
            why = (
                why or f"The trained voice of this take, {take.adapter}, is not in your list: choose another, or none."
            )
        elif not form.says_all_of(take):
            why = why or _LOSSY
        said = card(why, "warn") if why else card("These are the settings of the take, its seed included.")
        return [*fields.fill(form, voices, adapters), said]

    def restore(known: Any, request: gr.Request) -> list[Any]:
        try:
            owner, tab = owner_of(request, services.settings), tab_of(request, services.settings, known)
            voices, adapters = services.voices(owner).voices(), services.adapters(owner).adapters()
            form = Form.remembered(known.get("speak") if isinstance(known, dict) else None)
            if form:
                form, _ = form.with_voices_of(voices)[0].with_adapters_of(adapters)
            filled = fields.fill(form, voices, adapters) if form else fields.arrive(voices, adapters)
            latest = services.generations.of(owner, tab)
        except Exception as error:  # noqa: BLE001
            return [*fields.unchanged, card(error_sentence(error), "bad"), *busy(False), *[gr.skip()] * 3]
        arrived = f"arrived {request.session_hash}"
        running = [each for each in reversed(latest) if not each.ended]
        if running:
            said, ids = progress(running[0], services.host), tuple(each.id for each in running)
            return [*filled, said, *busy(True), ids, gr.skip(), arrived]
        take = latest[0].take if latest else None
        said = outcome(latest[:1]) if latest and _is_news(latest[0]) else gr.skip()
        return [*filled, said, *busy(False), gr.skip(), take.id if take else gr.skip(), arrived]

    fields.wire()
    speak.click(submit, {*fields.all, remembered}, [watched, speak, stop, status, live], **RAW)
    followed = watched.change(
        Follower(services).follow,
        watched,
        [status, live, speak, stop, takes.made, takes.shown],
        trigger_mode="multiple",
        **{**UNLIMITED, "concurrency_limit": _MAX_FOLLOWERS},
    )
    followed.then(offer_to_keep, watched, keep, **UNLIMITED)
    keep.click(keep_again, watched, [status, keep, takes.shown, takes.made], **UNLIMITED)
    followed.failure(failed, None, [speak, stop, status], **UNLIMITED)
    stop.click(stop_now, watched, [speak, stop, status, live], **UNLIMITED)
    live.stop(hidden_live, None, live, **UNLIMITED)  # heard to its end
    again = takes.again.click(use_again, takes.shown, [*fields.filled, status], **UNLIMITED)
    again.then(
        None, None, None, js="() => document.getElementById('mode')?.scrollIntoView({block: 'center'})", **UNLIMITED
    )
    return SpeakTab(
        fields.offered,
        fields.offer,
        restore,
        [*fields.filled, status, speak, stop, watched, takes.shown, takes.made],
        takes.made,
        fields.trained.offered,
        fields.trained.offer,
        takes.added,
        fields.examples,
    )


def _is_news(generation: Generation) -> bool:
    """Whether it ended while the page was reloaded, or shortly before."""
    recent = generation.ended_at is not None and time.monotonic() - generation.ended_at < _NEWS_SECONDS
    return recent and generation.state in ("done", "failed")

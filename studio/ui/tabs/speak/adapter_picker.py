"""The picker of trained voices on *Speak*, what is known of the chosen one, and loading it while somebody types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from studio.adapters.adapter import TrainedAdapter
from studio.errors import StudioError
from studio.services import Services
from studio.ui.events import CHOICE, RAW
from studio.ui.html import card, error_sentence
from studio.ui.tabs.speak.form_values import limits
from studio.ui.visitors import owner_of
from studio.voices.consent import CONSENT_NOT_RECORDED

BASE_ALONE = ""
"""The value of "None"."""
_NONE = ("None: the base model as it is", BASE_ALONE)
_READY = "Loaded: what you speak from now on is spoken with it."
_LATER = "No checkpoint is loaded: it is loaded with its base when you speak."


class TrainedPicker:
    """The components, laid out where this is made; nothing of them is seen by who has trained nothing.

    Attributes:
        picker: its value is the id of a trained voice, or :data:`BASE_ALONE`.
        strength: how much of what was trained is added to the base.
        filled: outputs for what :meth:`fill` returns, the picker among them.
        offered: outputs for what :meth:`offer` returns.
    """

    def __init__(self, services: Services) -> None:
        self._services, self._news = services, gr.State(None)
        with gr.Column(visible=False, elem_id="adapter-box", elem_classes="tight") as box:
            self.picker = gr.Dropdown(
                label="Trained voice", choices=[_NONE], value=BASE_ALONE, elem_id="adapter-picker",
                info="The base model as a training changed it. The voice that you choose is still its reference.",
            )  # fmt: skip
            low, high = limits("strength")
            self.strength = gr.Slider(
                low, high, value=1.0, step=0.05, label="Strength", visible=False, elem_id="adapter-strength",
                info="How much of what was trained is added to the base: 1 for all of it, less keeps more of the base.",
            )  # fmt: skip
            self._state = gr.HTML(padding=False, elem_id="adapter-state")
            self._about = gr.HTML(padding=False, elem_id="adapter-card")
        self.filled: list[Any] = [self.picker, self.strength, box, self._about]
        self.offered: list[Any] = [self.picker, self.strength, box, self._news]

    def wire(self) -> None:
        """What happens when another one is chosen, or others are offered. Raw values: all are checked here."""
        self.picker.change(self._show, self.picker, [self._about, self.strength], **CHOICE, **RAW)
        self.picker.change(self._load, self.picker, self._state, **CHOICE, **RAW)
        self._news.change(self._settle, [self._news, self.picker], [self.picker, self._about, self._state], **RAW)

    def fill(self, chosen: str, strength: Any, adapters: Sequence[TrainedAdapter]) -> list[Any]:
        """Updates for :attr:`filled`; the adapters are those of the visitor."""
        present = next((each for each in adapters if each.id == chosen), None)
        picker = gr.Dropdown(choices=_choices(adapters), value=chosen if present else BASE_ALONE)
        slider = gr.Slider(value=strength, visible=present is not None)
        return [picker, slider, gr.Column(visible=bool(adapters)), adapter_card(present)]

    def offer(self, request: gr.Request, selected: str | None = None, strength: float = 1.0) -> tuple[Any, ...]:
        """The visitor's trained voices, for :attr:`offered`; with the id of one it is chosen, at ``strength``."""
        try:
            adapters = self._services.adapters(owner_of(request, self._services.settings)).adapters()
        except StudioError:  # the library is locked: what is offered stays, and speaking says why
            return (gr.skip(),) * 4
        ids = [each.id for each in adapters]
        value: dict[str, Any] = {"value": selected} if selected in ids else {}  # without one, what is chosen stays
        news = {"ids": ids, "troubles": [each.trouble for each in adapters]}
        slider = gr.Slider(value=strength) if value else gr.skip()
        return gr.Dropdown(choices=_choices(adapters), **value), slider, gr.Column(visible=bool(adapters)), news

    # Events

    def _settle(self, news: dict[str, Any], chosen: Any, request: gr.Request) -> tuple[Any, Any, Any]:
        """After an offer of others: a chosen one that is gone is let go; another may have become unusable."""
        if not chosen:
            return gr.skip(), gr.skip(), gr.skip()
        if chosen not in news["ids"]:
            return BASE_ALONE, "", ""
        unusable = news["troubles"][news["ids"].index(chosen)]
        return gr.skip(), self._about_it(chosen, request), "" if unusable else gr.skip()

    def _show(self, chosen: Any, request: gr.Request) -> tuple[str, Any]:
        return self._about_it(chosen, request), gr.Slider(visible=bool(chosen))

    def _about_it(self, chosen: Any, request: gr.Request) -> str:
        if not chosen:
            return ""
        try:
            owner = owner_of(request, self._services.settings)
            return adapter_card(self._services.adapters(owner).adapter(str(chosen)))
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad")

    def _load(self, chosen: Any, request: gr.Request) -> Iterator[str]:
        """Load it at once: the next take then begins without delay, and what is wrong is said before."""
        if not chosen:
            yield ""  # every request says what it is spoken with: without one the base speaks as it is
            return
        try:
            owner = owner_of(request, self._services.settings)
            adapter = self._services.adapters(owner).adapter(str(chosen))
            if adapter.trouble:  # the card says it
                yield ""
                return
            yield _said("Loading …")
            loaded = self._services.take_service.load_adapter(adapter.id, owner=owner)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            yield card(error_sentence(error), "bad")
        else:
            yield _said(_READY if loaded else _LATER)


def adapter_card(adapter: TrainedAdapter | None) -> str:
    """A chosen trained voice: what came of the comparison, some facts, and the whole card folded away."""
    if adapter is None:
        return ""
    tone, label, said = "good", "", adapter.comparison
    if adapter.trouble:
        tone, label, said = "bad", "Not possible", adapter.trouble
    elif adapter.warning:
        tone, label, said = "warn", "Please note", adapter.warning
    role = ' role="alert"' if tone == "bad" else ""
    head = f"<strong>{label}</strong> " if label else ""
    consent = adapter.consent_sentence
    about = [adapter.facts, "Consent not recorded." if consent == CONSENT_NOT_RECORDED else f"Consent: {consent}."]
    lines = "".join(f'<p class="voice-about" dir="auto">{escape(line)}</p>' for line in about if line)
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td dir='auto'>{_cell(name, text)}</td></tr>"
        for name, text in adapter.card_rows()
    )
    return (
        f'<div class="card {tone} trained"{role}>{head}<span dir="auto">{escape(said)}</span>{lines}'
        f"<details><summary>How it was trained</summary><table class='facts'><tbody>{rows}</tbody></table></details></div>"
    )


def _cell(label: str, text: str) -> str:
    return f"<code>{escape(text)}</code>" if label in ("Command", "Data hash") else escape(text)


def _said(sentence: str) -> str:
    return f'<p class="voice-about" role="status">{escape(sentence)}</p>'


def _choices(adapters: Sequence[TrainedAdapter]) -> list[tuple[str, str]]:
    """Labels and ids. Runs may be called the same: then the time of each tells them apart."""
    names = [each.name for each in adapters]
    labels = [
        each.name if names.count(each.name) == 1 else f"{each.name} · {each.created_at:%d %b %H:%M} UTC"
        for each in adapters
    ]
    marked = [
        f"{label} (cannot be used)" if each.trouble else label for label, each in zip(labels, adapters, strict=True)
    ]
    return [_NONE, *((label, each.id) for label, each in zip(marked, adapters, strict=True))]

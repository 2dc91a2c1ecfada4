"""The form for a new comparison: texts, readings, voice and systems; filled so that *Start* alone does something sensible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from studio.adapters.adapter import TrainedAdapter
from studio.errors import StudioError
from studio.evaluation.blind.trials import num_trials
from studio.evaluation.comparison.choosing import MAX_CHOSEN_SEEDS, Choice
from studio.services import Services
from studio.training.sample_sentences import SENTENCES
from studio.ui.events import CHOICE, RAW, unless_sent
from studio.ui.html import card, error_sentence
from studio.ui.tabs.compare.comparison_html import counted
from studio.ui.tabs.compare.comparisons import SHOW_PANEL
from studio.ui.tabs.speak.scope_view import create_examples, unknown_html
from studio.ui.tabs.speak.voice_picker import MODEL_PICKS, voice_choices
from studio.ui.visitors import owner_of
from studio.voices.voice import Voice

_STRENGTHS = (1.0, 0.7, 0.5, 0.3)
_TEMPERATURES = (0.1, 0.5, 0.7, 0.9, 1.1)
_LIVELY = 0.9
"""What the base is compared with where nothing was trained: it is heard at once what a comparison is."""
_REMEMBERED = "remembered"
"""In place of the trained voices that a page before a reload was offered."""
_LINES = 4
_READINGS = 2
_NOTHING_TRAINED = (
    "No voice was trained here yet: <em>Train</em> makes one, and then it is offered here. Until then, hear how a comparison "
    "works with the base at two temperatures."
)


class NewComparison:
    """Lays the form out and wires it.

    Args:
        wanted: state, the id of a comparison that is to be chosen next; the started one.

    Attributes:
        examples: lines that the loaded checkpoint was taught, to be added by a press.
    """

    def __init__(self, services: Services, wanted: gr.State) -> None:
        self._services, self._settings, self._wanted = services, services.settings, wanted
        # Trained voices that were offered before: a new one is chosen by itself, once.
        self._known: Any = gr.State(None)
        self._lay_out()

    def _lay_out(self) -> None:
        gr.Markdown("### New comparison", elem_classes="step")
        gr.HTML(
            '<p class="hint">The same texts, spoken by each system. You hear them in pairs and say which is better, without '
            "knowing which is which.</p>",
            padding=False,
        )
        self._none = gr.HTML(
            f'<p class="hint">{_NOTHING_TRAINED}</p>', padding=False, visible=False, elem_id="compare-none-trained"
        )
        with gr.Group(elem_classes="compare-systems"):
            self._base = gr.Checkbox(label="The base, as it is", value=True, elem_id="compare-base")
            self._trained = gr.Dropdown(
                label="Trained voices", choices=[], value=[], multiselect=True, elem_id="compare-trained", visible=False,
                info="Checkpoints of finished runs, one or several.",
            )  # fmt: skip
            self._strengths = gr.CheckboxGroup(
                label="At which strength", choices=[(f"{each:.0%}", str(each)) for each in _STRENGTHS], value=["1.0"],
                elem_id="compare-strengths", visible=False, elem_classes="step-chips",
                info="How much of what was trained is added to the base. Less is often better.",
            )  # fmt: skip
        with gr.Accordion("Other systems", open=False, elem_id="compare-others") as self._others:
            self._temperatures = gr.CheckboxGroup(
                label="The base at another temperature", choices=[(f"{each:g}", str(each)) for each in _TEMPERATURES],
                value=[], elem_id="compare-temperatures", elem_classes="step-chips",
                info="Higher is livelier and less certain; by itself it is 0.3.",
            )  # fmt: skip
            self._voices = gr.Dropdown(
                label="The base with another voice", choices=[], value=[], multiselect=True, elem_id="compare-voices"
            )
        self._texts = gr.Textbox(
            label="Texts, a line each", lines=5, max_lines=12, max_length=20_000, elem_id="compare-texts", value=""
        )
        self.examples = create_examples("compare-examples")
        self._unknown = gr.HTML(padding=False, elem_id="compare-unknown")
        with gr.Row():
            self._voice = gr.Dropdown(
                label="Voice", choices=[], value=None, elem_id="compare-voice", min_width=180, scale=2,
                info="The reference that all of them speak after.",
            )  # fmt: skip
            self._readings = gr.Number(
                label="Readings", value=_READINGS, minimum=1, maximum=MAX_CHOSEN_SEEDS, precision=0,
                elem_id="compare-readings", min_width=110, info="Of each text.",
            )  # fmt: skip
        self._name = gr.Textbox(
            label="Name", placeholder="made of the first text", max_length=80, elem_id="compare-name", value=""
        )
        self._sum = gr.HTML(padding=False, elem_id="compare-sum")
        with gr.Row(elem_classes="actions"):
            self._start = gr.Button("Start", variant="primary", size="lg", elem_id="compare-start")
        self._outcome = gr.HTML(padding=False, elem_id="compare-outcome")

    @property
    def _typed(self) -> list[Any]:
        """What somebody chooses and types, in the order in which the browser remembers it."""
        return [
            self._name, self._texts, self._readings, self._voice, self._base, self._trained, self._strengths,
            self._temperatures, self._voices,
        ]  # fmt: skip

    @property
    def restored(self) -> list[Any]:
        """Components that :meth:`restore` and :meth:`offer` may change."""
        return [*self._typed, self._none, self._others, self._known, self._sum, self._unknown]

    def wire(self, tab: gr.Tab, look: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Wire it; ``look`` shows the comparison that was started."""
        typed = self._typed
        tab.select(self.offer, {self._known, *typed}, self.restored, **CHOICE, **RAW)
        gr.on([field.change for field in typed], self._summed, set(typed), [self._sum, self._unknown, self._strengths],
              **CHOICE, **RAW)  # fmt: skip
        gr.on(
            [field.change for field in typed], None, typed, None,
            js="(...values) => { window.studio?.remember('compare', ...values); }", **RAW,
        )  # fmt: skip
        self.examples.select(self._add_example, self._texts, self._texts, **CHOICE, **RAW)
        self.examples.change(self._within_scope, self._texts, self._texts, **RAW)
        started = self._start.click(
            self._started, set(typed), [self._outcome, self._wanted], trigger_mode="once", **RAW
        )  # fmt: skip
        started.then(look, inputs, outputs, **RAW).then(None, None, None, js=SHOW_PANEL, **RAW)

    # Filling

    def offer(self, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        """Voices and trained voices of this moment; what is chosen stays, unless it is gone. An empty form is begun."""
        sent = self._values(values)
        return self._offered(values[self._known], sent, sent, request)

    def restore(self, kept: Any, request: gr.Request) -> dict[Any, Any]:
        """What was typed before a reload; else a beginning, long before somebody comes to the tab and types."""
        born = ("", "", _READINGS, None, True, [], ["1.0"], [], [])
        values = kept.get("compare") if isinstance(kept, dict) else None
        if not isinstance(values, list) or len(values) != len(self._typed):
            return self._offered(None, born, born, request)
        # Where two temperatures were all that there was, a voice that was trained since then takes their place; else nothing
        # that was taken away is chosen again.
        begun = values[5:] == [[], ["1.0"], [str(_LIVELY)], []]
        return self._offered([] if begun else [_REMEMBERED], values, born, request)

    def _offered(self, known: Any, values: Any, sent: Any, request: gr.Request) -> dict[Any, Any]:
        try:
            owner = owner_of(request, self._settings)
            voices = [each for each in self._services.voices(owner).voices() if not each.trouble]
            adapters = [each for each in self._services.adapters(owner).adapters() if not each.trouble]
        except StudioError:  # the library is locked: what is offered stays, and starting says why
            return {self._known: gr.skip()}
        name, texts, readings, voice, base, trained, strengths, temperatures, others = values
        first_time = known is None
        present = {each.id for each in adapters}
        trained = [each for each in _words(trained) if each in present]
        temperatures, others = _words(temperatures), [e for e in _words(others) if e in {each.id for each in voices}]
        news = [each for each in adapters if each.id not in set(known or ())]
        if news and not others and not trained and temperatures in ([], [str(_LIVELY)]) and (first_time or known == []):
            trained, temperatures = [max(news, key=lambda each: (each.created_at, each.step)).id], []
        if first_time and not adapters and not (others or temperatures):
            temperatures = [str(_LIVELY)]
        if first_time and not str(texts or "").strip():
            texts = "\n".join(self._first_lines())
        voice = self._voice_of(voice, voices, first_time)
        now = (name, texts, readings, voice, base, trained, strengths, temperatures, others)
        filled: dict[Any, dict[str, Any]] = {
            field: unless_sent(value, was) for field, value, was in zip(self._typed, now, sent, strict=True)
        }
        filled[self._trained] |= {"choices": trained_choices(adapters), "visible": bool(adapters)}
        filled[self._strengths] |= {"visible": bool(trained)}
        filled[self._voice] |= {"choices": voice_choices(voices)}
        filled[self._voices] |= {"choices": [(each.name, each.id) for each in voices]}
        names = {each.id: each.name for each in (*voices, *adapters)}
        updates: dict[Any, Any] = {field: gr.update(**what) for field, what in filled.items() if what}
        if temperatures or others:
            updates[self._others] = gr.Accordion(open=True)
        return {
            **updates, self._none: gr.HTML(visible=not adapters), self._known: sorted(present),
            self._sum: _sum_html(_choice(now), names), self._unknown: self._unknown_in(texts),
        }  # fmt: skip

    def _first_lines(self) -> list[str]:
        scope = self._services.host.status.scope
        # Short ones: there it is at its best, and nobody waits long.
        return sorted(scope.examples, key=len)[:_LINES] if scope and scope.examples else list(SENTENCES["en"])

    def _within_scope(self, texts: Any) -> Any:
        """Other lines, where the checkpoint that was loaded meanwhile does not know those that the form began with."""
        begun = str(texts or "").splitlines() == list(SENTENCES["en"])
        return "\n".join(self._first_lines()) if begun and self._services.host.status.scope else gr.skip()

    def _voice_of(self, voice: Any, voices: Sequence[Voice], first_time: bool) -> str:
        if voice in {MODEL_PICKS, *(each.id for each in voices)}:
            return str(voice)
        own = next((each.id for each in voices if not each.preset), None)
        return own or next((each.id for each in voices), MODEL_PICKS) if first_time or voice else MODEL_PICKS

    def _add_example(self, texts: Any, event: gr.EventData) -> Any:
        scope, line = self._services.host.status.scope, getattr(event, "line", None)
        if scope is None or line not in scope.examples:
            return gr.skip()
        return "\n".join(dict.fromkeys([*filter(None, map(str.strip, str(texts or "").splitlines())), line]))

    # Counting and starting

    def _values(self, given: dict[Any, Any]) -> list[Any]:
        return [given[field] for field in self._typed]

    def _summed(self, values: dict[Any, Any], request: gr.Request) -> tuple[str, str, Any]:
        choice = _choice(self._values(values))
        return (
            _sum_html(choice, self._names(request)),
            self._unknown_in(choice.texts),
            gr.CheckboxGroup(visible=bool(choice.adapters)),
        )

    def _names(self, request: gr.Request) -> dict[str, str]:
        try:
            owner = owner_of(request, self._settings)
            found = [*self._services.voices(owner).voices(), *self._services.adapters(owner).adapters()]
        except StudioError:  # the library is locked: starting says why
            return {}
        return {each.id: each.name for each in found}

    def _unknown_in(self, texts: Any) -> str:
        return unknown_html(self._services.host.status.scope, str(texts or ""))

    def _started(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, Any]:
        try:
            owner = owner_of(request, self._settings)
            library, choice = self._services.comparisons(owner), _choice(self._values(values))
            if self._settings.visitors_are_strangers and any(each.active for each in library.comparisons()):
                raise StudioError(
                    "A comparison of yours is still being made: wait until it has ended, or stop it first."
                )
            status = self._services.host.status
            checkpoint = status.name if status.state == "ready" else self._settings.checkpoint
            plan = choice.plan(self._services.adapters(owner).adapters(), checkpoint)
            made = library.create(plan)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip()
        said = f"It is begun: {counted(made.num_takes, 'take')}. Pairs can be heard as soon as they are there."
        return card(said, "good"), made.id


def trained_choices(adapters: Sequence[TrainedAdapter]) -> list[tuple[str, str]]:
    """Labels and ids, the newest first. Runs may be called the same: then the time of each tells them apart."""
    names = [each.name for each in adapters]
    return [
        (each.name if names.count(each.name) == 1 else f"{each.name} · {each.created_at:%d %b %H:%M} UTC", each.id)
        for each in adapters
    ]


def _words(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _numbers(value: Any, allowed: Sequence[float]) -> tuple[float, ...]:
    """Those that were offered, in that order, whatever a browser sends."""
    chosen = set(_words(value))
    return tuple(each for each in allowed if str(each) in chosen)


def _choice(values: Sequence[Any]) -> Choice:
    name, texts, readings, voice, base, trained, strengths, temperatures, others = values
    return Choice(
        texts=str(texts or ""),
        num_seeds=int(readings) if isinstance(readings, int | float) else 0,
        name=" ".join(str(name or "").split())[:80],
        voice=str(voice or ""),
        base=base is True,
        adapters=tuple(_words(trained)),
        strengths=_numbers(strengths, _STRENGTHS),
        temperatures=_numbers(temperatures, _TEMPERATURES),
        voices=tuple(_words(others)),
    )


def _sum_html(choice: Choice, names: Mapping[str, str]) -> str:
    """What will come of it, or what is missing."""
    if choice.trouble:
        return f'<p class="expected over" role="status">{choice.trouble}</p>'
    trials = num_trials(choice.num_pairs)
    systems = "".join(f'<li dir="auto">{escape(each)}</li>' for each in choice.shown(names))
    return (
        f'<ul class="compared" aria-label="What is compared">{systems}</ul><p class="expected" role="status">'
        f"{counted(choice.num_takes, 'take')} to be made, {counted(trials, 'pair')} to hear.</p>"
    )

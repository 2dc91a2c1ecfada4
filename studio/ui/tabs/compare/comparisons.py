"""All comparisons of the visitor, and everything about the chosen one. A timer looks; only what is news is drawn."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.evaluation.blind.session import BlindSession
from studio.evaluation.blind.tallying import tally, votes_of
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.services import Services
from studio.ui.events import AT_ONCE, CHOICE, RAW, unless_sent
from studio.ui.html import card, error_sentence
from studio.ui.shown_state import Seen
from studio.ui.staging import Staging
from studio.ui.tabs.compare.actions import Actions
from studio.ui.tabs.compare.auditioned import Auditioned
from studio.ui.tabs.compare.blind import Booth
from studio.ui.tabs.compare.comparison_html import comparison_line, headline, standing_html
from studio.ui.tabs.compare.results import Results
from studio.ui.tabs.compare.sharing import Sharing
from studio.ui.tabs.compare.sighted import Sighted
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
TICK_SECONDS = 2.0
SHOW_PANEL = """() => {
  const panel = document.getElementById('compare-panel'), top = panel?.getBoundingClientRect().top ?? 0;
  if (top < 0 || top > innerHeight / 2) panel.scrollIntoView({ block: 'start' });
}"""
"""On a small page it may be out of sight."""
_INTRODUCTION = (
    '<section class="compare-intro"><h3>Which one is better?</h3><p>The lowest loss is often not the best voice, and whoever '
    "knows what they hear hears what they expect. Here you decide by ear.</p><ol>"
    "<li><strong>Choose what speaks.</strong> The base and your trained voice are chosen already: press <em>Start</em>.</li>"
    "<li><strong>Listen without knowing.</strong> Two readings at a time, in an order that is drawn.</li>"
    "<li><strong>See who won.</strong> You are told how sure that is, and the winner is one press away from <em>Speak</em>."
    "</li></ol></section>"
)
_WAITS = '<p class="hint" role="status">The first pair can be heard once both of its takes are made.</p>'
_HEARD = (
    '<p class="hint" role="status"><strong>You heard every pair.</strong> Show which is which, or let others vote.</p>'
)
_MORE = '<p class="hint" role="status">You voted on every pair that is there; more are being made.</p>'


class Comparisons:
    """The list and the panel.

    Args:
        wanted: state, the id of a comparison that is to be chosen next.
        news: state, see :class:`studio.ui.tabs.compare.CompareTab`.
    """

    def __init__(
        self, services: Services, staging: Staging, remembered: gr.JSON, wanted: gr.State, news: gr.State
    ) -> None:
        self._services, self._staging = services, staging
        self._remembered, self._wanted, self._news = remembered, wanted, news
        self._seen = gr.JSON(visible=False)
        # Of which comparison the panel is: what its buttons are about, whatever is chosen in the list meanwhile.
        self._panel_of: Any = gr.State("")

    def lay_out_list(self) -> None:
        """The comparisons."""
        self._title = gr.Markdown("### Comparisons", elem_classes="step", visible=False)
        self._list = gr.Radio(
            label="Comparisons", show_label=False, container=False, choices=[], elem_id="compare-list",
            elem_classes="card-list",
        )  # fmt: skip
        self._empty = gr.HTML(padding=False, elem_id="compare-list-empty")

    def lay_out_panel(self) -> None:
        """The chosen one; where there is none, what this is about."""
        self._introduction = gr.HTML(_INTRODUCTION, padding=False, elem_id="compare-introduction")
        with gr.Column(visible=False, elem_id="compare-panel", elem_classes="train-panel") as self._panel:
            self._headline = gr.HTML(padding=False, elem_id="compare-headline")
            self._auditioned = Auditioned(self._services, self._news)
            self._booth = Booth(self._services, self._staging)
            self._standing = gr.HTML(padding=False, elem_id="compare-standing")
            self._results = Results(self._services, self._staging, self._news)
            self._actions = Actions(self._services, self._wanted)
            self._sighted = Sighted(self._services, self._staging)
            self._sharing = Sharing(self._services)

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`look` may change."""
        return [
            self._list, self._title, self._empty, self._introduction, self._panel, self._headline, self._booth.place,
            self._standing, *self._actions.outputs, *self._results.outputs, *self._sharing.outputs,
            *self._sighted.outputs, *self._auditioned.outputs, self._wanted, self._panel_of, self._seen,
        ]  # fmt: skip

    @property
    def inputs(self) -> list[Any]:
        """Inputs of :meth:`look`, in its order."""
        return [self._list, self._wanted, self._seen, self._remembered]

    def wire(self, tab: gr.Tab) -> gr.Timer:
        """Wire it; returns the timer, which runs while the tab is seen."""
        timer = gr.Timer(TICK_SECONDS, active=False)
        inputs, outputs = self.inputs, self.outputs
        timer.tick(self.look, inputs, outputs, **AT_ONCE)
        tab.select(self.look, inputs, outputs, **CHOICE, **AT_ONCE)
        self._list.input(self.look, inputs, outputs, **CHOICE, **AT_ONCE)
        self._list.input(None, None, None, js=SHOW_PANEL, **CHOICE, **RAW)
        self._list.change(
            None, self._list, None, js="(each) => { if (each) window.studio.remember('comparison', each); }", **RAW
        )
        # Beside the queue: a vote that has left the browser is counted, whatever becomes of the page.
        heard = [self._booth.place, self._standing, self._actions.reveal]
        self._booth.place.submit(self._voted, None, heard, **AT_ONCE)
        self._actions.wire(self._panel_of, self.look, inputs, outputs)
        self._results.wire(self._panel_of)
        self._sharing.wire(self._panel_of)
        self._sighted.wire(self._panel_of)
        self._auditioned.wire(self._panel_of)
        return timer

    # Looking

    def look(self, chosen: str | None, wanted: str | None, shown: Any, kept: Any, request: gr.Request) -> Updates:
        """What is news since the page was drawn last. Cheap where nothing is."""
        seen = Seen(shown)
        before = seen.value
        try:
            library = self._services.comparisons(owner_of(request, self._services.settings))
            comparisons = library.comparisons()
            found = _chosen(comparisons, wanted, chosen, kept)
            updates: Updates = {self._wanted: None} if wanted else {}
            turned = seen.turned_to(found.id if found else "")
            updates |= self._listed(comparisons, found, chosen, seen)
            if turned:
                updates |= {
                    self._panel: gr.Column(visible=found is not None),
                    self._panel_of: found.id if found else "",
                }
                updates |= self._actions.cleared(of_others=found is not None and chosen == found.id)
                updates |= {**self._results.cleared(), **self._sighted.cleared(), **self._auditioned.cleared()}
            if found is not None:
                updates |= self._about(library, found, seen, request)
            if seen.is_news("trouble", ""):
                updates[self._empty] = ""
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            sentence = error_sentence(error)
            updates = {self._empty: card(sentence, "bad")} if seen.forget(sentence) else {}
        if seen.value != before:
            updates[self._seen] = seen.value
        return updates or {self._empty: gr.skip()}

    def _listed(
        self, comparisons: list[Comparison], found: Comparison | None, chosen: str | None, seen: Seen
    ) -> Updates:
        choices = [(comparison_line(each), each.id) for each in comparisons]
        value = found.id if found else None
        if not seen.is_news("list", choices) and value == chosen:
            return {}
        return {
            self._list: gr.Radio(choices=choices, visible=bool(choices), **unless_sent(value, chosen)),
            self._title: gr.Markdown(visible=bool(choices)),
            self._introduction: gr.HTML(visible=not choices),
            self._empty: "",
        }

    def _about(self, library: ComparisonLibrary, found: Comparison, seen: Seen, request: gr.Request) -> Updates:
        updates: Updates = {}
        said = headline(found)
        if seen.is_news("headline", said):
            updates[self._headline] = said
        if found.plan.audition is not None and seen.is_news(
            "audition", (found.state, found.num_done, found.unmeasured)
        ):
            audition = self._services.auditions(library.owner).audition(found.id)
            updates |= self._auditioned.shown(audition)
            found = audition.comparison  # once it is complete, two of its systems are heard
        session = self._services.blind_session(found.id, library.owner)
        revealed = session.has_revealed()
        made = found.counts.get("made", 0)
        if seen.is_news("actions", (found.state, found.can_resume, made > 0, revealed)):
            updates |= self._actions.shown(found, revealed=revealed)
        if seen.is_news("link", found.link):
            updates |= self._sharing.shown(found.link)
        votes = votes_of(library, found)
        withheld = [each.withheld for each in found.systems]
        stands = (made, found.active, len(votes.cast), votes.left_out, withheld, revealed)
        if seen.is_news("votes", stands):
            drawn = self._revealed(library, found, session) if revealed else self._heard(library, found, session)
            button = self._actions.reveal
            if button in drawn and button in updates:  # both say something of it
                drawn[button] = {**updates[button], **drawn[button]}
            updates |= drawn
            updates |= self._sharing.listeners(tally(library, found))
        if revealed and seen.is_news("sighted", (made, withheld)):
            updates |= self._sighted.offered(library, found)
        return updates

    def _heard(self, library: ComparisonLibrary, found: Comparison, session: BlindSession) -> Updates:
        """The pair that waits, and where the votes stand, without a name."""
        value, pair = self._booth.shown(session)
        voted = session.num_votes()
        if pair is not None:
            said = ""
        elif found.active:
            said = _MORE if voted else _WAITS
        else:
            said = _HEARD if voted else '<p class="hint" role="status">There are no two takes to compare.</p>'
        standing = standing_html(tally(library, found))
        ended = self._actions.heard(all_of_them=pair is None and not found.active and voted > 0)
        return {self._booth.place: value, self._standing: said + standing, **ended}

    def _revealed(self, library: ComparisonLibrary, found: Comparison, session: BlindSession) -> Updates:
        nothing = {"pair": None, "trouble": ""}
        return {self._booth.place: nothing, self._standing: "", **self._results.shown(library, found, session)}

    def _voted(self, event: gr.EventData, request: gr.Request) -> Updates:
        try:
            library = self._services.comparisons(owner_of(request, self._services.settings))
            session = self._booth.vote(event, request)
            return self._heard(library, library.comparison(session.comparison_id), session)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return {self._booth.place: self._booth.failed(error)}


def _chosen(comparisons: list[Comparison], wanted: str | None, chosen: str | None, kept: Any) -> Comparison | None:
    """The one to show: what is asked for, what is shown, what was shown before a reload; else the newest."""
    by_id = {each.id: each for each in comparisons}
    remembered = kept.get("comparison") if isinstance(kept, dict) else None
    before = remembered[0] if isinstance(remembered, list) and remembered else None
    for each in (wanted, chosen, before):
        if isinstance(each, str) and each in by_id:
            return by_id[each]
    return comparisons[0] if comparisons else None

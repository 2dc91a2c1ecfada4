"""What came of the votes, once names may be seen: who is better, the report, and the way of the winner to *Speak*."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.evaluation.blind.session import BlindSession
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.reports.plots import course, preferences, ranking
from studio.evaluation.reports.report import report_of
from studio.evaluation.reports.writing import write_report
from studio.services import Services
from studio.ui.events import RAW
from studio.ui.html import card, error_sentence
from studio.ui.staging import Staging
from studio.ui.tabs.compare.comparison_html import revealed_html
from studio.ui.visitors import owner_of

Updates = dict[Any, Any]
_FILES: tuple[tuple[str, str], ...] = (
    ("comparison.html", ""), ("votes.csv", "votes"), ("takes.csv", "takes"), ("comparison.json", "")
)  # fmt: skip


class Results:
    """The components, laid out where this is made.

    Args:
        news: state, see :class:`studio.ui.tabs.compare.CompareTab`.
    """

    def __init__(self, services: Services, staging: Staging, news: gr.State) -> None:
        self._services, self._staging, self._news = services, staging, news
        with gr.Column(visible=False, elem_id="compare-results") as self._box:
            self._revealed = gr.HTML(padding=False, elem_id="compare-revealed")
            with gr.Row(visible=False, elem_classes="actions", elem_id="compare-use-row") as self._use_row:
                self._winner = gr.Dropdown(
                    label="Trained voice", choices=[], value=None, elem_id="compare-winner", min_width=200, scale=2,
                    container=False,
                )  # fmt: skip
                self._use = gr.Button("Use this one", size="sm", variant="primary", elem_id="compare-use")
            with gr.Row(elem_classes="actions"):
                self._make = gr.Button("Make the report", size="sm", elem_id="compare-report")
            self._said = gr.HTML(padding=False, elem_id="compare-report-said")
            self._files = gr.File(
                label="Report", file_count="multiple", visible=False, interactive=False, elem_id="compare-files"
            )
        self.outputs: list[Any] = [self._box, self._revealed, self._use_row, self._winner, self._files, self._said]

    def wire(self, panel_of: gr.State) -> None:
        """What the buttons do."""
        self._make.click(self._make_report, panel_of, [self._said, self._files], trigger_mode="once", **RAW)
        self._use.click(
            self._use_it, [panel_of, self._winner, self._news], [self._said, self._news], trigger_mode="once", **RAW
        )

    def cleared(self) -> Updates:
        """Of another comparison."""
        return {
            self._box: gr.Column(visible=False), self._revealed: "", self._files: gr.File(value=None, visible=False),
            self._said: "", self._use_row: gr.Row(visible=False),
        }  # fmt: skip

    def shown(self, library: ComparisonLibrary, comparison: Comparison, session: BlindSession) -> Updates:
        """With names; for whoever has revealed them."""
        report = report_of(library, comparison.id)
        plots = preferences(report) + course(report) + ranking(report)
        winners = _trained(comparison)
        return {
            self._box: gr.Column(visible=True),
            self._revealed: revealed_html(
                report.lines if report.votes else (), plots, comparison.systems, session.reveal()
            ),
            self._use_row: gr.Row(visible=bool(winners)),
            self._winner: gr.Dropdown(choices=winners, value=_best(winners, report.tally) if winners else None),
        }

    def _revealed_by(self, panel_of: Any, request: gr.Request) -> tuple[ComparisonLibrary, Comparison]:
        """The comparison, for whoever has revealed it. Raises StudioError before that."""
        owner = owner_of(request, self._services.settings)
        library = self._services.comparisons(owner)
        comparison = library.comparison(str(panel_of or ""))
        if not self._services.blind_session(comparison.id, owner).has_revealed():
            raise StudioError("A report names the systems: press Show which is which first.")
        return library, comparison

    def _make_report(self, panel_of: Any, request: gr.Request) -> tuple[str, Any]:
        try:
            library, comparison = self._revealed_by(panel_of, request)
            key, made = f"report {comparison.id} {secrets.token_hex(8)}", []
            for name, table in _FILES:

                def write(path: Path, table: Any = table or "votes") -> None:
                    write_report(library, comparison.id, path, table=table)

                made.append(self._staging.copy(key, name, write))
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.File(value=None, visible=False)
        said = "The report is one page with all sounds in it, which opens without a network; the tables are beside it."
        return card(said, "good"), gr.File(value=made, visible=True)

    def _use_it(self, panel_of: Any, system_id: Any, told: dict[str, Any], request: gr.Request) -> tuple[Any, Any]:
        """Hand the trained voice of a system over to *Speak*."""
        try:
            _, comparison = self._revealed_by(panel_of, request)
            at = next((at for at, each in enumerate(comparison.systems) if each.id == system_id), None)
            adapter = comparison.plan.systems[at].adapter if at is not None else ""
            if at is None or not adapter or comparison.systems[at].withheld:
                raise StudioError("Choose one of the trained voices of this comparison.")
            if comparison.systems[at].gone:
                raise StudioError(str(comparison.systems[at].gone))
            self._services.adapters(owner_of(request, self._services.settings)).adapter(adapter)
        except Exception as error:  # noqa: BLE001  nothing may leave a traceback on the page
            return card(error_sentence(error), "bad"), gr.skip()
        heard_at = comparison.plan.systems[at].strength
        return "", {"count": told["count"] + 1, "adapter": adapter, "strength": heard_at}


def _trained(comparison: Comparison) -> list[tuple[str, str]]:
    """Systems that are a trained voice of the library and may be spoken with: labels and ids."""
    return [
        (system.label, system.id)
        for system, plan in zip(comparison.systems, comparison.plan.systems, strict=True)
        if plan.adapter and not system.withheld and not system.gone
    ]


def _best(winners: list[tuple[str, str]], counts: Any) -> str:
    """The one to begin with: what is preferred or ranked first, where it is one of them."""
    ids = [each for _, each in winners]
    leading = [counts.preferred, *(each.system for each in counts.ranking)]
    leading += [
        pair.first if pair.share.share > 0.5 else pair.second
        for pair in counts.pairs if pair.share.share is not None and pair.share.share != 0.5
    ]  # fmt: skip
    return next((each for each in leading if each in ids), ids[0])

"""Votes and takes as CSV, for spreadsheets and for pandas."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

from studio.evaluation.reports.report import Report

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell of text that begins like this is a formula to a spreadsheet; what a listener wrote must be none."""
_REPORTED = ("seconds", "rtf", "ended", "lufs", "sample_rate")


def votes_csv(report: Report) -> str:
    """A line for each vote, in the order in which they were cast; systems by their labels."""
    label = {system.id: system.shown_label for system in report.comparison.systems}
    rows = []
    for vote in report.votes:
        told = vote.as_json()
        rows.append(
            {
                **told,
                "text": report.comparison.texts[told["text"]],
                **{side: label.get(told[side] or "", "") for side in ("left", "right", "preferred")},
            }
        )
    names = (
        "made_at", "listener", "position", "text", "left", "right", "choice", "preferred", "reason", "repeat_of", "trial",
        "left_take", "right_take",
    )  # fmt: skip
    return _csv(names, rows)


def takes_csv(report: Report) -> str:
    """A line for each take, with all figures that were measured of any of them."""
    label = {system.id: system.shown_label for system in report.comparison.systems}
    measured = {name for take in report.takes for name, value in take.figures.items() if _is_plain(value)}
    figures = sorted(measured - set(_REPORTED))
    rows = [
        {
            "take": take.id, "system": label[take.system_id], "text": report.comparison.texts[take.text], "seed": take.seed,
            "state": take.state, "failure": take.failure, "synthetic": take.synthetic, "sha256": take.sha256,
            **{name: take.report.get(name) for name in _REPORTED}, **{name: take.figures.get(name) for name in figures},
        }
        for take in report.takes
    ]  # fmt: skip
    return _csv(
        ("take", "system", "text", "seed", "state", "failure", "synthetic", "sha256", *_REPORTED, *figures), rows
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(row.get(name)) for name in names})
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

"""Reports as files, in the format that the name asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from studio.errors import StudioError
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.reports.page import html_of
from studio.evaluation.reports.report import Report, report_of
from studio.evaluation.reports.tables import takes_csv, votes_csv
from studio.files import atomic_write_bytes, refuse_unwritable, shown_name

SUFFIXES = (".html", ".csv", ".json")


def write_report(
    library: ComparisonLibrary, comparison_id: str, path: Path, *, table: Literal["votes", "takes"] = "votes"
) -> Report:
    """Write a report in the format of the file's suffix: .html (with all sounds), .csv (a table) or .json.

    Args:
        table: which one a .csv has: a line for each vote, or for each take with its figures.

    Raises:
        StudioError: another suffix, no such comparison, or the file cannot be written; then nothing of it is left.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise StudioError(f"The file name {shown_name(path)} must end in .html, .csv or .json.")
    refuse_unwritable(path)  # before all sounds are read
    report = report_of(library, comparison_id)
    if suffix == ".html":
        text = html_of(report)
    elif suffix == ".csv":
        text = votes_csv(report) if table == "votes" else takes_csv(report)
    else:
        text = json.dumps(report.as_json(), indent=1, ensure_ascii=False)
    atomic_write_bytes(path, text.encode())
    return report

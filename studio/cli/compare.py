"""``python -m studio compare …``: several systems on the same texts, made in the background, voted on, reported."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.output import Json, agreed, by_beginning, columns, notice, print_result, short_id
from studio.errors import StudioError
from studio.formatting import estimate
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.evaluation.comparison.comparison import Comparison
    from studio.evaluation.comparison.library import ComparisonLibrary

compare_app = typer.Typer(
    name="python -m studio",
    help="Comparisons: make takes of several systems, count blind votes, report, delete.",
    invoke_without_command=True,
)

ComparisonId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of the comparison, or how it begins (6 characters or more), or its name."),
]
_LOOK_SECONDS = 0.5


def _library() -> ComparisonLibrary:
    return Services(get_settings()).comparisons()


def _found(library: ComparisonLibrary, wanted: str) -> Comparison:
    """The one comparison of this name, or whose id begins like this."""
    comparisons = library.comparisons()
    named = [each for each in comparisons if each.name == wanted]
    if len(named) == 1:
        return named[0]
    return by_beginning(comparisons, wanted, kind="comparison", listed_by="compare list")


@compare_app.callback()
def compare(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with texts, seeds and systems: its takes are made.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until its takes are made; they are made without that, too.")] = True,
    as_json: Json = False,
) -> None:
    """Make takes of several systems on the same texts and seeds; see docs/evaluation-comparison.md for the file."""
    if context.invoked_subcommand is not None:
        if config is not None:
            raise StudioError("--config begins a comparison of its own: leave it out, or the command after it.")
        return
    if config is None:
        raise StudioError("Say what to compare: --config FILE.yaml; or see `python -m studio compare --help`.")
    from studio.evaluation.comparison.reading import read_plan

    library = _library()
    comparison = library.create(read_plan(config.expanduser()))
    _tell(library, comparison, wait, as_json)


@compare_app.command("list")
def list_comparisons(as_json: Json = False) -> None:
    """List the comparisons, the newest first."""
    comparisons = _library().comparisons()
    text = columns(_line(each) for each in comparisons) if comparisons else "No comparisons yet."
    print_result({"comparisons": [each.as_json() for each in comparisons]}, as_json, text)


@compare_app.command()
def show(comparison: ComparisonId, as_json: Json = False) -> None:
    """Show a comparison: its systems, how far it is, and with --json every take."""
    library = _library()
    found = _found(library, comparison)
    document = found.as_json() | {"take_list": [take.as_json() for take in library.takes(found.id)]}
    print_result(document, as_json, "\n".join(_described(found)))


@compare_app.command()
def tally(comparison: ComparisonId, as_json: Json = False) -> None:
    """Say what the votes say: who is preferred, how sure that is, and how reliable the listeners are."""
    from studio.evaluation.blind.tallying import tally as count
    from studio.evaluation.blind.tallying import tally_lines

    library = _library()
    found = _found(library, comparison)
    counted = count(library, found)
    lines = tally_lines(found, counted)
    print_result({**counted.as_json(), "says": lines}, as_json, "\n".join(lines))


@compare_app.command()
def report(
    comparison: ComparisonId,
    out: Annotated[Path, typer.Argument(help="File to write: .html with all sounds, .csv or .json.")],
    takes: Annotated[
        bool, typer.Option("--takes", help="In a .csv the takes with their figures, not the votes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a report: one HTML file that opens offline, a table, or everything as JSON."""
    from studio.evaluation.reports.writing import write_report

    library = _library()
    found = _found(library, comparison)
    out = out.expanduser()
    written = write_report(library, found.id, out, table="takes" if takes else "votes")
    document = {"path": str(out), "takes": len(written.takes), "votes": len(written.votes)}
    print_result(document, as_json, f"{out}: {len(written.takes)} takes, {len(written.votes)} votes")


@compare_app.command()
def link(
    comparison: ComparisonId,
    off: Annotated[bool, typer.Option("--off", help="End it: the link leads nowhere from now on.")] = False,
    as_json: Json = False,
) -> None:
    """Let others vote: print the token of the link that they open; each of them is counted apart."""
    library = _library()
    found = _found(library, comparison)
    token = library.share(found.id, not off)
    print_result(
        {"id": found.id, "token": token or None}, as_json, token or f"Nobody else can vote on {found.name} now."
    )


@compare_app.command()
def stop(comparison: ComparisonId, as_json: Json = False) -> None:
    """Stop making takes; those that were made stay."""
    library = _library()
    stopped = library.stop(_found(library, comparison).id)
    print_result(stopped.as_json(), as_json, f"{stopped.name}: {stopped.state}, {_progress(stopped)}")


@compare_app.command()
def resume(
    comparison: ComparisonId,
    wait: Annotated[bool, typer.Option(help="Wait until its takes are made.")] = True,
    as_json: Json = False,
) -> None:
    """Make the takes that were not made, those that failed too."""
    library = _library()
    _tell(library, library.resume(_found(library, comparison).id), wait, as_json)


@compare_app.command()
def delete(
    comparison: ComparisonId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a comparison with its takes and votes."""
    library = _library()
    found = _found(library, comparison)
    if not yes and not (sys.stdin.isatty() and agreed(f"Delete {found.name} with its takes and votes?")):
        raise StudioError(f"{found.name} was not deleted: say so with --yes.")
    library.delete(found.id)
    print_result({"deleted": found.id}, as_json, f"{found.name} is deleted.")


def _tell(library: ComparisonLibrary, comparison: Comparison, wait: bool, as_json: bool) -> None:
    if wait:
        comparison = _waited(library, comparison)
    if comparison.sentence:
        notice(comparison.sentence)
    print_result(comparison.as_json(), as_json, "\n".join(_described(comparison)))
    if wait and comparison.state != "completed":
        raise StudioError(
            f"{comparison.name} is {comparison.state}, {_progress(comparison)}: "
            f"`python -m studio compare resume {short_id(comparison.id)}` makes the rest."
        )


def _waited(library: ComparisonLibrary, comparison: Comparison) -> Comparison:
    """The comparison once it has ended. Whoever waits no longer ends nothing: it goes on."""
    told = ""
    while comparison.active:
        left = f", about {estimate(comparison.seconds_left)} left" if comparison.seconds_left else ""
        line = f"{comparison.state}, {_progress(comparison)}{left}"
        if line != told and sys.stderr.isatty():
            sys.stderr.write(f"\r{line:<60}")
            sys.stderr.flush()
        told = line
        time.sleep(_LOOK_SECONDS)
        comparison = library.comparison(comparison.id)
    if told and sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 60 + "\r")
    return comparison


def _progress(comparison: Comparison) -> str:
    return f"{comparison.num_done} of {comparison.num_takes} takes"


def _line(comparison: Comparison) -> list[str]:
    made = f"{comparison.created_at.astimezone():%Y-%m-%d %H:%M}"
    systems = f"{len(comparison.systems)} systems"
    return [short_id(comparison.id), made, comparison.state, _progress(comparison), systems, comparison.name]


def _described(comparison: Comparison) -> list[str]:
    lines: list[Any] = [
        f"comparison: {comparison.name} ({comparison.id})",
        f"state: {comparison.state}, {_progress(comparison)}"
        + (f", {comparison.ahead} before it" if comparison.ahead else ""),
        f"texts: {len(comparison.texts)}, seeds {', '.join(map(str, comparison.plan.seeds))}",
    ]
    lines += [
        f"system: {system.shown_label}" + (f" ({system.gone})" if system.gone and not system.withheld else "")
        for system in comparison.systems
    ]
    return lines

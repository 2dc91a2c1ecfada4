"""A set is looked at: what there is, what looks wrong, what the model reads."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.cli.dataset.asking import Name, sets
from studio.cli.dataset.shown import line_of, lines_of
from studio.cli.output import Json, columns, print_result, short_id, shortened
from studio.errors import StudioError


def list_datasets(as_json: Json = False) -> None:
    """List the datasets, the newest first."""
    datasets = sets().datasets()
    text = columns(line_of(dataset) for dataset in datasets) if datasets else "No datasets yet."
    print_result({"datasets": [dataset.as_json() for dataset in datasets]}, as_json, text)


def show(name: Name, as_json: Json = False) -> None:
    """Show a dataset: how much, who speaks and by what right, and with --json every utterance and how figures spread."""
    from studio.datasets.measures.distributions import distributions

    library = sets()
    dataset = library.dataset(name)
    document = dataset.as_json() | {"version": library.version(dataset.id)}
    if as_json:
        found = library.utterances(dataset.id, states=("kept", "dropped"))
        document["utterances"] = [utterance.as_json() for utterance in found]
        document["distributions"] = distributions(library, dataset).as_json()
    print_result(document, as_json, "\n".join([*lines_of(dataset), f"version: {document['version'][:16]}"]))


def review(
    name: Name,
    kind: Annotated[str, typer.Option(help="Only those that are suspected of this, such as 'noisy'.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 30,
    as_json: Json = False,
) -> None:
    """List the utterances that look wrong, the most suspicious first, each with its evidence."""
    from studio.datasets.measures import KINDS

    if kind and kind not in KINDS:
        raise StudioError(f"There is no suspicion '{kind}': choose one of {', '.join(KINDS)}.")
    library = sets()
    dataset = library.dataset(name)
    found = library.utterances(dataset.id, kind=kind, order="suspicion", limit=limit)
    found = [utterance for utterance in found if utterance.suspicions]
    lines = []
    for utterance in found:
        lines.append(
            f"{short_id(utterance.id)}  {utterance.name}  {utterance.seconds:.1f} s  {shortened(utterance.text, 60)}"
        )
        lines += [f"    {one['kind']}: {one['evidence']}" for one in utterance.suspicions]
    measured = any(utterance.measures for utterance in library.utterances(dataset.id, limit=1))
    none = (
        "Nothing looks wrong."
        if measured
        else f"Nothing was measured yet: `python -m studio dataset measure {dataset.name}`."
    )
    print_result({"utterances": [each.as_json() for each in found]}, as_json, "\n".join(lines) or none)


def validate(name: Name, as_json: Json = False) -> None:
    """Name every problem of a dataset; exit code 1 where it cannot be trained on."""
    from studio.datasets.validation import problems_of

    library = sets()
    problems = problems_of(library, library.dataset(name))
    document = {"ok": not any(each.serious for each in problems), "problems": [each.as_json() for each in problems]}
    text = "\n".join(f"{each.place}: {each.sentence}" for each in problems) or "No problems."
    print_result(document, as_json, text)
    if not document["ok"]:
        raise StudioError(next(f"{each.place}: {each.sentence}" for each in problems if each.serious))


def texts(name: Name, as_json: Json = False) -> None:
    """Show the transcripts that the model reads otherwise than they are written: before and after."""
    from studio.datasets.exports.read_texts import read_otherwise

    library = sets()
    found = read_otherwise(library.utterances(library.dataset(name).id))
    text = "\n".join(f"{each.name}\n  {each.written}\n  {each.read or each.refusal}" for each in found)
    print_result(
        [each.as_json() for each in found], as_json, text or "The model reads every transcript as it is written."
    )

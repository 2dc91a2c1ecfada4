"""A set is made: imported, and measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from studio.cli.dataset.asking import Name, recogniser, sets
from studio.cli.dataset.changing import split_up
from studio.cli.dataset.shown import lines_of, progress
from studio.cli.output import Json, notice, print_result

_NAMED = 20
"""Lines that were left out and are named one by one."""
Source = Annotated[Path, typer.Argument(help="File or folder; for huggingface also a name on the hub.")]


def import_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="TYPE", help="recordings, folder, ljspeech, csv, vctk, jsonl, nemo, higgs or huggingface."
        ),
    ],
    source: Source,
    name: Annotated[str, typer.Argument(help="What to call it.")],
    speaker: Annotated[str, typer.Option(help="Who speaks, where the source does not say.")] = "",
    language: Annotated[str, typer.Option(help="Language that is spoken, a code such as en or ar.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Read no more utterances than that.")] = None,
    audio_column: Annotated[str, typer.Option(help="Column of the recordings.")] = "",
    text_column: Annotated[str, typer.Option(help="Column of the texts.")] = "",
    speaker_column: Annotated[str, typer.Option(help="Column of the speakers.")] = "",
    delimiter: Annotated[str, typer.Option(help="Between the fields of a table; \\t for a tab.")] = "",
    encoding: Annotated[str, typer.Option(help="Of a table, if it is not UTF-8: utf-16, gbk, latin-1 …")] = "",
    microphone: Annotated[str, typer.Option(help="Of VCTK: mic1 or mic2.")] = "mic1",
    transcribe: Annotated[
        bool | None, typer.Option(help="Of recordings: write down what is said. Without it, where the model is here.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode and slice beside each other.")] = 1,
    split: Annotated[bool, typer.Option("--split", help="Hold 5 % out for validation at once.")] = False,
    validate: Annotated[bool, typer.Option("--validate", help="Only say what would be used; keep nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import a source as a named set. An import that was interrupted goes on when it is asked for again."""
    from studio.datasets.imports.importer import import_source
    from studio.datasets.sources import SourceOptions
    from studio.datasets.spreading.pace import Pace

    library = sets()
    options = SourceOptions(
        speaker=speaker, audio_column=audio_column, text_column=text_column, speaker_column=speaker_column,
        delimiter=delimiter, encoding=encoding, microphone=microphone, limit=limit,
    )  # fmt: skip
    source = source.expanduser()
    if validate:
        name = f"check {time.time_ns()}"
    pace = Pace()
    dataset = import_source(
        library, name, kind, source, options, language=language, workers=workers, announce=progress(pace), pace=pace,
        transcriber=recogniser(transcribe) if kind == "recordings" else None,
    )  # fmt: skip
    try:
        for entry in dataset.report["listed"][:_NAMED]:
            notice(f"{entry['place']}: {entry['sentence']}")
        for note in dataset.report.get("notes", ()):
            notice(note)
        if split and not validate:
            dataset = split_up(library, dataset, 0.05, 42, "utterance")
        print_result(dataset.as_json(), as_json, "\n".join(lines_of(dataset)))
    finally:
        if validate:
            library.delete(dataset.id)


def measure_(
    name: Name,
    transcribe: Annotated[
        bool | None,
        typer.Option(help="Compare transcripts with what a recogniser hears. Without it, where it is here."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes beside each other; with --ray actors, else one for each processor."),
    ] = None,
    ray: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Measure on Ray: local, auto, HOST:PORT or ray://HOST:PORT."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Measure every utterance, say what looks wrong, and grade the dataset. What was measured is not measured again."""
    from studio.datasets.measures.measuring import measure_dataset, unmeasured
    from studio.datasets.spreading.pace import Pace

    library = sets()
    dataset = library.dataset(name)
    transcriber = recogniser(transcribe)
    pace = Pace()
    told = progress(pace)
    found = measure_dataset(
        library, dataset, asr_model=library.settings.asr_model if transcriber else "", workers=workers, ray=ray,
        announce=lambda done, total: told(done, f"of {total:,} are measured"), pace=pace,
    )  # fmt: skip
    for entry in unmeasured(library.dataset(dataset.id))[:_NAMED]:
        notice(f"{entry['place']}: {entry['sentence']}")
    lines = [f"grade: {found.letter}, {found.minutes:.1f} minutes of speech"]
    lines += [f"{kind}: {count}" for kind, count in found.counts.items()]
    print_result(found.as_json(), as_json, "\n".join([*lines, *found.advice]))

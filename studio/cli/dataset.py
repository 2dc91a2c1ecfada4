"""``python -m studio dataset …``: named sets of utterances, from import to export."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.output import Json, agreed, by_beginning, columns, notice, print_result, say, short_id, shortened
from studio.errors import StudioError
from studio.formatting import duration
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.datasets.dataset import Dataset
    from studio.datasets.library import DatasetLibrary
    from studio.datasets.spreading.pace import Pace
    from studio.listening.transcriber import Transcriber

dataset_app = typer.Typer(
    name="python -m studio",
    help="Datasets: import recordings, look at them, review, split, check, export and delete a set.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Name of the dataset, or its id.")]
Source = Annotated[Path, typer.Argument(help="File or folder; for huggingface also a name on the hub.")]
Language = Annotated[str, typer.Option(help="Language that is spoken, a code such as en or ar.")]
Ratio = Annotated[float, typer.Option(help="Share that is held out.")]
Seed = Annotated[int, typer.Option(help="Decides what is held out.")]

_NAMED = 20
"""Lines that were left out and are named one by one."""


def _library() -> DatasetLibrary:
    return Services(get_settings()).datasets()


@dataset_app.command("import")
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
    language: Language = "",
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

    library = _library()
    options = SourceOptions(
        speaker=speaker, audio_column=audio_column, text_column=text_column, speaker_column=speaker_column,
        delimiter=delimiter, encoding=encoding, microphone=microphone, limit=limit,
    )  # fmt: skip
    source = source.expanduser()
    if validate:
        name = f"check {time.time_ns()}"
    pace = Pace()
    dataset = import_source(
        library, name, kind, source, options, language=language, workers=workers, announce=_progress(pace), pace=pace,
        transcriber=_transcriber(transcribe) if kind == "recordings" else None,
    )  # fmt: skip
    try:
        for entry in dataset.report["listed"][:_NAMED]:
            notice(f"{entry['place']}: {entry['sentence']}")
        for note in dataset.report.get("notes", ()):
            notice(note)
        if split and not validate:
            dataset = _split(library, dataset, 0.05, 42, "utterance")
        print_result(dataset.as_json(), as_json, "\n".join(_lines(dataset)))
    finally:
        if validate:
            library.delete(dataset.id)


@dataset_app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the datasets, the newest first."""
    datasets = _library().datasets()
    text = columns(_line(dataset) for dataset in datasets) if datasets else "No datasets yet."
    print_result({"datasets": [dataset.as_json() for dataset in datasets]}, as_json, text)


@dataset_app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a dataset: how much, who speaks and by what right, and with --json every utterance and how figures spread."""
    from studio.datasets.measures.distributions import distributions

    library = _library()
    dataset = library.dataset(name)
    document = dataset.as_json() | {"version": library.version(dataset.id)}
    if as_json:
        found = library.utterances(dataset.id, states=("kept", "dropped"))
        document["utterances"] = [utterance.as_json() for utterance in found]
        document["distributions"] = distributions(library, dataset).as_json()
    print_result(document, as_json, "\n".join([*_lines(dataset), f"version: {document['version'][:16]}"]))


@dataset_app.command("measure")
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

    library = _library()
    dataset = library.dataset(name)
    transcriber = _transcriber(transcribe)
    pace = Pace()
    told = _progress(pace)
    found = measure_dataset(
        library, dataset, asr_model=library.settings.asr_model if transcriber else "", workers=workers, ray=ray,
        announce=lambda done, total: told(done, f"of {total:,} are measured"), pace=pace,
    )  # fmt: skip
    for entry in unmeasured(library.dataset(dataset.id))[:_NAMED]:
        notice(f"{entry['place']}: {entry['sentence']}")
    lines = [f"grade: {found.letter}, {found.minutes:.1f} minutes of speech"]
    lines += [f"{kind}: {count}" for kind, count in found.counts.items()]
    print_result(found.as_json(), as_json, "\n".join([*lines, *found.advice]))


@dataset_app.command()
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
    library = _library()
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


@dataset_app.command()
def validate(name: Name, as_json: Json = False) -> None:
    """Name every problem of a dataset; exit code 1 where it cannot be trained on."""
    from studio.datasets.validation import problems_of

    library = _library()
    problems = problems_of(library, library.dataset(name))
    document = {"ok": not any(each.serious for each in problems), "problems": [each.as_json() for each in problems]}
    text = "\n".join(f"{each.place}: {each.sentence}" for each in problems) or "No problems."
    print_result(document, as_json, text)
    if not document["ok"]:
        raise StudioError(next(f"{each.place}: {each.sentence}" for each in problems if each.serious))


@dataset_app.command()
def split(
    name: Name,
    ratio: Ratio = 0.05,
    by: Annotated[str, typer.Option(help="utterance or speaker.")] = "utterance",
    seed: Seed = 42,
    as_json: Json = False,
) -> None:
    """Hold utterances out for validation; never the same text or sound on both sides."""
    library = _library()
    dataset = _split(library, library.dataset(name), ratio, seed, by)
    held = library.utterances(dataset.id, split="validation")
    document = {"dataset": dataset.name, "held_out": [utterance.as_json() for utterance in held]}
    seconds = sum(utterance.seconds for utterance in held)
    text = f"{dataset.name}: {len(held)} of {dataset.num_utterances} utterances are held out ({duration(seconds)})."
    print_result(document, as_json, text)


@dataset_app.command()
def export(
    name: Name,
    kind: Annotated[str, typer.Argument(metavar="FORMAT", help="rows, ljspeech, csv, nemo or huggingface.")],
    out: Annotated[Path, typer.Argument(help="Folder to make; with --archive a .zip.")],
    archive: Annotated[bool, typer.Option("--archive", help="Write one .zip.")] = False,
    as_json: Json = False,
) -> None:
    """Write a dataset in a layout that others read; with every speaker's consent. `pairs` says what rows hear first."""
    from studio.datasets.exports.exporting import export as write

    library = _library()
    dataset = library.dataset(name)
    path = write(library, dataset, kind, out.expanduser(), archive=archive)
    text = f"{path}: {dataset.num_utterances} utterances, {duration(dataset.seconds)}"
    print_result({"path": str(path), "version": library.version(dataset.id)}, as_json, text)


@dataset_app.command()
def pairs(
    name: Name,
    variants: Annotated[int | None, typer.Option(help="Rows for each utterance, each after another reference.")] = None,
    without: Annotated[float | None, typer.Option(help="Share that is spoken after no reference, 0 to 1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another one chooses other references.")] = None,
    scene: Annotated[
        str | None, typer.Option(help="Scene of utterances that say none; '' for the model's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say, or change, how the training rows of a dataset get what is heard before them."""
    from dataclasses import replace

    library = _library()
    dataset = library.dataset(name)
    wished = {"variants": variants, "without": without, "seed": seed, "scene": scene}
    given = {key: value for key, value in wished.items() if value is not None}
    if given:
        dataset = library.set_pairing(dataset.id, replace(dataset.pairing, **given))
    print_result(dataset.pairing.as_json(), as_json, dataset.pairing.sentence)


@dataset_app.command()
def texts(name: Name, as_json: Json = False) -> None:
    """Show the transcripts that the model reads otherwise than they are written: before and after."""
    from studio.datasets.exports.read_texts import read_otherwise

    library = _library()
    found = read_otherwise(library.utterances(library.dataset(name).id))
    text = "\n".join(f"{each.name}\n  {each.written}\n  {each.read or each.refusal}" for each in found)
    print_result(
        [each.as_json() for each in found], as_json, text or "The model reads every transcript as it is written."
    )


@dataset_app.command()
def consent(
    name: Name,
    speaker: Annotated[str, typer.Argument(help="Who speaks, as `dataset show` names them; '' where nobody is named.")],
    ground: Annotated[str | None, typer.Option("--speaker-consent", help="own, permission or licence.")] = None,
    note: Annotated[str, typer.Option("--consent-note", help="Who gave permission and when, or which licence.")] = "",
    who: Annotated[str, typer.Option(help="The speaker's real name, where it is another.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the consent back.")] = False,
    as_json: Json = False,
) -> None:
    """Record by what right a speaker's voice is used, or withdraw it. Without consent a dataset is not trained on."""
    from studio.voices.consent import SpeakerConsent

    library = _library()
    if withdraw:
        dataset = library.withdraw_consent(name, speaker)
    else:
        if ground is None:
            raise StudioError("Say by what right the voice is used: --speaker-consent own, permission or licence.")
        given = SpeakerConsent.given(ground, who=who or speaker, statement=note)
        dataset = library.record_consent(name, speaker, given)
    print_result(dataset.as_json(), as_json, "\n".join(_lines(dataset)))


@dataset_app.command("slice")
def slice_(
    name: Name,
    longer_than: Annotated[float, typer.Option(min=2, help="Seconds that an utterance may last.")] = 15,
    asr: Annotated[
        str, typer.Option(help="Recogniser that says which words are in which part; without it STUDIO_ASR_MODEL.")
    ] = "",
    transcribe: Annotated[
        bool | None, typer.Option(help="Or part the texts by time, without listening; check them then.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Cut utterances that are too long in silence, their texts parted with them. `dataset undo` takes all of it back."""
    from studio.datasets.reslicing import slice_utterances

    services = Services(get_settings())
    library = services.datasets()
    dataset = library.dataset(name)
    transcriber = None
    if transcribe is not False:
        transcriber = services.transcriber_of(asr)
        if transcribe is None and not asr and (missing := transcriber.missing()):
            raise StudioError(
                f"Only a recogniser can say which words are in which part. {missing} Or part the texts by time with "
                "--no-transcribe, and check them."
            )
    found = slice_utterances(
        library, dataset, longer_than=longer_than, transcriber=transcriber, announce=_progress()
    )  # fmt: skip
    for left, sentence in found.left:
        notice(f"{left}: {sentence}")
    if found.parted_by_time:
        notice(
            f"The texts of {found.parted_by_time} were parted by time, and nobody listened: check them in the review."
        )
    text = f"{dataset.name}: {found.sliced} utterances were cut into {found.made}."
    none = f"{dataset.name}: no utterance that lasts longer than {longer_than:g} s was cut."
    print_result({"dataset": dataset.name, **found.as_json()}, as_json, text if found.sliced else none)


@dataset_app.command()
def add(
    name: Name,
    take: Annotated[str, typer.Argument(metavar="TAKE", help="Id of a take, or how it begins (6 characters or more).")],
    as_json: Json = False,
) -> None:
    """Add a take as an utterance that a model made; the consent of its voice goes along. `dataset undo` takes it out."""
    from studio.takes.into_dataset import add_take

    services = Services(get_settings())
    takes, library = services.takes(), services.datasets()
    library.dataset(name)  # before a take is looked for
    found = by_beginning(takes.takes(), take, kind="take", listed_by="take list")
    dataset, utterance = add_take(takes, library, found.id, name)
    for shortcoming in found.shortcomings:
        notice(f"Listen to it before it is trained on: {shortcoming}")
    text = f"Take {short_id(found.id)} is {utterance.name} in {dataset.name} now, marked as made by a model."
    print_result({"dataset": dataset.name, "utterance": utterance.as_json()}, as_json, text)


@dataset_app.command()
def undo(name: Name, as_json: Json = False) -> None:
    """Take back the last edit of a dataset: what was added, sliced, split or changed."""
    from studio.datasets.editing import Editor

    library = _library()
    dataset = library.dataset(name)
    undone = Editor(library, dataset.id).undo()
    print_result({"dataset": dataset.name, "undone": undone}, as_json, f"Undone in {dataset.name}: {undone}.")


@dataset_app.command()
def delete(
    name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: Json = False
) -> None:
    """Delete a dataset with its recordings."""
    library = _library()
    dataset = library.dataset(name)
    if not yes and not (sys.stdin.isatty() and agreed(f"Delete {dataset.name} with its recordings?")):
        raise StudioError(f"{dataset.name} was not deleted: say so with --yes.")
    library.delete(dataset.id)
    print_result({"deleted": dataset.id}, as_json, f"{dataset.name} is deleted.")


def _split(library: DatasetLibrary, dataset: Dataset, ratio: float, seed: int, by: str) -> Dataset:
    from studio.datasets.editing import Editor
    from studio.datasets.splitting import splits

    if by not in ("utterance", "speaker"):
        raise StudioError(f"A dataset is split by utterance or by speaker, not by '{by}'.")
    chosen = splits(library.utterances(dataset.id), ratio=ratio, seed=seed, by=by)  # type: ignore[arg-type]
    wishes: dict[str, dict[str, str | None]] = {each: {"split": part} for each, part in chosen.items()}
    Editor(library, dataset.id).change_each(wishes, "split into train and validation")
    return library.dataset(dataset.id)


def _transcriber(wanted: bool | None) -> Transcriber | None:
    """The recogniser: where it is wanted, or where nobody said and it is on this machine."""
    if wanted is False:
        return None
    transcriber = Services(get_settings()).transcriber
    missing = transcriber.missing()
    if missing and wanted is None:
        notice(f"Nothing is written down: {missing}")
        return None
    return transcriber


def _progress(pace: Pace | None = None) -> Any:
    """Says now and then how far something is, and how long it will still take where a pace tells."""
    told = [time.monotonic()]

    def announce(done: int, what: str) -> None:
        if time.monotonic() - told[0] > 2:
            told[0] = time.monotonic()
            say(f"{done:,} utterances, {what}{pace.words if pace else ''} …")

    return announce


def _line(dataset: Dataset) -> list[str]:
    speakers = [speaker.name or "one speaker" for speaker in dataset.speakers if speaker.num_utterances]
    state = "" if dataset.state == "ready" else "importing"
    return [
        short_id(dataset.id), dataset.name, f"{dataset.num_utterances:,} utterances", duration(dataset.seconds),
        shortened(", ".join(speakers), 30), state,
    ]  # fmt: skip


def _lines(dataset: Dataset) -> list[str]:
    left_out = dataset.report.get("left_out", {})
    lines = [
        f"dataset: {dataset.name} ({dataset.id})" + ("" if dataset.state == "ready" else ", importing"),
        f"utterances: {dataset.num_utterances:,}, {duration(dataset.seconds)}"
        + (f"; {dataset.num_dropped:,} dropped" if dataset.num_dropped else ""),
        f"source: {dataset.source.get('type')} {dataset.source.get('name')}",
    ]
    if dataset.synthetic:
        lines.append(f"made by a model: {dataset.synthetic}")
    if unsliced := dataset.report.get("unsliced"):
        lines.append(
            "in no utterance: " + ", ".join(f"{duration(each)} of {reason}" for reason, each in unsliced.items())
        )
    if left_out:
        lines.append("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in left_out.items()))
    for speaker in dataset.speakers:
        right = speaker.consent.shown_ground if speaker.consent else "consent not recorded"
        if speaker.consent and speaker.consent.withdrawn_at:
            right = "consent withdrawn"
        name = speaker.name or "(no name)"
        lines.append(f"speaker: {name}, {speaker.num_utterances:,} utterances, {duration(speaker.seconds)}, {right}")
    return lines

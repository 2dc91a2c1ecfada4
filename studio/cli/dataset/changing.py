"""Utterances of a set are held out, cut, added and taken back; who may be heard, and after what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.dataset.asking import Name, sets
from studio.cli.dataset.shown import lines_of, progress
from studio.cli.output import Json, by_beginning, notice, print_result, short_id
from studio.errors import StudioError
from studio.formatting import duration
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.datasets.dataset import Dataset
    from studio.datasets.library import DatasetLibrary


def split(
    name: Name,
    ratio: Annotated[float, typer.Option(help="Share that is held out.")] = 0.05,
    by: Annotated[str, typer.Option(help="utterance or speaker.")] = "utterance",
    seed: Annotated[int, typer.Option(help="Decides what is held out.")] = 42,
    as_json: Json = False,
) -> None:
    """Hold utterances out for validation; never the same text or sound on both sides."""
    library = sets()
    dataset = split_up(library, library.dataset(name), ratio, seed, by)
    held = library.utterances(dataset.id, split="validation")
    document = {"dataset": dataset.name, "held_out": [utterance.as_json() for utterance in held]}
    seconds = sum(utterance.seconds for utterance in held)
    text = f"{dataset.name}: {len(held)} of {dataset.num_utterances} utterances are held out ({duration(seconds)})."
    print_result(document, as_json, text)


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

    library = sets()
    dataset = library.dataset(name)
    wished = {"variants": variants, "without": without, "seed": seed, "scene": scene}
    given = {key: value for key, value in wished.items() if value is not None}
    if given:
        dataset = library.set_pairing(dataset.id, replace(dataset.pairing, **given))
    print_result(dataset.pairing.as_json(), as_json, dataset.pairing.sentence)


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

    library = sets()
    if withdraw:
        dataset = library.withdraw_consent(name, speaker)
    else:
        if ground is None:
            raise StudioError("Say by what right the voice is used: --speaker-consent own, permission or licence.")
        given = SpeakerConsent.given(ground, who=who or speaker, statement=note)
        dataset = library.record_consent(name, speaker, given)
    print_result(dataset.as_json(), as_json, "\n".join(lines_of(dataset)))


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
        library, dataset, longer_than=longer_than, transcriber=transcriber, announce=progress()
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


def undo(name: Name, as_json: Json = False) -> None:
    """Take back the last edit of a dataset: what was added, sliced, split or changed."""
    from studio.datasets.editing import Editor

    library = sets()
    dataset = library.dataset(name)
    undone = Editor(library, dataset.id).undo()
    print_result({"dataset": dataset.name, "undone": undone}, as_json, f"Undone in {dataset.name}: {undone}.")


def split_up(library: DatasetLibrary, dataset: Dataset, ratio: float, seed: int, by: str) -> Dataset:
    """Hold utterances out. Raises StudioError where that cannot be."""
    from studio.datasets.editing import Editor
    from studio.datasets.splitting import splits

    if by not in ("utterance", "speaker"):
        raise StudioError(f"A dataset is split by utterance or by speaker, not by '{by}'.")
    chosen = splits(library.utterances(dataset.id), ratio=ratio, seed=seed, by=by)  # type: ignore[arg-type]
    wishes: dict[str, dict[str, str | None]] = {each: {"split": part} for each, part in chosen.items()}
    Editor(library, dataset.id).change_each(wishes, "split into train and validation")
    return library.dataset(dataset.id)

"""``python -m studio evaluate-list`` and ``evaluate-merge``: a published list, as Seed-TTS-eval measures it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.output import Json, notice, print_result, say
from studio.cli.speak import speaking_settings
from studio.errors import StudioError
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.evaluation.seed_tts.listing import Part
    from studio.evaluation.seed_tts.results import Results
    from studio.evaluation.seed_tts.running import Speaking


def evaluate_list(
    list_file: Annotated[
        Path,
        typer.Argument(metavar="LIST", help="Lines of name|prompt text|prompt audio|text; prompts beside the list."),
    ],
    takes: Annotated[Path | None, typer.Option(help="Folder of the takes, NAME.wav each.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Results, a line for each take; continued where it is there. Beside the takes.")
    ] = None,
    speak: Annotated[
        bool, typer.Option("--speak", help="First speak what has no take yet, in the prompts' voices.")
    ] = False,
    speaker_consent: Annotated[
        str | None, typer.Option(help="With --speak: by what right the voices are used: own, permission or licence.")
    ] = None,
    consent_note: Annotated[str, typer.Option(help="Who gave permission, or which licence.")] = "",
    checkpoint: Annotated[str | None, typer.Option(help="With --speak: local folder or hub id.")] = None,
    adapter: Annotated[str, typer.Option(help="With --speak: a trained voice, by id or name.")] = "",
    seed: Annotated[int, typer.Option(help="With --speak: of every take.")] = 0,
    language: Annotated[str, typer.Option(help="Of the list: en or zh.")] = "en",
    asr_model: Annotated[str | None, typer.Option(help="Recogniser; large-v3 is that of Seed-TTS-eval.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that score beside each other.")] = 1,
    part: Annotated[str, typer.Option(help="Only this part of the list, such as 2/8; see evaluate-merge.")] = "1/1",
    as_json: Json = False,
) -> None:
    """Score the takes of a list: mean word error rate, and similarity to the prompts; missing takes count."""
    from studio.evaluation.seed_tts.listing import Part, read_list
    from studio.evaluation.seed_tts.running import evaluate_list as score
    from studio.evaluation.seed_tts.scoring import LANGUAGES

    if takes is None:
        raise StudioError("Say where the takes are: --takes FOLDER.")
    if language not in LANGUAGES:
        raise StudioError(f"'{language}' is no language of these lists: give en or zh.")
    chosen, folder = Part.parsed(part), takes.expanduser()
    given = read_list(list_file.expanduser())
    speaking = _speaking(speaker_consent, consent_note, checkpoint, adapter, seed) if speak else None
    if speaking is None and (speaker_consent or consent_note or checkpoint or adapter):
        raise StudioError("Nothing is to be spoken: add --speak, or leave the options about it out.")
    if speaking is None and not folder.is_dir():
        raise StudioError(f"There is no folder {folder.name} of takes: check --takes, or add --speak.")
    run = score(
        given, folder, (out or folder / _results_name(chosen)).expanduser(), get_settings(), part=chosen,
        language=language, asr_model=asr_model or "", workers=workers, speaking=speaking,
        announce=lambda what, done, total: say(f"{done} of {total} {what}"),
    )  # fmt: skip
    for sentence in speaking.service.host.status.notices if speaking else ():
        notice(sentence)
    for name, why in run.unspoken.items():
        notice(f"{name} was not spoken: {why}")
    _print(run.results, as_json)


def evaluate_merge(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="What evaluate-list wrote, all parts.")],
    out: Annotated[Path | None, typer.Option(help="File for the results of the whole list.")] = None,
    as_json: Json = False,
) -> None:
    """Put the parts of a list together; parts of other lists or models are refused."""
    from studio.evaluation.seed_tts.results import merged, read_results, write_results

    whole = merged([read_results(path.expanduser()) for path in results])
    if out is not None:
        write_results(out.expanduser(), whole)
    _print(whole, as_json)


def _results_name(part: Part) -> str:
    return "results.jsonl" if part.count == 1 else f"results-{part.number}-of-{part.count}.jsonl"


def _speaking(
    ground: str | None, note: str, checkpoint: str | None, adapter: str, seed: int
) -> Speaking:  # fmt: skip
    from studio.engine.speech.reference import Consent
    from studio.evaluation.seed_tts.running import Speaking
    from studio.takes.service import TakeService

    if not ground:
        raise StudioError("Say by what right the voices are used: --speaker-consent own, permission or licence.")
    consent = Consent(ground, note)  # type: ignore[arg-type]  Consent refuses what is no ground
    service = TakeService.from_settings(speaking_settings(checkpoint, None, None), announce=say)
    if adapter:
        adapter = service.adapters().usable(adapter).id
    return Speaking(service, consent, seed, adapter=adapter)


def _print(results: Results, as_json: bool) -> None:
    from studio.evaluation.seed_tts.summary import Summary

    summary = Summary.of(results)
    if summary is None:
        raise StudioError("No line of this part is scored: give a smaller number of parts.")
    print_result(summary.as_json(), as_json, "\n".join(summary.lines()))

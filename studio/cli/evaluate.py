"""``python -m studio evaluate``: what can be measured of takes, and of any sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.output import Json, by_beginning, columns, print_result, say, short_id
from studio.errors import StudioError
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.audio.waveform import Waveform
    from studio.evaluation.measures.figures import Figures
    from studio.evaluation.measures.kept_takes import Given
    from studio.evaluation.measures.subject import Subject
    from studio.takes.take import Take

_MEANS = ("similarity", "wer", "cer", "ovrl", "sig", "bak", "duration_ratio", "speech_rate", "pitch_correlation", "rtf")


def evaluate(
    takes: Annotated[
        list[str], typer.Argument(metavar="TAKE_OR_FILE...", help="Ids of takes, or how they begin; or files of sound.")
    ],
    reference: Annotated[
        Path | None, typer.Option(help="Clip of the voice; without it the voice of the take, where consent holds.")
    ] = None,
    transcript: Annotated[str | None, typer.Option(help="What is said in the reference, word for word.")] = None,
    text: Annotated[str | None, typer.Option(help="What should be said; without it the text of the take.")] = None,
    recording: Annotated[Path | None, typer.Option(help="A real recording of the same text.")] = None,
    language: Annotated[str | None, typer.Option(help="Language code such as en or ar; found from the script.")] = None,
    asr_model: Annotated[str | None, typer.Option(help="Another recogniser than that of the settings.")] = None,
    recognise: Annotated[bool, typer.Option(help="Whether a recogniser writes down what is heard.")] = True,
    as_json: Json = False,
) -> None:
    """Measure takes or files: voice, words, quality, pace, melody, endings; what cannot be had is absent, with its reason."""
    from studio.evaluation.measures import Listeners, measure_all
    from studio.evaluation.measures.kept_takes import Given

    given = Given(
        (text or "").strip(), (language or "").strip(), _read(reference), (transcript or "").strip(), _read(recording)
    )
    chosen = [_chosen(each) for each in takes]  # before a model is loaded
    listeners = Listeners.from_settings(get_settings(), asr_model=asr_model or "", recognise=recognise)
    say("Listening…")
    measured = list(measure_all(_subjects(chosen, given), listeners))
    documents = [
        {**_named(take_or_path), **figures.as_json()} for take_or_path, figures in zip(chosen, measured, strict=True)
    ]
    if len(documents) == 1:
        print_result(documents[0], as_json, _described(documents[0]))
        return
    means = _means(measured)
    document = {"takes": documents, "means": means, "models": measured[0].as_json()["models"]}
    print_result(document, as_json, _table(documents, means))


def _read(path: Path | None) -> Waveform | None:
    from studio.audio.reading import read_audio
    from studio.voices.drafts import MAX_SOURCE_SECONDS

    return None if path is None else read_audio(path.expanduser(), max_seconds=MAX_SOURCE_SECONDS)


def _chosen(wanted: str) -> Take | Path:
    """A file where there is one, else the take whose id begins so."""
    try:
        path = Path(wanted).expanduser()
        if path.is_file() or "/" in wanted or path.suffix:
            return path
    except (OSError, RuntimeError, ValueError):  # longer than a path may be, or no path at all
        pass
    takes = Services(get_settings()).takes().takes()
    return by_beginning(takes, wanted, kind="take", listed_by="take list")


def _subjects(chosen: list[Take | Path], given: Given) -> Iterator[Subject]:
    from studio.evaluation.measures.kept_takes import subject_of_file, subject_of_take

    services = Services(get_settings())
    for each in chosen:
        if isinstance(each, Path):
            yield subject_of_file(each, given)
        else:
            yield subject_of_take(each, services.takes(), services.voices(), given)


def _named(each: Take | Path) -> dict[str, Any]:
    if isinstance(each, Path):
        return {"take": None, "path": str(each)}
    return {"take": each.id, "path": str(each.path), "text": each.text}


def _means(measured: list[Figures]) -> dict[str, float | None]:
    from studio.evaluation.measures import mean_of

    means = {}
    for figure in _MEANS:
        try:
            mean = mean_of(figure, measured)
        except StudioError:  # some with a recording and some without: no one ratio
            mean = None
        means[figure] = None if mean is None else round(mean, 4)
    return means


def _described(document: dict[str, Any]) -> str:
    lines = [f"{name.replace('_', ' ')}: {_shown(document[name])}" for name in _SHOWN if document.get(name) is not None]
    lines += [f"no {name.replace('_', ' ')}: {reason}" for name, reason in document["absent"].items()]
    return "\n".join([f"{document['take'] or document['path']}:", *(f"  {line}" for line in lines)])


_SHOWN = (
    "similarity", "similarity_model", "wer", "cer", "wer_model", "heard", "word_differences", "leaked_reference_words",
    "dnsmos", "duration_seconds", "duration_ratio", "duration_ratio_to", "speech_rate", "pitch", "pitch_correlation",
    "loudness_lufs", "silence_at_end_seconds", "noise_after_last_word", "ended", "rtf",
)  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return "; ".join(map(_shown, value)) or "none"
    if isinstance(value, dict):
        if set(value) == {"said", "heard"}:
            return f"'{value['said']}' heard as '{value['heard']}'"
        return ", ".join(f"{name.replace('_', ' ')} {_shown(each)}" for name, each in value.items() if each is not None)
    return str(value)


def _table(documents: list[dict[str, Any]], means: dict[str, float | None]) -> str:
    def cell(value: Any) -> str:
        return "–" if value is None else f"{value:.3f}"

    rows = [["take", "similarity", "WER", "CER", "OVRL", "BAK", "seconds"]]
    for each in documents:
        dnsmos = each["dnsmos"] or {}
        figures = (each["similarity"], each["wer"], each["cer"], dnsmos.get("ovrl"), dnsmos.get("bak"))
        name = short_id(each["take"]) if each["take"] else Path(each["path"]).name
        rows.append([name, *map(cell, figures), cell(each["duration_seconds"])])
    rows.append(["mean", *(cell(means[name]) for name in ("similarity", "wer", "cer", "ovrl", "bak")), ""])
    return columns(rows)

"""``python -m studio audition RUN``: base and checkpoints of a training on texts that it did not learn, and which is best."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.output import Json, by_beginning, columns, notice, print_result, say, short_id
from studio.errors import StudioError
from studio.services import Services
from studio.settings import get_settings

if TYPE_CHECKING:
    from studio.evaluation.audition.audition import Audition
    from studio.evaluation.audition.intervals import Interval
    from studio.evaluation.audition.library import AuditionLibrary
    from studio.evaluation.audition.table import SystemFigures

_LOOK_SECONDS = 0.5
_LOSSES = {
    "eval_audio_loss": "held-out audio loss",
    "eval_loss": "held-out loss",
    "audio_loss": "audio loss",
    "loss": "loss",
}
"""The first that is known of a step is shown."""


def audition(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the training, or how it begins: see `train list`.")],
    texts: Annotated[int, typer.Option(help="How many texts at most; with fewer than five little is sure.")] = 8,
    strength: Annotated[
        list[float] | None, typer.Option(help="Share of what was trained, above 0 and up to 2. May be repeated.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Each text is said with each of them. May be repeated.")
    ] = None,
    step: Annotated[list[int] | None, typer.Option(help="Only this checkpoint. May be repeated.")] = None,
    voice: Annotated[str, typer.Option(help="A voice to speak after; without one the run's own reference.")] = "",
    speaker_consent: Annotated[
        str | None, typer.Option(help="By what right the rows' voice is used, where nobody recorded it.")
    ] = None,
    consent_note: Annotated[str, typer.Option(help="Who gave permission, or which licence.")] = "",
    asr_model: Annotated[str, typer.Option(help="Another recogniser than that of the settings.")] = "",
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    retry: Annotated[int, typer.Option(help="Speak parts that come out badly again, at most so often; 0 never.")] = 2,
    last: Annotated[bool, typer.Option("--last", help="Show the last audition of this training; make none.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until it is done; it goes on without that, too.")] = True,
    as_json: Json = False,
) -> None:
    """Hear the base and every checkpoint of a training on texts that it did not learn; measure them, propose one, say why.

    Its id does for `compare stop`, `resume`, `tally`, `report`, `link` and `delete`.
    """
    services = Services(get_settings())
    library = services.auditions()
    if last:
        found = _last(library, run)
    else:
        from studio.engine.speech.reference import Consent
        from studio.evaluation.audition.asking import AuditionRequest

        job = by_beginning(services.jobs().jobs(), run, kind="training", listed_by="train list")
        if speaker_consent is None and consent_note:
            raise StudioError("--consent-note goes with --speaker-consent own, permission or licence.")
        request = AuditionRequest(
            texts=texts, strengths=tuple(strength or (1.0,)), seeds=tuple(seed or (1,)), steps=tuple(step or ()),
            voice=voice, asr_model=asr_model, device=device, retry=retry,
            consent=Consent(speaker_consent, consent_note) if speaker_consent else None,  # type: ignore[arg-type]
        )  # fmt: skip
        found = library.start(job.id, request)
        say(f"Audition {short_id(found.id)} goes on if this command is interrupted.")
    if wait and not last:
        found = _waited(library, found)
    if found.comparison.sentence:
        notice(found.comparison.sentence)
    print_result(found.as_json(), as_json, "\n".join(_described(found)))
    if wait and not last and found.comparison.state != "completed":
        raise StudioError(
            f"The audition is {found.comparison.state}: `python -m studio compare resume {short_id(found.id)}` goes on with "
            "it."
        )


def _last(library: AuditionLibrary, run: str) -> Audition:
    """The newest audition of a run, which itself may be gone."""
    wanted = run.strip().lower()
    theirs = [
        each for each in library.auditions()
        if each.plan.audition and len(wanted) >= 6 and each.plan.audition.run.startswith(wanted)
    ]  # fmt: skip
    if not theirs:
        raise StudioError(f"There is no audition of a training '{wanted[:40]}': leave --last out to make one.")
    return library.audition(theirs[0].id)


def _waited(library: AuditionLibrary, found: Audition) -> Audition:
    """The audition once it has ended. Whoever waits no longer ends nothing: it goes on."""
    told, comparison = "", found.comparison
    while comparison.active:
        made, of = comparison.counts.get("made", 0), comparison.num_takes
        line = f"{comparison.state}: {comparison.num_done} of {of} takes made, {made - comparison.unmeasured} measured"
        if line != told:
            told = line
            say(line)
        time.sleep(_LOOK_SECONDS)
        comparison = library.comparisons.comparison(found.id)
    return library.audition(found.id)


def _described(found: Audition) -> list[str]:
    comparison = found.comparison
    lines = [
        f"audition: {comparison.name} ({comparison.id})",
        f"state: {comparison.state}, {comparison.num_done} of {comparison.num_takes} takes",
        f"texts: {len(comparison.texts)}, {found.texts_from}; seeds {', '.join(map(str, comparison.plan.seeds))}",
    ]
    loss = next((name for name in _LOSSES if any(name in each.losses for each in found.table.systems)), "")
    rows = [["", "strength", "similarity", "WER", "ended", "DNSMOS", "takes", *([_LOSSES[loss]] if loss else [])]]
    rows += [_row(each, loss) for each in found.table.systems]
    lines += ["", columns(rows), ""]
    lines += [f"{name}: {model}" for name, model in found.table.models.items()]
    absent = {reason: name for each in found.table.systems for name, reason in [*each.absent.items()][::-1]}
    lines += [f"no {name.replace('_', ' ')}: {reason}" for reason, name in absent.items()]
    lines += ["", found.sentence]
    winner = found.winner
    if winner is not None:
        plan = comparison.plan.systems[comparison.systems.index(winner.system)]
        share = f" --strength {plan.strength:g}" if plan.strength != 1.0 else ""
        lines.append(f"To use it: python -m studio voice wear VOICE {short_id(plan.adapter)}{share}")
    if comparison.plan.heard:
        names = {each.id: each.name for each in found.table.systems}
        pair = " and ".join(names[each.id] for each in comparison.heard_systems if each.id in names)
        lines.append(f"Set up for a blind vote: {pair}.")
    return lines


def _row(each: SystemFigures, loss: str) -> list[str]:
    figures: list[Any] = [each.figures[name] for name in ("similarity", "wer", "end_rate", "ovrl")]
    name = "base" if each.step is None else f"step {each.step}"
    lost = f"{each.losses[loss]:.3f}" if loss and loss in each.losses else ""
    takes = f"{each.made}" + (f", {each.failed} failed" if each.failed else "")
    strength = "" if each.strength is None else f"{each.strength:g}"
    similarity, wer, ended, ovrl = figures
    cells = [_cell(similarity, "{:.2f}"), _cell(wer, "{:.0%}"), _cell(ended, "{:.0%}"), _cell(ovrl, "{:.2f}")]
    return [name, strength, *cells, takes, *([lost] if loss else [])]


def _cell(found: Interval | None, form: str) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return form.format(found.mean)
    return f"{form.format(found.mean)} ({form.format(found.low)}–{form.format(found.high)})"

"""What an audition asks for: texts that a run did not learn, in the voice that it learnt, said by all its checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from studio.adapters.adapter import TrainedAdapter
from studio.datasets.rows.clip_consent import consent_of
from studio.datasets.splitting import text_key
from studio.engine.checkpoints import read_scope
from studio.engine.prompt import DEFAULT_SCENE, SCENE_END, SCENE_START
from studio.engine.rows import TrainingRow, parse_row, read_rows
from studio.engine.speech.reference import Consent
from studio.engine.speech.retrying import DEFAULT_RETRIES
from studio.engine.speech.sample_plan import SamplePlan
from studio.engine.text import SPEAKER_TAG_PATTERN, Script
from studio.errors import StudioError
from studio.evaluation.comparison.plan import MAX_AUDITIONED, ComparisonPlan, checked_plan
from studio.settings import Settings
from studio.store.store import Store
from studio.training.job import Job
from studio.training.sample_sentences import SENTENCES, script_of

NUM_TEXTS = 8
"""Texts that are said where nobody says how many: of fewer than five nothing is clear to the test that compares them."""
_TAG = re.compile(rf"^\s*{SPEAKER_TAG_PATTERN}\s*")


@dataclass(frozen=True)
class AuditionRequest:
    """What somebody wants to hear of a run.

    Attributes:
        texts: how many at most.
        strengths: shares of what was trained that are tried.
        steps: of the checkpoints; empty for all.
        voice: a voice of the library to speak after; "" for the reference of the run's own samples.
        consent: by what right a clip of the run's rows is used, where nobody recorded that.
        retry: how often a part that came out badly is spoken again.
    """

    texts: int = NUM_TEXTS
    strengths: tuple[float, ...] = (1.0,)
    seeds: tuple[int, ...] = (1,)
    steps: tuple[int, ...] = ()
    voice: str = ""
    asr_model: str = ""
    consent: Consent | None = None
    device: str | None = None
    retry: int = DEFAULT_RETRIES


@dataclass(frozen=True)
class HeldOutTexts:
    """Texts that a run was not trained on, and where they come from, in words."""

    texts: tuple[str, ...]
    source: str


def plan_for(
    job: Job, adapters: Sequence[TrainedAdapter], request: AuditionRequest, *, settings: Settings, store: Store
) -> ComparisonPlan:
    """The comparison of a run's checkpoints with its base.

    Args:
        adapters: what its checkpoints were registered as.

    Raises:
        StudioError: the run has not ended, or has no checkpoint that can be heard; its rows are gone; nobody said by what
            right its clip is used; or a value that does not fit.
    """
    chosen = _chosen(job, adapters, request)
    found = held_out_texts(job, max(1, request.texts))
    if not found.texts:
        raise StudioError(
            f"Every sentence that {job.name} could be heard with was trained: train it again with rows held out."
        )
    row = _sample_row(job)
    voice = {"voice": request.voice} if request.voice else {}
    base_folder = job.spec.base_folder
    return checked_plan(
        {
            "name": f"Audition of {job.name}"[:80],
            "texts": found.texts,
            "seeds": request.seeds,
            "systems": [
                {"label": "base"},
                *(
                    {"adapter": adapter.id, "strength": float(strength)}
                    for adapter in chosen
                    for strength in sorted(set(request.strengths), reverse=True)
                ),
            ],
            "checkpoint": base_folder if Path(base_folder).is_dir() else job.spec.base,
            "device": request.device,
            "retry": request.retry,
            "scene": _scene_of(row),
            "references": [] if voice else _references(job, row, request.consent, settings, store),
            "measured": True,
            "asr_model": request.asr_model,
            "audition": {"run": job.id, "name": job.name, "texts_from": found.source},
            **voice,
        }
    )


def held_out_texts(job: Job, wanted: int) -> HeldOutTexts:
    """Texts that were not trained: of rows that were held out, else lines that the base was made for, else the sentences
    of the run's samples. A text that was trained is none of them, whoever else has it.

    Raises:
        StudioError: the rows of the run are gone, so nobody knows what it learnt.
    """
    try:
        trained = list(_rows(job.folder.rows_file, job.folder.root))
    except StudioError as error:
        raise StudioError(
            f"The rows of {job.name} are gone from its folder, so nobody knows which texts it learnt: train it again."
        ) from error
    known = {text_key(text) for row in trained for text in _said(row)}
    sources: list[tuple[str, Iterable[str]]] = []
    if job.spec.validation:
        with suppress(StudioError):
            held = [text for row in _rows(job.folder.validation_file, job.folder.root) for text in _said(row)]
            sources.append(("rows that the run held out", _spread(held, wanted, known)))
    if (scope := read_scope(Path(job.spec.base_folder))) is not None:
        sources.append(("lines that the base was made for", scope.examples))
    if scope is None or not scope.examples:
        sources.append(("the sentences of the run's samples", SENTENCES[script_of(trained)]))
    texts: dict[str, str] = {}
    used = []
    for source, given in sources:
        before = len(texts)
        for text in given:
            key = text_key(text)
            if len(texts) < wanted and key and key not in known and key not in texts and _can_be_said(text):
                texts[key] = text
        used += [source] if len(texts) > before else []
    return HeldOutTexts(tuple(texts.values()), " and ".join(used))


def _chosen(job: Job, adapters: Sequence[TrainedAdapter], request: AuditionRequest) -> list[TrainedAdapter]:
    if job.active:
        raise StudioError(f"{job.name} has not ended ({job.state}): wait for it, or stop it.")
    if job.spec.full_parameter:
        raise StudioError(
            f"{job.name} trained all weights, so its checkpoints are no adapters: compare their folders with "
            "`python -m studio compare`, as `checkpoint` of a system each."
        )
    steps = {adapter.step for adapter in adapters}
    if missing := [step for step in request.steps if step not in steps]:
        there = ", ".join(map(str, sorted(steps))) or "none"
        raise StudioError(f"{job.name} has no checkpoint of step {missing[0]}: there are {there}.")
    chosen = [each for each in adapters if each.step in (request.steps or steps)]
    usable = [each for each in chosen if each.trouble is None]
    if not usable:
        why = chosen[0].trouble if chosen else "none was registered, so there is nothing to hear."
        raise StudioError(f"{job.name} has no checkpoint that can be heard: {why}")
    most = (MAX_AUDITIONED - 1) // max(1, len(set(request.strengths)))
    if len(usable) > most:
        raise StudioError(
            f"{job.name} has {len(usable)} checkpoints, and {most} can be heard at {len(set(request.strengths))} strengths: "
            "choose some of the steps."
        )
    return sorted(usable, key=lambda each: each.step)


def _sample_row(job: Job) -> TrainingRow | None:
    """The row of the run's samples: whose voice, after which reference. None where no clip was trained."""
    try:
        row = SamplePlan.read(job.folder.sample_plan).row
    except StudioError as error:
        raise StudioError(f"The sample plan of {job.name} is gone: choose a voice of the library instead.") from error
    return None if row is None else parse_row(row, folder=job.folder.root)


def _references(
    job: Job, row: TrainingRow | None, given: Consent | None, settings: Settings, store: Store
) -> list[dict[str, Any]]:
    """The clips that the run's samples are spoken after; where there is none, the one that its row teaches, to compare with.

    Raises:
        StudioError: a voice in them was withdrawn or deleted, or nobody recorded by what right they are used.
    """
    if row is None:
        return []
    pairs = list(zip(row.turns[::2], row.turns[1::2], strict=True))
    before = [
        (ask.text, answer.clip) for ask, answer in pairs if answer.clip and not answer.trained and ask.text.strip()
    ]
    learnt = [(ask.text, answer.clip) for ask, answer in pairs if answer.clip and answer.trained]
    spoken_after = bool(before)
    found = []
    for text, clip in before or learnt[-1:]:
        consents, unrecorded, refusals = consent_of([(1, clip)], settings, store, job.owner)
        if refusals:
            raise StudioError(f"The voice of {job.name} may no longer be used: {refusals[0]}")
        if unrecorded and spoken_after and given is None:
            raise StudioError(
                f"Nobody recorded by what right the voice in the rows of {job.name} is used: say it (own, permission or "
                "licence), or choose a voice of the library."
            )
        theirs = [each for each in consents if each.name == row.speaker] or consents
        ground, note = (theirs[0].ground, theirs[0].statement) if theirs else ("", "")
        if unrecorded and given is not None:
            ground, note = given.ground, given.statement
        found.append(
            {
                "clip": str(clip), "transcript": _TAG.sub("", text), "speaker_consent": ground, "consent_note": note,
                "voices": [{"id": each.voice_id, "name": each.name} for each in theirs], "spoken_after": spoken_after,
            }
        )  # fmt: skip
    return found


def _scene_of(row: TrainingRow | None) -> str:
    """The scene of a row, as *Speak* is given one."""
    if row is None or row.system is None:
        return DEFAULT_SCENE
    _, begins, rest = row.system.partition(SCENE_START)
    return rest.partition(SCENE_END)[0].strip() if begins else ""


def _rows(path: Path, folder: Path) -> Iterator[TrainingRow]:
    for _, content in read_rows(path):
        if not isinstance(content, StudioError):
            with suppress(StudioError):
                yield parse_row(content, folder=folder)


def _said(row: TrainingRow) -> list[str]:
    """What its trained clips say."""
    return [_TAG.sub("", ask.text).strip() for ask, answer in pairwise(row.turns) if answer.trained and answer.clip]


def _spread(texts: Sequence[str], wanted: int, known: set[str]) -> list[str]:
    """So many of the texts, from all over the list: neighbours are often of one recording."""
    unlike = list({key: text for text in texts if (key := text_key(text)) and key not in known}.values())
    if len(unlike) <= wanted:
        return unlike
    return [unlike[round(number * (len(unlike) - 1) / max(1, wanted - 1))] for number in range(wanted)]


def _can_be_said(text: str) -> bool:
    """Whether it can be spoken by one voice."""
    try:
        script = Script(text)
        script.require_speakable(max_chars=2000)
    except StudioError:
        return False
    return not script.speakers

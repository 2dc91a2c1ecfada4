"""What a comparison is asked for: texts, seeds and systems, checked field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.engine.model.sampling import MAX_SEED
from studio.engine.speech.retrying import MAX_RETRIES
from studio.errors import StudioError
from studio.takes.request import MAX_STRENGTH

MAX_SYSTEMS, MAX_TEXTS, MAX_SEEDS = 12, 500, 20
MAX_AUDITIONED = 60
"""Systems of an audition, which has a row for each checkpoint at each strength."""
MAX_REFERENCES = 8
MAX_TAKES = 5000
MAX_NAME_CHARS = 80

_Text = Annotated[str, Field(min_length=1, max_length=10_000)]
_Name = Annotated[str, Field(max_length=MAX_NAME_CHARS)]
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no field here; the fields are {fields}",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be fields with values",
    "model_attributes_type": "must be fields with values",
    "dict_type": "must be fields with values",
}
"""What is wrong, by pydantic's name for it; everything else is said in pydantic's own words."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Speaking(_Strict):
    """How something is spoken; what is None is as for the whole comparison, and there as on *Speak*.

    Attributes:
        voice: of the library, by name or id; "" lets the model pick one.
        scene: where it is spoken; "" for none.
        checkpoint: local folder or hub id.
        retry: a part that comes out badly is spoken again at most so often; never where nobody says so.
    """

    voice: str | None = None
    scene: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0.01, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=100_000)] | None = None
    ras_window: Annotated[int, Field(ge=0, le=1000)] | None = None
    ras_max_repeats: Annotated[int, Field(ge=1, le=1000)] | None = None
    checkpoint: str | None = None
    precision: Literal["auto", "float32", "bfloat16"] | None = None
    retry: Annotated[int, Field(ge=0, le=MAX_RETRIES)] | None = None


class SystemPlan(Speaking):
    """One system.

    Attributes:
        label: what it is called once its name may be seen; "" makes one of what tells it from the others.
        adapter: a trained voice, by id or name; "" for the base alone.
        adapter_folder: a LoRA checkpoint that is in no library, in its place; never from a browser.
        strength: share of what was trained that is added to the base.
        recordings: real recordings in place of speech, a file for each text, None where there is none; never a path that a
            browser says.
        speaker_consent, consent_note: by what right they are heard, where ``voice`` names no voice of the library.
    """

    label: _Name = ""
    adapter: str = ""
    adapter_folder: str = ""
    strength: Annotated[float, Field(gt=0, le=MAX_STRENGTH)] = 1.0
    recordings: tuple[str | None, ...] = Field(default=(), strict=False)
    speaker_consent: Literal["", "own", "permission", "licence"] = ""
    consent_note: str = ""


class Heard(_Strict):
    """Somebody whose consent has to hold: of the library, or who speaks in a set."""

    id: str
    name: str


class ClipPlan(_Strict):
    """A clip of the voice that is compared, where that is no voice of the library.

    Attributes:
        clip: its file; never a path that a browser says.
        transcript: what is said in it.
        speaker_consent, consent_note: by what right it is used.
        voices: whose consent is asked each time, where the library or a set knows who speaks in it.
        spoken_after: False where takes are only held against it.
    """

    clip: str
    transcript: str = ""
    speaker_consent: Literal["", "own", "permission", "licence"] = ""
    consent_note: str = ""
    voices: tuple[Heard, ...] = Field(default=(), strict=False)
    spoken_after: bool = True


class AuditionOf(_Strict):
    """The run whose checkpoints are compared.

    Attributes:
        run: id of the job.
        name: as it was called then; it may be gone.
        texts_from: where the texts come from, in words.
    """

    run: str
    name: str
    texts_from: str


class ComparisonPlan(Speaking):
    """A comparison.

    Attributes:
        references: clips of the voice of every system that names none.
        measured: takes are measured once they are made.
        asr_model: another recogniser than the settings'.
        audition: where it is one.
        heard: numbers of the systems, from 0, that listeners hear; all where it is empty.
        language: ISO 639-1 code; None finds it from the script.
        seeds: each text is spoken with each of them.
        device: auto, cpu, cuda or mps.
        shuffle: seed of the order in which listeners hear what; None draws one.
    """

    name: _Name = ""
    texts: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=MAX_TEXTS, strict=False)]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...], Field(min_length=1, max_length=MAX_SEEDS, strict=False)
    ] = (1,)
    systems: Annotated[tuple[SystemPlan, ...], Field(min_length=2, max_length=MAX_AUDITIONED, strict=False)]
    references: Annotated[tuple[ClipPlan, ...], Field(max_length=MAX_REFERENCES, strict=False)] = ()
    measured: bool = False
    asr_model: str = ""
    audition: AuditionOf | None = None
    heard: tuple[int, ...] = Field(default=(), strict=False)
    language: str | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] | None = None
    shuffle: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None

    @property
    def num_takes(self) -> int:
        """How many there will be; of a recording there is one for each text, whatever the seeds."""
        return sum(
            sum(file is not None for file in system.recordings)
            if system.recordings
            else len(self.texts) * len(self.seeds)
            for system in self.systems
        )

    def said(self, system: SystemPlan, field: str) -> Any:
        """A field of :class:`Speaking` for a system: its own, else the comparison's, else None."""
        own = getattr(system, field)
        return getattr(self, field) if own is None else own


def checked_plan(fields: Mapping[str, Any]) -> ComparisonPlan:
    """A plan of what was typed.

    Raises:
        StudioError: a field that is missing, unknown or has no sensible value, with its place: "systems 2, temperature …".
    """
    try:
        plan = ComparisonPlan.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        raise StudioError(f"{_place(first['loc'])}: {_words(first)}.") from None
    _refuse_unfit(plan)
    return plan


def _refuse_unfit(plan: ComparisonPlan) -> None:
    for number, text in enumerate(plan.texts, 1):
        if not text.strip():
            raise StudioError(f"texts {number}: it is empty; write what is to be said, or leave it out.")
    for field, values in (("texts", plan.texts), ("seeds", plan.seeds)):
        twice = next((value for value, count in Counter(values).items() if count > 1), None)
        if twice is not None:
            raise StudioError(f"{field}: '{str(twice)[:40]}' is there twice; leave one of them out.")
    if len(plan.systems) > MAX_SYSTEMS and plan.audition is None:
        raise StudioError(f"systems: {len(plan.systems)} are there, and {MAX_SYSTEMS} is the most.")
    for number, clip in enumerate(plan.references, 1):
        if clip.spoken_after and not (clip.speaker_consent and clip.transcript.strip()):
            raise StudioError(
                f"references {number}: what is said in the clip (transcript), and by what right is it used "
                "(speaker_consent: own, permission or licence)?"
            )
    for number, system in enumerate(plan.systems, 1):
        _refuse_unfit_system(plan, system, f"systems {number}")
    if plan.num_takes > MAX_TAKES:
        raise StudioError(f"That makes {plan.num_takes} takes, and {MAX_TAKES} is the most: leave out texts or seeds.")


def _refuse_unfit_system(plan: ComparisonPlan, system: SystemPlan, place: str) -> None:
    if system.adapter and system.adapter_folder:
        raise StudioError(f"{place}: adapter and adapter_folder are both there; leave one of them out.")
    if not system.recordings:
        if system.speaker_consent or system.consent_note:
            raise StudioError(f"{place}: speaker_consent is for recordings; a voice of the library has its own.")
        if system.strength != 1.0 and not (system.adapter or system.adapter_folder):
            raise StudioError(f"{place}, strength: there is no adapter whose strength it could be.")
        return
    spoken = [field for field in ("adapter", "adapter_folder", "checkpoint", "precision", "temperature", "scene")
              if getattr(system, field)]  # fmt: skip
    if spoken:
        raise StudioError(f"{place}, {spoken[0]}: recordings were spoken already; leave it out.")
    if len(system.recordings) != len(plan.texts):
        raise StudioError(
            f"{place}, recordings: there are {len(system.recordings)} for {len(plan.texts)} texts; give one for each text, "
            "or null where there is none."
        )
    if not any(system.recordings):
        raise StudioError(f"{place}, recordings: there is none; leave the system out.")
    if not system.speaker_consent and not plan.said(system, "voice"):
        raise StudioError(
            f"{place}: by what right are the recordings heard? Name the voice of the library that speaks in them, or give "
            "speaker_consent: own, permission or licence."
        )


def _place(loc: Sequence[int | str]) -> str:
    """Where in the plan: lists are counted from 1."""
    parts: list[str] = []
    for each in loc:
        if isinstance(each, int) and parts:
            parts[-1] += f" {each + 1}"
        else:
            parts.append(str(each))
    return ", ".join(parts) or "the comparison"


def _words(error: Mapping[str, Any]) -> str:
    model = SystemPlan if "systems" in error["loc"][:1] and len(error["loc"]) > 2 else ComparisonPlan
    words = _WORDS.get(error["type"])
    if words:
        return words.format(fields=", ".join(model.model_fields))
    context = error.get("ctx") or {}
    if error["type"] == "too_short" and "actual_length" in context:
        return f"{context['actual_length']} are there, and at least {context['min_length']} are needed"
    if error["type"] == "too_long" and "actual_length" in context:
        return f"{context['actual_length']} are there, and {context['max_length']} is the most"
    return str(error["msg"]).replace("Input should be", "it must be").replace("String should", "it must").rstrip(".")

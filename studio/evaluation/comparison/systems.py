"""What the systems of a plan are: what tells them from each other, whose voices they use, and what they ask of the engine."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from studio.engine.checkpoints import shown_name
from studio.engine.model.sampling import Sampling
from studio.engine.prompt import DEFAULT_SCENE
from studio.engine.speech.reference import Consent
from studio.errors import StudioError
from studio.evaluation.comparison.plan import ComparisonPlan, SystemPlan
from studio.settings import Settings
from studio.takes.request import ReferenceClip, SpeakRequest, VoiceChoice
from studio.takes.service import TakeService

KINDS = {
    "recording": "a real recording",
    "adapter": "a trained voice",
    "checkpoint": "another checkpoint",
    "precision": "another precision",
    "voice": "another voice",
    "sampling": "other sampling",
    "base": "the base",
}
"""What can tell a system from the others, the most telling first."""
_SAMPLING = ("temperature", "top_p", "top_k", "ras_window", "ras_max_repeats")


@dataclass(frozen=True)
class PlannedSystem:
    """A system of a plan, with everybody whom it needs found.

    Attributes:
        settings: everything it speaks with, as it is called now, ready for JSON.
        voices: id and name of library voices whose consent it needs.
    """

    plan: SystemPlan
    label: str
    kind: str
    settings: dict[str, Any]
    voices: list[tuple[str, str]]


def request_of(plan: ComparisonPlan, system: SystemPlan, text: str, seed: int) -> SpeakRequest:
    """What *Speak* would be asked for. Raises StudioError for a sampling that is none."""
    voice, scene = plan.said(system, "voice"), plan.said(system, "scene")
    return SpeakRequest(
        text=text,
        scene=DEFAULT_SCENE if scene is None else scene,
        sampling=sampling_of(plan, system),
        seed=seed,
        language=plan.language,
        voices=(VoiceChoice(voice),) if voice else (),
        references=references_of(plan) if voice is None else (),
        adapter=system.adapter,
        adapter_folder=Path(system.adapter_folder) if system.adapter_folder else None,
        adapter_strength=system.strength,
        retry=plan.said(system, "retry") or 0,
    )


def references_of(plan: ComparisonPlan) -> tuple[ReferenceClip, ...]:
    """The clips that systems speak after which name no voice. Raises StudioError for a consent that is none."""
    return tuple(
        ReferenceClip(
            Path(each.clip), each.transcript, Consent(each.speaker_consent, each.consent_note),  # type: ignore[arg-type]
            voices=tuple((voice.id, voice.name) for voice in each.voices),
        )
        for each in plan.references
        if each.spoken_after
    )  # fmt: skip


def sampling_of(plan: ComparisonPlan, system: SystemPlan) -> Sampling:
    """How its codes are drawn."""
    said = {field: plan.said(system, field) for field in _SAMPLING}
    return replace(Sampling(), **{field: value for field, value in said.items() if value is not None})


def engine_settings(settings: Settings, plan: ComparisonPlan, system: SystemPlan) -> Settings:
    """The studio's settings with the checkpoint, device and precision of a system."""
    wished = {
        "checkpoint": plan.said(system, "checkpoint"),
        "precision": plan.said(system, "precision"),
        "device": plan.device,
        "asr_model": plan.asr_model,
    }
    return settings.with_changes(**{name: value for name, value in wished.items() if value})


def planned(plan: ComparisonPlan, service: TakeService, owner: str) -> list[PlannedSystem]:
    """Look everybody up before anything is begun; ids take the place of names, which may change.

    Raises:
        StudioError: a voice, trained or not, that is not there or may not speak, or a text that cannot be spoken, with its
            place in the plan.
    """
    found = []
    for number, system in enumerate(plan.systems, 1):
        place = f"systems {number}" + (f" ({system.label})" if system.label else "")
        try:
            found.append(_planned(plan, system, service, owner))
        except StudioError as error:
            raise StudioError(f"{place}: {error}") from error
    labels: dict[str, int] = {}
    for at, each in enumerate(found):
        labels[each.label] = labels.get(each.label, 0) + 1
        if labels[each.label] > 1:
            if each.plan.label:
                raise StudioError(
                    f"systems {at + 1}, label: '{each.label}' is the label of another; choose one for each."
                )
            found[at] = replace(each, label=f"{each.label} ({labels[each.label]})")
    return found


def _planned(plan: ComparisonPlan, system: SystemPlan, service: TakeService, owner: str) -> PlannedSystem:
    kind = _kind(plan, system)
    if kind == "recording":
        return _recorded(plan, system, service, owner)
    voices, names, trained = [], [], ""
    for text in plan.texts:
        cast = service.check(request_of(plan, system, text, plan.seeds[0]), owner=owner)
        voices, trained = cast.in_library, cast.adapter.name if cast.adapter else ""
        names = [name for _, name in cast.behind_clips] or [voice.name for voice in cast.voices]
    wished = plan.said(system, "voice")
    voice = service.voices(owner).voice(wished) if wished else None
    adapter = service.adapters(owner).adapter(system.adapter) if system.adapter else None
    fixed = system.model_copy(update={"voice": voice.id if voice else wished, "adapter": adapter.id if adapter else ""})
    settings = {
        "checkpoint": shown_name(plan.said(system, "checkpoint") or service.settings.checkpoint or "") or "the default",
        "precision": plan.said(system, "precision") or service.settings.precision,
        "voice": ", ".join(names) or "picked by the model",
        "adapter": trained,
        "strength": system.strength if trained else None,
        "adapter_data_sha256": _data_of(adapter.card) if adapter else None,
        "scene": request_of(plan, system, plan.texts[0], 0).scene,
        **asdict(sampling_of(plan, system)),
        "language": plan.language,
        **({"retry": retry} if (retry := plan.said(system, "retry")) else {}),
        **({"step": adapter.step, "losses": _losses_of(adapter.card)} if adapter else {}),
    }
    label = system.label or _label(kind, settings)
    return PlannedSystem(fixed, label, kind, settings, voices)


def _recorded(plan: ComparisonPlan, system: SystemPlan, service: TakeService, owner: str) -> PlannedSystem:
    wished, voices = plan.said(system, "voice"), []
    settings: dict[str, Any] = {"recordings": sum(file is not None for file in system.recordings)}
    if system.speaker_consent:
        consent = Consent(system.speaker_consent, system.consent_note)
        settings |= {"consent": consent.ground, "consent_note": consent.statement}
    else:
        voice = service.voices(owner).voice(wished or "")
        if voice.consent.withdrawn_at is not None:
            raise StudioError(f"The consent for {voice.name} was withdrawn: choose another voice.")
        voices, settings["voice"] = [(voice.id, voice.name)], voice.name
    return PlannedSystem(system, system.label or "recording", "recording", settings, voices)


def _kind(plan: ComparisonPlan, system: SystemPlan) -> str:
    if system.recordings:
        return "recording"
    if system.adapter or system.adapter_folder:
        return "adapter"
    for field in ("checkpoint", "precision", "voice"):
        own = getattr(system, field)
        if own is not None and own != getattr(plan, field):
            return field
    if any(getattr(system, field) not in (None, getattr(plan, field)) for field in (*_SAMPLING, "scene", "retry")):
        return "sampling"
    return "base"


def _label(kind: str, settings: dict[str, Any]) -> str:
    if kind == "adapter":
        strength = settings["strength"]
        return settings["adapter"] + (f" at {strength:g}" if strength != 1.0 else "")
    if kind == "sampling":
        return f"temperature {settings['temperature']:g}, top_p {settings['top_p']:g}, top_k {settings['top_k']}"
    return str(settings[kind]) if kind in settings else "base"


def _losses_of(card: dict[str, Any]) -> dict[str, float]:
    """What was logged at the step: kept here, because the checkpoint may go."""
    metrics = card.get("metrics")
    found = metrics if isinstance(metrics, dict) else {}
    return {name: float(each) for name, each in found.items() if isinstance(each, int | float) and math.isfinite(each)}


def _data_of(card: dict[str, Any]) -> str | None:
    data = card.get("data")
    return str(data.get("sha256") or "") or None if isinstance(data, dict) else None

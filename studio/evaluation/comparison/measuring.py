"""Measures the takes of a comparison, as ``python -m studio evaluate`` measures them, and keeps the figures with each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from studio.audio.reading import read_audio
from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.evaluation.comparison.comparison import ComparedTake
from studio.evaluation.comparison.generation import STOPPED, Ended, Patience
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.comparison.plan import ComparisonPlan
from studio.evaluation.measures import Listeners, Subject, measure_all
from studio.settings import Settings
from studio.store import comparisons as queries
from studio.store.store import Store
from studio.voices.library import VoiceLibrary

LEFT_OUT = ("pitch",)
"""It costs most after the recogniser, and tells nothing of which system is better."""
_NO_VOICE = "The model picked the voice of this take, so there is no reference to compare it with."


class TakeMeasurer:
    """Measures what was made of one comparison and has no figures yet.

    Args:
        stop: set by a signal to this process.
        listeners_of: makes the models that hear.
    """

    def __init__(
        self, settings: Settings, store: Store, comparison_id: str, *, stop: threading.Event | None = None,
        listeners_of: Callable[..., Listeners] = Listeners.from_settings,
    ) -> None:  # fmt: skip
        self._settings, self._store, self._id, self._listeners_of = settings, store, comparison_id, listeners_of
        self._patience = Patience.of(settings, store, comparison_id, stop)
        self._given: dict[str, tuple[tuple[Waveform, ...], str] | StudioError] = {}

    def run(self, ended: Ended) -> Ended:
        """Measure, where it is asked for; returns how the comparison ends then.

        Args:
            ended: how making the takes ended.
        """
        with self._store.reading() as session:
            record = queries.comparison_by_id(session, self._id)
        if record is None:
            return Ended("stopped")
        plan = ComparisonPlan.model_validate(record.plan)
        if not plan.measured or ended.state != "completed":
            return ended
        library = ComparisonLibrary(self._settings, self._store, record.owner)
        takes = [take for take in library.takes(self._id) if take.can_play and not take.figures]
        if not takes:
            return ended
        try:
            listeners = self._listeners_of(self._settings, asr_model=plan.asr_model, leave_out=LEFT_OUT)
        except StudioError as error:
            return replace(ended, sentence=f"The takes were made and not measured: {error}")
        subjects = self._subjects(library, plan, takes)
        for take, figures in zip(takes, measure_all(subjects, listeners, stopped=self._patience.is_set), strict=False):
            library.add_figures(take.id, figures.as_json())
        return Ended("stopped", STOPPED) if self._patience.is_set() else ended

    def _subjects(
        self, library: ComparisonLibrary, plan: ComparisonPlan, takes: list[ComparedTake]
    ) -> Iterator[Subject]:  # fmt: skip
        position = {system.id: number for number, system in enumerate(library.comparison(self._id).systems)}
        voices = VoiceLibrary(self._settings, self._store, library.owner)
        for take in takes:
            voice = plan.said(plan.systems[position[take.system_id]], "voice")
            absent: dict[str, str] = {}
            references, said = (), ""
            try:
                references, said = self._references(plan, voice, voices)
            except StudioError as error:
                absent = dict.fromkeys(("similarity", "leaked_reference_words"), str(error))
            yield Subject(
                read_audio(take.path), plan.texts[take.text], plan.language or "", references, said,
                ended=take.report.get("ended_at_once", take.report.get("ended")), rtf=take.report.get("rtf"), absent=absent,
            )  # fmt: skip

    def _references(
        self, plan: ComparisonPlan, voice: str | None, voices: VoiceLibrary
    ) -> tuple[tuple[Waveform, ...], str]:
        """The clips of the voice of a system, and what is said in them; consent is asked once in a run of this."""
        key = voice if voice is not None else "clips"
        if key not in self._given:
            try:
                self._given[key] = _clips_of(plan, voice, voices)
            except StudioError as error:
                self._given[key] = error
        given = self._given[key]
        if isinstance(given, StudioError):
            raise given
        return given


def _clips_of(plan: ComparisonPlan, voice: str | None, voices: VoiceLibrary) -> tuple[tuple[Waveform, ...], str]:
    if voice:
        found = voices.references(voice)
        return tuple(each.clip for each in found), " ".join(each.transcript for each in found)
    if voice is not None or not plan.references:
        raise StudioError(_NO_VOICE)
    voices.require_consent([(each.id, each.name) for clip in plan.references for each in clip.voices])
    clips = tuple(read_audio(Path(clip.clip)) for clip in plan.references)
    return clips, " ".join(clip.transcript for clip in plan.references)

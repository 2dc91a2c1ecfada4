"""What the tests of comparisons share: comparisons without a model, made in an instant, and real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from studio.audio.waveform import Waveform
from studio.audio.writing import write_audio
from studio.evaluation.comparison.comparison import Comparison, sound_file
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.comparison.plan import ComparisonPlan, checked_plan
from studio.store import comparisons as queries
from studio.store.tables import now

TEXTS = ["Good morning to you all.", "The ferry leaves at nine.", "Nobody has seen the captain."]


def plan_of(*systems: dict[str, Any], **fields: Any) -> ComparisonPlan:
    return checked_plan({"texts": TEXTS, "systems": list(systems) or [{"label": "alpha"}, {"label": "beta"}], **fields})


def tone(hertz: float, *, level: float = 0.2, rate: int = 24_000, seconds: float = 0.8) -> Waveform:
    times = np.arange(round(seconds * rate)) / rate
    return Waveform((level * np.sin(2 * np.pi * hertz * times)).astype(np.float32), rate)


def made(library: ComparisonLibrary, plan: ComparisonPlan) -> Comparison:
    """A comparison whose takes are tones: of every system its own, and its own level."""
    comparison = library.create(plan, start=False)
    with library.store.writing() as session:
        record = queries.comparison_by_id(session, comparison.id)
        assert record is not None
        systems = {system.id: system for system in queries.systems(session, comparison.id)}
        for take in queries.takes(session, comparison.id):
            system = systems[take.system_id]
            if take.state == "made":
                continue
            sound = tone(200 + 50 * system.position + 5 * take.text, level=0.1 + 0.15 * system.position)
            write_audio(sound, sound_file(library.folder(comparison.id), take.id), synthetic=True)
            take.state, take.made_at, take.voices, take.sha256 = "made", now(), system.voices, f"{take.id}"
            take.report = {"seconds": sound.duration, "sample_rate": sound.sample_rate, "ended": True}
            queries.save(session, take)
        record.state = "completed"
        queries.save(session, record)
    return library.comparison(comparison.id)

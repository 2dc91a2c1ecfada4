"""What a comparison begins with: a record of each system and of each take, and the sounds of real recordings."""

from __future__ import annotations

from pathlib import Path

from studio.audio.loudness import integrated_lufs
from studio.audio.reading import read_audio
from studio.audio.storing import store_as_flac
from studio.audio.synthetic_mark import is_marked
from studio.errors import StudioError
from studio.evaluation.comparison.comparison import sound_file
from studio.evaluation.comparison.hearing import samples_sha256
from studio.evaluation.comparison.plan import ComparisonPlan
from studio.evaluation.comparison.systems import PlannedSystem
from studio.store.comparison_tables import ComparedTakeRecord, SystemRecord
from studio.store.tables import now


def begun(
    folder: Path, plan: ComparisonPlan, system: PlannedSystem, position: int
) -> list[SystemRecord | ComparedTakeRecord]:
    """The records of a system and of its takes; real recordings are copied, and their takes are made by that.

    Args:
        folder: of the comparison, named by its id.

    Raises:
        StudioError: a recording that cannot be read, with its place in the plan.
    """
    comparison_id = folder.name
    voices = [{"id": voice_id, "name": name} for voice_id, name in system.voices]
    record = SystemRecord(
        comparison_id=comparison_id, position=position, label=system.label, kind=system.kind, settings=system.settings,
        voices=voices,
    )  # fmt: skip
    takes = [
        ComparedTakeRecord(comparison_id=comparison_id, system_id=record.id, text=text, seed=seed)
        for text in range(len(plan.texts))
        for seed in (plan.seeds[:1] if system.plan.recordings else plan.seeds)
        if not system.plan.recordings or system.plan.recordings[text]
    ]
    for take in takes if system.plan.recordings else ():
        try:
            _copy(Path(str(system.plan.recordings[take.text])), sound_file(folder, take.id), take, voices)
        except StudioError as error:
            raise StudioError(f"systems {position + 1}, recordings {take.text + 1}: {error}") from error
    return [record, *takes]


def _copy(source: Path, target: Path, take: ComparedTakeRecord, voices: list[dict[str, str]]) -> None:
    stored = store_as_flac(source, target)
    sound = read_audio(target)
    lufs = integrated_lufs(sound)
    take.state, take.made_at, take.sha256, take.voices = "made", now(), samples_sha256(sound), voices
    take.synthetic = is_marked(source)
    take.request = {"recording": source.name}
    take.report = {
        "seconds": round(stored.seconds, 6), "sample_rate": stored.sample_rate,
        "lufs": round(lufs, 2) if lufs > float("-inf") else None,
    }  # fmt: skip

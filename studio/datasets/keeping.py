"""The one way into a set: a recording is decoded and kept once, and an utterance is a stretch of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.audio.storing import StoredSound, store_as_flac
from studio.audio.synthetic_mark import is_marked
from studio.datasets.sources.locating import printable
from studio.datasets.stored_sound import sound_sha256
from studio.store import datasets as queries
from studio.store.tables import RecordingRecord, UtteranceRecord, new_id

if TYPE_CHECKING:
    from studio.datasets.library import DatasetLibrary
    from studio.datasets.slicing import Slice

MIN_SECONDS, MAX_SECONDS = 0.3, 30.0
"""An utterance that is shorter teaches nothing, and the model hears none that is longer at once."""


def keep_recording(
    library: DatasetLibrary, dataset_id: str, source: Path, name: str, *, synthetic: bool = False,
    voices: Sequence[str] = (),
) -> RecordingRecord:  # fmt: skip
    """Decode a sound file of any kind into the set; what the set has already is not kept twice.

    Args:
        name: as people call it.
        synthetic: a model made it, even if the file does not say so itself.
        voices: of the library, whose consent it needs.

    Raises:
        StudioError: as for :func:`studio.audio.storing.store_as_flac`.
    """
    target = library.recording_path(dataset_id, new_id())
    target.parent.mkdir(parents=True, exist_ok=True)
    sound = store_as_flac(source, target)
    synthetic = synthetic or is_marked(source)
    return keep_decoded(library, dataset_id, target, sound, name, synthetic=synthetic, voices=voices)


def keep_decoded(
    library: DatasetLibrary, dataset_id: str, target: Path, sound: StoredSound, name: str, *, synthetic: bool,
    voices: Sequence[str] = (),
) -> RecordingRecord:  # fmt: skip
    """The record of a recording that is decoded and lies in its place, ``target``, named for its id."""
    with library.store.writing() as session:
        # The same recording under two names is kept once.
        if (present := queries.recording_by_hash(session, dataset_id, sound.sha256)) is not None:
            target.unlink()
            # A copy that lost its mark is the same sound.
            present.synthetic = present.synthetic or synthetic
            present.voices = list(dict.fromkeys([*present.voices, *voices]))
            queries.save(session, present)
            return present
        record = RecordingRecord(
            id=target.stem, dataset_id=dataset_id, name=printable(Path(name).name), seconds=sound.seconds,
            sample_rate=sound.sample_rate, sha256=sound.sha256, synthetic=synthetic, voices=list(voices),
        )  # fmt: skip
        queries.save(session, record)
    return record


def new_utterance(
    library: DatasetLibrary, recording: RecordingRecord, start: float, end: float, *, position: float, place: str, name: str,
    text: str, speaker: str = "", language: str = "", scene: str = "", split: str = "",
    measures: dict[str, Any] | None = None, state: str = "kept", sha256: str = "",
) -> UtteranceRecord:  # fmt: skip
    """A stretch of a recording as an utterance that is not saved yet.

    Args:
        start, end: seconds of the recording.
        measures: what is known of it before it is measured.
        sha256: of its samples; "" where nobody counted it yet.
    """
    path = library.recording_path(recording.dataset_id, recording.id)
    return UtteranceRecord(
        id=new_id(), dataset_id=recording.dataset_id, recording_id=recording.id, position=position, place=place, name=name,
        start=start, end=end, text=text, imported_text=text, speaker=speaker, language=language, scene=scene, split=split,
        sha256=sha256 or sound_sha256(path, start, end), measures=measures or {}, state=state,
    )  # fmt: skip


def measured_while_slicing(each: Slice, model: str) -> dict[str, Any]:
    """What slicing found out already, as measuring would tell it.

    Args:
        model: name of the recogniser that listened; "" for none.
    """
    found = {
        "heard": each.heard,
        "heard_by": model if each.heard else "",
        "differs": list(each.differs),
        "inside": each.inside,
    }
    return {name: value for name, value in found.items() if value}

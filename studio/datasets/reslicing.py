"""Utterances of a set that are too long, cut in silence as recordings are when they are imported; as one edit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.editing import Editor, Piece
from studio.datasets.keeping import measured_while_slicing
from studio.datasets.library import DatasetLibrary
from studio.datasets.slicing import Line, Slice, slice_recording
from studio.datasets.slicing.cutting import MAX_SECONDS
from studio.datasets.slicing.scripts import by_share, by_words, key, units
from studio.datasets.stored_sound import encoded
from studio.errors import StudioError

if TYPE_CHECKING:
    from studio.listening.transcriber import Transcriber

Announce = Callable[[int, str], None]
"""Utterances that were looked at so far, and what is being sliced."""

_NO_PAUSE = "It has no pause in which it could be cut: split it by hand, or drop it."
_UNHEARD = "What is heard in it is something else than its text: correct that first."
_CHANGED = "Somebody changed it meanwhile: slice again."
_HEARD_SHARE = 0.3
"""Of the words of a text: where a recogniser finds fewer, it cannot say which part they belong to."""


@dataclass(frozen=True)
class Resliced:
    """What became of the long utterances of a set.

    Attributes:
        sliced: how many were cut.
        made: how many came of them.
        left: name and sentence of each that was left as it is.
        parted_by_time: those that were cut whose text nobody listened to.
    """

    sliced: int
    made: int
    left: tuple[tuple[str, str], ...]
    parted_by_time: int

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "sliced": self.sliced,
            "made": self.made,
            "left": [{"name": name, "sentence": sentence} for name, sentence in self.left],
            "parted_by_time": self.parted_by_time,
        }


def slice_utterances(
    library: DatasetLibrary, dataset: Dataset, *, longer_than: float = MAX_SECONDS, transcriber: Transcriber | None = None,
    announce: Announce = lambda done, what: None, stopped: Callable[[], bool] = lambda: False,
) -> Resliced:  # fmt: skip
    """Cut the kept utterances that last longer into some of 2 to 15 s, their texts parted with them.

    A text is believed: the recogniser only says which of its words are in which part, and where there is none, the time does.
    Nothing is changed before all are cut, and undoing once brings all of them back.

    Args:
        longer_than: seconds.
        transcriber: listens to the parts; None parts texts by time.

    Raises:
        StudioError: a recording is gone, the recogniser cannot be loaded, or it was stopped.
    """
    long = [each for each in library.utterances(dataset.id) if each.seconds > longer_than]
    found: dict[str, tuple[int, list[Piece]]] = {}
    left: list[tuple[str, str]] = []
    for number, each in enumerate(long):
        announce(number, each.name)
        pieces = _pieces(each, transcriber, stopped)
        if stopped():
            raise StudioError(f"Slicing {dataset.name} was stopped: nothing of it was changed.")
        if isinstance(pieces, str):
            left.append((each.name or each.place, pieces))
        else:
            found[each.id] = (each.revision, pieces)
    names = {each.id: each.name or each.place for each in long}
    changed = Editor(library, dataset.id).slice(found, f"sliced {len(found)} long utterances")
    left += [(names[each], _CHANGED) for each in changed]
    cut = {each: pieces for each, (_, pieces) in found.items() if each not in changed}
    parted = sum(bool(each.text) for each in long if each.id in cut) if transcriber is None else 0
    return Resliced(len(cut), sum(map(len, cut.values())), tuple(left), parted)


def _pieces(utterance: Utterance, transcriber: Transcriber | None, stopped: Callable[[], bool]) -> list[Piece] | str:
    """The parts of an utterance, or why it stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "utterance.flac"
        path.write_bytes(encoded(utterance.recording, utterance.start, utterance.end, ".flac"))
        language = utterance.language or None
        slices = slice_recording(
            path, utterance.seconds, transcriber=transcriber, language=language, stopped=stopped
        ).slices  # fmt: skip
    if len(slices) < 2:
        return _NO_PAUSE
    texts = _texts(utterance.text, slices, transcriber is not None)
    if texts is None:
        return _UNHEARD
    model = transcriber.name if transcriber else ""
    return [
        Piece(
            utterance.start + each.start, min(utterance.start + each.end, utterance.end), text,
            measured_while_slicing(each, model),
        )
        for each, text in zip(slices, texts, strict=True)
    ]  # fmt: skip


def _texts(text: str, slices: Sequence[Slice], recognised: bool) -> list[str] | None:
    """What is said in each part of a text; None where nothing of it was heard."""
    if not text:
        return [each.heard for each in slices]
    lines = [Line(text)]
    if not recognised:
        return by_share(lines, [(each.start, each.end) for each in slices])
    heard = [each.heard for each in slices]
    written, spoken = ([key(unit) for said in texts for unit in units(said)] for texts in ([text], heard))
    same = SequenceMatcher(None, written, spoken, autojunk=False).get_matching_blocks()
    return by_words(lines, heard) if sum(block.size for block in same) >= _HEARD_SHARE * len(written) else None

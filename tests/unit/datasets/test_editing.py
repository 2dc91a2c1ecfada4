"""Edits are kept, can be undone, and never undo somebody else's unseen."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.editing import Editor
from studio.datasets.imports.importer import import_source
from studio.datasets.library import DatasetLibrary
from studio.datasets.reslicing import Resliced, slice_utterances
from studio.datasets.sources import SourceOptions
from studio.datasets.splitting import leaks, splits
from studio.datasets.stored_sound import sound_sha256
from studio.errors import StudioError
from studio.listening.transcriber import Transcriber


@pytest.fixture
def editor(library: DatasetLibrary, dataset: Dataset) -> Editor:
    return Editor(library, dataset.id)


def utterances(editor: Editor, **how: object) -> list[Utterance]:
    return editor.library.utterances(editor.dataset_id, **how)  # type: ignore[arg-type]


def test_a_text_is_changed_and_given_back(editor: Editor) -> None:
    first = utterances(editor)[0]
    editor.change(first.id, first.revision, text=" مرحبا بالعالم ", speaker="Anna")
    changed = utterances(editor)[0]
    assert (changed.text, changed.speaker, changed.imported_text) == ("مرحبا بالعالم", "Anna", first.text)
    assert editor.undo() == f"changed {first.name}"
    back = utterances(editor)[0]
    assert (back.text, back.speaker) == (first.text, first.speaker)
    with pytest.raises(StudioError, match="no edit to undo"):
        editor.undo()


def test_two_people_do_not_undo_each_other_unseen(editor: Editor) -> None:
    first = utterances(editor)[0]
    editor.change(first.id, first.revision, text="Mine.")
    with pytest.raises(StudioError, match="Somebody else changed this utterance meanwhile"):
        editor.change(first.id, first.revision, text="Theirs.")
    assert utterances(editor)[0].text == "Mine."


def test_edits_are_undone_in_turn(editor: Editor) -> None:
    texts = [utterances(editor)[0].text]
    for text in ("One.", "Two.", "Three."):
        now = utterances(editor)[0]
        editor.change(now.id, now.revision, text=text)
        texts.append(text)
    for text in reversed(texts[:-1]):
        editor.undo()
        assert utterances(editor)[0].text == text


def test_a_trimmed_stretch_is_another_sound_and_forgets_what_was_measured(editor: Editor) -> None:
    first = utterances(editor)[0]
    editor.change(first.id, first.revision, start=0.5, end=1.5)
    trimmed = utterances(editor)[0]
    assert (trimmed.start, trimmed.end, trimmed.seconds) == (0.5, 1.5, 1.0)
    assert trimmed.sha256 == sound_sha256(trimmed.recording, 0.5, 1.5) != first.sha256
    for start, end in ((1.0, 0.5), (0.0, 0.1), (float("nan"), 1.0)):
        with pytest.raises(StudioError, match="An utterance lasts at least"):
            editor.change(trimmed.id, trimmed.revision, start=start, end=end)
    editor.undo()
    assert utterances(editor)[0].sha256 == first.sha256


def test_an_utterance_is_split_and_merged_and_both_can_be_undone(editor: Editor) -> None:
    first = utterances(editor)[0]
    second_id = editor.split(first.id, first.revision, first.start + first.seconds / 2)
    one, two = utterances(editor)[:2]
    assert (two.id, one.end, two.start, two.end) == (second_id, two.start, one.end, first.end)
    assert f"{one.text} {two.text}" == first.text and one.text and two.text
    editor.merge_with_next(one.id, one.revision)
    merged = utterances(editor)[0]
    assert (merged.text, merged.start, merged.end, merged.sha256) == (first.text, first.start, first.end, first.sha256)
    assert len(utterances(editor)) == 7
    editor.undo()
    assert [each.text for each in utterances(editor)[:2]] == [one.text, two.text]
    editor.undo()
    assert utterances(editor)[0].text == first.text
    assert len(utterances(editor)) == 7
    with pytest.raises(StudioError, match="only neighbours can be merged"):
        editor.merge_with_next(first.id, utterances(editor)[0].revision)
    with pytest.raises(StudioError, match="Split at a time between"):
        editor.split(first.id, utterances(editor)[0].revision, first.end)


def test_many_are_dropped_as_one_edit(editor: Editor) -> None:
    every = [each.id for each in utterances(editor)]
    assert editor.change_all(every[:3], "dropped all that are noisy", state="dropped") == 3
    assert editor.change_all(every[:3], "dropped them again", state="dropped") == 0
    assert (len(utterances(editor)), len(utterances(editor, states=("dropped",)))) == (4, 3)
    assert editor.undo() == "dropped all that are noisy"
    assert len(utterances(editor)) == 7


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"text": "Hello <|eot_id|>"}, "control token"),
        ({"text": "a" * 5_001}, "5,001 characters"),
        ({"state": "gone"}, "kept or dropped"),
        ({"split": "test"}, "train or of validation"),
        ({"speaker": "../x"}, "The name has"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(wish: dict[str, str], sentence: str, editor: Editor) -> None:
    first = utterances(editor)[0]
    with pytest.raises(StudioError, match=sentence):
        editor.change(first.id, first.revision, **wish)  # type: ignore[arg-type]
    assert utterances(editor)[0] == first


def test_a_split_holds_out_nothing_that_is_trained_on(editor: Editor, library: DatasetLibrary) -> None:
    first, second = utterances(editor)[:2]
    editor.change(second.id, second.revision, text=f"{first.text.upper()}!")  # the same words
    chosen = splits(utterances(editor), ratio=0.4, seed=3)
    editor.change_each({each: {"split": split} for each, split in chosen.items()}, "split")
    found = utterances(editor)
    assert {each.split for each in found} == {"train", "validation"}
    assert leaks(found) == []
    assert splits(found, ratio=0.4, seed=3) == chosen
    assert any(splits(found, ratio=0.4, seed=seed) != chosen for seed in range(5))
    editor.change_each({first.id: {"split": "train"}, second.id: {"split": "validation"}}, "leaked")
    assert len(leaks(utterances(editor))) == 1
    by_speaker = splits(found, by="speaker", ratio=0.1)
    assert len({each.speaker for each in found if by_speaker[each.id] == "validation"}) == 1


@pytest.fixture
def joined(library: DatasetLibrary, source: Path) -> Editor:
    """Three sentences in one utterance of 8 s, and a short one after it."""
    names = ["kathleen_a0003", "kathleen_b0394", "kathleen_b0394"]
    said = {each["audio"]: each["text"] for each in csv.DictReader((source / "metadata.csv").open(encoding="utf-8"))}
    parts, rate = [], 0
    for name in names:
        samples, rate = soundfile.read(source / f"{name}.wav", dtype="int16")
        parts += [samples, np.zeros(round(0.5 * rate), np.int16)]
    soundfile.write(source / "three.wav", np.concatenate(parts), rate)
    rows = [
        ("three.wav", " ".join(said[f"{name}.wav"] for name in names)),
        (f"{names[0]}.wav", said[f"{names[0]}.wav"]),
    ]
    with (source / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("audio", "text"), *rows])
    return Editor(
        library, import_source(library, "Joined", "csv", source, SourceOptions(speaker="K"), language="en").id
    )


def sliced(editor: Editor, **how: Any) -> Resliced:
    return slice_utterances(editor.library, editor.library.dataset(editor.dataset_id), longer_than=5, **how)


def test_a_long_utterance_is_sliced_between_sentences_and_one_undo_brings_it_back(joined: Editor) -> None:
    before = utterances(joined)
    long, short = before
    found = sliced(joined)
    assert (found.sliced, found.left, found.parted_by_time) == (1, (), 1)
    *parts, last = utterances(joined)
    assert (len(parts), last) == (found.made, short)
    assert " ".join(each.text for each in parts) == long.text
    assert all(each.text.endswith((".", ",")) for each in parts) and all(each.seconds < 7 for each in parts)
    assert [(each.speaker, each.language, each.place) for each in parts] == [("K", "en", long.place)] * len(parts)
    for each in parts:  # in silence at both ends
        samples = joined.library.waveform(each).samples
        assert max(np.abs(samples[:200]).max(), np.abs(samples[-200:]).max()) < 0.02
    assert joined.undo() == "sliced 1 long utterances"
    assert [replace(each, revision=0) for each in utterances(joined)] == [replace(each, revision=0) for each in before]


def test_what_cannot_be_sliced_stays_and_is_named(joined: Editor) -> None:
    long, _ = utterances(joined)

    def meanwhile(done: int, name: str) -> None:
        now = utterances(joined)[0]
        joined.change(now.id, now.revision, text="Somebody else's.")

    (left,) = sliced(joined, announce=meanwhile).left
    assert left == ("three", "Somebody changed it meanwhile: slice again.")
    assert utterances(joined)[0].text == "Somebody else's."
    with pytest.raises(StudioError, match=r"was stopped: nothing of it was changed"):
        sliced(joined, stopped=lambda: True)
    now = utterances(joined)[0]
    joined.change(now.id, now.revision, start=0.0, end=0.9)  # in the middle of a sentence
    dataset = joined.library.dataset(joined.dataset_id)
    (left,) = slice_utterances(joined.library, dataset, longer_than=0.8).left[:1]
    assert left == ("three", "It has no pause in which it could be cut: split it by hand, or drop it.")
    assert now.id == long.id and len(utterances(joined)) == 2


def test_a_recogniser_says_which_words_of_a_text_are_in_which_part(joined: Editor, asr_model: Path) -> None:
    long, _ = utterances(joined)
    recogniser = Transcriber(str(asr_model), device="cpu")
    found = sliced(joined, transcriber=recogniser)
    *parts, _ = utterances(joined)
    assert (found.sliced, found.parted_by_time) == (1, 0)
    assert " ".join(each.text for each in parts) == long.text  # as it was written, not as it was heard
    assert all(each.text.endswith((".", ",")) and each.heard for each in parts)
    joined.undo()
    now = utterances(joined)[0]
    joined.change(now.id, now.revision, text="The weather was fine all week, and nobody thought of leaving.")
    assert [name for name, _ in sliced(joined, transcriber=recogniser).left] == ["three"]

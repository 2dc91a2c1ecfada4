"""Edits are kept, can be undone, and never undo somebody else's unseen."""

from __future__ import annotations

import pytest

from studio.datasets.dataset import Dataset, Utterance
from studio.datasets.editing import Editor
from studio.datasets.library import DatasetLibrary
from studio.datasets.splitting import leaks, splits
from studio.datasets.stored_sound import sound_sha256
from studio.errors import StudioError


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

"""The dataset that comes with the studio is whole, within what the demo checkpoint knows, and may be trained on."""

from __future__ import annotations

from studio.datasets.library import DatasetLibrary
from studio.datasets.try_it import try_it
from studio.datasets.validation import problems_of
from studio.engine.checkpoints import DEMO_FOLDER
from studio.engine.checkpoints.scope import read_scope


def test_the_dataset_to_try_is_imported_once_with_its_consent(library: DatasetLibrary) -> None:
    dataset = try_it(library)
    assert dataset.report["left_out"] == {}
    assert 150 < dataset.seconds < 210
    assert [speaker.consent is not None for speaker in dataset.speakers] == [True]
    assert not [each for each in problems_of(library, dataset) if each.serious]
    assert dataset.num_synthetic == dataset.num_utterances
    held = library.utterances(dataset.id, split="validation")
    assert 6 <= len(held) < dataset.num_utterances / 5
    assert try_it(library).id == dataset.id


def test_every_word_of_it_is_one_that_the_demo_checkpoint_knows(library: DatasetLibrary) -> None:
    scope = read_scope(DEMO_FOLDER)
    assert scope is not None
    for utterance in library.utterances(try_it(library).id):
        assert not scope.unknown(utterance.text), utterance.text

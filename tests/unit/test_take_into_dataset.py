"""A take becomes an utterance that says that a model made it, and only as long as its voice may be used."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio.synthetic_mark import is_marked
from studio.audio.waveform import Waveform
from studio.datasets.dataset import Dataset
from studio.datasets.editing import Editor
from studio.datasets.exports.exporting import export
from studio.datasets.imports.importer import import_source
from studio.datasets.library import DatasetLibrary
from studio.datasets.rows.clip_consent import consent_of
from studio.datasets.sources import SourceOptions
from studio.datasets.validation import problems_of
from studio.takes.casting import Cast, TakeAdapter, TakeVoice
from studio.takes.into_dataset import add_take
from studio.takes.library import TakeLibrary
from studio.takes.take import Spoken, Take
from studio.voices.consent import SpeakerConsent
from studio.voices.voice import Voice
from tests.conftest import DATA
from tests.refusals import refusal
from tests.takes import SHORT, request, saved_voice
from tests.trained import register, write_adapter

TEXT = "[Anna] Good morning\nto you all."


@pytest.fixture(scope="module")
def speech(engine: Any) -> Any:
    """A second of it: the tiny checkpoint stops after a fifth of one."""
    spoken = engine.clone(SHORT, seed=4)
    return replace(spoken, waveform=Waveform(np.resize(spoken.waveform.samples, 24_000), 24_000))


@pytest.fixture
def voice(service: Any, owner: str, kathleen: dict[Path, str]) -> Voice:
    return saved_voice(service, owner, kathleen)


@pytest.fixture
def datasets(service: Any, owner: str) -> DatasetLibrary:
    return DatasetLibrary(service.settings, service.store, owner)


@pytest.fixture
def dataset(datasets: DatasetLibrary, tmp_path: Path) -> Dataset:
    """One recording of Ben's, with his consent."""
    shutil.copy(next(DATA.glob("kathleen_*.flac")), tmp_path / "one.flac")
    (tmp_path / "one.txt").write_text("Something.")
    made = import_source(datasets, "Evening", "folder", tmp_path, SourceOptions(speaker="Ben"), language="en")
    return datasets.record_consent(made.id, "Ben", SpeakerConsent.given("own"))


@pytest.fixture
def takes(service: Any, owner: str) -> TakeLibrary:
    return service.takes(owner)


def kept(takes: TakeLibrary, speech: Any, *voices: TakeVoice, text: str = TEXT) -> Take:
    return takes.keep(Spoken(speech, request(text, language="en"), Cast(voices), "tiny"))


def test_a_take_is_an_utterance_that_a_model_made_with_the_consent_of_its_voice(
    takes: TakeLibrary, datasets: DatasetLibrary, dataset: Dataset, voice: Voice, speech: Any, tmp_path: Path
) -> None:
    take = kept(takes, speech, TakeVoice(voice.id, "Anna"))
    changed, added = add_take(takes, datasets, take.id, "evening")
    assert (added.text, added.speaker, added.language) == ("Good morning to you all.", "Anna", "en")
    assert (added.synthetic, added.place, added.state) == (True, f"take {take.id}", "kept")
    np.testing.assert_array_equal(
        datasets.waveform(added).samples * np.float32(32768 / 32767), takes.waveform(take).samples
    )
    assert (changed.num_synthetic, changed.synthetic_seconds) == (1, pytest.approx(take.seconds))
    anna = next(each for each in changed.speakers if each.name == "Anna")
    assert anna.consent == voice.consent
    (told,) = problems_of(datasets, changed)
    assert not told.serious and told.sentence.startswith("1 of 2 utterances, ")

    # What is exported says so itself, and what is trained names the voice, too.
    folder = export(datasets, changed, "rows", tmp_path / "rows")
    clips = [folder / "clips" / f"{name}.flac" for name in ("one", added.name)]
    assert [is_marked(clip) for clip in clips] == [False, True]
    stored = datasets.recording_path(dataset.id, added.recording.stem)
    consent, unrecorded, refusals = consent_of([(1, stored)], datasets.settings, datasets.store, datasets.owner)
    assert {each.voice_id for each in consent} == {f"{dataset.id}/Ben", f"{dataset.id}/Anna", voice.id}
    assert (unrecorded, refusals) == (0, [])

    assert "Evening has this sound already" in refusal(lambda: add_take(takes, datasets, take.id, dataset.id))
    editor = Editor(datasets, dataset.id)
    assert editor.undo() == f"added {added.name}"
    assert datasets.dataset(dataset.id).num_utterances == 1
    _, again = add_take(takes, datasets, take.id, dataset.id)
    editor.change(again.id, again.revision, state="dropped")
    assert "keep it again in the review" in refusal(lambda: add_take(takes, datasets, take.id, dataset.id))


def test_consent_that_ends_ends_the_use_of_the_utterance_however_it_is_recorded_in_the_set(
    service: Any, takes: TakeLibrary, datasets: DatasetLibrary, dataset: Dataset, voice: Voice, speech: Any
) -> None:
    take = kept(takes, speech, TakeVoice(voice.id, "Anna"))
    add_take(takes, datasets, take.id, dataset.id)
    other = kept(takes, replace(speech, waveform=Waveform(speech.waveform.samples[:-100], 24_000)), *take.voices)
    service.voices(datasets.owner).withdraw_consent("Anna")
    assert "was withdrawn" in refusal(lambda: add_take(takes, datasets, other.id, dataset.id))
    datasets.record_consent(dataset.id, "Anna", SpeakerConsent.given("own"))
    (trouble,) = datasets.dataset(dataset.id).troubles
    assert trouble.startswith("The voice behind 1 utterances of Anna that a model made had its consent withdrawn")
    service.voices(datasets.owner).remove("Anna")
    assert "was deleted from the library" in refusal(lambda: datasets.require_consent(datasets.dataset(dataset.id)))
    Editor(datasets, dataset.id).undo()
    assert datasets.dataset(dataset.id).troubles == []


def test_what_cannot_be_an_utterance_is_refused_with_what_to_do(
    takes: TakeLibrary, datasets: DatasetLibrary, dataset: Dataset, voice: Voice, speech: Any
) -> None:
    anna = TakeVoice(voice.id, "Anna")
    long = kept(takes, replace(speech, waveform=Waveform(np.tile(speech.waveform.samples, 31), 24_000)), anna)
    short = kept(takes, speech, anna)
    strangers = DatasetLibrary(datasets.settings, datasets.store, "somebody")
    for take, library, wanted, sentence in (
        (long, datasets, dataset.id, "import it on Dataset as recordings"),
        (kept(takes, speech), datasets, dataset.id, "the model's own voice speaks"),
        (kept(takes, speech, TakeVoice("", "clip.wav")), datasets, dataset.id, "save the clip as a voice"),
        (kept(takes, speech, anna, replace(anna, speaker="Ben")), datasets, dataset.id, "several voices speak"),
        (short, strangers, dataset.id, "no such dataset"),
        (short, datasets, datasets.create("Begun").id, "no such dataset"),
    ):
        assert sentence in refusal(lambda take=take, to=library, name=wanted: add_take(takes, to, take.id, name))
    foreign = TakeLibrary(datasets.settings, datasets.store, "somebody")
    assert "no such take" in refusal(lambda: add_take(foreign, datasets, short.id, dataset.id))
    # Somebody called Anna speaks there, and nobody knows by what right: the voice's consent is not hers.
    (ben,) = datasets.utterances(dataset.id)
    Editor(datasets, dataset.id).change(ben.id, ben.revision, speaker="Anna")
    assert "record it on Dataset" in refusal(lambda: add_take(takes, datasets, short.id, dataset.id))
    assert datasets.dataset(dataset.id).num_utterances == 1


def test_a_voice_that_was_trained_on_a_set_speaks_until_a_consent_in_it_is_withdrawn_even_if_the_set_is_deleted(
    service: Any, owner: str, takes: TakeLibrary, datasets: DatasetLibrary, dataset: Dataset, voice: Voice, speech: Any,
    tiny_checkpoint: Path, tmp_path: Path,
) -> None:  # fmt: skip
    (consent,), _, _ = consent_of(
        [(1, datasets.utterances(dataset.id)[0].recording)], service.settings, service.store, owner
    )
    lora = write_adapter(tiny_checkpoint, tmp_path / "lora", seed=1)
    adapter = register(
        service.settings, service.store, lora, tiny_checkpoint, owner=owner, consent=[consent.model_dump()]
    )
    usable = service.adapters(owner).usable
    assert usable(adapter.id).id == adapter.id
    service.voices(owner).require_consent([(consent.voice_id, "Ben")])
    cast = Cast((TakeVoice(voice.id, "Anna"),), TakeAdapter.of(usable(adapter.id)))
    take = takes.keep(Spoken(speech, request(TEXT), cast, "tiny"))
    other = takes.keep(Spoken(speech, request(TEXT), cast, "tiny"))
    add_take(takes, datasets, take.id, dataset.id)
    datasets.withdraw_consent(dataset.id, "Ben")
    of_ben, of_anna = datasets.dataset(dataset.id).troubles  # what learnt from Ben speaks as Anna
    assert of_ben.startswith("The consent of Ben was withdrawn") and "utterances of Anna that a model made" in of_anna
    assert "learnt from a voice" in refusal(lambda: add_take(takes, datasets, other.id, dataset.id))
    for _ in range(2):
        assert "The consent for Ben, whose voice" in refusal(lambda: usable(adapter.id))
        if dataset.id in {each.id for each in datasets.datasets()}:
            assert "was withdrawn" in refusal(
                lambda: service.voices(owner).require_consent([(consent.voice_id, "Ben")])
            )
            datasets.delete(dataset.id)

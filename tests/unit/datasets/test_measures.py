"""What is wrong with an utterance is found beside the others of its set, with its evidence; nothing is made up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from studio.audio import Waveform, read_audio
from studio.datasets.dataset import Dataset
from studio.datasets.editing import Editor
from studio.datasets.library import DatasetLibrary
from studio.datasets.measures import Measured, Measures, grade, measure, suspicions
from studio.datasets.measures.measuring import measure_dataset, unmeasured
from studio.datasets.measures.words import compared, differing_words, word_error_rate
from studio.errors import StudioError
from studio.listening.transcriber import Transcriber
from studio.processes import process_of
from tests.asr_model import joined_model
from tests.conftest import DATA
from tests.unit.datasets.conftest import KillsOneProcess, transcripts

SAID = {**transcripts("kathleen"), **transcripts("kathleen_short")}


@pytest.fixture(scope="module")
def clean() -> list[Measured]:
    """Every sentence of the test data, cut in two ways: fourteen utterances of one speaker."""
    found = []
    for name, text in SAID.items():
        sound = read_audio(DATA / name)
        for count in range(2):
            quieter = Waveform(sound.samples * np.float32(1 - 0.3 * count), sound.sample_rate)
            found.append(Measured(f"{name} {count}", "K", text + " " * count, f"{name}{count}", measure(quieter, text)))
    return [replace(each, text=f"{each.text} {number}") for number, each in enumerate(found)]  # no text twice


def kinds(utterances: list[Measured]) -> dict[str, set[str]]:
    return {name: {one.kind for one in found} for name, found in suspicions(utterances).items() if found}


def with_fault(clean: list[Measured], change: Callable[[Waveform], Waveform], text: str | None = None) -> set[str]:
    """What is suspected of the first utterance, changed."""
    first, *others = clean
    name, said = next(iter(SAID.items()))
    sound = change(read_audio(DATA / name))
    bad = replace(first, sha256="changed", measures=measure(sound, said if text is None else text))
    return kinds([bad, *others]).get(first.id, set())


def test_an_ordinary_set_is_not_suspected(clean: list[Measured]) -> None:
    assert kinds(clean) == {}


def test_planted_faults_are_found_by_their_kind(clean: list[Measured]) -> None:
    rng = np.random.default_rng(0)

    def changed(how: Callable[[np.ndarray, int], np.ndarray]) -> Callable[[Waveform], Waveform]:
        return lambda sound: Waveform(how(sound.samples, sound.sample_rate).astype(np.float32), sound.sample_rate)

    def cut(x: np.ndarray, rate: int) -> np.ndarray:
        return x[: np.flatnonzero(np.abs(x) > 0.5 * np.abs(x).max())[-1]]

    loud = 10 ** (-6 / 20)
    assert "cut word" in with_fault(clean, changed(cut))
    assert "noisy" in with_fault(clean, changed(lambda x, r: x + rng.standard_normal(len(x)) * x.std() * loud))
    assert "clipped" in with_fault(clean, changed(lambda x, r: np.clip(20 * x, -0.9, 0.9)))
    assert "too short" in with_fault(clean, changed(lambda x, r: x[: r // 2]))
    assert "too long" in with_fault(clean, changed(lambda x, r: np.tile(x, 6)))
    faster = changed(lambda x, r: np.interp(np.arange(0, len(x), 1.5), np.arange(len(x)), x))
    assert "another speaker" in with_fault(clean, faster)
    assert "likely wrong transcript" in with_fault(clean, lambda sound: sound, text="No.")


def test_the_same_sound_and_the_same_text_are_told_apart(clean: list[Measured]) -> None:
    first, second, third, *others = clean
    twice = [first, replace(second, sha256=first.sha256), replace(third, text=first.text.upper()), *others]
    found = suspicions(twice)
    assert [one.evidence for one in found[second.id]] == ["The same sound is there 2 times."]
    assert "The same text is said 2 times by this speaker." in [one.evidence for one in found[third.id]]


def test_a_swapped_transcript_is_heard(clean: list[Measured]) -> None:
    try:
        transcriber = Transcriber(str(joined_model()), device="cpu")
    except LookupError as error:
        pytest.skip(str(error))
    heard, short = [], list(transcripts("kathleen_short").items())
    for number, (name, text) in enumerate([next(iter(SAID.items())), *short]):
        said = text if number else "Does that look good, shall I carry you to the river?"
        figures = measure(read_audio(DATA / name), said, language="en", transcriber=transcriber)
        heard.append(Measured(name, "K", said, name, figures))
    found = suspicions(heard)
    first = next(iter(SAID))
    assert "the two men shook hands" in found[first][0].evidence
    assert [name for name, each in found.items() if each and each[0].kind == "likely wrong transcript"] == [first]


def test_silence_and_emptiness_get_an_answer() -> None:
    silent = measure(Waveform(np.zeros(3200, np.float32), 16_000), "")
    assert (silent.seconds, silent.speech_seconds, silent.snr_db, silent.cer, silent.voice) == (
        0.2,
        0.0,
        None,
        None,
        None,
    )
    assert Measures.from_json(silent.as_json()) == silent
    text = measure(Waveform(np.zeros(32_000, np.float32), 16_000), "Something.")
    (only,) = suspicions([Measured("a", "K", "Something.", "x", text)]).values()
    assert [one.evidence for one in only] == ["There is a text, and nobody is heard to speak."]
    assert grade([], {}).letter == "E"


def test_texts_are_compared_as_they_are_read() -> None:
    assert compared("He paid $20 on the 3rd!") == ["he", "paid", "twenty", "dollars", "on", "the", "third"]
    assert compared("Es sind 21.", "de") == ["es", "sind", "einundzwanzig"]
    assert compared("今天天气很好。", "zh") == [*"今天天气很好"]
    assert compared("مَرْحَبًا") == compared("مرحبا")
    assert word_error_rate("two cats", "2 cats") == 0
    assert word_error_rate("two cats", "two bats") == 0.5
    assert word_error_rate("", "cats") is None
    assert differing_words("Two cats sat.", "two bats sat") == [("cats", "bats")]


# A whole set


def test_a_set_is_measured_once_reviewed_and_graded(
    dataset: Dataset, library: DatasetLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    found = measure_dataset(library, dataset, announce=lambda done, total: told.append((done, total)))
    assert told[-1] == (7, 7)
    assert found.letter == "E" and found.advice[0].startswith("Add ")
    assert all(each.measures["speech_seconds"] > 0.5 for each in library.utterances(dataset.id))
    monkeypatch.setattr("studio.datasets.measures.measuring.measure", None)  # kept by content: it is not asked again
    first = library.utterances(dataset.id)[0]
    assert measure_dataset(library, dataset) == found
    monkeypatch.undo()
    Editor(library, dataset.id).change(first.id, first.revision, text="No.")
    measure_dataset(library, dataset)
    (worst, *_) = library.utterances(dataset.id, order="suspicion")
    assert worst.id == first.id and worst.suspicions[0]["kind"] == "likely wrong transcript"
    assert [each.id for each in library.utterances(dataset.id, kind="likely wrong transcript")] == [first.id]


def test_a_process_that_is_killed_loses_no_utterance(dataset: Dataset, library: DatasetLibrary) -> None:
    with KillsOneProcess() as killer:
        found = measure_dataset(library, dataset, workers=2)
    assert killer.killed and process_of(killer.killed[0]) is None
    assert found.minutes > 0
    assert all(each.measures for each in library.utterances(dataset.id))


def test_what_cannot_be_measured_is_told_and_the_others_are(dataset: Dataset, library: DatasetLibrary) -> None:
    first, *others = library.utterances(dataset.id)
    first.recording.unlink()
    measure_dataset(library, dataset)
    (told,) = unmeasured(library.dataset(dataset.id))
    assert told["place"] == first.place and "is gone or damaged" in told["sentence"]
    assert {each.id for each in library.utterances(dataset.id) if each.measures} == {each.id for each in others}
    for each in others:
        each.recording.unlink()
    for figures in library.settings.measures_folder.glob("*.json"):
        figures.unlink()
    with pytest.raises(StudioError, match="is gone or damaged"):
        measure_dataset(library, dataset)


def test_without_ray_it_is_said_what_to_install(
    dataset: Dataset, library: DatasetLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StudioError, match=r"Ray is not installed: `pip install .* -r requirements-ray\.txt`"):
        measure_dataset(library, dataset, ray="local")


def test_stopping_keeps_what_was_measured(dataset: Dataset, library: DatasetLibrary) -> None:
    done: list[int] = []
    measure_dataset(library, dataset, announce=lambda now, total: done.append(now), stopped=lambda: len(done) >= 3)
    assert sum(bool(each.measures) for each in library.utterances(dataset.id)) == 3


def test_a_long_recording_is_measured_in_its_utterances(library: DatasetLibrary, dataset: Dataset) -> None:
    first = library.utterances(dataset.id)[0]
    Editor(library, dataset.id).split(first.id, first.revision, first.start + first.seconds / 2)
    measure_dataset(library, dataset)
    one, two = library.utterances(dataset.id)[:2]
    whole = soundfile.info(one.recording).duration
    assert one.measures["seconds"] + two.measures["seconds"] == pytest.approx(whole)
    assert "cut word" in {kind["kind"] for kind in (*one.suspicions, *two.suspicions)}

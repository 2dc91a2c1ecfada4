"""Sets are imported whole or not at all, kept, given away and read again as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.datasets.dataset import Dataset
from studio.datasets.editing import Editor
from studio.datasets.exports.exporting import FORMATS, export
from studio.datasets.exports.pairing import Pairing
from studio.datasets.exports.pairs import references
from studio.datasets.exports.read_texts import read_otherwise
from studio.datasets.exports.training_files import training_files
from studio.datasets.imports.importer import ImportCancelled, begin_upload, go_on, import_source, obstacle
from studio.datasets.library import DatasetLibrary, clear_remains
from studio.datasets.rows.overlap import same_sounds, same_texts
from studio.datasets.rows.report import report_rows
from studio.datasets.sources import SourceOptions
from studio.engine.rows import parse_row, read_rows
from studio.errors import StudioError
from studio.system.storage import folder_bytes, storage_summary
from studio.training.config.presets import arguments_for
from studio.voices.consent import SpeakerConsent
from tests.conftest import DATA
from tests.interrupted_import import begin_and_kill

Again = Callable[..., Dataset]


def test_an_import_counts_what_it_took(dataset: Dataset, library: DatasetLibrary, source: Path) -> None:
    seconds = sum(soundfile.info(path).duration for path in source.glob("*.wav"))
    count = len(list(source.glob("*.wav")))
    assert (dataset.state, dataset.num_utterances, dataset.num_dropped) == ("ready", count, 0)
    assert dataset.seconds == pytest.approx(seconds)
    assert [(each.name, each.num_utterances) for each in dataset.speakers] == [("Ben", 1), ("Kathleen", count - 1)]
    assert dataset.report["used"] == count and not dataset.report["left_out"]
    first = library.utterances(dataset.id)[0]
    assert [each.synthetic for each in library.utterances(dataset.id)] == [True, *[False] * (count - 1)]
    assert (dataset.num_synthetic, dataset.synthetic_seconds) == (1, pytest.approx(first.seconds))
    assert [each.id for each in library.utterances(dataset.id, synthetic=True)] == [first.id]
    samples, rate = soundfile.read(source / f"{first.name}.wav", dtype="float32")
    sound = library.waveform(first)
    assert sound.sample_rate == rate
    np.testing.assert_array_equal(sound.samples, samples)


def test_what_cannot_be_used_is_listed_with_its_place(source: Path, again: Again) -> None:
    (source / "noise.wav").write_bytes(b"RIFF....WAVE no sound")
    soundfile.write(source / "short.wav", np.zeros(800, np.int16), 16_000)
    soundfile.write(source / "long.wav", np.zeros(16_000 * 31, np.int16), 16_000)
    with (source / "metadata.csv").open("a") as table:
        table.write("noise.wav,One.,A\nshort.wav,Two.,A\nlong.wav,Three.,A\ngone.wav,Four.,A\nlong.wav,<|eot_id|>,A\n")
    report = again("Kathleen", "csv", source).report
    assert report["left_out"] == {"short": 1, "long": 1, "unreadable": 1, "flawed": 2}
    assert [entry["place"] for entry in report["listed"]] == [f"metadata.csv line {9 + number}" for number in range(5)]


def test_an_import_of_which_nothing_can_be_used_leaves_nothing(
    source: Path, again: Again, library: DatasetLibrary
) -> None:
    (source / "metadata.csv").write_text("audio,text\ngone.wav,One.\n")
    with pytest.raises(
        StudioError, match=r"0 used · 0 short · 0 long · 0 unreadable · 1 flawed.*'gone.wav' does not exist"
    ):
        again("Kathleen", "csv", source)
    assert library.datasets() == []
    assert not list(library.settings.sets_folder.glob("*"))


def test_an_import_that_was_killed_goes_on_and_one_that_was_stopped_leaves_nothing(
    source: Path, library: DatasetLibrary
) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, what: str) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        import_source(library, "Kathleen", "csv", source, SourceOptions(), announce=kill)
    (begun,) = library.datasets()
    assert begun.state == "importing"
    done = import_source(library, "Kathleen", "csv", source, SourceOptions())
    assert (done.id, done.state) == (begun.id, "ready")
    assert len({each.place for each in library.utterances(done.id)}) == done.num_utterances == 7
    library.delete(done.id)
    with pytest.raises(ImportCancelled):
        import_source(library, "Kathleen", "csv", source, SourceOptions(), stopped=lambda: True)
    assert library.datasets() == []


def test_an_upload_that_was_killed_goes_on_to_the_content_that_it_had_without(
    library: DatasetLibrary, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    clips = sorted(DATA.glob("kathleen*.flac"))
    for name, parts in (("a", clips[:3]), ("b", clips[3:])):
        sounds = [soundfile.read(path, dtype="int16") for path in parts]
        rate = sounds[0][1]
        pieces = [piece for samples, _ in sounds for piece in (samples, np.zeros(rate, np.int16))]
        soundfile.write(folder / f"{name}.flac", np.concatenate(pieces), rate)
    upload = Path(shutil.make_archive(str(tmp_path / "session"), "zip", tmp_path, "session"))
    begin_and_kill(library.settings.home, "Evening", "recordings", upload)

    upload.unlink()  # as the page's cache is emptied
    (begun,) = library.datasets()
    kept = library.upload_folder(begun.id)
    assert (begun.state, begun.num_utterances > 0, obstacle(library, begun)) == ("importing", True, "")
    assert clear_remains(library.settings, library.store) == 0
    assert storage_summary(library.settings)["datasets"] > folder_bytes(kept) > 0
    stranger = DatasetLibrary(library.settings, library.store, "somebody")
    with pytest.raises(StudioError, match="no such dataset"):
        go_on(stranger, begun)
    done = go_on(library, begun)
    assert done.state == "ready" and not kept.exists()

    shutil.make_archive(str(upload.with_suffix("")), "zip", tmp_path, "session")
    whole = go_on(library, begin_upload(library, "Whole", "recordings", [upload], SourceOptions(speaker="Kathleen")))
    assert done.num_utterances > begun.num_utterances
    assert library.version(done.id) == library.version(whole.id)
    assert done.report == whole.report and done.report["unsliced"]
    names = [[each.place for each in library.utterances(which.id)] for which in (done, whole)]
    assert names[0] == names[1]
    with pytest.raises(StudioError, match="has ended"):
        go_on(library, done)


def test_an_upload_that_cannot_be_kept_or_read_leaves_nothing(library: DatasetLibrary, tmp_path: Path) -> None:
    (tmp_path / "empty.zip").write_bytes(b"PK")
    with pytest.raises(StudioError, match="no zip archive"):
        begin_upload(library, "Empty", "folder", [tmp_path / "empty.zip"], SourceOptions())
    (tmp_path / "table.parquet").write_bytes(b"PAR1 and no more")
    begun = begin_upload(library, "Damaged", "huggingface", [tmp_path / "table.parquet"], SourceOptions())
    with pytest.raises(StudioError, match=r"cannot be loaded .* damaged or not whole"):
        go_on(library, begun)
    assert library.datasets() == [] and not list(library.settings.sets_folder.glob("*"))
    gone = begin_upload(library, "Gone", "csv", [DATA / "kathleen.json"], SourceOptions())
    shutil.rmtree(library.upload_folder(gone.id))
    with pytest.raises(StudioError, match="is not there any more: delete it"):
        go_on(library, gone)


def test_a_saved_data_set_names_no_file_outside_of_itself(again: Again, tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"audio": ["a.wav"], "text": ["One."]}).save_to_disk(tmp_path / "saved")
    state = json.loads((tmp_path / "saved" / "state.json").read_text())
    for name in ("../elsewhere.arrow", str(tmp_path / "elsewhere.arrow")):
        state["_data_files"][0]["filename"] = name
        (tmp_path / "saved" / "state.json").write_text(json.dumps(state))
        with pytest.raises(StudioError, match="names a file outside of its folder"):
            again("Saved", "huggingface", tmp_path / "saved")


def test_names_are_taken_once_and_belong_to_their_owner(source: Path, again: Again, library: DatasetLibrary) -> None:
    made = again("Kathleen", "csv", source)
    with pytest.raises(StudioError, match="There is a dataset 'KATHLEEN' already"):
        library.create("KATHLEEN")
    with pytest.raises(StudioError, match="The dataset has no name"):
        library.create(" ")
    other = DatasetLibrary(library.settings, library.store, "somebody")
    assert other.datasets() == []
    for ask in (other.dataset, other.delete, other.version):
        with pytest.raises(StudioError, match="no such dataset"):
            ask(made.id)


def test_a_deleted_set_takes_its_recordings_along(dataset: Dataset, library: DatasetLibrary) -> None:
    folder = library.folder(dataset.id)
    assert list(folder.rglob("*.flac"))
    (library.settings.sets_folder / "left by a kill").mkdir()
    assert clear_remains(library.settings, library.store) == 1
    library.delete("kathleen")
    assert not folder.exists() and library.datasets() == []


# Giving away


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_exported_and_imported_again_has_the_same_content(
    kind: str, archive: bool, dataset: Dataset, library: DatasetLibrary, again: Again, tmp_path: Path
) -> None:
    if kind == "ljspeech":  # of one speaker
        ben = library.utterances(dataset.id, speaker="Ben")
        Editor(library, dataset.id).change_all([each.id for each in ben], "dropped Ben", state="dropped")
        dataset = library.dataset(dataset.id)
    written = export(
        library, dataset, kind, tmp_path / "out", archive=archive, pairing=Pairing(without=0.3, variants=3)
    )
    if archive:
        shutil.unpack_archive(written, tmp_path / "unpacked")
        written = tmp_path / "unpacked"
    copy = again("Copy", kind if kind != "rows" else "jsonl", written)
    assert library.version(copy.id) == library.version(dataset.id)
    assert (copy.num_utterances, copy.seconds) == (dataset.num_utterances, pytest.approx(dataset.seconds))
    assert (copy.num_synthetic, copy.synthetic_seconds) == (1, pytest.approx(dataset.synthetic_seconds))
    texts = [sorted(each.text for each in library.utterances(which.id)) for which in (dataset, copy)]
    assert texts[0] == texts[1]
    about = json.loads((written / "dataset.json").read_text())
    assert about["version"] == library.version(dataset.id)
    assert about["speakers"][0]["consent"]["statement"] == "CC0"


def test_rows_have_another_utterance_of_the_speaker_as_reference(
    dataset: Dataset, library: DatasetLibrary, tmp_path: Path
) -> None:
    folder = export(library, dataset, "rows", tmp_path / "rows", pairing=Pairing(without=0.0))
    rows = [
        parse_row(row, folder=folder) for _, row in read_rows(folder / "rows.jsonl") if not isinstance(row, StudioError)
    ]
    assert len(rows) == 7
    for row in rows:
        assert row.warnings == ()
        assert len(row.clips) == (1 if row.speaker == "Ben" else 2)
        assert len(set(row.clips)) == len(row.clips)
        assert [turn.trained for turn in row.turns if turn.clip] == [False, True][-len(row.clips) :]


def test_variants_hear_other_clips_and_what_is_held_out_is_judged_once(
    dataset: Dataset, library: DatasetLibrary, tmp_path: Path
) -> None:
    utterances = library.utterances(dataset.id)
    long = {each.name for each in utterances if each.seconds > 2}
    held = next(each for each in utterances if each.name not in long)
    library.set_pairing(dataset.id, Pairing(without=0.0, variants=3, scene="A cave."))
    dataset = library.dataset(dataset.id)
    folder = export(library, dataset, "rows", tmp_path / "rows", held_out={held.id: "validation"})
    rows = [
        parse_row(row, folder=folder) for _, row in read_rows(folder / "rows.jsonl") if not isinstance(row, StudioError)
    ]
    heard: dict[Path, list[Path]] = {}
    for row in rows:
        assert "A cave." in (row.system or "")
        if len(row.clips) == 2:
            heard.setdefault(row.clips[1], []).append(row.clips[0])
    assert len(rows) == 18 and len(heard) == 5
    for target, clips in heard.items():
        assert len(set(clips)) == len(long - {target.stem}), "each variant hears another clip while there is one"
    assert len((folder / "rows_val.jsonl").read_text().splitlines()) == 1
    # No trained row hears what is held out, and another seed is another choice.
    names = {clip.stem for clips in heard.values() for clip in clips}
    assert held.name not in names
    other = {
        each: kept and kept.id for each, kept in references(library.utterances(dataset.id), Pairing(seed=7)).items()
    }
    assert other != {each: kept and kept.id for each, kept in references(library.utterances(dataset.id)).items()}
    for bad in ({"variants": 0}, {"without": 1.5}, {"seed": -1}, {"scene": "<|eot_id|>"}):
        with pytest.raises(StudioError):
            Pairing(**bad)  # type: ignore[arg-type]


def test_a_set_that_nobody_split_holds_some_out_by_content(dataset: Dataset, library: DatasetLibrary) -> None:
    library.set_pairing(dataset.id, Pairing(variants=4, without=0.0))
    assert training_files(library, library.dataset(dataset.id)).validation is None, "seven utterances are too few"
    longest = max(library.utterances(dataset.id), key=lambda each: each.seconds)
    Editor(library, dataset.id).split(longest.id, longest.revision, longest.seconds / 2)
    files = training_files(library, library.dataset(dataset.id))
    assert files.validation is not None
    report = partial(report_rows, settings=library.settings, store=library.store)
    rows, held, whole = report(files.rows), report(files.validation), report(files.whole)
    assert (len(rows.measured), len(held.measured)) == (28, 1)
    assert rows.repeats == 4
    assert same_sounds(rows.measured, held.measured) == [] and same_texts(rows.measured, held.measured) == []
    assert {number for _, number in same_sounds(whole.measured, held.measured)} == {1}
    # A pass over the rows hears each clip four times, so a fourth of the passes are made.
    once, four = (
        arguments_for(
            "quick", num_rows=28, seconds=rows.seconds, device="cpu", base_bytes=0, overrides={}, repeats=repeats
        ).number("num_train_epochs", 0)
        for repeats in (1.0, 4.0)
    )
    assert four == once / 4


def test_what_the_model_reads_otherwise_is_shown_and_the_transcript_stays(
    dataset: Dataset, library: DatasetLibrary
) -> None:
    first, second = library.utterances(dataset.id)[:2]
    Editor(library, dataset.id).change(first.id, first.revision, text="It is 5°C（outside）")
    Editor(library, dataset.id).change(second.id, second.revision, text="…")
    found = {each.id: each for each in read_otherwise(library.utterances(dataset.id))}
    assert found[first.id].read == "It is 5 degrees Celsius outside."
    assert found[first.id].written == "It is 5°C（outside）" == library.utterance(dataset.id, first.id).text
    assert found[second.id].read == "" and found[second.id].refusal


@pytest.mark.parametrize("kind", FORMATS)
def test_nobody_is_given_away_without_consent(
    kind: str, dataset: Dataset, library: DatasetLibrary, tmp_path: Path
) -> None:
    changed = library.withdraw_consent(dataset.id, "Ben")
    with pytest.raises(StudioError, match="The consent of Ben was withdrawn"):
        export(library, changed, kind, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))
    with pytest.raises(StudioError, match="Nobody called 'Anna' speaks"):
        library.record_consent(dataset.id, "Anna", SpeakerConsent.given("own"))


def test_what_a_layout_cannot_hold_is_said_and_nothing_is_left(
    dataset: Dataset, library: DatasetLibrary, tmp_path: Path
) -> None:
    with pytest.raises(StudioError, match="LJSpeech has one speaker"):
        export(library, dataset, "ljspeech", tmp_path / "out")
    with pytest.raises(StudioError, match="There is no layout 'mp3'"):
        export(library, dataset, "mp3", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(StudioError, match="'full' exists already"):
        export(library, dataset, "csv", tmp_path / "full")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "source", "full"}

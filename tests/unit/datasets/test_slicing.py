"""Long recordings are cut in silence, with room, and with the right words; nothing is lost uncounted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.audio.storing import store_as_flac
from studio.audio.synthetic_mark import add_mark
from studio.datasets.dataset import Dataset
from studio.datasets.imports.importer import ImportCancelled, import_source
from studio.datasets.library import DatasetLibrary
from studio.datasets.slicing import Line, Sliced, slice_recording
from studio.datasets.slicing.scripts import by_words, read_script
from studio.datasets.sources import SourceOptions
from studio.datasets.stored_sound import samples_of
from studio.errors import StudioError
from studio.listening.transcriber import Transcriber
from studio.settings import ASSETS
from tests.asr_model import joined_model
from tests.conftest import DATA
from tests.unit.datasets.conftest import KillsOneProcess, transcripts

RATE = 16_000
GAP = 0.4
SAID = {**transcripts("kathleen"), **transcripts("kathleen_short")}


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[float, float]], float]:
    """Every sentence of the test data three times, with room noise between them; the borders of each, and the length."""
    from studio.listening.compiled import librosa

    rng = np.random.default_rng(1)
    parts: list[np.ndarray] = []
    borders, at = [], 0.0
    for name in [*SAID] * 3:
        samples, rate = soundfile.read(DATA / name, dtype="float32")
        speech = librosa().effects.trim(librosa().resample(samples, orig_sr=rate, target_sr=RATE), top_db=35)[0]
        parts += [speech, np.zeros(round(GAP * RATE), np.float32)]
        borders.append((at, at + len(speech) / RATE))
        at += len(speech) / RATE + GAP
    whole = np.concatenate(parts)
    whole += rng.standard_normal(len(whole)).astype(np.float32) * 1e-3
    path = tmp_path_factory.mktemp("long") / "long.flac"
    soundfile.write(path, whole, RATE, subtype="PCM_16")
    return path, borders, len(whole) / RATE


def sliced(path: Path, **how: object) -> Sliced:
    return slice_recording(path, soundfile.info(path).duration, **how)  # type: ignore[arg-type]


def test_every_cut_lies_between_sentences_and_leaves_room(long: tuple[Path, list[tuple[float, float]], float]) -> None:
    path, borders, seconds = long
    found = sliced(path)
    gaps = [(end, start) for (_, end), (start, _) in pairwise(borders)]
    cuts = [moment for each in found.slices for moment in (each.start, each.end)][1:-1]
    assert len(found.slices) >= len(borders) / 3
    for cut in cuts:  # in silence, be it of a comma
        samples, _ = samples_of(path, cut - 0.02, cut + 0.02)
        assert np.sqrt(np.square(samples / 32768).mean()) < 0.005
    assert np.mean([any(start - 0.05 <= cut <= end + 0.05 for start, end in gaps) for cut in cuts]) > 0.7
    assert all(2.0 <= each.end - each.start <= 15.4 for each in found.slices)
    # Room at both ends: 20 ms at every border are quiet (above), and speech begins later and ends earlier.
    for each in found.slices:
        samples, rate = samples_of(path, each.start, each.end)
        loud = np.flatnonzero(np.abs(samples / 32768) > 0.03)
        assert each.start == 0 or loud[0] >= 0.05 * rate
        assert len(samples) - loud[-1] >= 0.05 * rate
    told = sum(each.end - each.start for each in found.slices) + sum(found.left_out.values())
    assert told == pytest.approx(seconds, abs=0.05)


def test_speech_without_a_pause_is_cut_where_it_is_quietest_and_says_so(tmp_path: Path) -> None:
    samples, rate = soundfile.read(DATA / "kathleen_a0003.flac", dtype="float32")
    vowel = samples[int(0.8 * rate) : int(1.0 * rate)]
    drone = np.tile(vowel, 100)  # 20 s of a voice that never stops
    soundfile.write(tmp_path / "drone.flac", drone, rate, subtype="PCM_16")
    found = sliced(tmp_path / "drone.flac")
    assert all(each.end - each.start <= 15.4 for each in found.slices)
    assert any(each.inside for each in found.slices) or len(found.slices) <= 1


def test_silence_and_noise_are_left_out_and_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(5 * RATE).astype(np.float32) * 0.05
    soundfile.write(tmp_path / "no speech.flac", np.concatenate([np.zeros(5 * RATE, np.float32), noise]), RATE)
    found = sliced(tmp_path / "no speech.flac")
    assert found.slices == ()
    assert found.left_out == {"silence": pytest.approx(5.0, abs=0.2), "noise or music": pytest.approx(5.0, abs=0.2)}


def test_a_window_s_end_parts_no_sentence(
    long: tuple[Path, list[tuple[float, float]], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.datasets.slicing import speech

    path, borders, seconds = long
    ends: list[float] = []
    whole = [span for span, _ in speech.speech_in(path, seconds, ends.append, lambda: False)]
    monkeypatch.setattr(speech, "WINDOW_SECONDS", 7.0)
    spans = [span for span, _ in speech.speech_in(path, seconds, ends.append, lambda: False)]
    assert len(ends) > 5 and ends[-1] == seconds
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert sum(span.duration for span in spans) == pytest.approx(sum(span.duration for span in whole), rel=0.03)
    for start, end in borders:
        inside = [span for span in spans if span.end > start and span.start < end]
        assert inside[0].start <= start + 0.25 and inside[-1].end >= end - 0.25


def test_a_recogniser_writes_after_the_cut_and_a_script_is_believed_instead(
    long: tuple[Path, list[tuple[float, float]], float],
) -> None:
    import jiwer

    try:
        model = joined_model()
    except LookupError as error:
        pytest.skip(str(error))
    path, borders, _ = long
    part = path.with_name("part.flac")
    samples, rate = samples_of(path, 0, borders[len(SAID) - 1][1] + GAP / 2)
    soundfile.write(part, samples, rate)
    script = [Line(text) for text in [*SAID.values()]]
    found = sliced(part, transcriber=Transcriber(str(model), device="cpu"), language="en", script=script)
    wanted = " ".join(SAID.values()).lower().replace(",", "").replace(".", "")
    heard = " ".join(each.heard for each in found.slices).lower().replace(",", "").replace(".", "").replace("?", "")
    assert jiwer.wer(wanted, heard) < 0.25
    assert " ".join(each.text for each in found.slices) == " ".join(SAID.values())
    assert all(each.text.endswith((".", ",")) for each in found.slices)  # where a sentence or a part of it ends


def test_subtitles_are_laid_beside_the_slices_by_their_times(
    long: tuple[Path, list[tuple[float, float]], float], tmp_path: Path
) -> None:
    path, borders, _ = long
    lines = []
    for number, ((start, end), text) in enumerate(zip(borders, [*SAID.values()] * 3, strict=True), start=1):
        times = " --> ".join(f"00:00:{moment:06.3f}".replace(".", ",") for moment in (start, end))
        lines.append(f"{number}\n{times}\n<i>{text}</i>\n")
    (tmp_path / "said.srt").write_text("\r\n".join("\n".join(lines).split("\n")), encoding="utf-8-sig")
    found = sliced(path, script=read_script(tmp_path / "said.srt"))
    assert " ".join(each.text for each in found.slices) == " ".join([*SAID.values()] * 3)


def test_scripts_in_many_languages_find_their_slices() -> None:
    assert by_words([Line("你好，世界。"), Line("今天天气很好。")], ["你好世界", "今天天汽很好"]) == [
        "你好，世界。", "今天天气很好。",
    ]  # fmt: skip
    assert by_words([Line("مرحبا بالعالم."), Line("كيف حالك اليوم؟")], ["مرحبا العالم", "كيف حالك اليوم"]) == [
        "مرحبا بالعالم.", "كيف حالك اليوم؟",
    ]  # fmt: skip
    # What nobody recognised is parted where a sentence ends.
    assert by_words([Line("One two three."), Line("Four five.")], ["one too", "free. For five"]) == [
        "One two three.", "Four five.",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [("a.txt", "\n"), ("a.srt", "no times"), ("a.doc", "x")])
def test_a_script_that_is_none_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(StudioError, match=rf"'{name}' (holds no text|is no script)"):
        read_script(tmp_path / name)


def test_recordings_become_a_set_of_utterances_and_going_on_repeats_none(
    long: tuple[Path, list[tuple[float, float]], float], library: DatasetLibrary, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    samples, rate = soundfile.read(long[0], dtype="int16")
    for name in ("one.wav", "two.wav"):
        with soundfile.SoundFile(folder / name, "w", rate, 1, "PCM_16") as file:
            if name == "two.wav":
                add_mark(file)
            file.write(samples if name == "one.wav" else samples[rate:])

    class Killed(BaseException):
        pass

    def kill(done: int, what: str) -> None:
        if what.startswith("two.wav"):
            raise Killed

    run: Callable[..., Dataset] = import_source
    with pytest.raises(Killed):
        run(library, "Long", "recordings", folder, SourceOptions(speaker="Kathleen"), announce=kill)
    made = run(library, "Long", "recordings", folder, SourceOptions(speaker="Kathleen"))
    found = library.utterances(made.id)
    assert len({(each.recording_name, each.start) for each in found}) == len(found) == made.num_utterances
    assert {(each.recording_name, each.synthetic) for each in found} == {("one.wav", False), ("two.wav", True)}
    assert {each.speaker for each in found} == {"Kathleen"}
    assert all(0 <= each.start < each.end <= each.recording_seconds for each in found)


def test_processes_slice_as_one_does_and_one_that_is_killed_loses_no_recording(
    long: tuple[Path, list[tuple[float, float]], float], library: DatasetLibrary, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    samples, rate = soundfile.read(long[0], dtype="int16")
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", samples[number * rate :], rate)
    (folder / "3.wav").write_bytes(b"no sound")
    import_source(library, "One", "recordings", folder, SourceOptions())
    with KillsOneProcess() as killer:
        import_source(library, "Several", "recordings", folder, SourceOptions(), workers=2)
    assert killer.killed
    one, several = (library.dataset(name) for name in ("One", "Several"))
    assert [(each.place, each.start, each.end, each.sha256) for each in library.utterances(several.id)] == [
        (each.place, each.start, each.end, each.sha256) for each in library.utterances(one.id)
    ]
    assert several.report == one.report and one.report["left_out"] == {"unreadable": 1}
    assert len(list((library.folder(several.id) / "recordings").iterdir())) == 3


def test_an_import_that_is_stopped_while_it_slices_leaves_nothing(
    long: tuple[Path, list[tuple[float, float]], float], library: DatasetLibrary
) -> None:
    told: list[str] = []
    with pytest.raises(ImportCancelled):
        import_source(
            library, "Long", "recordings", long[0], SourceOptions(), stopped=lambda: bool(told),
            announce=lambda done, what: told.append(what),
        )  # fmt: skip
    assert library.datasets() == []
    assert not list(library.settings.sets_folder.glob("*"))


def test_a_film_gives_its_sound(long: tuple[Path, list[tuple[float, float]], float], tmp_path: Path) -> None:
    import av

    samples, rate = samples_of(long[0], 0, 5)
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        picture = container.add_stream("mpeg4", rate=5, width=32, height=32)
        sound = container.add_stream("aac", rate=rate, layout="mono")
        for _ in range(25):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(sound.encode(frame))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    stored = store_as_flac(tmp_path / "film.mp4", tmp_path / "film.flac")
    assert stored.seconds == pytest.approx(5, abs=0.2)  # AAC has a beginning of its own
    assert soundfile.info(tmp_path / "film.flac").samplerate == stored.sample_rate == rate


def test_slices_in_which_two_people_speak_are_left_out_and_counted(tmp_path: Path) -> None:
    owen, edith = (soundfile.read(ASSETS / "voices" / f"{name}.flac", dtype="float32")[0] for name in ("owen", "edith"))
    rate = soundfile.info(ASSETS / "voices" / "owen.flac").samplerate
    length = min(len(owen), len(edith))
    pause = np.zeros(rate, np.float32)
    path = tmp_path / "talk.flac"
    soundfile.write(path, np.concatenate([owen, pause, edith, pause, 0.5 * (owen[:length] + edith[:length])]), rate)
    both = (len(owen) + len(edith) + 2 * len(pause)) / rate

    found = sliced(path)

    assert found.slices
    assert max(each.end for each in found.slices) < both + 1
    assert found.left_out["more than one voice"] == pytest.approx(length / rate, abs=3)
    alone = sum(each.end - each.start for each in found.slices)
    assert alone == pytest.approx((len(owen) + len(edith)) / rate, abs=4)


def test_without_a_recogniser_a_script_goes_by_how_long_its_lines_take(
    long: tuple[Path, list[tuple[float, float]], float],
) -> None:
    path, borders, _ = long
    lines = [Line(text) for text in [*SAID.values()] * 3]
    found = sliced(path, script=lines)
    assert len(found.slices) != len(lines)
    assert "how long its lines take" in found.notes[0]
    said = [
        " ".join(
            line.text
            for line, (start, end) in zip(lines, borders, strict=True)
            if each.start < (start + end) / 2 < each.end
        )
        for each in found.slices
    ]
    right = sum(each.text == text for each, text in zip(found.slices, said, strict=True))
    assert right >= 0.8 * len(found.slices)

    other = sliced(path, script=lines[:2])
    assert {each.text for each in other.slices} == {""}
    assert "script of this recording" in other.notes[0]

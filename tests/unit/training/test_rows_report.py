"""What is said of a file of rows before anything is trained on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform, read_audio, write_audio
from studio.datasets.rows import clip_durations
from studio.datasets.rows.clip_durations import clip_seconds
from studio.datasets.rows.report import RowsReport, report_rows
from studio.engine.checkpoints.tiny import FRAME_RATE
from studio.errors import StudioError
from studio.listening.transcript import Transcript
from studio.settings import Settings
from studio.store.store import Store
from studio.voices.consent import SpeakerConsent
from studio.voices.library import VoiceLibrary
from studio.voices.presets import preset_voices
from studio.voices.voice import NewClip
from tests.conftest import DATA
from tests.training import EXAMPLES, TRANSCRIPTS, write_rows

CLIP = DATA / "kathleen_a0158.flac"
OTHER = DATA / "kathleen_a0098.flac"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def said(clip: Path | str, text: str = "Say this.", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "<audio>"}]
    return {"messages": messages, "audios": [str(clip)], **more}


def report(path: Path, settings: Settings, **options: Any) -> RowsReport:
    return report_rows(path, settings=settings, store=Store(settings.store_file), **options)


def test_good_rows_are_measured(tmp_path: Path, settings: Settings) -> None:
    rows = [example.row() | {"speaker": "kathleen"} for example in EXAMPLES]
    found = report(write_rows(tmp_path / "rows.jsonl", rows), settings)
    assert [row.as_row() for row in found.rows] == rows
    assert found.bad == ()
    assert found.seconds == pytest.approx(sum(read_audio(DATA / each.target).duration for each in EXAMPLES))
    assert found.speakers == ("kathleen",)
    assert found.source == "rows.jsonl"
    assert [each.number for each in found.longest()][-1] == 4  # the one without a reference


def test_what_a_model_made_is_counted_where_it_is_learnt(tmp_path: Path, settings: Settings) -> None:
    write_audio(read_audio(CLIP), made := tmp_path / "made.wav", synthetic=True)
    heard_first = said(OTHER)
    heard_first["messages"] = [
        {"role": "user", "content": "Say that."}, {"role": "assistant", "content": "<audio>", "loss": False},
        *heard_first["messages"],
    ]  # fmt: skip
    heard_first["audios"] = [str(made), str(OTHER)]
    found = report(write_rows(tmp_path / "rows.jsonl", [said(made), said(OTHER), heard_first]), settings)
    assert found.bad == ()
    assert found.synthetic_seconds == pytest.approx(read_audio(made).duration)


def test_no_row_has_more_tokens_than_is_said(
    tmp_path: Path, settings: Settings, engine: Any, tiny_checkpoint: Path
) -> None:
    import torch
    from transformers import AutoTokenizer

    from studio.engine.prompt import encode_training

    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)

    rows = [example.row() for example in EXAMPLES]
    del rows[0]["messages"][0]  # with the scene that the engine has by default
    found = report(write_rows(tmp_path / "rows.jsonl", rows), settings)
    for each in found.measured:
        codes = [torch.as_tensor(engine.codec.encode(read_audio(clip))) for clip in each.row.clips]
        inputs = encode_training(each.row.conversation(), codes, tokenizer=tokenizer, stream_bos_id=0, stream_eos_id=1)
        assert len(inputs.input_ids) <= each.max_tokens(FRAME_RATE) < 2.5 * len(inputs.input_ids)


def test_bad_rows_are_named_and_the_others_kept(tmp_path: Path, settings: Settings) -> None:
    write_audio(Waveform(np.zeros(24_000, np.float32), 24_000), silent := tmp_path / "silent.wav")
    (cut := tmp_path / "cut.flac").write_bytes(CLIP.read_bytes()[:9_000])
    (text := tmp_path / "text.wav").write_text("not a sound", encoding="utf-8")
    rows = [
        said(CLIP),
        said("nowhere.wav"),
        "{broken",
        said(silent),
        said(cut),
        said(text),
        said(OTHER, text="..."),
        said(OTHER),
    ]
    found = report(write_rows(tmp_path / "rows.jsonl", rows), settings)
    assert [each.number for each in found.measured] == [1, 8]
    assert [number for number, _ in found.bad] == [2, 3, 4, 5, 6, 7]
    assert "nowhere.wav" in found.bad[0][1]
    assert "JSON" in found.bad[1][1]
    assert "silent.wav" in found.bad[2][1]
    assert all(sentence.endswith(".") for _, sentence in found.bad)


def test_warnings_are_counted(tmp_path: Path, settings: Settings) -> None:
    row = EXAMPLES[0].row()
    row["messages"][1]["content"] = ""
    found = report(write_rows(tmp_path / "rows.jsonl", [row, row, EXAMPLES[1].row()]), settings)
    (warning,) = found.warnings
    assert warning.startswith("2 rows: ")
    assert "transcript" in warning


def test_large_sets_are_measured_by_their_headers(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cut := tmp_path / "cut.flac").write_bytes(CLIP.read_bytes()[:20])
    write_audio(Waveform(np.full(2400, 0.1, np.float32), 24_000), short := tmp_path / "short.wav")
    path = write_rows(tmp_path / "rows.jsonl", [said(CLIP), said(cut), said(short), said(OTHER)])
    monkeypatch.setattr(clip_durations, "HEARD_SECONDS", 0.0)
    found = report(path, settings)
    assert [number for number, _ in found.bad] == [2, 3]
    assert found.seconds == pytest.approx(read_audio(CLIP).duration + read_audio(OTHER).duration)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_a_header_tells_the_length(suffix: str, tmp_path: Path) -> None:
    write_audio(read_audio(CLIP), path := tmp_path / f"clip.{suffix}")
    assert clip_seconds(path) == pytest.approx(read_audio(path).duration, abs=0.01)


def test_a_wav_that_was_cut_short_is_noticed_by_its_header(tmp_path: Path) -> None:
    write_audio(read_audio(CLIP), path := tmp_path / "clip.wav")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(StudioError, match=r"clip\.wav"):
        clip_seconds(path)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(StudioError, match=r"rows\.jsonl"):
        report(tmp_path / "rows.jsonl", settings)


# --- the hash -------------------------------------------------------------------------------------------------------


def written(folder: Path, clip: Path, *, text: str = "Say this.", name: str = "a.flac") -> Path:
    folder.mkdir()
    shutil.copy(clip, folder / name)
    return write_rows(folder / "rows.jsonl", [said(name, text=text), said(name, text="And that.")])


def test_the_same_rows_elsewhere_have_the_same_hash(tmp_path: Path, settings: Settings) -> None:
    one = report(written(tmp_path / "one", CLIP), settings)
    two = report(written(tmp_path / "two", CLIP, name="b.flac"), settings)
    assert one.sha256 == two.sha256
    assert len(one.sha256) == 64


def test_other_sound_or_text_has_another_hash(tmp_path: Path, settings: Settings) -> None:
    hashes = {
        report(written(tmp_path / "one", CLIP), settings).sha256,
        report(written(tmp_path / "two", OTHER), settings).sha256,
        report(written(tmp_path / "three", CLIP, text="Say those."), settings).sha256,
    }
    assert len(hashes) == 3


# --- clips elsewhere ------------------------------------------------------------------------------------------------


def test_clips_outside_of_what_is_allowed_are_refused_without_telling_whether_they_exist(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rows"
    path = written(folder, CLIP)
    (folder / "link.flac").symlink_to(OTHER)
    (tmp_path / "here").mkdir()
    shutil.copy(OTHER, tmp_path / "here" / "beside.flac")
    shutil.copy(OTHER, tmp_path / "secret.flac")
    monkeypatch.chdir(tmp_path / "here")
    in_parts = {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "audio", "audio_url": {"url": "../secret.flac"}},
                    {"type": "text", "text": "Say."},
                ],
            },
            {"role": "assistant", "content": [{"type": "audio", "audio_url": "a.flac"}]},
        ]
    }
    rows = [
        said("a.flac"),
        said("link.flac"),
        said("../secret.flac"),
        said("../nothing.flac"),
        said(OTHER),
        said("beside.flac"),
        said("absent.flac"),
        said("a.flac", reference_audio="../secret.flac", reference_text="Hm."),
        in_parts,
        said("\0.flac"),
        said("a.flac", reference_audio={"path": str(OTHER)}),
    ]
    write_rows(path, rows)
    found = report(path, settings, allowed=[folder])
    assert [each.number for each in found.measured] == [1]
    sentences = dict(found.bad)
    for number, name in (
        (2, "link.flac"),
        (3, "secret.flac"),
        (4, "nothing.flac"),
        (5, OTHER.name),
        (8, "secret.flac"),
        (9, "secret.flac"),
        (11, OTHER.name),
    ):
        assert sentences[number] == sentences[3].replace("secret.flac", name)
    assert sentences[6] == sentences[7].replace("absent.flac", "beside.flac")  # what lies in the working directory


def test_without_limits_clips_may_lie_anywhere(tmp_path: Path, settings: Settings) -> None:
    found = report(write_rows(tmp_path / "rows.jsonl", [said(OTHER)]), settings)
    assert found.bad == ()


# --- consent --------------------------------------------------------------------------------------------------------


def voice_clip(settings: Settings, owner: str = "") -> tuple[VoiceLibrary, Path]:
    library = VoiceLibrary(settings, Store(settings.store_file), owner)
    name = "kathleen_a0003.flac"
    clip = NewClip(read_audio(DATA / name), Transcript(TRANSCRIPTS[name], "en"))
    consent = SpeakerConsent.given("permission", who="Anna", statement="by letter")
    return library, library.add("Anna", [clip], consent).clips[0].path


def test_the_consent_of_library_voices_is_found(tmp_path: Path, settings: Settings) -> None:
    _, clip = voice_clip(settings)
    (link := tmp_path / "link.flac").symlink_to(clip)
    found = report(write_rows(tmp_path / "rows.jsonl", [said(clip), said(link), said(CLIP)]), settings)
    (consent,) = found.consent
    assert (consent.name, consent.ground, consent.statement) == ("Anna", "permission", "by letter")
    assert consent.recorded_at
    assert found.unrecorded == 1
    assert found.refusals == ()


def test_a_voice_that_comes_with_the_studio_has_its_licence(tmp_path: Path, settings: Settings) -> None:
    preset = preset_voices()[0]
    found = report(write_rows(tmp_path / "rows.jsonl", [said(preset.clips[0].path)]), settings)
    assert [(each.voice_id, each.ground) for each in found.consent] == [(preset.id, preset.consent.ground)]
    assert found.unrecorded == 0


def test_a_voice_whose_consent_was_withdrawn_is_refused_by_its_name(tmp_path: Path, settings: Settings) -> None:
    library, clip = voice_clip(settings)
    library.withdraw_consent("Anna")
    found = report(write_rows(tmp_path / "rows.jsonl", [said(CLIP), said(clip)]), settings)
    (refusal,) = found.refusals
    assert "Anna" in refusal
    assert "withdrawn" in refusal
    assert found.consent == ()


def test_a_deleted_voice_and_that_of_somebody_else_are_refused(tmp_path: Path, settings: Settings) -> None:
    _, others = voice_clip(settings, owner="somebody")
    (gone := settings.voices_folder / "0123456789ab").mkdir()
    shutil.copy(CLIP, gone / "clip.flac")
    found = report(write_rows(tmp_path / "rows.jsonl", [said(others), said(gone / "clip.flac")]), settings)
    assert len(found.refusals) == 2
    assert "0123456789ab" in found.refusals[1]
    assert not any("Anna" in refusal for refusal in found.refusals)
    assert found.consent == ()

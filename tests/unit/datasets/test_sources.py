"""What strangers' folders and tables say is read as it was meant, or a sentence names the line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

from studio.datasets.sources import Found, SourceOptions, read_source
from studio.errors import StudioError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clips(tmp_path: Path, kathleen: dict[Path, str]) -> Path:
    """A folder with ``a.wav``, ``b.flac`` and ``sub/c.flac``."""
    folder = tmp_path / "clips"
    (folder / "sub").mkdir(parents=True)
    for name, clip in zip(("a.wav", "b.flac", "sub/c.flac"), kathleen, strict=False):
        samples, rate = soundfile.read(clip, dtype="int16")
        soundfile.write(folder / name, samples, rate)
    return folder


def found(kind: str, source: Path, **options: Any) -> list[Found]:
    return list(read_source(kind, source, SourceOptions(**options)))


def said(entries: list[Found], source: Path) -> list[tuple[str | None, str, str | None]]:
    """File, text and speaker of what can be used; nothing may have a flaw."""
    assert [entry.flaw for entry in entries if entry.flaw] == []
    return [(entry.path and os.path.relpath(entry.path, source), entry.text, entry.speaker) for entry in entries]


def flaws(entries: list[Found]) -> list[str]:
    return [f"{entry.place}: {entry.flaw}" for entry in entries if entry.flaw]


# Tables


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain", b"audio,text\na.wav,Hello there.\n"),
        ("byte-order mark, CRLF", b"\xef\xbb\xbfaudio,text\r\na.wav,Hello there.\r\n"),
        ("quotes, space before them", b'audio, text\na.wav, "Hello there."\n'),
        ("quotes, spaces on both sides", b'audio , text\n"a.wav" , "Hello there." \n'),
        ("semicolons and capitals", b"File;Transcript\na;Hello there.\n"),
        ("tabs", b"path\tsentence\n./a.wav\tHello there.\n"),
        ("pipes", b"audio|text\na.wav|Hello there.\n"),
        ("Windows", b"audio,text\nC:\\data\\clips\\a.wav,Hello there.\n"),
        ("Windows, relative", b"audio,text\nsub\\..\\a.wav,Hello there.\n"),
        ("another machine", b"audio,text\n/mnt/speech/clips/a.wav,Hello there.\n"),
        ("UTF-16", "audio,text\na.wav,Hello there.\n".encode("utf-16")),
    ],
)
def test_a_table_is_read_however_it_was_saved(name: str, content: bytes, clips: Path) -> None:
    (clips / "metadata.csv").write_bytes(content)
    assert said(found("csv", clips), clips) == [("a.wav", "Hello there.", None)]


def test_a_table_in_a_named_encoding_is_read(clips: Path) -> None:
    (clips / "metadata.csv").write_bytes("audio,text\na.wav,你好，世界。\n".encode("gbk"))
    assert said(found("csv", clips, encoding="gbk"), clips) == [("a.wav", "你好，世界。", None)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("audio,text\na.wav,Hello.\nb.flac,你好\n".encode("gbk"), r"'metadata.csv' line 3 is not UTF-8"),
        (b"audio,text\na.wav,Hel\0lo.\n", r"'metadata.csv' line 2 holds a NUL character"),
        (b'audio,text\na.wav,"Hello\n', r"'metadata.csv' line 2 is not valid CSV"),
        (b"clip,said\na.wav,Hello.\n", r"no column that is known to hold the text: .* \(clip, said\)"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_by_line(content: bytes, sentence: str, clips: Path) -> None:
    (clips / "metadata.csv").write_bytes(content)
    with pytest.raises(StudioError, match=sentence):
        found("csv", clips)


def test_lines_that_cannot_be_used_say_why(clips: Path) -> None:
    lines = ["audio,text", "a.wav,Hello, you.", "b.flac,Fine.", "b.flac,Again.", "aa.wav,Gone.", ",Nothing."]
    (clips / "metadata.csv").write_text("\n".join(lines))
    assert flaws(found("csv", clips)) == [
        "metadata.csv line 2: The line has more fields than the header: put the text in quotes.",
        "metadata.csv line 4: Line 3 names the same recording 'b.flac': keep one of them.",
        "metadata.csv line 5: The recording 'aa.wav' does not exist: it was looked for in its folder and the folder "
        "'wavs' and the folder 'clips', where 'a.wav' comes nearest.",
        "metadata.csv line 6: No recording is named: name one.",
    ]


@pytest.mark.parametrize("name", ["../secret.wav", "link.wav", "{outside}/secret.wav"])
def test_no_path_leads_out_of_the_source(name: str, clips: Path) -> None:
    secret = clips.parent / "secret.wav"
    shutil.copy(clips / "a.wav", secret)
    (clips / "link.wav").symlink_to(secret)
    (clips / "metadata.csv").write_text(f"audio,text\n{name.format(outside=clips.parent)},Hello.\n")
    (entry,) = found("csv", clips)
    assert entry.path is None and "outside of the source" in entry.flaw
    assert said(found("csv", clips, inside_only=False), clips)[0][1] == "Hello."


def test_ljspeech_has_two_or_three_fields_a_header_or_none_and_no_id_twice(clips: Path) -> None:
    (clips / "wavs").mkdir()
    for name in ("a.wav", "b.flac"):
        shutil.copy(clips / name, clips / "wavs")
    table = clips / "metadata.csv"
    table.write_text("id|text|normalized_text\na|1 cat|One cat.\nb|Two.\n")
    assert said(found("ljspeech", clips), clips / "wavs") == [
        ("a.wav", "One cat.", "clips"),
        ("b.flac", "Two.", "clips"),
    ]
    table.write_text("a|text a|b c|more\nb|Two.\nb|Three.\n")
    assert flaws(found("ljspeech", clips)) == [
        "metadata.csv line 1: The line is not id|text|normalised text: correct it.",
        "metadata.csv line 3: Line 2 has the same id 'b': keep one of them, or rename it.",
    ]


# Other layouts


def test_vctk_is_read_by_microphone(clips: Path, kathleen: dict[Path, str]) -> None:
    source = clips.parent / "VCTK"
    for speaker in ("p225", "p226"):
        (source / "wav48_silence_trimmed" / speaker).mkdir(parents=True)
        (source / "txt" / speaker).mkdir(parents=True)
        for microphone in ("mic1", "mic2"):
            shutil.copy(
                clips / "b.flac", source / "wav48_silence_trimmed" / speaker / f"{speaker}_001_{microphone}.flac"
            )
        (source / "txt" / speaker / f"{speaker}_001.txt").write_text("Please call Stella.\n")
    (source / "txt" / "p226" / "p226_001.txt").unlink()
    entries = found("vctk", source, microphone="mic2")
    assert [entry.name for entry in entries] == ["p225_001", "p226_001"]
    assert entries[0].path is not None and entries[0].path.name == "p225_001_mic2.flac"
    assert (entries[0].text, entries[0].speaker, entries[0].flaw) == ("Please call Stella.", "p225", "")
    assert "Its text 'p226_001.txt' is not in the folder txt/p226" in entries[1].flaw
    with pytest.raises(StudioError, match="not laid out as VCTK"):
        found("vctk", clips)


def test_a_folder_has_texts_beside_its_clips_or_none(clips: Path) -> None:
    (clips / "a.txt").write_text("Hello\nthere.")
    (clips / "sub" / "c.json").write_text(json.dumps({"text": "Good evening.", "speaker": "Anna"}))
    assert said(found("folder", clips), clips) == [
        ("a.wav", "Hello there.", None), ("b.flac", "", None), ("sub/c.flac", "Good evening.", "Anna"),
    ]  # fmt: skip
    (clips / "sub" / "c.json").write_text("{")
    assert "'c.json' is not valid JSON" in flaws(found("folder", clips))[0]
    (clips / "empty").mkdir()
    with pytest.raises(StudioError, match="holds no recordings"):
        found("folder", clips / "empty")
    # Whatever an upload takes is looked at in a folder, too.
    (clips / "empty" / "d.aifc").write_bytes((clips / "a.wav").read_bytes())
    assert said(found("folder", clips / "empty"), clips / "empty") == [("d.aifc", "", None)]


def test_rows_give_what_is_trained_once(clips: Path) -> None:
    reference = {"role": "user", "content": "Who speaks."}, {"role": "assistant", "content": "<audio>", "loss": False}
    rows = [
        {"messages": [*reference, {"role": "user", "content": text}, {"role": "assistant", "content": "<audio>"}],
         "audios": ["b.flac", "a.wav"], "speaker": "Anna"}
        for text in ("Hello there.", "Hello there.")
    ]  # fmt: skip
    bad = {**rows[0], "audios": ["b.flac", "gone.wav"]}
    (clips / "rows.jsonl").write_text("\n".join(map(json.dumps, [*rows, bad])) + "\n{broken\n")
    entries = found("jsonl", clips / "rows.jsonl")
    assert said([entry for entry in entries if not entry.flaw], clips) == [("a.wav", "Hello there.", "Anna")]
    assert [flaw.partition(": ")[0] for flaw in flaws(entries)] == ["rows.jsonl row 3", "rows.jsonl row 4"]


@pytest.mark.parametrize("key", ["audios", "reference_audio"])
def test_a_row_that_names_a_file_elsewhere_gets_the_one_in_the_source_or_none(key: str, clips: Path) -> None:
    """Also where one of the same name lies in the source: what is read is what was found to lie inside."""
    secret = clips.parent / "a.wav"
    secret.write_bytes(b"private")
    row = {"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "<audio>"}]}
    row |= (
        {"audios": [str(secret)]}
        if key == "audios"
        else {"audios": ["b.flac"], key: str(secret), "reference_text": "Ho."}
    )
    (clips / "rows.jsonl").write_text(json.dumps(row))
    entries = found("jsonl", clips / "rows.jsonl")
    assert entries and all(entry.path is None or entry.path.is_relative_to(clips) for entry in entries)
    (clips / "a.wav").unlink()
    (entry,) = found("jsonl", clips / "rows.jsonl")
    assert entry.path is None and "outside of the source" in entry.flaw


@pytest.mark.parametrize("audios", [None, "missing", "", [""], [None], 3])
def test_rows_whose_audios_are_no_list_of_names_say_so(audios: Any, clips: Path) -> None:
    row: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "<audio>"}]
    }
    if audios != "missing":
        row["audios"] = audios
    (clips / "rows.jsonl").write_text(json.dumps(row))
    (entry,) = found("jsonl", clips / "rows.jsonl")
    assert entry.flaw and entry.place == "rows.jsonl row 1"


def test_a_nemo_manifest_may_name_stretches(clips: Path) -> None:
    lines = [
        {"audio_filepath": "a.wav", "duration": 9, "text": "Hello."},
        {"audio_filepath": "b.flac", "duration": 1.5, "offset": 0.5, "text": "There.", "speaker": "Anna", "lang": "en"},
    ]
    (clips / "manifest.json").write_text("\n".join(map(json.dumps, lines)) + '\n{"text": "no file"}\n')
    first, second, third = found("nemo", clips)
    assert (first.start, first.end) == (None, None)
    assert (second.start, second.end, second.speaker, second.language) == (0.5, 2.0, "Anna", "en")
    assert third.flaw == "The line names no audio_filepath: add it."


def test_the_metadata_of_higgs_trainers_is_read(clips: Path) -> None:
    (clips / "a.txt").write_text("Hello there.")
    samples = [
        {
            "audio_file": "a.wav",
            "transcript_file": "a.txt",
            "speaker_id": "Anna",
            "scene": "A train.",
            "emotion": "calm",
        },
        {"audio_file": "b.flac", "transcript_file": "gone.txt", "speaker_id": "Ben"},
    ]
    (clips / "metadata.json").write_text(json.dumps({"dataset_info": {"total_samples": 2}, "samples": samples}))
    first, second = found("higgs", clips)
    assert (first.text, first.speaker, first.scene, first.flaw) == ("Hello there.", "Anna", "A train.", "")
    assert "The transcript 'gone.txt' does not exist" in second.flaw


def test_a_hugging_face_folder_gives_its_sound(clips: Path) -> None:
    import datasets

    columns = {"audio": [str(clips / "a.wav"), str(clips / "b.flac")], "text": ["One.", "Two."], "speaker": ["A", "B"]}
    whole = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio(decode=False))
    sounds = [{"bytes": (clips / name).read_bytes(), "path": name} for name in ("a.wav", "b.flac")]
    embedded = whole.map(lambda _, index: {"audio": sounds[index]}, with_indices=True)
    embedded.save_to_disk(str(clips.parent / "saved"))
    (clips.parent / "parquet").mkdir()
    embedded.to_parquet(str(clips.parent / "parquet" / "validation-00000-of-00001.parquet"))
    for folder, split in (("saved", "train"), ("parquet", "validation")):
        entries = found("huggingface", clips.parent / folder)
        assert [(entry.name, entry.text, entry.speaker, entry.flaw) for entry in entries] == [
            ("a.wav", "One.", "A", ""), ("b.flac", "Two.", "B", ""),
        ]  # fmt: skip
        assert entries[0].content == (clips / "a.wav").read_bytes()
        assert entries[0].split == split
    with pytest.raises(StudioError, match="no column words"):
        found("huggingface", clips.parent / "parquet", text_column="words")


def test_recordings_are_found_with_their_scripts(clips: Path) -> None:
    (clips / "b.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello.\n")
    entries = found("recordings", clips)
    assert [(entry.name, entry.script and entry.script.name) for entry in entries] == [
        ("a.wav", None), ("b.flac", "b.srt"), ("c.flac", None),
    ]  # fmt: skip
    assert found("recordings", clips / "b.flac")[0].script == clips / "b.srt"


# File names


def test_names_that_are_no_utf8_and_a_c_locale_are_read(clips: Path) -> None:
    os.rename(clips / "a.wav", os.fsencode(clips) + b"/gr\xfcn.wav")  # noqa: PTH104
    assert [entry.name for entry in found("folder", clips)] == ["b.flac", "gr�n.wav", "c.flac"]
    (clips / "b.flac").rename(clips / "größe.flac")
    (clips / "metadata.csv").write_text("audio,text\ngröße.flac,Hallo.\n", encoding="utf-8")
    program = (
        "from studio.datasets.sources import SourceOptions, read_source; from pathlib import Path; import sys\n"
        "print([(e.text, e.flaw) for e in read_source('csv', Path(sys.argv[1]), SourceOptions())])"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(clips)], env=os.environ | plain, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "[('Hallo.', '')]\n", done.stderr


@pytest.mark.parametrize("kind", ["csv", "ljspeech", "folder", "vctk", "jsonl", "nemo", "higgs", "recordings"])
def test_a_source_that_is_not_there_is_a_sentence(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"^[^\n]+\.$"):
        found(kind, tmp_path / "nowhere")
    with pytest.raises(StudioError, match=r"^[^\n]+\.$"):
        found(kind, tmp_path)


def test_reading_asks_for_no_more_than_is_wanted(clips: Path) -> None:
    lines = "".join(f"{number}.wav,Text {number}.\n" for number in range(20_000))
    (clips / "metadata.csv").write_text("audio,text\n" + lines)
    assert len(found("csv", clips, limit=3)) == 3
    assert next(read_source("csv", clips, SourceOptions())).place == "metadata.csv line 2"

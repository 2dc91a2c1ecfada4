"""What a visitor uploads to train on: it is found again beside its rows, and nothing reaches outside of its folder."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from studio.datasets.rows.uploads import clear_remains, take_uploads, uploads_folder
from studio.engine.rows import clip_paths, map_clip_paths, parse_row, read_rows
from studio.errors import StudioError
from studio.settings import Settings
from studio.training.folder import rows_files
from tests.conftest import DATA

CLIP = DATA / "kathleen_a0158.flac"
OTHER = DATA / "kathleen_a0098.flac"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", max_upload_mb=1)


def row(*clips: str, text: str = "Say this.") -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for _ in clips[:-1]:
        messages += [{"role": "user", "content": "Before."}, {"role": "assistant", "content": "<audio>", "loss": False}]
    messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "<audio>"}]
    return {"messages": messages, "audios": list(clips)}


def write(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def packed(path: Path, **entries: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content.read_bytes() if isinstance(content, Path) else content)
    return path


def clips_of(rows: Path) -> list[bytes]:
    """The content of every clip that the rows lead to, in order."""
    return [
        clip.read_bytes()
        for _, read in read_rows(rows)
        if not isinstance(read, StudioError)
        for clip in parse_row(read, folder=rows.parent).clips
    ]


def nothing_left(settings: Settings) -> bool:
    folder = uploads_folder(settings)
    return not folder.exists() or not list(folder.iterdir())


def test_rows_find_their_recordings_whatever_folder_they_were_written_with(tmp_path: Path, settings: Settings) -> None:
    rows = write(
        tmp_path / "mine.jsonl", row("C:\\Users\\me\\kathleen_a0098.flac", "/home/me/clips/kathleen_a0158.flac")
    )
    taken = take_uploads([rows, CLIP, OTHER], settings, "")
    assert clips_of(taken) == [OTHER.read_bytes(), CLIP.read_bytes()]
    assert taken.name == "mine.jsonl"
    assert taken.parent.parent == settings.datasets_folder / "uploads"
    assert {path.parent for path in taken.parent.rglob("*") if path.is_file()} == {taken.parent}


@pytest.mark.parametrize("form", ["list", "indented", "one row"])
def test_a_json_list_is_taken_like_json_lines(form: str, tmp_path: Path, settings: Settings) -> None:
    rows = tmp_path / "rows.json"
    content: Any = row("a/kathleen_a0158.flac")
    content = content if form == "one row" else [content]
    rows.write_text("\ufeff" + json.dumps(content, indent=2 if form != "list" else None), encoding="utf-8")
    assert clips_of(take_uploads([rows, CLIP], settings, "")) == [CLIP.read_bytes()]


def test_the_other_forms_of_rows_find_theirs_too(tmp_path: Path, settings: Settings) -> None:
    in_parts = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Say this."}]},
            {"role": "assistant", "content": [{"type": "audio", "audio_url": "x/kathleen_a0158.flac"}]},
        ]
    }
    apart = {**row("y/kathleen_a0158.flac"), "reference_audio": ["z/kathleen_a0098.flac"], "reference_text": "Before."}
    taken = take_uploads([write(tmp_path / "rows.jsonl", in_parts, apart), CLIP, OTHER], settings, "")
    assert clips_of(taken) == [CLIP.read_bytes(), OTHER.read_bytes(), CLIP.read_bytes()]


def test_the_guard_of_paths_and_the_renaming_reach_the_same() -> None:
    """Whatever a guard sees is renamed, however oddly the row is written: nested lists, objects, a lone part."""
    odd: Any = {
        "audios": ["a", ["b", {"path": "c", "bytes": "x"}], " "],
        "reference_audio": {"url": {"path": "d"}},
        "messages": [
            {"role": "assistant", "content": {"type": "audio", "audio": "e"}},
            {"role": "assistant", "content": [{"audio_url": ["f", {"url": "g"}], "text": "stays"}, "<audio>"]},
            {"role": "assistant"},
            "no message",
        ],
    }
    assert clip_paths(odd) == ["a", "b", "c", "d", "e", "f", "g"]
    assert clip_paths(map_clip_paths(odd, str.upper)) == ["A", "B", "C", "D", "E", "F", "G"]
    assert map_clip_paths(odd, lambda path: path) == odd


def test_an_archive_with_both_is_unpacked(tmp_path: Path, settings: Settings) -> None:
    archive = packed(
        tmp_path / "voice.zip",
        **{
            "voice/rows.jsonl": json.dumps(row("wavs/kathleen_a0158.flac")),
            "voice/wavs/kathleen_a0158.flac": CLIP,
            "__MACOSX/voice/._rows.jsonl": "of a Mac",
            "voice/readme.txt": "not needed",
            "voice/inner.zip": b"PK\x05\x06" + bytes(18),
        },
    )
    taken = take_uploads([archive], settings, "")
    assert clips_of(taken) == [CLIP.read_bytes()]
    assert {path.name for path in taken.parent.iterdir()} == {"rows.jsonl", "kathleen_a0158.flac", ".upload"}


def test_recordings_of_one_name_in_two_folders_are_told_apart(tmp_path: Path, settings: Settings) -> None:
    rows = json.dumps(row("anna/1.flac")) + "\n" + json.dumps(row("ben/1.flac"))
    archive = packed(tmp_path / "two.zip", **{"d/rows.jsonl": rows, "d/anna/1.flac": CLIP, "d/ben/1.flac": OTHER})
    assert clips_of(take_uploads([archive], settings, "")) == [CLIP.read_bytes(), OTHER.read_bytes()]


def test_where_the_rows_do_not_tell_them_apart_it_says_so(tmp_path: Path, settings: Settings) -> None:
    archive = packed(
        tmp_path / "two.zip", **{"rows.jsonl": json.dumps(row("1.flac")), "anna/1.flac": CLIP, "ben/1.flac": OTHER}
    )
    with pytest.raises(StudioError, match=r"2 recordings .* 1\.flac"):
        take_uploads([archive], settings, "")
    assert nothing_left(settings)


@pytest.mark.parametrize("name", ["../../escaped.flac", "/tmp/escaped.flac", "..\\..\\escaped.flac"])
def test_an_archive_cannot_write_outside_of_its_folder(name: str, tmp_path: Path, settings: Settings) -> None:
    archive = packed(tmp_path / "evil.zip", **{"rows.jsonl": json.dumps(row("escaped.flac")), name: CLIP})
    before = set(tmp_path.rglob("*"))
    taken = take_uploads([archive], settings, "")
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(taken.parent in path.parents for path in made)
    assert not Path("/tmp/escaped.flac").exists()
    assert clips_of(taken) == [CLIP.read_bytes()]


def test_links_in_an_archive_are_left_out(tmp_path: Path, settings: Settings) -> None:
    archive = packed(tmp_path / "links.zip", **{"rows.jsonl": json.dumps(row("secret.wav"))})
    with zipfile.ZipFile(archive, "a") as opened:
        link = zipfile.ZipInfo("secret.wav")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
    taken = take_uploads([archive], settings, "")
    assert [path.name for path in taken.parent.iterdir() if path.suffix == ".wav"] == []


def test_an_archive_that_unpacks_to_more_than_allowed_is_refused(tmp_path: Path, settings: Settings) -> None:
    archive = packed(
        tmp_path / "bomb.zip",
        **{"rows.jsonl": json.dumps(row("a.wav")), "a.wav": bytes(10**7), "b.wav": b""},
    )
    assert archive.stat().st_size < 50_000
    with pytest.raises(StudioError, match="more than 5 MB"):
        take_uploads([archive], settings, "")
    assert nothing_left(settings)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no zip", "locked"])
def test_an_archive_that_cannot_be_read_is_a_sentence(damage: str, tmp_path: Path, settings: Settings) -> None:
    archive = packed(tmp_path / "mine.zip", **{"rows.jsonl": json.dumps(row("a.flac")), "a.flac": CLIP})
    data = bytearray(archive.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    elif damage == "no zip":
        data = bytearray(b"hello")
    else:
        for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            position = data.find(mark)
            while position >= 0:
                data[position + at] |= 1
                position = data.find(mark, position + 1)
    archive.write_bytes(data)
    with pytest.raises(StudioError, match="pack it"):
        take_uploads([archive], settings, "")
    assert nothing_left(settings)


@pytest.mark.parametrize(("number", "said"), [(0, "no file of training rows"), (2, "2 files of training rows")])
def test_there_must_be_exactly_one_file_of_rows(number: int, said: str, tmp_path: Path, settings: Settings) -> None:
    rows = [write(tmp_path / f"{n}.jsonl", row("kathleen_a0158.flac")) for n in range(number)]
    with pytest.raises(StudioError, match=said):
        take_uploads([*rows, CLIP], settings, "")
    assert nothing_left(settings)


def test_nothing_uploaded_says_what_to_choose(settings: Settings) -> None:
    with pytest.raises(StudioError, match=r"choose a file of training rows"):
        take_uploads([], settings, "")


def test_a_path_to_the_server_loses_its_folders(tmp_path: Path, settings: Settings) -> None:
    taken = take_uploads([write(tmp_path / "rows.jsonl", row("/etc/passwd"), row("../../studio.db"))], settings, "")
    written = [read["audios"] for _, read in read_rows(taken) if not isinstance(read, StudioError)]
    assert written == [["passwd"], ["studio.db"]]


def test_a_broken_line_keeps_its_number(tmp_path: Path, settings: Settings) -> None:
    rows = write(tmp_path / "rows.jsonl", row("kathleen_a0158.flac"), "", '{"messages": [', row("kathleen_a0158.flac"))
    read = dict(read_rows(take_uploads([rows, CLIP], settings, "")))
    assert sorted(read) == [1, 3, 4]
    assert isinstance(read[3], StudioError)


@pytest.mark.parametrize("name", ["ça va (1).flac", "こんにちは.flac", "50% : a$b.flac", "x" * 190 + ".flac"])
def test_names_of_every_kind_are_found(name: str, tmp_path: Path, settings: Settings) -> None:
    # As an upload names it: without what no file system likes.
    sent = tmp_path / "".join(char for char in name if char not in ":$")
    shutil.copyfile(CLIP, sent)
    taken = take_uploads([write(tmp_path / "rows.jsonl", row(f"clips/{name}")), sent], settings, "")
    assert clips_of(taken) == [CLIP.read_bytes()]


def test_uploads_that_no_job_uses_go_after_a_day(tmp_path: Path, settings: Settings) -> None:
    rows = write(tmp_path / "rows.jsonl", row("kathleen_a0158.flac"))
    unused, used, fresh = (take_uploads([rows, CLIP], settings, "") for _ in range(3))
    job = settings.jobs_folder / "a job"
    write(job / "rows.jsonl", row(str(used.parent / "kathleen_a0158.flac")))
    yesterday = time.time() - 90_000
    for each in (unused, used):
        os.utime(each.parent, (yesterday, yesterday))
    assert clear_remains(settings, rows_files(settings.jobs_folder)) == 1
    assert (unused.exists(), used.exists(), fresh.exists()) == (False, True, True)

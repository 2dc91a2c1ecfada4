"""What the trainer spoke is read back, whatever state its log is in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.training.monitoring.samples import Sample, read_samples


def entry(step: int, **changes: Any) -> dict[str, Any]:
    sample = {
        "text": "Hello.",
        "file": f"step-{step:06d}-1.wav",
        "seconds": 1.5,
        "ended": True,
        "budget_seconds": 3.0,
        "loudness_dbfs": -20.0,
        "same_as_base": False,
    }
    return {"step": step, "samples": [{**sample, **changes}], "elapsed": 1.0}


def write(folder: Path, *lines: Any) -> None:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "samples.jsonl").write_text(text, encoding="utf-8")


def test_steps_come_in_order_with_the_path_of_their_sound(tmp_path: Path) -> None:
    write(tmp_path, entry(20), entry(0), entry(10, text="Ja, schön."))
    found = read_samples(tmp_path)
    assert [each.step for each in found] == [0, 10, 20]
    sound = tmp_path / "step-000010-1.wav"
    assert found[1].samples == (Sample("Ja, schön.", sound, 1.5, True, 3.0, -20.0, False),)
    assert not found[1].error


def test_what_was_spoken_later_takes_the_place_of_what_was_spoken_before(tmp_path: Path) -> None:
    write(tmp_path, {"step": 5, "samples": [], "error": "The disk is full."}, entry(5, seconds=2.0))
    (found,) = read_samples(tmp_path)
    assert (found.samples[0].seconds, found.error) == (2.0, "")
    write(tmp_path, entry(5), {"step": 5, "samples": [], "error": "The disk is full."})
    (found,) = read_samples(tmp_path)
    assert (found.samples, found.error) == ((), "The disk is full.")


def test_lines_that_are_none_are_left_out(tmp_path: Path) -> None:
    broken = [
        "",
        "null",
        "[1]",
        "7",
        '{"step": 3}',
        '{"step": "x", "samples": []}',
        '{"step": 4, "samples": [{}]}',
        "[" * 9999,
    ]
    cut = json.dumps(entry(9))[:-20]
    write(tmp_path, *broken, entry(8), cut)
    assert [each.step for each in read_samples(tmp_path)] == [8]


def test_a_folder_that_is_not_there_has_no_samples(tmp_path: Path) -> None:
    assert read_samples(tmp_path / "nowhere") == []


def test_a_file_outside_of_the_folder_is_never_pointed_at(tmp_path: Path) -> None:
    write(tmp_path, entry(1, file="../../secret.wav"), entry(2, file="/etc/passwd"))
    assert [each.samples[0].path for each in read_samples(tmp_path)] == [tmp_path / "secret.wav", tmp_path / "passwd"]


def test_silence_is_told_by_its_loudness(tmp_path: Path) -> None:
    write(
        tmp_path, entry(1, loudness_dbfs=-120.0), entry(2, loudness_dbfs=-59.0), entry(3, loudness_dbfs=float("-inf"))
    )
    assert [each.samples[0].silent for each in read_samples(tmp_path)] == [True, False, True]

"""Figures in words for people."""

from __future__ import annotations

from datetime import datetime, timedelta

from studio import formatting


def test_how_long_ago_is_told_as_people_tell_it() -> None:
    now = datetime.fromisoformat("2026-03-09T12:00:00+00:00")
    assert [formatting.ago(now - timedelta(seconds=s), now) for s in (5, 61, 7300, 200_000)] == [
        "just now", "1 min ago", "2 h ago", "7 Mar 2026",
    ]  # fmt: skip


def test_a_duration_has_its_seconds_and_an_estimate_does_not() -> None:
    assert [formatting.duration(s) for s in (-1, 0.4, 59, 61, 3720)] == [
        "0 s", "0 s", "59 s", "1 min 01 s", "1 h 02 min",
    ]  # fmt: skip
    assert [formatting.estimate(s) for s in (1, 85, 100, 9000)] == ["1 s", "85 s", "2 min", "2.5 h"]


def test_a_clip_has_tenths_of_seconds_and_a_short_one_hundredths() -> None:
    assert [formatting.seconds(s) for s in (12.0, 0.24, 0.041)] == ["12 s", "0.2 s", "0.04 s"]


def test_files_are_told_in_powers_of_ten_and_memory_in_powers_of_two() -> None:
    assert [formatting.size(n) for n in (12, 1500, 2_500_000, 3_100_000_000)] == ["12 bytes", "2 KB", "2 MB", "3.1 GB"]
    assert [formatting.memory(n) for n in (2048, 3 * 2**20, 2**30)] == ["2 KiB", "3 MiB", "1.0 GiB"]

"""Reports: one file with all that was heard, which asks nobody for anything, and in which no withdrawn voice is."""

from __future__ import annotations

import base64
import csv
import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

from studio.audio.reading import read_audio
from studio.audio.synthetic_mark import MARK, is_marked
from studio.evaluation.blind.session import BlindSession
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.reports.writing import write_report
from tests.comparisons import TEXTS, made, plan_of
from tests.refusals import refusal
from tests.takes import saved_voice


def voted(library: ComparisonLibrary, comparison: Comparison, reason: str = "") -> None:
    session = BlindSession.of_owner(library.settings, library.store, comparison.id, library.owner)
    while (trial := session.next()) is not None:
        session.vote(trial.id, "left", reason)


def sounds_in(page: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r"data:audio/mpeg;base64,([A-Za-z0-9+/=]+)", page)]


def test_a_report_is_one_page_with_sounds_plots_settings_hashes_and_votes(
    library: ComparisonLibrary, tmp_path: Path
) -> None:
    comparison = made(
        library,
        plan_of({"label": "alpha <script>"}, {"label": "beta", "temperature": 0.7}, {"label": "gamma", "top_k": 9}),
    )
    voted(library, comparison, "=HYPERLINK(1)")
    take = library.takes(comparison.id)[0]
    library.add_figures(take.id, {"wer": 0.125})
    library.add_figures(take.id, {"similarity": 0.5, "similarity_model": "some"})
    target = tmp_path / "report.html"
    report = write_report(library, comparison.id, target)
    page = target.read_text(encoding="utf-8")
    sounds = sounds_in(page)
    assert len(sounds) == 9
    (tmp_path / "one.mp3").write_bytes(sounds[0])
    assert is_marked(tmp_path / "one.mp3")
    assert read_audio(tmp_path / "one.mp3").duration > 0.5
    assert MARK in page
    assert "alpha &lt;script&gt;" in page
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)  # nothing of it lies elsewhere
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 2
    assert take.sha256[:16] in page
    assert report.plan_sha256 in page
    assert "temperature: 0.7" in page
    assert "wer 0.125" in page
    assert "Your preference" in page

    write_report(library, comparison.id, tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert document["synthetic_mark"] == MARK
    assert len(document["takes"]) == 9
    assert len(document["votes"]) == len(report.votes) == 10
    assert document["takes"][0]["figures"] == {"wer": 0.125, "similarity": 0.5, "similarity_model": "some"}
    write_report(library, comparison.id, tmp_path / "votes.csv")
    rows = list(csv.DictReader(StringIO((tmp_path / "votes.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 10
    assert {row["text"] for row in rows} == set(TEXTS)
    assert rows[0]["reason"] == "'=HYPERLINK(1)"
    assert rows[0]["preferred"] == rows[0]["left"]
    write_report(library, comparison.id, tmp_path / "takes.csv", table="takes")
    rows = list(csv.DictReader(StringIO((tmp_path / "takes.csv").read_text(encoding="utf-8"))))
    assert (len(rows), rows[0]["wer"], rows[1]["wer"]) == (9, "0.125", "")
    assert "must end in .html, .csv or .json" in refusal(
        lambda: write_report(library, comparison.id, tmp_path / "a.pdf")
    )
    assert "does not exist" in refusal(lambda: write_report(library, comparison.id, tmp_path / "no" / "a.html"))


def test_two_systems_show_how_the_preference_went_and_without_votes_there_is_a_report_too(
    library: ComparisonLibrary, tmp_path: Path
) -> None:
    comparison = made(library, plan_of())
    write_report(library, comparison.id, tmp_path / "none.html")
    assert "no votes that tell yet" in (tmp_path / "none.html").read_text(encoding="utf-8")
    voted(library, comparison)
    write_report(library, comparison.id, tmp_path / "some.html")
    page = (tmp_path / "some.html").read_text(encoding="utf-8")
    assert "interval after each vote" in page
    assert "not decided yet" in page
    library.takes(comparison.id)[0].path.unlink()  # what is gone does not keep the rest from being told
    write_report(library, comparison.id, tmp_path / "some.html")
    page = (tmp_path / "some.html").read_text(encoding="utf-8")
    assert "its sound is gone" in page
    assert len(sounds_in(page)) == 5


def test_a_report_made_after_a_withdrawal_has_nothing_of_that_voice(
    library: ComparisonLibrary, apart: Any, owner: str, kathleen: Any, tmp_path: Path
) -> None:
    saved_voice(apart, owner, kathleen, "Anna")
    comparison = made(library, plan_of({"label": "with her", "voice": "Anna"}, {"label": "beta"}, name="Which one"))
    voted(library, comparison)
    hashes = [take.sha256 for take in library.takes(comparison.id) if take.system_id == comparison.systems[0].id]
    apart.voices(owner).withdraw_consent("Anna")
    for name in ("r.html", "r.json", "r.csv", "t.csv"):
        write_report(library, comparison.id, tmp_path / name, table="takes" if name == "t.csv" else "votes")
        told = (tmp_path / name).read_text(encoding="utf-8")
        assert not [word for word in ("Anna", "with her", *hashes) if word in told], name
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert len(sounds_in(page)) == 3
    assert "4 votes are left out" in page

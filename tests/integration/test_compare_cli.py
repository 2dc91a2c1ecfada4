"""Comparisons on the command line: begun from a file, counted, reported, deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.evaluation.blind.session import BlindSession
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.settings import Settings
from studio.store.store import Store
from tests.comparisons import made, plan_of
from tests.integration.in_turn import HEAVY, Result, assert_refused, document, run_in_turn

NAME = "Alpha or beta"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def ran(folder: Path) -> tuple[dict[str, Result], set[str]]:
    settings = Settings(home=folder / "home", device="cpu")
    library = ComparisonLibrary(settings, Store(settings.store_file))
    comparison = made(library, plan_of(name=NAME))
    session = BlindSession.of_owner(settings, library.store, comparison.id)
    while (trial := session.next()) is not None:
        session.vote(trial.id, "left")
    library.store.close()
    wrong = folder / "wrong.yaml"
    wrong.write_text("texts: [Hi.]\nsystems: [{}, {temperature: 9}]\n", encoding="utf-8")
    commands = {
        "list": ["compare", "list", "--json"],
        "show": ["compare", "show", NAME, "--json"],
        "tally": ["compare", "tally", comparison.id[:8]],
        "tally as json": ["compare", "tally", NAME, "--json"],
        "report": ["compare", "report", NAME, folder / "report.html", "--json"],
        "link": ["compare", "link", NAME],
        "same link": ["compare", "link", NAME, "--json"],
        "stop": ["compare", "stop", NAME],
        "resume": ["compare", "resume", NAME],
        "wrong": ["compare", "--config", wrong],
        "nothing": ["compare"],
        "both": ["compare", "--config", wrong, "list"],
        "unknown": ["compare", "show", "feedfeed"],
        "ask": ["compare", "delete", NAME],
        "delete": ["compare", "delete", NAME, "--yes", "--json"],
        "none": ["compare", "list"],
        "strength": ["speak", "Hi.", "--strength", "0.5", "--out", folder / "out.wav"],
    }
    done = run_in_turn(settings.home, list(commands.values()))
    return dict(zip(commands, done.results, strict=True)), done.modules


@pytest.fixture(scope="module")
def results(ran: tuple[dict[str, Result], set[str]]) -> dict[str, Result]:
    return ran[0]


def test_a_comparison_is_listed_shown_counted_and_reported(results: dict[str, Result], folder: Path) -> None:
    (listed,) = document(results["list"])["comparisons"]
    assert (listed["name"], listed["state"], listed["made"]) == (NAME, "completed", 6)
    shown = document(results["show"])
    assert [system["label"] for system in shown["systems"]] == ["alpha", "beta"]
    assert len(shown["take_list"]) == 6
    assert "Your preference: not decided yet" in results["tally"].stdout
    counted = document(results["tally as json"])
    assert (counted["num_votes"], counted["of_one"], counted["preferred"]) == (3, True, None)
    assert counted["listeners"][0]["consistency"] == 0.0
    assert document(results["report"])["votes"] == 4
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert results["link"].stdout.strip() == document(results["same link"])["token"]


def test_what_cannot_be_done_is_one_sentence(results: dict[str, Result]) -> None:
    assert_refused(results["stop"], "has ended already (completed)")
    assert_refused(results["resume"], "there is nothing to resume")
    assert_refused(results["wrong"], "'wrong.yaml': systems 2, temperature: it must be less than or equal to 2")
    assert_refused(results["nothing"], "--config FILE.yaml")
    assert_refused(results["both"], "leave it out")
    assert_refused(results["unknown"], "`python -m studio compare list` shows what there is")
    assert_refused(results["ask"], "say so with --yes")
    assert_refused(results["strength"], "add --adapter, or leave it out")


def test_a_deleted_comparison_is_gone_and_none_of_this_needs_a_model(
    results: dict[str, Result], ran: tuple[dict[str, Result], set[str]]
) -> None:
    assert json.loads(results["delete"].stdout)["deleted"]
    assert results["none"].stdout == "No comparisons yet.\n"
    assert not ran[1] & HEAVY

"""What the Compare tab and the page for listeners say and give out, without a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from studio.evaluation.blind.tallying import tally, votes_of
from studio.evaluation.comparison import running
from studio.evaluation.comparison.choosing import Choice
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.comparison.looking import looked_at, measure_takes, takes_of
from studio.evaluation.measures import Listeners
from studio.services import Services
from studio.settings import Settings
from studio.ui.tabs.compare.comparison_html import headline, revealed_html, standing_html
from studio.ui.tabs.compare.side_by_side import figure_of, figures_html
from studio.ui.vote_page import VotePages
from tests.comparisons import made, plan_of
from tests.refusals import refusal
from tests.takes import saved_voice

NAMES = ("alpha", "beta")


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_start", lambda settings, session, record: False)


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(Settings(home=tmp_path / "home"))


@pytest.fixture
def library(services: Services) -> ComparisonLibrary:
    return services.comparisons("")


@pytest.fixture
def shared(library: ComparisonLibrary) -> tuple[Comparison, str]:
    """A comparison that others may vote on, and its link."""
    comparison = made(library, plan_of({"label": "alpha"}, {"label": "beta", "temperature": 0.7}))
    return comparison, f"/vote/{library.share(comparison.id)}"


@pytest.fixture
def visit(services: Services) -> Any:
    """A new browser on the page for listeners."""
    app = Starlette(routes=VotePages(services).routes)
    return lambda: TestClient(app, base_url="http://studio")


def asked(client: TestClient, address: str, **given: Any) -> Any:
    return client.post(address, json=given).json()


def test_whoever_has_the_link_votes_and_learns_no_name(
    library: ComparisonLibrary, shared: tuple[Comparison, str], visit: Any
) -> None:
    comparison, link = shared
    client = visit()
    page = client.get(link)
    assert page.status_code == 200
    assert "no-store" in page.headers["cache-control"]
    assert asked(client, f"{link}/next") == {"joined": False}
    told = asked(client, f"{link}/begin", name="Ben")
    assert asked(client, f"{link}/begin", name="Ben")["pair"] == told["pair"], "a second press makes no second listener"
    given, number = page.text + json.dumps(told), 0
    while pair := told["pair"]:
        assert asked(client, f"{link}/next")["pair"] == pair, "a reload shows the same pair"
        for side in ("left", "right"):
            sound = client.get(f"{link}/sound/{pair[side]}")
            assert sound.content[:4] == b"RIFF"
            given += str(dict(sound.headers))
        told = asked(client, f"{link}/vote", trial=pair["id"], choice="left", reason="clearer")
        asked(client, f"{link}/vote", trial=pair["id"], choice="right")  # a double click
        given += json.dumps(told)
        number += 1
    assert told == {"joined": True, "pair": None, "voted": number}
    votes = votes_of(library, comparison).cast
    assert [vote.vote.choice for vote in votes] == ["left"] * number
    assert {vote.listener for vote in votes} == {"listener 1 (Ben)"}
    hidden = [*NAMES, *(take.id for take in library.takes(comparison.id)), *(each.id for each in comparison.systems)]
    assert not [name for name in hidden if name in given]


def test_listeners_reach_nothing_of_each_other_and_nothing_else(
    services: Services, library: ComparisonLibrary, shared: tuple[Comparison, str], visit: Any
) -> None:
    comparison, link = shared
    other = made(library, plan_of(name="another"))
    one, two = visit(), visit()
    pair = asked(one, f"{link}/begin")["pair"]
    asked(two, f"{link}/begin")
    assert two.get(f"{link}/sound/{pair['left']}").status_code == 400
    assert "no such pair" in asked(two, f"{link}/vote", trial=pair["id"], choice="left")["trouble"]
    assert one.get(f"/vote/{library.share(other.id)}/sound/{pair['left']}").status_code == 400
    stranger = visit()
    assert stranger.get(f"{link}/sound/{pair['left']}").status_code == 400
    assert "not known here" in asked(stranger, f"{link}/vote", trial=pair["id"], choice="left")["trouble"]
    # A form of another site sends cookies, but no JSON.
    one.post(f"{link}/vote", data={"trial": pair["id"], "choice": "left"})
    one.post(
        f"{link}/vote", content=b'{"trial": "' + b"x" * 20_000 + b'"}', headers={"content-type": "application/json"}
    )
    assert votes_of(library, comparison).cast == ()
    library.share(comparison.id, False)
    assert one.get(link).status_code == 404
    for what in ("next", "begin", "vote"):
        assert asked(one, f"{link}/{what}", trial=pair["id"], choice="left")["trouble"]
    assert one.get("/vote/").status_code == 404
    assert services.listener("", "") is None


def test_what_is_said_before_the_reveal_names_nobody_and_afterwards_everybody(
    services: Services, library: ComparisonLibrary
) -> None:
    comparison = made(library, plan_of({"label": "alpha"}, {"label": "<b>beta</b>", "temperature": 0.7}, name="Which?"))
    session = services.blind_session(comparison.id)
    while pair := session.next():
        session.vote(pair.id, "left", "<i>so</i>")
    said = headline(library.comparison(comparison.id)) + standing_html(tally(library, comparison))
    assert "Your preference: not decided yet" in said
    assert "came again" in said
    assert not [name for name in NAMES if name in said]
    assert not session.has_revealed()
    votes = session.reveal()
    assert session.has_revealed()
    shown = revealed_html((), "", comparison.systems, votes)
    assert "<b>beta" not in shown
    assert "<i>so" not in shown
    assert shown.count("<strong>") == len(votes)


def test_a_choice_becomes_a_plan_that_hides_its_systems_or_says_what_is_missing() -> None:
    adapter: Any = SimpleNamespace(id="a1", base_name="demo", card={"base": {"checkpoint": "demo", "name": "demo"}})
    choice = Choice(" One.\n\nTwo.\nOne.", 2, voice="v", adapters=("a1",), strengths=(1.0, 0.5), temperatures=(0.9,))
    plan = choice.plan([adapter], "something else")
    assert plan.texts == ("One.", "Two.")
    assert plan.seeds == (1, 2)
    assert plan.name == "One."
    assert plan.checkpoint == "demo", "a trained voice brings its base"
    assert [(each.adapter, each.strength, each.temperature) for each in plan.systems] == [
        ("", 1.0, None), ("a1", 1.0, None), ("a1", 0.5, None), ("", 1.0, 0.9)
    ]  # fmt: skip
    assert (choice.num_takes, choice.num_pairs) == (16, 24)
    assert choice.shown({"a1": "Kathleen · step 30"}) == [
        "the base", "Kathleen · step 30", "Kathleen · step 30 at 50%", "the base at temperature 0.9"
    ]  # fmt: skip
    for wrong, words in (
        (Choice("One."), "what it is compared with"),
        (Choice(" \n", temperatures=(0.9,)), "a line for each text"),
        (Choice("One.", 9, temperatures=(0.9,)), "1 to 5"),
        (Choice("One.", adapters=("a", "b", "c"), strengths=(1.0, 0.5)), "6 is the most"),
        (Choice("One.", adapters=("a",), strengths=()), "which strength"),
    ):
        assert words in (wrong.trouble or "")
        assert refusal(lambda wrong=wrong: wrong.plan([], None)) == wrong.trouble
    other: Any = SimpleNamespace(id="a2", base_name="3B", card={})
    two = Choice("One.", adapters=("a1", "a2"))
    assert "different bases (3B and demo)" in refusal(lambda: two.plan([adapter, other], None))


def test_takes_side_by_side_share_time_and_scale_and_absent_figures_have_their_reason(
    services: Services, library: ComparisonLibrary, tmp_path: Path
) -> None:
    comparison = made(library, plan_of({"label": "alpha"}, {"label": "beta", "temperature": 0.7}))
    takes = takes_of(library, comparison, 0, 1)
    assert [comparison.system(each.system_id).label for each in takes] == list(NAMES)
    listeners = Listeners(leave_out=("dnsmos",))
    looked = looked_at(takes, listeners)
    assert max(float(each.mel_db.max()) for each in looked) == 0.0
    figure = figure_of(looked, NAMES).to_plotly_json()
    assert {figure["layout"][f"xaxis{at}"]["matches"] for at in range(2, 6)} == {"x"}
    heat = [trace for trace in figure["data"] if trace["type"] == "heatmap"]
    assert {(trace["zmin"], trace["zmax"]) for trace in heat} == {(-70, 0)}
    measure_takes(library, comparison, takes, listeners, services.voices())
    shown = figures_html(takes_of(library, comparison, 0, 1), NAMES)
    assert re.search(r"Duration \(s\)</th><td>0\.80</td><td>0\.80</td>", shown)
    assert "Word error rate: No recogniser was asked for." in shown
    assert "picked the voice of this take" in shown
    assert figures_html([], ()) == ""


def test_a_withdrawn_voice_is_no_longer_looked_at(
    services: Services, library: ComparisonLibrary, kathleen: dict[Path, str]
) -> None:
    voice = saved_voice(services, "", kathleen)
    comparison = made(library, plan_of({"label": "alpha"}, {"label": "beta", "voice": voice.id}))
    assert len(takes_of(library, comparison, 0, 1)) == 2
    services.voices().withdraw_consent(voice.id)
    assert len(takes_of(library, library.comparison(comparison.id), 0, 1)) == 1

"""The Compare tab in a real browser: takes of the tiny checkpoint are compared, voted on, revealed and reported."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from studio.settings import Settings
from studio.store.comparison_tables import VoteRecord
from studio.store.store import Store
from tests.ui.conftest import Studio

TEXTS = "One red door.\nTwo blue doors."
HIDDEN = "temperature 0.9"
BOOTH = "#compare-booth .booth"


def open_compare(page: Any) -> None:
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare-start").wait_for()


def hear_both(page: Any) -> None:
    """By the keyboard: play, and switch while it plays."""
    page.locator(BOOTH).wait_for()
    page.keyboard.press(" ")
    page.locator(f"{BOOTH}[data-heard='1']").wait_for()
    page.keyboard.press("s")
    if page.locator(BOOTH).get_by_text("Pause").count() == 0:  # it had come to its end by then
        page.keyboard.press(" ")
    page.locator(f"{BOOTH}[data-heard='2']").wait_for()


def pair(page: Any) -> tuple[str, str]:
    """Which one it is, and what is said in it."""
    page.locator(BOOTH).wait_for()
    return page.locator(".booth-count").inner_text(), page.locator(".booth-text").inner_text()


def after(page: Any, before: tuple[str, str]) -> None:
    page.wait_for_function(
        "(before) => { const booth = document.querySelector('#compare-booth .booth');"
        " return booth.hidden || booth.querySelector('.booth-count').textContent !== before; }",
        arg=before[0],
    )


def votes(studio: Studio) -> list[str]:
    store = Store(Settings(home=studio.home).store_file)
    with store.reading() as session:
        assert isinstance(session, Session)
        return [vote.choice for vote in session.exec(select(VoteRecord)).all()]


# Keeps what the studio tells the page beside the form.
LISTENS = """
const real = window.fetch;
window.fetch = async (...asked) => {
  const answer = await real(...asked);
  if (String(asked[0]?.url ?? asked[0]).includes("/run/predict")) {
    answer.clone().text().then((told) => { sessionStorage.told = (sessionStorage.told ?? "") + told; });
  }
  return answer;
};
"""


def test_blind_votes_by_keyboard_survive_a_reload_and_end_in_a_report_that_plays_offline(
    studio: Studio, open_page: Callable[..., Any], browser: Any, tmp_path: Path
) -> None:
    page, told = open_page(studio.url), list[str]()
    page.context.add_init_script(LISTENS)
    page.reload()
    open_compare(page)
    page.locator("#compare-introduction").get_by_text("Which one is better?").wait_for()
    # Nothing was trained here, and still pressing Start alone would do: the base is compared at two temperatures.
    page.locator("#compare-sum").get_by_text(f"the base at {HIDDEN}").wait_for()
    page.locator("#compare-texts textarea").fill(TEXTS)
    page.locator("#compare-readings input").fill("1")
    page.locator("#compare-sum").get_by_text("4 takes to be made, 3 pairs to hear").wait_for()
    page.on("request", lambda request: told.append(request.url))
    page.locator("#compare-start").click()

    page.keyboard.press("1")  # nothing is counted before both were heard
    first = pair(page)
    page.keyboard.press("1")
    page.locator(".booth-said").get_by_text("Listen to both first").wait_for()
    assert votes(studio) == []
    hear_both(page)
    page.locator(".booth-reason input").fill("12 tb")  # whoever types does not vote
    page.locator(".booth-reason input").press("Enter")
    page.keyboard.press("1")
    after(page, first)
    second = pair(page)
    assert second[0].startswith("Pair 2 of")
    assert second[1] != first[1]

    page.reload()
    open_compare(page)
    assert pair(page)[1] == second[1], "the pair that was open is open"
    hear_both(page)
    page.keyboard.press("t")
    page.keyboard.press("t")
    after(page, second)
    third = pair(page)
    beside = open_page(studio.url, beside=page)
    open_compare(beside)
    assert pair(beside)[1] == third[1]
    hear_both(page)
    page.keyboard.press("b")
    after(page, third)
    page.locator("#compare-standing").get_by_text("You heard every pair").wait_for()
    page.locator("#compare-standing").get_by_text("Your preference: not decided yet").wait_for()
    # The other tab, which may still show the pair, counts no second vote.
    beside.locator("#compare-standing").get_by_text("You heard every pair").wait_for()
    assert sorted(votes(studio)) == ["both_bad", "left", "tie"]

    assert HIDDEN not in page.locator("#compare-panel").inner_html()
    said = page.evaluate("sessionStorage.told")
    assert second[1] in said
    assert not [each for each in (*told, said) if HIDDEN in each or HIDDEN.replace(" ", "%20") in each]
    assert [each for each in told if re.search(r"/[0-9a-f]{24}\.wav$", each)]
    page.locator("#compare-reveal").click()
    page.locator("#compare-confirm-yes").click()
    page.locator("#compare-revealed").get_by_text(HIDDEN).first.wait_for()
    assert page.locator("#compare-revealed .which tbody tr").count() == 3

    page.locator("#compare-report").click()
    with page.expect_download() as download:
        page.locator("#compare-files a").first.click()
    report = tmp_path / "report.html"
    download.value.save_as(report)
    alone = browser.new_context(offline=True).new_page()
    alone.goto(report.as_uri())
    assert alone.locator("audio").count() == 4
    played = """async () => {
        const sound = document.querySelector('audio');
        await sound.play();
        while (!sound.currentTime) await new Promise((go) => setTimeout(go, 50));
        return sound.currentTime;
    }"""
    assert alone.evaluate(played) > 0
    alone.context.close()

"""Votes: no false winners however often one looks, true ones in time, and listeners who do not listen are noticed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from studio.errors import StudioError
from studio.evaluation.voting.confidence import ANYTHING, MODERATE, log_capital, preference_share
from studio.evaluation.voting.listening import habits_of
from studio.evaluation.voting.ranking import rank
from studio.evaluation.voting.tally import sentence_of, tally_of
from studio.evaluation.voting.votes import Vote, known_choice

RUNS = 1500


def capitals(share: float, ties: float, *, votes: int, seed: int, expecting: float = MODERATE) -> np.ndarray:
    """Capital against a half after each vote of many comparisons, shape (runs, votes)."""
    drawn = np.random.default_rng(seed).random((2, RUNS, votes))
    tied = drawn[0] < ties
    won = ~tied & (drawn[1] < share)
    counts = np.stack([won, tied, ~won & ~tied]).cumsum(axis=2).reshape(3, -1)
    # Many comparisons have the same counts at some time: each is computed once.
    different, where = np.unique(counts, axis=1, return_inverse=True)
    logs = np.concatenate([log_capital(0.5, *part, expecting) for part in np.array_split(different, 20, axis=1)])
    return logs[where.reshape(-1)].reshape(RUNS, votes)


@pytest.mark.parametrize("ties", [0.0, 0.3])
def test_whoever_looks_after_every_vote_finds_no_more_false_winners_than_is_stated(ties: float) -> None:
    looked = capitals(0.5, ties, votes=400, seed=1) >= math.log(20)
    assert looked.any(axis=1).mean() <= 0.05
    # The same votes looked at once have far fewer: the room is needed for looking often.
    assert looked[:, -1].mean() < looked.any(axis=1).mean()


def test_a_preference_of_two_in_three_is_found_in_time() -> None:
    decided = capitals(0.65, 0.0, votes=400, seed=2) >= math.log(20)
    first = np.where(decided.any(axis=1), decided.argmax(axis=1) + 1, 10_000)
    assert np.median(first) <= 90
    assert np.quantile(first, 0.9) <= 190
    assert decided.any(axis=1).mean() > 0.99


def test_an_ordinary_test_would_find_winners_among_equals() -> None:
    won = (np.random.default_rng(3).random((RUNS, 400)) < 0.5).cumsum(axis=1)
    numbers = np.arange(1, 401)
    z = np.abs(won - numbers / 2) / np.sqrt(numbers / 4)
    assert (z[:, 10:] > 1.96).any(axis=1).mean() > 0.25


def test_the_true_share_is_in_the_interval_at_every_look() -> None:
    missed = 0
    for run in range(40):
        won = np.random.default_rng(run).random(120) < 0.7
        for number in range(1, 121, 13):
            share = preference_share(int(won[:number].sum()), 0, int(number - won[:number].sum()))
            if not share.low <= 0.7 <= share.high:
                missed += 1
                break
    assert missed <= 2


def test_a_share_says_what_it_knows_and_what_it_would_take() -> None:
    none = preference_share(0, 0, 0)
    assert (none.share, none.low, none.high, none.decided, none.more_votes) == (None, 0.0, 1.0, None, None)
    even = preference_share(10, 4, 10)
    assert (even.share, even.decided, even.more_votes) == (0.5, None, None)
    leaning = preference_share(13, 0, 7)
    assert leaning.decided is None
    assert leaning.low < 0.5 < leaning.high
    assert leaning.more_votes is not None
    number = 20 + leaning.more_votes
    assert preference_share(round(number * 0.65), 0, number - round(number * 0.65)).low >= 0.48
    clear = preference_share(40, 0, 5)
    assert (clear.decided, clear.more_votes) == ("first", 0)
    assert 0.5 <= clear.low < 40 / 45 < clear.high
    mirrored = preference_share(5, 0, 40)
    assert (mirrored.decided, mirrored.low, mirrored.high) == (
        "second",
        pytest.approx(1 - clear.high, abs=2e-3),
        pytest.approx(1 - clear.low, abs=2e-3),
    )
    assert preference_share(0, 500, 0).decided is None
    assert preference_share(500, 0, 0).high == 1.0


def ballots(
    choices: list[str], listener: str = "one", *, pair: tuple[str, str] = ("a", "b"), seed: int = 0
) -> list[Vote]:
    """First-time votes with sides drawn for each; a choice is a system, a side, "tie" or "both_bad"."""
    random, votes = np.random.default_rng(seed), []
    for number, choice in enumerate(choices):
        left, right = pair if random.random() < 0.5 else pair[::-1]
        side = {left: "left", right: "right"}.get(choice, choice)
        votes.append(Vote(f"{listener}{number}", listener, f"s{number % 7}", left, right, known_choice(side)))
    return votes


def test_a_listener_who_always_picks_the_left_is_noticed_and_one_with_a_taste_is_not() -> None:
    lazy = habits_of("one", ballots(["left"] * 12))
    assert lazy.favourite_side == "left"
    assert "left side was picked in 12 of 12" in (lazy.warning or "")
    keen = habits_of("one", ballots(["a"] * 60))
    assert keen.favourite_side is None
    assert keen.warning is None
    # Of a hundred listeners without a favourite side, looked at after every vote, at most one is accused.
    assert (capitals(0.5, 0.0, votes=300, seed=4, expecting=ANYTHING) >= math.log(100)).any(axis=1).mean() <= 0.01


def test_pairs_that_come_again_tell_whether_a_listener_agrees_with_themselves() -> None:
    first = [
        Vote("1", "x", "s", "a", "b", "left"),
        Vote("2", "x", "t", "b", "a", "tie"),
        Vote("3", "x", "u", "a", "b", "left"),
    ]
    again = [
        Vote("4", "x", "s", "b", "a", "right", repeat_of="1"),  # the same system, now on the other side
        Vote("5", "x", "t", "a", "b", "tie", repeat_of="2"),
        Vote("6", "x", "u", "b", "a", "left", repeat_of="3"),  # the same side, so the other system
    ]
    habits = habits_of("x", first + again)
    assert (habits.repeats, habits.agreements) == (3, 2)
    assert tally_of(["a", "b"], first + again).num_votes == 3  # a pair is counted once
    assert habits_of("y", first).consistency is None


def test_bradley_terry_recovers_the_order_and_its_intervals_know_of_listeners() -> None:
    truth = {"worst": -0.8, "middle": 0.0, "good": 0.5, "best": 1.2}
    random, names, votes = np.random.default_rng(5), list(truth), []
    for listener in range(8):
        for number in range(90):
            one, two = random.choice(names, 2, replace=False)
            chance = 1 / (1 + math.exp(truth[two] - truth[one]))
            choice = "tie" if random.random() < 0.15 else "left" if random.random() < chance else "right"
            votes.append(Vote(f"{listener}/{number}", f"l{listener}", f"s{number % 12}", one, two, choice))
    ranking = rank(names, votes, seed=1)
    assert [ranked.system for ranked in ranking] == ["best", "good", "middle", "worst"]
    assert all(ranked.low < ranked.strength < ranked.high for ranked in ranking)
    assert [ranked.low for ranked in ranking] == sorted((ranked.low for ranked in ranking), reverse=True)
    assert rank(names, votes, seed=1) == ranking


def test_votes_of_listeners_who_agree_with_themselves_only_are_worth_fewer() -> None:
    votes = [vote for number in range(6) for vote in ballots(["ab"[number < 4]] * 40, f"l{number}", seed=number)]
    strangers = [replace(vote, listener=vote.trial) for vote in votes]  # as if each vote were of somebody else

    def width(given: list[Vote]) -> float:
        return max(ranked.high - ranked.low for ranked in rank(["a", "b"], given, seed=1))

    assert width(votes) > 2 * width(strangers)


def test_a_system_that_was_never_beaten_has_a_place_and_no_infinite_strength() -> None:
    votes = ballots(["a"] * 10) + ballots(["b"] * 10, pair=("b", "c")) + ballots(["a"] * 10, pair=("a", "c"))
    ranking = rank(["c", "b", "a"], votes)
    assert [ranked.system for ranked in ranking] == ["a", "b", "c"]
    assert all(math.isfinite(value) for ranked in ranking for value in (ranked.low, ranked.strength, ranked.high))


def test_a_tally_counts_ties_as_half_leaves_both_bad_out_and_speaks_of_one_listener_as_of_one() -> None:
    tally = tally_of(["a", "b"], ballots(["a"] * 30 + ["b"] * 4 + ["tie"] * 2 + ["both_bad"] * 3))
    (pair,) = tally.pairs
    assert (pair.share.num_votes, pair.both_bad, tally.num_votes) == (36, 3, 39)
    assert pair.share.share == pytest.approx(31 / 36)
    assert tally.preferred == "a"
    assert tally.of_one
    assert sentence_of(pair, "Base", "Trained", of_one=True).startswith("Your preference: Base is preferred; 86%")
    three = tally_of(["a", "b", "c"], ballots(["a"] * 9) + ballots(["b"] * 5, "two", pair=("b", "c")))
    assert not three.of_one
    assert three.preferred is None
    assert three.pairs[0].share.confidence == pytest.approx(1 - 0.05 / 3)
    undecided = tally_of(["a", "b"], ballots(["a", "a", "b"]))
    assert "not decided yet" in sentence_of(undecided.pairs[0], "A", "B", of_one=False)
    assert "no votes" in sentence_of(tally_of(["a", "b"], []).pairs[0], "A", "B", of_one=False)
    assert tally_of(["a", "b"], []).as_json()["preferred"] is None
    with pytest.raises(StudioError, match="is no vote"):
        known_choice("middle")

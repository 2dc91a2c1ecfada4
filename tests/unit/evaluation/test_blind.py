"""Blind listening: no name is given out, a vote is counted once, a reload loses nothing, and withdrawn voices are silent."""

from __future__ import annotations

import json
import re
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import soundfile

from studio.audio.loudness import integrated_lufs
from studio.audio.reading import read_audio
from studio.audio.writing import write_audio
from studio.evaluation.blind.session import BlindSession
from studio.evaluation.blind.tallying import tally, tally_lines, votes_of
from studio.evaluation.blind.trials import Heard, Past, next_trial, num_trials, pairs_of
from studio.evaluation.comparison.comparison import Comparison
from studio.evaluation.comparison.hearing import PLAYED_LUFS, equally_loud
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.store import comparisons as queries
from tests.comparisons import TEXTS, made, plan_of, tone
from tests.refusals import refusal
from tests.takes import saved_voice


def sessions(library: ComparisonLibrary, comparison: Comparison) -> BlindSession:
    return BlindSession.of_owner(library.settings, library.store, comparison.id, library.owner)


def presented(library: ComparisonLibrary, listener: str) -> list[tuple[str, str, str]]:
    """What was written down: for each trial the systems and which trial it repeats."""
    with library.store.reading() as session:
        return [
            (_system(session, trial.left_take), _system(session, trial.right_take), trial.repeat_of)
            for trial in queries.trials(session, listener)
        ]


def _system(session: Any, take_id: str) -> str:
    take = queries.take_by_id(session, take_id)
    assert take is not None
    return next(each.label for each in queries.systems(session, take.comparison_id) if each.id == take.system_id)


def test_a_listener_goes_through_every_pair_and_nothing_they_get_names_a_system(
    library: ComparisonLibrary, tmp_path: Path
) -> None:
    comparison = made(library, plan_of({"label": "alpha"}, {"label": "beta", "temperature": 0.7}, seeds=[1, 2]))
    secrets_of_it = {"alpha", "beta", "0.7", *(each.id for each in comparison.systems)}
    secrets_of_it |= {take.id for take in library.takes(comparison.id)}
    session = sessions(library, comparison)
    given, names = b"", set[str]()
    while (trial := session.next()) is not None:
        assert re.fullmatch(r"[0-9a-f]{24}", trial.left)
        assert re.fullmatch(r"[0-9a-f]{24}", trial.right)
        assert trial.text in TEXTS
        given += json.dumps(trial.as_json()).encode()
        sounds = [session.sound(key) for key in (trial.left, trial.right)]
        given += b"".join(sounds)
        names |= {trial.left, trial.right, trial.id}
        left, right = (soundfile.read(BytesIO(sound)) for sound in sounds)
        assert left[1] == right[1]
        assert len(sounds[0]) == len(sounds[1])  # what is not sound in a file is as long on both sides
        assert session.vote(trial.id, "left", "clearer")
    assert not [secret for secret in secrets_of_it if secret.encode() in given]
    assert session.num_votes() == num_trials(6)
    assert len(names) == 3 * num_trials(6)  # a pair that comes again has new names, so nobody knows it by them
    written = presented(library, session.listener_id)
    again = [each for each in written if each[2]]
    assert len(again) == 1
    first = dict(zip(trial_ids(library, session), written, strict=True))
    assert again[0][:2] == first[again[0][2]][:2][::-1]
    # Now the names may be seen, and votes after that are none.
    assert {(each.left, each.right) for each in session.reveal()} <= {("alpha", "beta"), ("beta", "alpha")}
    assert session.next() is None


def trial_ids(library: ComparisonLibrary, session: BlindSession) -> list[str]:
    with library.store.reading() as opened:
        return [trial.id for trial in queries.trials(opened, session.listener_id)]


def test_a_reload_shows_the_same_pair_and_a_vote_is_counted_once(library: ComparisonLibrary) -> None:
    comparison = made(library, plan_of())
    session = sessions(library, comparison)
    trial = session.next()
    assert trial is not None
    assert len(trial_ids(library, session)) == 1  # written down before anything is heard
    assert sessions(library, comparison).next() == trial
    assert sessions(library, comparison).listener_id == session.listener_id
    assert session.vote(trial.id, "left")
    assert not session.vote(trial.id, "right", "I changed my mind")
    assert not sessions(library, comparison).vote(trial.id, "left")
    (cast,) = votes_of(library, library.comparison(comparison.id)).cast
    assert (cast.vote.choice, cast.reason) == ("left", "")
    following = session.next()
    assert following is not None
    assert following.id != trial.id
    assert (following.number, following.of) == (2, 4)
    assert "no such pair" in refusal(lambda: session.vote("0" * 24, "left"))
    assert "is no vote" in refusal(lambda: session.vote(following.id, "first"))
    assert "can no longer be heard" in refusal(lambda: session.sound("0" * 24))


def test_others_vote_by_a_link_each_apart(library: ComparisonLibrary) -> None:
    comparison = made(library, plan_of())
    link = library.share(comparison.id)
    assert library.share(comparison.id) == link
    settings, store = library.settings, library.store
    one, secret = BlindSession.join(settings, store, link, "Ann\n Lee")
    two, _ = BlindSession.join(settings, store, link)
    trial = one.next()
    assert trial is not None
    one.vote(trial.id, "left")
    assert "no such pair" in refusal(lambda: two.vote(trial.id, "left"))
    assert "can no longer be heard" in refusal(lambda: two.sound(trial.left))
    again = BlindSession.go_on(settings, store, secret, link)
    assert again is not None
    assert again.listener_id == one.listener_id
    assert BlindSession.go_on(settings, store, "guessed") is None
    assert BlindSession.go_on(settings, store, "") is None  # the owner is nobody's by an empty secret
    assert BlindSession.go_on(settings, store, secret, "another link") is None
    assert "Only whoever made" in refusal(one.reveal)
    other = two.next()
    assert other is not None
    two.vote(other.id, "both_bad")
    counted = tally(library, library.comparison(comparison.id))
    assert [habits.listener for habits in counted.listeners] == ["listener 1 (Ann Lee)", "listener 2"]
    assert not counted.of_one
    library.share(comparison.id, False)
    assert "leads to no comparison" in refusal(lambda: BlindSession.join(settings, store, link))
    assert BlindSession.go_on(settings, store, secret) is None
    strangers = ComparisonLibrary(settings, store, "somebody else")
    assert "no such comparison" in refusal(lambda: strangers.comparison(comparison.id))
    assert "no such comparison" in refusal(lambda: BlindSession.of_owner(settings, store, comparison.id, "else"))


def test_a_voice_whose_consent_was_withdrawn_is_silent_in_every_comparison(
    library: ComparisonLibrary, apart: Any, owner: str, kathleen: Any
) -> None:
    saved_voice(apart, owner, kathleen, "Anna")
    comparison = made(
        library, plan_of({"label": "with Anna", "voice": "Anna"}, {"label": "beta"}, {"label": "gamma", "top_k": 9})
    )
    session = sessions(library, comparison)
    for _ in range(3):
        trial = session.next()
        assert trial is not None
        session.vote(trial.id, "left")
    open_trial = session.next()
    while open_trial is not None and "with Anna" not in presented(library, session.listener_id)[-1]:
        session.vote(open_trial.id, "left")
        open_trial = session.next()
    assert open_trial is not None
    on_the_left = presented(library, session.listener_id)[-1][0] == "with Anna"
    hers = open_trial.left if on_the_left else open_trial.right
    session.sound(hers)
    apart.voices(owner).withdraw_consent("Anna")
    assert "can no longer be heard" in refusal(lambda: session.sound(hers))
    assert "was withdrawn" in refusal(lambda: session.vote(open_trial.id, "left"))
    after = session.next()
    assert after is not None
    assert after.id != open_trial.id
    assert "with Anna" not in presented(library, session.listener_id)[-1]
    now = library.comparison(comparison.id)
    assert [system.shown_label for system in now.systems] == ["a system whose voice was withdrawn", "beta", "gamma"]
    counted = tally(library, now)
    assert len(counted.pairs) == 1
    assert counted.left_out > 0
    assert "Anna" not in " ".join(tally_lines(now, counted))
    apart.voices(owner).remove("Anna")  # and nobody forgets it with the voice
    assert library.comparison(comparison.id).systems[0].withheld


def test_two_takes_are_heard_equally_loud_and_at_one_rate() -> None:
    soft, loud = tone(300, level=0.02), tone(300, level=0.9, rate=48_000)
    levels = [integrated_lufs(sound) for sound in equally_loud([soft, loud])]
    assert levels == pytest.approx([PLAYED_LUFS, PLAYED_LUFS], abs=0.2)
    # One whose peaks do not allow it brings the other down with it.
    peaky = tone(300, level=0.001)
    peaky.samples[:20] = 0.9
    pair = equally_loud([peaky, soft])
    assert integrated_lufs(pair[0]) == pytest.approx(integrated_lufs(pair[1]), abs=0.2)
    assert max(sound.peak for sound in pair) <= 0.9
    assert {sound.sample_rate for sound in equally_loud([soft, loud])} == {24_000}
    silent = tone(300, level=0.0)
    assert equally_loud([silent, soft])[0].peak == 0.0


def test_beside_a_real_recording_no_file_says_that_a_model_made_it(library: ComparisonLibrary, tmp_path: Path) -> None:
    clip = tmp_path / "real.wav"
    write_audio(tone(350, rate=44_100), clip)
    real = {"label": "real", "recordings": [str(clip)], "speaker_consent": "own"}
    comparison = made(library, plan_of({"label": "model"}, real, texts=TEXTS[:1], seeds=[1, 2]))
    session = sessions(library, comparison)
    heard = []
    while (trial := session.next()) is not None:
        heard.append([session.sound(trial.left), session.sound(trial.right)])
        session.vote(trial.id, "tie")
    assert len(heard) == 3  # the recording beside each seed, and one of them again
    assert not [sound for pair in heard for sound in pair if b"AI-generated" in sound]
    assert {soundfile.info(BytesIO(sound)).samplerate for pair in heard for sound in pair} == {24_000}
    models = made(library, plan_of())
    trial = sessions(library, models).next()
    assert trial is not None
    assert b"AI-generated" in sessions(library, models).sound(trial.left)


def test_sides_are_drawn_and_every_two_systems_come_equally_often() -> None:
    takes = [Heard(f"{system}{text}", system, text, 1) for text in range(12) for system in "abc"]
    assert len(pairs_of(takes)) == 36
    past: list[Past] = []
    while (trial := next_trial(takes, past, seed=7, listener="x")) is not None:
        assert next_trial(takes, past, seed=7, listener="x") == trial  # it can be drawn again
        past.append(Past(f"t{len(past)}", trial.left, trial.right, trial.repeat_of))
    assert len(past) == num_trials(36) == 43
    first = [each for each in past if not each.repeat_of]
    assert len({frozenset((each.left, each.right)) for each in first}) == 36
    early = Counter(frozenset((each.left[0], each.right[0])) for each in first[:18])
    assert set(early.values()) == {6}
    alphabetical = sum(each.left < each.right for each in first)
    assert 8 < alphabetical < 28
    for number, each in enumerate(past):
        if each.repeat_of:
            (old,) = [other for other in past if other.trial == each.repeat_of]
            assert (old.left, old.right) == (each.right, each.left)
            assert number - past.index(old) > 3
    other = next_trial(takes, [], seed=7, listener="y")
    assert other != next_trial(takes, [], seed=7, listener="x")


def test_a_take_whose_file_is_gone_is_not_heard_and_the_others_are(library: ComparisonLibrary) -> None:
    comparison = made(library, plan_of())
    take = library.takes(comparison.id)[0]
    read_audio(take.path)
    take.path.unlink()
    session = sessions(library, comparison)
    texts = []
    while (trial := session.next()) is not None:
        texts.append(trial.text)
        session.vote(trial.id, "tie")
    assert set(texts) == set(TEXTS[1:])
    assert "gone from the disk" in refusal(lambda: library.take(comparison.id, take.id))

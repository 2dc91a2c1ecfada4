"""Transcripts after a cut of the clip or a correction of the text."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest

from studio.listening.transcript import Transcript, Word
from studio.listening.transcript_editing import cut_text, has_times, retimed, trimmed


def timed(text: str, *words: tuple[str, float, float], language: str = "en") -> Transcript:
    return Transcript(text, language, tuple(Word(*word) for word in words), "base")


BOY = timed(
    "The boy hesitated, then mastered his temper.",
    ("The", 0.0, 0.12),
    ("boy", 0.12, 0.34),
    ("hesitated,", 0.34, 0.96),
    ("then", 1.56, 1.92),
    ("mastered", 1.92, 2.28),
    ("his", 2.28, 2.56),
    ("temper.", 2.56, 2.82),
)  # what Whisper base heard in tests/data/kathleen_b0394.flac
CHINESE = timed(
    "今天天气很好，我们去公园。", ("今天", 0.0, 0.4), ("天气", 0.4, 0.8), ("很", 0.8, 1.0), ("好，", 1.0, 1.3),
    ("我们", 1.8, 2.1), ("去", 2.1, 2.3), ("公园。", 2.3, 2.9), language="zh",
)  # fmt: skip
ARABIC = timed(
    "صفر واحد، اثنان ثلاثة", ("صفر", 0.0, 0.86), ("واحد،", 0.86, 1.8), ("اثنان", 1.8, 2.7), ("ثلاثة", 2.7, 3.88),
    language="ar",
)  # fmt: skip


def check(transcript: Transcript) -> None:
    """What holds for every transcript with times."""
    assert has_times(transcript)
    for word in transcript.words:
        assert 0.0 <= word.start <= word.end
        assert word.text == word.text.strip() != ""
    for before, after in pairwise(transcript.words):
        assert before.end <= after.start + 1e-9
    said = [letter for letter in transcript.text if letter.isalnum()]
    assert said == [letter for word in transcript.words for letter in word.text if letter.isalnum()]


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (0.0, 1.2, "The boy hesitated,"),
        (1.2, None, "then mastered his temper."),
        (None, 99.0, BOY.text),
        (0.2, 2.0, "boy hesitated, then"),  # the middles of "boy" (0.23) and "then" (1.74) are inside
        (0.3, 2.15, "hesitated, then mastered"),
        (1.0, 1.5, ""),
    ],
)
def test_a_cut_keeps_the_words_whose_middle_is_inside(start: float | None, end: float | None, text: str) -> None:
    cut = trimmed(BOY, start, end)
    assert (cut.text, cut.language, cut.model) == (text, "en", "base")
    assert [word.text for word in cut.words] == text.split()
    if text:
        check(cut)
        assert cut.words[-1].end <= (99.0 if end is None else end) - (start or 0.0) + 1e-9


def test_times_count_from_the_start_of_the_cut() -> None:
    assert trimmed(BOY, 1.2, 3.0).words[0] == Word("then", 0.36, 0.72)
    assert trimmed(BOY, 0.2, 3.0).words[0] == Word("boy", 0.0, 0.14)  # its beginning was cut off
    assert trimmed(trimmed(BOY, 0.5, 3.0), 0.7, 2.5).text == trimmed(BOY, 1.2, 3.0).text


def test_a_language_without_spaces_stays_without() -> None:
    assert trimmed(CHINESE, 0.0, 1.5).text == "今天天气很好，"
    assert trimmed(CHINESE, 1.5, 3.0).text == "我们去公园。"
    edited = retimed(CHINESE, "今天天气很好，我们去大公园。")
    check(edited)
    assert trimmed(edited, 0.0, 1.5).text == "今天天气很好，"
    assert trimmed(edited, 1.5, 3.0).text == "我们去大公园。"
    assert [word for word in edited.words if word.text == "去"] == [Word("去", 2.1, 2.3)]


def test_words_are_told_apart_by_the_texts_own_spacing() -> None:
    japanese = timed("これはペンです。", ("これは", 0.0, 0.6), ("ペン", 0.6, 1.0), ("です。", 1.0, 1.5), language="ja")
    assert retimed(japanese, "これはペンです！").words[-1].text == "す！"
    mixed = retimed(
        timed("我用Python写", ("我用", 0.0, 0.4), ("Python", 0.4, 0.9), ("写", 0.9, 1.2)), "我用Python写，“好”。"
    )
    check(mixed)
    assert [word.text for word in mixed.words] == ["我", "用", "Python", "写，", "“好”。"]
    french = retimed(timed("il dit oui", ("il", 0.0, 0.2), ("dit", 0.2, 0.5), ("oui", 0.5, 0.9)), "Il dit : « oui » !")
    assert [word.text for word in french.words] == ["Il", "dit :", "« oui » !"]
    assert [word.start for word in french.words] == [0.0, 0.2, 0.5]


def test_arabic_keeps_its_times_when_vowel_marks_are_added() -> None:
    assert trimmed(ARABIC, 0.9, 2.7).text == "واحد، اثنان"
    edited = retimed(ARABIC, "صِفْر، وَاحِد، اِثْنَان، ثَلَاثَة.")
    check(edited)
    assert [(word.start, word.end) for word in edited.words] == [(word.start, word.end) for word in ARABIC.words]
    assert trimmed(edited, 0.9, 2.7).text == "وَاحِد، اِثْنَان،"
    assert [word.start for word in retimed(ARABIC, "صفر واحد أثنان ثلاثـة").words] == [0.0, 0.86, 1.8, 2.7]


@pytest.mark.parametrize(
    "text",
    [
        "the BOY hesitated — then mastered his temper!",
        "The lad hesitated, then mastered his temper.",
        "The boy, hesitated then (mastered) his “temper”…",
    ],
)
def test_an_edit_keeps_the_times_of_what_is_still_there(text: str) -> None:
    edited = retimed(BOY, text)
    check(edited)
    assert edited.text == text
    assert (edited.language, edited.model) == ("en", "base")
    assert [(word.start, word.end) for word in edited.words] == [(word.start, word.end) for word in BOY.words]


def test_new_words_share_the_time_of_those_they_replace() -> None:
    heard = timed("the 20th time", ("the", 0.1, 0.2), ("20th", 0.2, 0.64), ("time", 0.64, 0.9))
    edited = retimed(heard, "The twentieth, time of")
    check(edited)
    assert edited.words[1] == Word("twentieth,", 0.2, 0.64)
    split = retimed(heard, "The twenty th time")
    assert [word.text for word in split.words] == ["The", "twenty", "th", "time"]
    assert split.words[1] == Word("twenty", 0.2, 0.53)
    assert split.words[2] == Word("th", 0.53, 0.64)


def test_inserted_words_share_the_pause() -> None:
    edited = retimed(BOY, "The boy hesitated, but he then mastered his temper.")
    check(edited)
    assert edited.words[3:5] == (Word("but", 0.96, 1.32), Word("he", 1.32, 1.56))
    assert trimmed(edited, 0.0, 1.0).text == "The boy hesitated,"
    later = retimed(edited, "The boy hesitated, but he mastered his temper.")
    check(later)
    assert later.words[5] == Word("mastered", 1.92, 2.28)


def test_words_added_at_the_edges_go_at_the_pace_of_the_others() -> None:
    late = timed("boy hesitated", ("boy", 1.0, 1.3), ("hesitated", 1.3, 2.2))
    edited = retimed(late, "The boy hesitated long", duration=2.4)
    check(edited)
    assert edited.words[0] == Word("The", 0.7, 1.0)  # at the pace of the others, not over all the silence before them
    assert edited.words[-1] == Word("long", 2.2, 2.4)
    assert retimed(late, "boy hesitated long").words[-1] == Word("long", 2.2, 2.2)  # nothing known of what follows
    whole = retimed(late, "Nobody knows anything about it")
    check(whole)
    assert (whole.words[0].start, whole.words[-1].end) == (1.0, 2.2)


def test_a_word_that_the_model_takes_for_two_keeps_its_times() -> None:
    known = timed("a well-known cat", ("a", 0.0, 0.1), ("well", 0.1, 0.4), ("-known", 0.4, 0.8), ("cat", 0.9, 1.2))
    edited = retimed(known, "a well-known dog")
    check(edited)
    assert edited.words[1:] == (Word("well-known", 0.1, 0.8), Word("dog", 0.9, 1.2))
    assert retimed(known, "a well known cat").words[2] == Word("known", 0.411, 0.8)  # by letters


def test_an_edit_that_leaves_no_words_has_no_times_and_one_that_changes_none_keeps_them() -> None:
    assert retimed(BOY, f" {BOY.text}\n") is BOY
    assert retimed(BOY, " … ") == Transcript("…", "en", (), "base")
    assert retimed(timed("e \u0301", ("e", 0.0, 0.2)), "e \u0301 \u0301a").words[0].start == 0.0  # stray accents
    assert retimed(BOY, "") == Transcript("", "en", (), "base")
    deleted = retimed(BOY, "The boy mastered his temper.")
    assert deleted.words == (*BOY.words[:2], *BOY.words[4:])


def test_without_times_the_text_stays_and_must_be_checked() -> None:
    typed = Transcript("The boy hesitated.", "en")
    assert cut_text(typed, 0.0, 1.0) == (typed, True)
    assert cut_text(typed, 0.0, None) == (typed, False)  # nothing was cut
    assert cut_text(Transcript(""), 0.0, 1.0) == (Transcript(""), False)
    assert cut_text(BOY, 0.0, 1.2) == (trimmed(BOY, 0.0, 1.2), False)
    edited = retimed(typed, "The boy hesitated long.")
    assert edited.words == ()
    with pytest.raises(ValueError, match="without times"):
        trimmed(typed, 0.0, 1.0)


def test_words_that_are_not_the_text_count_as_missing_times() -> None:
    stale = Transcript("The girl hesitated, then mastered his temper.", "en", BOY.words, "base")
    assert not has_times(stale)
    assert cut_text(stale, 0.0, 1.2) == (Transcript(stale.text, "en", (), "base"), True)
    more = Transcript(BOY.text + " And then?", "en", BOY.words, "base")
    assert cut_text(more, 0.0, 1.2)[1]
    mended = retimed(stale, BOY.text)  # what still has a time serves as before
    check(mended)
    assert mended.words[2:] == BOY.words[2:]


def test_any_edit_leaves_times_in_order() -> None:
    chance = random.Random(3)
    for source in (BOY, CHINESE, ARABIC):
        glue = "" if source is CHINESE else " "
        for _ in range(60):
            words = [word.text for word in source.words]
            for _ in range(chance.randint(1, 5)):
                place = chance.randrange(len(words) + 1)
                words[place : place + chance.randint(0, 3)] = chance.choices(
                    ["boy", "公园", "ثلاثة", "x—", "12"], k=chance.randint(0, 2)
                )
            edited = retimed(source, glue.join(words), duration=4.0)
            if edited.words:
                check(edited)
                assert edited.words[-1].end <= 4.0
                first, second = trimmed(edited, None, 1.4), trimmed(edited, 1.4, None)
                assert len(first.words) + len(second.words) >= len(edited.words)


def test_a_long_text_is_edited_at_once() -> None:
    chance = random.Random(1)
    spoken = [
        chance.choice(["the", "of", "and", "to", "in", "that", "he", "was", "it", "with", "as", "his", "her", "for"])
        for _ in range(10_000)
    ]
    long = timed(" ".join(spoken), *((word, index * 0.3, index * 0.3 + 0.25) for index, word in enumerate(spoken)))
    spoken[5_000] = "really"
    begun = time.perf_counter()
    edited = retimed(long, " ".join(spoken))
    assert time.perf_counter() - begun < 2.0
    assert edited.words[5_000] == Word("really", 1500.0, 1500.25)
    assert trimmed(edited, 1499.9, 1500.5).text == f"really {spoken[5_001]}"

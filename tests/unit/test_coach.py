"""What the coach says about clips: nothing against good ones, the right thing about planted faults."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from studio.audio import read_audio
from studio.audio.waveform import Waveform
from studio.voices.coach import ITEMS, ClipReport, Verdict, examine
from tests.sounds import silence
from tools.coach_faults import (
    babble,
    clipped,
    in_room,
    joined,
    other_voice,
    pink_noise,
    telephone,
    white_noise,
    with_noise,
)

RATE = 24000
CLIPS = Path(__file__).parents[3] / "shared" / "speech" / "clips"
WORSE = {"good": 0, "warn": 1, "bad": 2}


@pytest.fixture(scope="module")
def text(kathleen: dict[Path, str]) -> str:
    return " ".join(kathleen.values())


@pytest.fixture(scope="module")
def clip(clips: list[Waveform]) -> Waveform:
    """9.7 s of one clean voice."""
    return joined(clips, 0.3)


@pytest.fixture(scope="module")
def clean(clip: Waveform, text: str) -> ClipReport:
    return examine(clip, transcript=text, language="en")


def faults(report: ClipReport) -> dict[str, str]:
    return {verdict.item: verdict.verdict for verdict in report.verdicts if verdict.verdict != "good"}


def test_nothing_is_said_against_a_clean_clip(clean):
    assert faults(clean) == {}
    assert clean.ok
    assert clean.window is None
    assert "good" in clean.sentence.lower()


def test_every_item_is_always_there(clean, clip):
    assert tuple(verdict.item for verdict in clean.verdicts) == ITEMS
    assert tuple(verdict.item for verdict in examine(clip).verdicts) == ITEMS[:-1]
    assert tuple(verdict.item for verdict in examine(silence(3.0), transcript="Hello.").verdicts) == ITEMS


@pytest.mark.parametrize("kind", ["white", "pink", "babble"])
def test_more_noise_is_a_worse_verdict(clip, clean, clips, kind):
    count = clip.num_samples
    noise = {
        "white": lambda: white_noise(count),
        "pink": lambda: pink_noise(count),
        "babble": lambda: babble(clips, count, RATE),
    }[kind]()
    reports = [examine(with_noise(clip, noise, db, clean.speech)) for db in (20.0, 10.0, 5.0)]
    values = [report.verdict("noise").value for report in reports]
    grades = [WORSE[report.verdict("noise").verdict] for report in reports]
    assert values == sorted(values, reverse=True)
    assert grades == sorted(grades)
    assert grades[0] < grades[-1] == WORSE["bad"]
    assert not reports[-1].ok
    assert not {"bandwidth", "clipping"} & set(faults(reports[-1])), "noise is noise, not something else"
    if kind != "babble":  # Other voices fill the pauses as an echo does.
        assert "echo" not in faults(reports[-1])


@pytest.mark.parametrize("drive", [3.0, 6.0])
def test_clipping_is_bad(clip, drive):
    report = examine(clipped(clip, drive, turned_down=0.3))
    assert report.verdict("clipping").verdict == "bad"
    assert set(faults(report)) == {"clipping"}


def test_a_telephone_is_bad(clip):
    assert faults(examine(telephone(clip))) == {"bandwidth": "bad"}


def test_echo_grows_from_good_to_bad(clip):
    grades = [examine(in_room(clip, rt60)).verdict("echo").verdict for rt60 in (0.3, 0.6, 1.2)]
    assert grades == ["good", "warn", "bad"]


def test_silence_around_speech_is_a_warning_with_a_window(clip):
    report = examine(joined([silence(2.5), clip, silence(1.5)]))
    assert faults(report) == {"silence": "warn"}
    assert report.ok
    assert report.window is not None
    assert report.window.start > 2.0
    assert report.window.end < report.duration - 1.0


def test_two_voices_are_bad_and_the_window_has_one(clips):
    report = examine(joined([*clips, other_voice(clips[0])], 0.3))
    assert faults(report) == {"speakers": "bad"}
    assert report.window is not None
    assert report.window.end < sum(clip.duration for clip in clips) + 0.9


def test_speakers_of_little_speech_are_not_checked(clip):
    from studio.audio.editing import trim

    verdict = examine(trim(clip, 0.0, 2.8)).verdict("speakers")
    assert (verdict.value, verdict.verdict) == (None, "good")
    assert verdict.advice.startswith("Not checked")


def test_a_bad_part_is_left_out_of_the_window(clips):
    report = examine(joined([clips[0], clips[1], clipped(clips[2], 5.0, turned_down=0.2)], 0.4))
    assert report.verdict("clipping").verdict == "bad"
    assert report.window is not None
    assert report.window.end <= clips[0].duration + clips[1].duration + 0.9


def test_a_clip_of_twenty_seconds_is_good_and_gets_a_window(clips):
    report = examine(joined(clips * 2, 0.4))
    assert faults(report) == {}
    assert report.window is not None
    assert 5.0 <= report.window.duration <= 15.0


@pytest.mark.parametrize(("times", "grade"), [(4, "warn"), (7, "bad")])
def test_a_long_clip_is_not_a_reference_but_a_part_of_it_is(clip, times, grade):
    report = examine(joined([clip] * times, 0.4))
    assert faults(report) == {"duration": grade}
    assert report.window is not None
    assert f"{report.window.start:.1f}" in report.sentence


def test_twenty_minutes_take_seconds(clip):
    long = joined([clip.resampled(44100)] * 120, 0.4)
    assert long.duration > 1180.0
    started = time.perf_counter()
    report = examine(long)
    assert time.perf_counter() - started < 60.0, "about 5 s on one free core"
    assert report.verdict("duration").verdict == "bad"
    assert report.window is not None
    assert 5.0 <= report.window.duration <= 15.0


@pytest.mark.parametrize("seconds", [0.0, 0.00005, 0.01, 0.5, 3.0, 20.0])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_no_speech_is_one_clear_sentence(seconds, level):
    noise = level * white_noise(round(seconds * RATE))
    report = examine(Waveform(noise, RATE))
    assert not report.ok
    assert report.window is None
    assert "Nobody is heard" in report.sentence
    assert "NaN" not in json.dumps(report.as_json())


@pytest.mark.parametrize("count", [1, 100, 1000, 12000, 20000])
def test_a_scrap_of_speech_is_too_short(clip, count):
    report = examine(Waveform(clip.samples[6000 : 6000 + count], RATE))
    assert report.verdict("duration").verdict == "bad"
    json.dumps(report.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("words", "grade"), [(0.12, "bad"), (0.35, "warn"), (1.0, "good"), (1.5, "good"), (2.5, "warn"), (5.0, "bad")]
)
def test_a_text_that_cannot_be_the_transcript_is_noticed(clip, text, words, grade):
    much = (text + " ") * 5
    report = examine(clip, transcript=much[: round(words * len(text))], language="en")
    assert report.verdict("transcript").verdict == grade


def test_a_text_without_words_is_bad_and_one_left_blank_is_not_judged(clip):
    assert examine(clip, transcript="…").verdict("transcript").verdict == "bad"
    with pytest.raises(KeyError):
        examine(clip, transcript="  ").verdict("transcript")


def test_no_part_is_recommended_where_every_part_is_bad(clip, text):
    report = examine(joined([telephone(clip)] * 2, 0.4))
    assert report.window is not None
    assert not report.window_ok
    assert "record it again" in report.sentence
    assert "check its text" in examine(clip, transcript=text * 9).sentence


def test_the_report_says_everything_in_json(clean):
    document = json.loads(json.dumps(clean.as_json(), allow_nan=False))
    assert set(document) == {"ok", "duration", "sentence", "verdicts", "window", "speech"}
    assert document["ok"] is True
    assert document["window"] is None
    assert all(set(entry) == {"item", "value", "unit", "verdict", "advice"} for entry in document["verdicts"])
    assert all(0.0 <= start < end <= document["duration"] for start, end in document["speech"])


def test_advice_is_one_sentence(clip, clips, clean, text):
    reports = [
        clean,
        examine(silence(2.0), transcript=text),
        examine(telephone(clip), transcript="Hello."),
        examine(in_room(clip, 1.2)),
        examine(clipped(clip, 4.0), transcript=text * 9),
        examine(with_noise(clip, white_noise(clip.num_samples), 5.0, clean.speech)),
        examine(joined([silence(2.0), *clips * 4, silence(2.0)], 0.4), max_seconds=30.0),
    ]
    for report in reports:
        for verdict in report.verdicts:
            assert isinstance(verdict, Verdict)
            assert verdict.advice.endswith(".")
            assert verdict.advice.count(". ") == 0, verdict.advice
            assert verdict.shown
            assert verdict.label
        assert report.sentence.count(". ") == 0, report.sentence


@pytest.mark.skipif(not CLIPS.is_dir(), reason="../shared/speech/clips is not here")
def test_the_noisy_twin_is_flagged_and_the_clean_one_is_not():
    assert faults(examine(read_audio(CLIPS / "en_lj001.flac"))) == {}
    assert faults(examine(read_audio(CLIPS / "en_lj001_noisy5db.flac"))) == {"noise": "bad"}

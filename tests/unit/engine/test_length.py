"""Expected seconds and frame budgets, against recordings and against what numbers sound like."""

import csv
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio.engine.text import expected_seconds, frame_budget

SPEECH = Path(__file__).parents[4] / "shared" / "speech"

RECORDED = [
    # Text, seconds of the file, source. Kathleen: rhasspy/dataset-voice-kathleen (CC0).
    ("For the twentieth time that evening the two men shook hands.", 3.08, "Kathleen a0003"),
    ("They were following the shore of a lake.", 1.97, "Kathleen a0203"),
    ("Ah, indeed.", 1.67, "Kathleen a0329"),
    ("There was proper division of labor in the work they individually performed.", 3.80, "Kathleen b0355"),
    ("Eggshell is not good to eat.", 2.87, "Kathleen b0517"),
    (
        "Printing, in the only sense with which we are at present concerned, differs from most if not from all the "
        "arts and crafts represented in the Exhibition",
        9.66,
        "LJSpeech LJ001-0001 (public domain)",
    ),
    (
        "there's iron they say in all our blood and a grain or two perhaps is good but his he makes me harshly feel "
        "has got a little too much of steel anon",
        15.0,
        "LibriSpeech 1688-142285-0000 (CC BY 4.0): read slowly, with long pauses",
    ),
    # Ten words recorded one by one, a second each: abdulkaderghandoura/arabic-speech-commands-dataset (CC BY 4.0).
    ("صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة", 10.0, "Arabic digits 0-9"),
]


@pytest.mark.parametrize(("text", "seconds", "source"), RECORDED, ids=[source for _, _, source in RECORDED])
def test_no_recorded_utterance_is_cut(text: str, seconds: float, source: str) -> None:
    assert frame_budget(text, frame_rate=25) / 25 > 1.15 * seconds


def test_recorded_utterances_take_about_the_expected_time() -> None:
    ratios = [expected_seconds(text) / seconds for text, seconds, _ in RECORDED]
    assert 0.85 < statistics.median(ratios) < 1.15
    assert all(0.5 < ratio < 1.6 for ratio in ratios)


@pytest.mark.skipif(not SPEECH.is_dir(), reason="../shared/speech is absent")
def test_whole_corpora_take_about_the_expected_time_and_none_is_cut() -> None:
    import soundfile

    utterances: list[tuple[str, Path]] = []
    for line in (SPEECH / "kathleen/metadata.csv").read_text().splitlines():
        name, text, _ = line.split("|")
        utterances.append((text, next((SPEECH / "kathleen/wavs").glob(f"{name}.*"))))
    with (SPEECH / "librispeech/metadata.csv").open() as file:
        utterances += [(row["transcript"], SPEECH / "librispeech" / row["filename"]) for row in csv.DictReader(file)]
    assert len(utterances) > 300
    spoken = [(text, soundfile.info(path).duration) for text, path in utterances]
    assert 0.85 < statistics.median(expected_seconds(text) / seconds for text, seconds in spoken) < 1.15
    assert min(frame_budget(text, frame_rate=25) / 25 / seconds for text, seconds in spoken) > 1.15


# Seconds a careful reader takes, from the count of syllables at 4–6 a second.
@pytest.mark.parametrize(
    ("text", "shortest", "longest"),
    [
        ("في عام 1975 بلغ 12.5%", 4.0, 8.0),  # 25 syllables and a decimal.
        ("你好，世界。今天天气很好。", 2.5, 4.5),  # 10 syllables, two pauses.
        ("今日はいい天気ですね。", 1.8, 4.0),  # 13 morae.
        ("안녕하세요. 만나서 반갑습니다.", 2.2, 4.5),  # 12 syllables.
        ("नमस्ते, आप कैसे हैं?", 1.5, 3.5),  # 8 syllables.
        ("Доброе утро, как у вас дела?", 1.6, 3.5),  # 11 syllables.
        ("สวัสดีครับ วันนี้อากาศดีมาก", 1.7, 4.5),  # 10 syllables.
    ],
)
def test_other_scripts_take_a_human_time(text: str, shortest: float, longest: float) -> None:
    assert shortest < expected_seconds(text) < longest


def test_arabic_digits_count_as_they_are_read() -> None:
    without = expected_seconds("في عام بلغ")
    with_digits = expected_seconds("في عام 1975 بلغ 12.5%")
    read = "في عام ألف وتسعمائة وخمسة وسبعين بلغ اثني عشر فاصلة خمسة بالمئة"
    assert with_digits > without + 2
    assert with_digits == pytest.approx(expected_seconds(read), rel=0.25)
    assert expected_seconds("في عام ١٩٧٥ بلغ ١٢٫٥٪") == pytest.approx(with_digits)


def test_vowel_marks_take_no_time_of_their_own() -> None:
    bare, marked = "ذهب الولد إلى المدرسة", "ذَهَبَ الوَلَدُ إِلَى المَدْرَسَةِ"
    assert expected_seconds(marked) == pytest.approx(expected_seconds(bare), rel=0.02)
    assert expected_seconds("שָׁלוֹם לְכֻלָּם") == pytest.approx(expected_seconds("שלום לכלם"), rel=0.02)


@pytest.mark.parametrize(
    ("written", "read", "tolerance"),
    [
        ("It was 1975.", "It was nineteen seventy-five.", 0.1),
        ("Of 1,234,567 birds.", "Of a million two hundred thirty-four thousand five hundred sixty-seven birds.", 0.2),
        ("It is 3.14 long.", "It is three point one four long.", 0.2),
        ("About 50% agree.", "About fifty percent agree.", 0.1),
        ("It costs $20 now.", "It costs twenty dollars now.", 0.1),
        ("See you at 12:30.", "See you at twelve thirty.", 0.1),
        ("Call 555-123-4567.", "Call five five five, one two three, four five six seven.", 0.3),
        ("Add 2+2=4 now.", "Add two plus two equals four now.", 0.15),
        ("It is -5 here.", "It is minus five here.", 0.15),
        ("The room of NASA.", "The room of en ay ess ay.", 0.3),
        ("Write to me@x.org now.", "Write to me at x dot o r g now.", 0.3),
    ],
)  # fmt: skip
def test_signs_and_digits_take_the_time_of_their_words(written: str, read: str, tolerance: float) -> None:
    assert expected_seconds(written) == pytest.approx(expected_seconds(read), rel=tolerance)


def test_digits_of_every_script_are_the_same_number() -> None:
    expected = expected_seconds("1975", "en")
    assert expected_seconds("１９７５", "en") == expected_seconds("१९७५", "en") == expected


def test_the_language_decides_what_a_point_means() -> None:
    assert expected_seconds("1.500", "de") == expected_seconds("1500", "de")
    assert expected_seconds("1,500", "en") == expected_seconds("1500", "en")
    assert expected_seconds("1,500", "de") == pytest.approx(expected_seconds("1.500", "en"), abs=0.1)
    assert expected_seconds("1.500", "en") > expected_seconds("1500", "en") + 0.5  # "one point five zero zero"
    assert expected_seconds("1.234.567,5", "de") > expected_seconds("1.234.567", "de")


def test_numbers_are_read_where_num2words_lacks_the_language() -> None:
    assert expected_seconds("我有1975个", "zh") > expected_seconds("我有个", "zh") + 1
    assert expected_seconds("1975", "xx") == expected_seconds("1975", "cmn")


def test_kanji_are_two_morae_and_small_kana_none() -> None:
    assert expected_seconds("東京", "ja") > expected_seconds("東京", "zh")
    assert expected_seconds("きゃ") == expected_seconds("か")


def test_capitals_are_spelled_unless_all_is_capitals() -> None:
    assert expected_seconds("the USA won") > expected_seconds("the usa won") + 0.5
    assert expected_seconds("THE WHOLE TEXT") == pytest.approx(expected_seconds("the whole text"))


def test_pauses_take_time_and_the_last_stop_none() -> None:
    assert expected_seconds("One. Two") > expected_seconds("One, two") > expected_seconds("One two")
    assert expected_seconds("One\ntwo") > expected_seconds("One two")
    assert expected_seconds("One two.") == expected_seconds("One two")


def test_mixed_scripts_add_up() -> None:
    mixed = expected_seconds("你好 hello", "zh")
    assert mixed > expected_seconds("你好", "zh") and mixed > expected_seconds("hello", "zh")


def test_sounds_take_time_and_speaker_tags_none() -> None:
    assert expected_seconds("[laugh] hello") > expected_seconds("hello") + 1
    assert expected_seconds("<SE>[Laughter]</SE> hello") == expected_seconds("[laugh] hello")
    assert expected_seconds("[SPEAKER0] hello") == pytest.approx(expected_seconds("hello"), abs=0.1)


def test_a_row_of_emoji_is_one_short_word() -> None:
    assert expected_seconds("Hello 😂😂😂") == expected_seconds("Hello 😂")
    assert 0.2 < expected_seconds("Hello 😂") - expected_seconds("Hello") < 1


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a", "9" * 5000, "a" * 20_000, "a@" * 5000, "." * 20_000, "www." * 5000, "1,234" * 3000, "٣" * 5000,
     "\ud800", "1" + " 000" * 5000],
    ids=range(12),
)  # fmt: skip
def test_any_text_has_a_finite_budget_at_once(text: str) -> None:
    started = time.perf_counter()
    budget = frame_budget(text, frame_rate=25)
    assert time.perf_counter() - started < 2
    assert 75 <= budget < math.inf


def test_the_budget_counts_frames_of_the_rate_given() -> None:
    assert frame_budget("Hello there.", frame_rate=50) == pytest.approx(
        2 * frame_budget("Hello there.", frame_rate=25), abs=1
    )
    with pytest.raises(ValueError, match="frame_rate"):
        frame_budget("Hello", frame_rate=0)


def test_the_budget_grows_with_the_text() -> None:
    sentence = "The quick brown fox jumps over the lazy dog. "
    budgets = [frame_budget(sentence * count, frame_rate=25) for count in (1, 2, 4, 8)]
    assert budgets == sorted(set(budgets))
    assert budgets[-1] < 8 * budgets[0]


def test_importing_the_text_modules_loads_no_library() -> None:
    code = (
        "import sys, studio.engine; before = set(sys.modules);"
        "import studio.engine.text.normalisation, studio.engine.text.duration, studio.engine.text.sentences;"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(loaded & {'torch', 'transformers', 'gradio', 'num2words', 'sentencex'})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"

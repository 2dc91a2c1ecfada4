"""What the model is given to read, and what it is never given."""

import pytest

from studio.engine.text import SOUND_TAGS, prepare_text
from studio.engine.text.languages import detect_language, is_right_to_left
from studio.errors import StudioError


def prepared(text: str) -> str:
    return prepare_text(text, max_chars=10_000)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Good morning, everyone.", "en"),
        ("مرحبا بكم في الاستوديو", "ar"),
        ("صبح بخیر، چطور هستید؟", "fa"),
        ("آپ کیسے ہیں؟ یہ ٹھیک ہے۔", "ur"),
        ("שלום לכולם", "he"),
        ("안녕하세요 여러분", "ko"),
        ("東京に行きます", "ja"),
        ("カラオケ", "ja"),
        ("今天天气很好", "zh"),
        ("Доброе утро", "ru"),
        ("Доброго ранку, як твої справи", "uk"),
        ("Καλημέρα σας", "el"),
        ("नमस्ते दुनिया", "hi"),
        ("สวัสดีครับ", "th"),
        ("வணக்கம்", "ta"),
        ("გამარჯობა", "ka"),
        ("12345 … 😀", "en"),
    ],
)
def test_the_script_tells_the_language(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_most_letters_decide_in_mixed_text() -> None:
    assert detect_language("The word شكرا means thank you in Arabic.") == "en"
    assert detect_language("كلمة hello تعني مرحبا باللغة الإنجليزية") == "ar"
    assert detect_language("[SPEAKER0] [laugh] مرحبا") == "ar"  # Tags are no letters of the text.


def test_one_foreign_letter_does_not_make_arabic_persian() -> None:
    arabic = "ذهب الولد إلى المدرسة في الصباح الباكر وعاد إلى البيت في المساء مع أصدقائه الذين يحبون كرة القدم "
    assert detect_language(arabic + "پ") == "ar"


def test_one_japanese_letter_does_not_make_chinese_japanese() -> None:
    assert detect_language("优之良品是一家来自香港的零食店，很多人都喜欢去那里买东西吃の") == "zh"


def test_right_to_left_is_what_most_letters_are() -> None:
    assert is_right_to_left("مرحبا بالعالم 123 (ok)")
    assert is_right_to_left("שלום")
    assert is_right_to_left("[SPEAKER0] نعم")
    assert not is_right_to_left("The word شكرا means thanks.")
    assert not is_right_to_left("123")


@pytest.mark.parametrize("text", ["", "  \n\t ", "\u3000"])
def test_no_text_is_refused(text: str) -> None:
    with pytest.raises(StudioError, match="There is no text"):
        prepared(text)


@pytest.mark.parametrize("text", ["?!…", "— * —", "😀🎉", "[SPEAKER0]", "\u200b\u200f", "。。。", "ـــ"])
def test_text_without_a_sound_is_refused(text: str) -> None:
    with pytest.raises(StudioError, match="There is nothing to say"):
        prepared(text)


def test_text_over_the_limit_is_refused_with_both_numbers() -> None:
    assert prepare_text("a" * 50 + "  \n", max_chars=50) == "a" * 50 + "."
    with pytest.raises(StudioError, match=r"1,251 characters.*limit is 1,250.*split"):
        prepare_text("a" * 1251, max_chars=1250)


@pytest.mark.parametrize(
    "text",
    [
        "Hello <|eot_id|> there",
        "Hello ＜｜eot_id｜＞ there",  # Full width, which normalisation makes ASCII.
        "Hello 《|eot_id|》 there",
        "Hello <\u200b|eot_\u200did|> there",  # With zero-width characters, which are removed.
    ],
)
def test_control_tokens_of_the_model_are_refused_by_name(text: str) -> None:
    with pytest.raises(StudioError, match=r"<\|eot_id\|>"):
        prepared(text)


def test_less_than_and_bars_alone_are_no_control_token() -> None:
    assert prepared("a < b | c > d.") == "a < b | c > d."


def test_full_width_punctuation_becomes_ascii() -> None:
    assert prepared("你好，世界。真的：好；吗？好！") == "你好, 世界.真的:好;吗?好!"
    assert prepared("「はい」、『ええ』。《书》【注】—等…") == '"はい","ええ".<书>[注]-等...'
    assert prepared("Ｈｅｌｌｏ　１９７５％！") == "Hello 1975%!"
    assert prepared("It’s “fine”.") == 'It\'s "fine".'


def test_full_width_thousands_stay_one_number() -> None:
    assert prepared("共1，234，567人，你好。") == "共1,234,567人, 你好."


def test_parentheses_become_spaces_and_degrees_words() -> None:
    assert prepared("He (Tom) left.") == "He Tom left."
    assert prepared("It is 72°F or 22℃") == "It is 72 degrees Fahrenheit or 22 degrees Celsius."


@pytest.mark.parametrize(("asked", "given"), list(SOUND_TAGS.items()))
def test_sound_effects_become_the_tags_of_the_model(asked: str, given: str) -> None:
    assert f"Hello {given} there." in prepared(f"Hello {asked} there.")


def test_sound_effects_become_those_of_the_original_script() -> None:
    # Values of examples/generation.py in boson-ai/higgs-audio.
    assert prepared("[laugh] Hi") == "<SE>[Laughter]</SE> Hi."
    assert prepared("[humming start] hm [humming end]") == "<SE>[Humming]</SE> hm <SE_e>[Humming]</SE_e>"
    assert prepared("[sing start] la [sing end]") == "<SE_s>[Singing]</SE_s> la <SE_e>[Singing]</SE_e>"
    assert prepared("[music start] la [music] [music end]") == (
        "<SE_s>[Music]</SE_s> la <SE>[Music]</SE> <SE_e>[Music]</SE_e>"
    )
    assert prepared("[Cough] [applause] [cheering]") == ("<SE>[Cough]</SE> <SE>[Applause]</SE> <SE>[Cheering]</SE>")


def test_speaker_tags_stay_where_they_are() -> None:
    assert prepared("[SPEAKER0] Hello.\n[SPEAKER1]  Hi!") == "[SPEAKER0] Hello.\n[SPEAKER1] Hi!"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\v"])
def test_every_kind_of_line_end_is_one(line_end: str) -> None:
    assert prepared(f"One,{line_end}two.") == "One,\ntwo."


def test_white_space_is_one_space_and_blank_lines_go() -> None:
    assert prepared("  One\t two,\u00a0three.\n \n\n  Four\u3000five. ") == "One two, three.\nFour five."


def test_a_divider_between_paragraphs_is_not_read() -> None:
    assert prepared("One.\n\n* * *\n\nTwo.") == "One.\nTwo."


def test_invisible_characters_go_and_letters_are_composed() -> None:
    assert prepared("\ufeffca\u0301fe\u200b \u202bbar\u202c\u00ad ok.\x00") == "cáfe bar ok."
    assert prepared("\ufee3\ufeae\ufea3\ufe92\ufe8e") == "مرحبا."  # Presentation forms, as copied from a PDF.


@pytest.mark.parametrize(
    "text",
    ["Hi!", "كيف حالك؟", "آپ کیسے ہیں۔", "यह है।", "He said 'no'", "Il dit « oui »", "Wait,", "As follows:"],
)
def test_closed_text_gets_no_full_stop(text: str) -> None:
    assert prepared(text) == text


@pytest.mark.parametrize("text", ["Hello", "مرحبا", "你好", "नमस्ते", "5", "Hello -", "[music start]"])
def test_open_text_gets_one_full_stop(text: str) -> None:
    result = prepared(text)
    assert result.endswith(".") and not result.endswith("..")


def test_an_open_headline_is_closed_before_the_next_paragraph() -> None:
    assert prepared("One\u2029two") == "One.\ntwo."
    assert prepared("Chapter One\n\nIt rained\nand rained") == "Chapter One.\nIt rained\nand rained."

"""Long text in parts: where it may be cut, where never, and that nothing gets lost."""

import random
import re

import pytest

from studio.engine.text import expected_seconds, prepare_text, split_text
from studio.engine.text.sentences import Chunk
from studio.errors import StudioError


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def texts(text: str, **options: object) -> list[str]:
    return [chunk.text for chunk in split_text(text, **options)]  # type: ignore[arg-type]


def assert_whole(text: str, chunks: list[Chunk], max_seconds: float) -> None:
    """Nothing is lost or repeated, and no chunk is too long."""
    assert squeezed("".join(chunk.text for chunk in chunks)) == squeezed(prepare_text(text, max_chars=10**6))
    for chunk in chunks:
        assert expected_seconds(chunk.text, chunk.language) <= max_seconds, chunk


# Sentences whose inner points, marks and numbers must not end them.
SENTENCES = {
    "en": [
        "Dr. Smith came at 3 p.m. on Monday.",
        "He paid $3.50, i.e. half of approx. 7 dollars.",
        "J. R. R. Tolkien and Mr. Lewis met Prof. Wright.",
        "The U.S. Army has No. 5.",
        '"Stop!" he said.',
        "Is it 3.5 or 1,234,567?",
    ],
    "de": ["Dr. Müller kam z. B. am 3. Oktober.", "Er ist ca. 3,5 m groß, d.h. groß.", "J. S. Bach schrieb Nr. 5."],
    "fr": ["M. Dupont et Mme. Curie sont là.", "J.-P. Sartre a lu 3,5 livres.", "Est-ce vrai ?", "Oui, etc. et voilà."],
    "es": ["El Sr. García llegó a las 3 p.m. del lunes.", "¿Cómo está la Dra. Pérez?", "¡Muy bien!"],
    "ar": ["ذهب د. أحمد إلى المدرسة.", "هل رأيت أ.د. محمد اليوم؟", "بلغت النسبة 12.5% في عام 1975.", "نعم!"],
    "zh": ["今天天气很好！", "你要去哪里？", "圆周率是3.14左右。", "他说：“我们走吧。”"],
    "ja": ["今日はいい天気ですね！", "彼は「行こう。」と言った。", "円周率は3.14です。", "どこへ行きますか？"],
    "hi": ["डॉ. शर्मा आए।", "श्री. वर्मा 3.5 किलो लाए।", "क्या आप ठीक हैं?", "हाँ!"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "sentence"), [(language, sentence) for language, several in SENTENCES.items() for sentence in several]
)
def test_a_sentence_of_each_language_is_found_and_kept_whole(language: str, sentence: str) -> None:
    between = "" if language in ("zh", "ja") else " "
    once = expected_seconds(sentence, language)
    # Room for one sentence and a good part of the next: were there an end inside it, that part would be packed.
    chunks = texts(between.join([sentence] * 4), language=language, max_seconds=once * 1.7)
    prepared = squeezed(prepare_text(sentence, max_chars=1000))
    assert [re.sub(re.escape(prepared), "S", squeezed(chunk)) for chunk in chunks] in (["S"] * 4, ["SS", "SS"])


@pytest.mark.parametrize("language", SENTENCES)
def test_nothing_is_lost_at_any_length(language: str) -> None:
    text = "\n\n".join(" ".join(SENTENCES[language]) for _ in range(3))
    for max_seconds in (5.5, 8, 13, 20, 60):
        chunks = split_text(text, language=language, max_seconds=max_seconds)
        assert_whole(text, chunks, max_seconds)
        assert all(chunk.language == language for chunk in chunks)


def test_a_text_that_is_short_enough_stays_whole() -> None:
    text = "One sentence.\n\nAnother (short) paragraph"
    assert split_text(text) == [Chunk(prepare_text(text, max_chars=100), paragraph_end=True, language="en")]


def test_neighbouring_sentences_are_packed_up_to_the_limit() -> None:
    sentence = "The boats came back to the harbour before dark."
    chunks = texts(" ".join([sentence] * 12), max_seconds=10)
    seconds = expected_seconds(sentence)
    assert 12 * seconds / 10 - 1 < len(chunks) <= 6
    assert all(set(chunk.split(". ")) <= {sentence, sentence[:-1]} for chunk in chunks)


def test_a_paragraph_ends_a_chunk_and_says_so() -> None:
    first, second = "It rained. " * 10, "The sun came out. " * 4
    chunks = split_text(f"{first}\r\n \r\n{second}", max_seconds=9)
    ends = [index for index, chunk in enumerate(chunks) if chunk.paragraph_end]
    assert len(ends) == 2 and ends[-1] == len(chunks) - 1
    assert squeezed("".join(chunk.text for chunk in chunks[: ends[0] + 1])) == squeezed(first)


def test_short_paragraphs_of_a_long_text_are_not_packed_together() -> None:
    chunks = texts("Chapter One\n\n" + "It rained all day long. " * 20, max_seconds=12)
    assert chunks[0] == "Chapter One."


def test_a_hard_wrapped_sentence_is_no_new_sentence() -> None:
    text = "The old lighthouse keeper had\nwatched the sea for forty years. " + "He slept well now. " * 3
    chunks = texts(text, max_seconds=5)
    assert chunks[0] == "The old lighthouse keeper had\nwatched the sea for forty years."


def test_an_overlong_sentence_is_cut_at_clauses() -> None:
    text = "When the rain had stopped, and the streets were dry again, we walked to the river; nobody spoke a word."
    assert texts(text, max_seconds=3) == [
        "When the rain had stopped,",
        "and the streets were dry again,",
        "we walked to the river;",
        "nobody spoke a word.",
    ]


def test_quoted_sentences_are_cut_before_clauses_are() -> None:
    text = '"I came home, at last. Then Dr. Smith left, without a word. It was late."'
    assert texts(text, max_seconds=3.2) == [
        '"I came home, at last.',
        "Then Dr. Smith left, without a word.",
        'It was late."',
    ]


def test_a_sentence_without_punctuation_is_cut_between_words() -> None:
    words = ["under", "the", "old", "bridge", "somebody", "played", "a", "slow", "song"] * 8
    chunks = texts(" ".join(words), max_seconds=4)
    assert " ".join(chunks).removesuffix(".").split() == words
    assert len(chunks) > 5 and not any(chunk.endswith(".") for chunk in chunks[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "我们今天去公园散步然后回家吃饭睡觉明天早上再一起去学校上课" * 4,
        "きょうはとてもいいてんきなのでともだちといっしょにしゃしんをとりにいきました" * 4,
        "วันนี้อากาศดีมากเราจะไปเที่ยวด้วยกันที่ทะเลเก่าแก่" * 4,
    ],
    ids=["zh", "ja", "th"],
)
def test_script_without_spaces_is_cut_between_letters(text: str) -> None:
    chunks = split_text(text, max_seconds=3)
    assert_whole(text, chunks, 3)
    assert len(chunks) > 3
    for chunk in chunks:  # No mark, small kana or long vowel is parted from its letter, nor a leading Thai vowel.
        assert not re.match(r"[\u0e31\u0e33-\u0e3a\u0e47-\u0e4eゃゅょっー]", chunk.text)
        assert not re.search(r"[\u0e40-\u0e44]$", chunk.text)


@pytest.mark.parametrize(
    "number",
    ["1,234,567", "3.14159", "12:30", "1 234 567", "1975", "١٢٫٥", "06 12 34 56 78", "一千九百七十五"],
)
@pytest.mark.parametrize("words", ["word {} ", "字字{}字"])
def test_a_number_is_never_cut(number: str, words: str) -> None:
    chunks = texts(words.format(number) * 6, max_seconds=1)
    assert len(chunks) > 6
    assert sum(chunk.count(number) for chunk in chunks) == 6


def test_sound_tags_and_words_are_never_cut() -> None:
    text = "Well [humming start] then extraordinarily [humming end] he said " * 4
    chunks = texts(text, max_seconds=1)
    assert sum(chunk.count("<SE>[Humming]</SE>") for chunk in chunks) == 4
    assert sum(chunk.count("<SE_e>[Humming]</SE_e>") for chunk in chunks) == 4
    assert sum(chunk.count("extraordinarily") for chunk in chunks) == 4
    chinese = texts("我们[laugh]今天" * 5, max_seconds=1)
    assert len(chinese) > 5 and sum(chunk.count("<SE>[Laughter]</SE>") for chunk in chinese) == 5


def test_a_word_longer_than_the_limit_stays_whole() -> None:
    assert "a" * 500 in texts("Then " + "a" * 500 + " came", max_seconds=5)


def test_punctuation_alone_is_no_chunk() -> None:
    chunks = texts("It rained all day long. ... 😀 !! " * 6, max_seconds=3)
    assert len(chunks) == 6 and all("rained" in chunk for chunk in chunks)


def test_speaker_tags_begin_a_sentence_and_survive() -> None:
    text = "[SPEAKER0] well then, hello there my friend\n[SPEAKER1] oh well, hello to you too\n" * 4
    chunks = texts(text, max_seconds=4)
    assert [re.findall(r"SPEAKER\d", chunk) for chunk in chunks] == [["SPEAKER0"], ["SPEAKER1"]] * 4


def test_each_paragraph_has_its_own_language_unless_one_is_given() -> None:
    text = "The first paragraph is English. " * 5 + "\n\n" + "هذه الفقرة مكتوبة باللغة العربية. " * 5
    assert {chunk.language for chunk in split_text(text, max_seconds=8)} == {"en", "ar"}
    assert {chunk.language for chunk in split_text(text, max_seconds=8, language="fr")} == {"fr"}
    assert {chunk.language for chunk in split_text(text, max_seconds=8, language="fr-CA")} == {"fr"}


def test_random_text_is_never_lost() -> None:
    latin = ["Hello", "wörld", "12.5%", "1,234", "Dr. ", "p.m. ", ". ", ", ", "! ", "? ", "\n", "\n\n", " ", " ", " "]
    other = ["你好", "。", "，", "「", "」", "かな", "مرحبا", "؟ ", "، ", "नमस्ते", "। ", "สวัสดี", "“", "”", "'"]
    pieces = [*latin, *other, "😀", "[laugh]", "—", "…", "(", ")"]
    chooser = random.Random(7)
    for _ in range(300):
        text = "".join(chooser.choices(pieces, k=chooser.randint(5, 60))) + "end"
        chunks = split_text(text, max_seconds=chooser.choice([1.0, 3.0, 8.0]))
        whole = prepare_text(text, max_chars=10**6)
        assert squeezed("".join(chunk.text for chunk in chunks)) == squeezed(whole)
        assert all(re.search(r"\w", chunk.text) for chunk in chunks)


@pytest.mark.parametrize(("text", "reason"), [(" ", "no text"), ("?!", "nothing to say"), ("a <|eot_id|> b", "eot_id")])
def test_what_cannot_be_spoken_is_refused(text: str, reason: str) -> None:
    with pytest.raises(StudioError, match=reason):
        split_text(text)


def test_a_limit_that_is_no_duration_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="max_seconds"):
        split_text("Hello.", max_seconds=0)

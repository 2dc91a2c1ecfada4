"""Scripts of lines ``[Name] text``."""

import pytest

from studio.engine.text import SOUND_TAGS, Line, Script, speaker_tags
from studio.errors import StudioError


def lines(text: str) -> list[Line]:
    return list(Script(text).lines)


def test_plain_text_is_one_line_of_nobody() -> None:
    assert lines("Hello there.\nHow are you?") == [Line(None, "Hello there.\nHow are you?")]


def test_lines_are_spoken_by_their_names_in_order() -> None:
    script = "[Anna] Hi, Bob.\n[Bob] Hello.\n[Anna] How are you?"
    assert lines(script) == [Line("Anna", "Hi, Bob."), Line("Bob", "Hello."), Line("Anna", "How are you?")]


def test_a_line_without_a_name_goes_on_with_the_speaker_before() -> None:
    script = "[Anna] First.\nSecond.\n\nThird.\n[Bob] Fourth."
    assert lines(script) == [Line("Anna", "First.\nSecond.\n\nThird."), Line("Bob", "Fourth.")]


def test_names_may_be_of_any_script_with_spaces_and_indentation() -> None:
    script = "  [ Dr. Ada L. ]   Hello.\n\n[ليلى] مرحبا.\n[小明] 你好。"
    assert [line.speaker for line in lines(script)] == ["Dr. Ada L.", "ليلى", "小明"]


def test_windows_line_ends_part_lines() -> None:
    assert lines("[A] One.\r\n[B] Two.") == [Line("A", "One."), Line("B", "Two.")]


@pytest.mark.parametrize("effect", [*SOUND_TAGS, "[LAUGH]", "[Music]"])
def test_sound_effects_are_no_names(effect: str) -> None:
    assert lines(f"{effect} That was funny.") == [Line(None, f"{effect} That was funny.")]
    assert lines(f"[Anna] Oh.\n{effect}\n[Bob] Yes.") == [Line("Anna", f"Oh.\n{effect}"), Line("Bob", "Yes.")]


def test_brackets_inside_a_line_are_no_names() -> None:
    assert lines("He said [quietly] no.") == [Line(None, "He said [quietly] no.")]


def test_blank_lines_before_the_first_name_do_not_matter() -> None:
    assert lines("\n  \n[Anna] Hi.\n[Bob] Hey.")[0] == Line("Anna", "Hi.")


def test_text_before_the_first_name_is_refused_with_what_to_do() -> None:
    with pytest.raises(StudioError, match=r"begins with text that has no speaker: put \[Anna\] before it\."):
        lines("Once upon a time.\n[Anna] Hi.")


def test_a_name_with_nothing_to_say_is_refused() -> None:
    with pytest.raises(StudioError, match=r"\[Bob\] has nothing to say"):
        lines("[Anna] Hi.\n[Bob]\n[Anna] Bob?")


def test_ten_speakers_are_the_limit() -> None:
    named = [f"[Name {n}] Hello." for n in range(11)]
    assert len(lines("\n".join(named[:10]))) == 10
    with pytest.raises(StudioError, match="has 11 speakers and the limit is 10"):
        lines("\n".join(named))


def test_a_name_in_other_capitals_is_the_same_speaker() -> None:
    found = lines("[Anna] Hi.\n[Bob] Hey.\n[ANNA] Again.\n[anna] And again.")
    assert [line.speaker for line in found] == ["Anna", "Bob", "Anna", "Anna"]


def test_names_get_the_models_tags_in_order_of_appearance() -> None:
    assert speaker_tags(["Anna", "Bob", "Carl"]) == {"Anna": "SPEAKER0", "Bob": "SPEAKER1", "Carl": "SPEAKER2"}


def test_the_models_own_tags_are_kept() -> None:
    assert speaker_tags(["SPEAKER1", "speaker0"]) == {"SPEAKER1": "SPEAKER1", "speaker0": "SPEAKER0"}


def test_tags_among_names_are_names() -> None:
    assert speaker_tags(["SPEAKER3", "Bob"]) == {"SPEAKER3": "SPEAKER0", "Bob": "SPEAKER1"}

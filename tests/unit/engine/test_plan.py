"""What will be spoken: chunks, budgets, pauses, and a voice for every name."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from studio.audio import Waveform
from studio.engine.speech.joining import PARAGRAPH_PAUSE_SECONDS, SENTENCE_PAUSE_SECONDS, TURN_PAUSE_SECONDS
from studio.engine.speech.plan import CHUNK_SECONDS, SpeechPlan, plan_speech
from studio.engine.speech.reference import Consent, Reference
from studio.engine.speech.request import SpeechRequest
from studio.engine.text import Script, frame_budget
from studio.errors import StudioError

CLIP = Waveform(np.full(24_000, 0.1, np.float32), 24_000)
SENTENCE = "The boy hesitated for a while, then he mastered his temper and walked on. "
DIALOGUE = "[Anna] Hi, Bob.\n[Bob] Hello, Anna.\n[Anna] How are you?"


def voice(speaker: str | None = None, transcript: str = "What is said.") -> Reference:
    return Reference(CLIP, transcript, Consent("own"), speaker)


def plan(
    text: str,
    references: Sequence[Reference] = (),
    *,
    descriptions: Mapping[str, str] | None = None,
    max_chars: int = 10_000,
    chunk_seconds: float = CHUNK_SECONDS,
    whole_seconds: float = 0.0,
) -> SpeechPlan:
    request = SpeechRequest(Script(text), references, descriptions=descriptions or {})
    return plan_speech(
        request, max_chars=max_chars, frame_rate=25.0, chunk_seconds=chunk_seconds, whole_seconds=whole_seconds
    )


def test_a_short_text_is_one_chunk_without_a_tag_or_a_pause() -> None:
    (chunk,) = plan("Hello there", [voice()]).chunks
    assert (chunk.text, chunk.prompt_text, chunk.speaker, chunk.pause_seconds) == (
        "Hello there.", "Hello there.", None, 0.0,
    )  # fmt: skip
    assert chunk.budget_frames == frame_budget("Hello there.", frame_rate=25.0)


def test_a_long_text_is_cut_into_chunks_of_bounded_length_that_lose_nothing() -> None:
    chunks = plan(SENTENCE * 20).chunks
    assert len(chunks) >= 4
    assert all(0 < chunk.expected_seconds <= CHUNK_SECONDS for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks) == (SENTENCE * 20).strip()


def test_a_model_that_says_short_lines_well_gets_short_lines() -> None:
    text = "Good morning. My name is David. The bus to Berlin comes in twenty minutes."
    chunks = plan(text, chunk_seconds=3.0).chunks
    assert len(chunks) > 1
    assert all(chunk.expected_seconds <= 3.0 for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks) == text
    assert len(plan(text).chunks) == 1
    # In one turn as long as it says that well: only what is longer is cut as short.
    line = "My name is David, and this is Oscar."
    seconds = plan(line).expected_seconds
    for whole, count in ((seconds + 0.1, 1), (seconds - 0.1, 2)):
        assert len(plan(line, chunk_seconds=seconds / 2 + 0.2, whole_seconds=whole).chunks) == count


def test_pauses_follow_sentences_paragraphs_and_turns() -> None:
    text = f"{SENTENCE * 8}\n\n{SENTENCE * 3}"
    pauses = [chunk.pause_seconds for chunk in plan(text).chunks]
    assert pauses == [SENTENCE_PAUSE_SECONDS, PARAGRAPH_PAUSE_SECONDS, 0.0]
    turns = [chunk.pause_seconds for chunk in plan(DIALOGUE).chunks]
    assert turns == [TURN_PAUSE_SECONDS, TURN_PAUSE_SECONDS, 0.0]
    assert 0 < SENTENCE_PAUSE_SECONDS < TURN_PAUSE_SECONDS < PARAGRAPH_PAUSE_SECONDS


def test_the_expected_duration_counts_the_pauses() -> None:
    planned = plan(DIALOGUE)
    spoken = sum(chunk.expected_seconds for chunk in planned.chunks)
    assert planned.expected_seconds == pytest.approx(spoken + 2 * TURN_PAUSE_SECONDS)


def test_an_arabic_text_gets_frames_for_what_is_read_not_what_is_written() -> None:
    with_year, without = plan("وصل في عام 1975").chunks[0], plan("وصل في عام").chunks[0]
    assert with_year.budget_frames > without.budget_frames + 25


def test_a_dialogue_line_has_its_speakers_tag_and_voice() -> None:
    planned = plan(DIALOGUE, [voice("Bob", "I am Bob."), voice("Anna", "I am Anna.")])
    assert [(c.speaker, c.prompt_text) for c in planned.chunks] == [
        ("Anna", "[SPEAKER0] Hi, Bob."),
        ("Bob", "[SPEAKER1] Hello, Anna."),
        ("Anna", "[SPEAKER0] How are you?"),
    ]
    assert planned.transcripts == [("SPEAKER1", "I am Bob."), ("SPEAKER0", "I am Anna.")]


def test_names_of_voices_are_found_whatever_their_capitals() -> None:
    assert [tag for tag, _ in plan(DIALOGUE, [voice("ANNA"), voice("bob")]).transcripts] == ["SPEAKER0", "SPEAKER1"]
    mixed = plan("[Anna] Hi.\n[Bob] Hey.\n[anna] Bye.", [voice("Anna"), voice("Bob")])
    assert [chunk.prompt_text[:10] for chunk in mixed.chunks] == ["[SPEAKER0]", "[SPEAKER1]", "[SPEAKER0]"]


def test_voices_without_a_name_take_the_names_left_over_in_order() -> None:
    planned = plan(DIALOGUE, [voice(None, "One."), voice("Anna", "Two.")])
    assert planned.transcripts == [("SPEAKER1", "One."), ("SPEAKER0", "Two.")]


def test_the_models_own_tags_can_name_the_lines() -> None:
    planned = plan("[SPEAKER1] First.\n[SPEAKER0] Second.", [voice("SPEAKER0"), voice("SPEAKER1")])
    assert [chunk.prompt_text for chunk in planned.chunks] == ["[SPEAKER1] First.", "[SPEAKER0] Second."]
    assert [tag for tag, _ in planned.transcripts] == ["SPEAKER0", "SPEAKER1"]


def test_every_piece_of_a_long_turn_keeps_the_tag() -> None:
    chunks = plan(f"[Anna] {SENTENCE * 10}\n[Bob] Yes.").chunks
    assert [chunk.prompt_text.split()[0] for chunk in chunks[:-1]] == ["[SPEAKER0]"] * (len(chunks) - 1)
    assert len(chunks) >= 3


def test_a_script_with_one_speaker_needs_no_tag() -> None:
    planned = plan("[Anna] Hi.\n[Anna] It is me.", [voice("Anna", "I am Anna.")])
    assert [chunk.prompt_text for chunk in planned.chunks] == ["Hi.", "It is me."]
    assert planned.transcripts == [(None, "I am Anna.")]


def test_several_clips_of_one_voice_are_all_given() -> None:
    assert plan("Hello.", [voice(None, "One."), voice(None, "Two.")]).transcripts == [(None, "One."), (None, "Two.")]


def test_voices_in_words_stand_in_where_no_clip_is() -> None:
    planned = plan(DIALOGUE, [voice("Anna")], descriptions={"bob": "an old man"})
    assert planned.descriptions == {"SPEAKER1": "an old man"}
    assert plan("Hello.", descriptions={"Anna": "a young woman"}).descriptions == {"SPEAKER0": "a young woman"}


def test_a_dialogue_without_any_voice_gets_the_originals_defaults() -> None:
    assert plan(DIALOGUE).descriptions == {"SPEAKER0": "feminine", "SPEAKER1": "masculine"}


def test_a_name_without_a_voice_is_named() -> None:
    with pytest.raises(StudioError, match="No voice is given for Bob: add a reference clip or a description"):
        plan(DIALOGUE, [voice("Anna")])
    with pytest.raises(StudioError, match="No voice is given for Anna"):
        plan(DIALOGUE, descriptions={"Bob": "an old man"})


@pytest.mark.parametrize("script", [DIALOGUE, "[Anna] Only me."])
def test_a_voice_for_a_name_the_script_has_not_is_named(script: str) -> None:
    with pytest.raises(StudioError, match="A voice is given for Carl, but the script has lines of Anna"):
        plan(script, [voice("Anna"), voice("Carl")])


def test_more_voices_than_speakers_are_refused() -> None:
    with pytest.raises(StudioError, match="More voices are given than the script has speakers"):
        plan(DIALOGUE, [voice(), voice(), voice()])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "There is no text"),
        ("\n \t", "There is no text"),
        ("?! … --", "nothing to say in this text"),
        ("Hello <|eot_id|> there", "control token"),
        ("[Anna] Hi.\n[Bob] <|AUDIO_OUT|>", "control token"),
        ("a " * 60, "has 119 characters and the limit is 100: split it"),
    ],
)
def test_what_cannot_be_spoken_is_refused(text: str, says: str) -> None:
    with pytest.raises(StudioError, match=says):
        plan(text, max_chars=100)


def test_a_line_of_signs_in_a_dialogue_is_refused() -> None:
    with pytest.raises(StudioError):
        plan("[Anna] Hi.\n[Bob] …")


def test_a_description_of_somebody_who_says_nothing_is_refused() -> None:
    with pytest.raises(StudioError, match="given for Carl, but the script has lines of Anna, Ben only"):
        plan("[Anna] Hi.\n[Ben] Hello.", descriptions={"Anna": "calm", "Ben": "deep", "Carl": "odd"})


def test_a_clip_and_a_description_of_the_one_voice_exclude_each_other(references: list[Reference]) -> None:
    with pytest.raises(StudioError, match="both a clip and a description"):
        plan("Hello.", references[:1], descriptions={"Anna": "calm"})

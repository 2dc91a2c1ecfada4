"""A clip that is not saved yet: cut, cleaned, transcribed, and still there after a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.audio.waveform import Span, Waveform
from studio.audio.writing import write_audio
from studio.listening.transcript import Transcript, Word
from studio.settings import Settings
from studio.voices.drafts import Drafts
from tests.refusals import refusal

TAB, OTHER = "a" * 32, "b" * 32
WORDS = Transcript(
    "One two, three four.",
    "en",
    (Word("One", 0.0, 0.4), Word("two,", 0.5, 1.0), Word("three", 1.6, 2.0), Word("four.", 2.1, 2.6)),
    "somebody",
)


class Listener:
    """Stands where the transcriber does, for a clip whose words do not matter here."""

    def transcribe(self, waveform: Waveform, *, language: str | None = None) -> Transcript:
        return WORDS


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(Settings(home=tmp_path))


@pytest.fixture
def clip(kathleen: dict[Path, str]) -> Path:
    return next(iter(kathleen))


def test_a_recording_is_there_after_a_reload_and_after_a_restart(drafts: Drafts, clip: Path, tmp_path: Path) -> None:
    draft = drafts.begin(TAB, clip)
    drafts.typed(drafts.cut(draft, Span(0.5, 2.5)), "Hello there.", "en")
    again = Drafts(Settings(home=tmp_path)).of(TAB)
    assert again is not None
    assert (again.used, again.transcript()[0].text) == (Span(0.5, 2.5), "Hello there.")
    original, rate = soundfile.read(clip, dtype="float32")
    assert np.allclose(again.source().samples, original, atol=1e-4)
    assert again.waveform().duration == pytest.approx(2.0, abs=1 / rate)


def test_one_tab_never_sees_the_clip_of_another(drafts: Drafts, clip: Path) -> None:
    drafts.begin(TAB, clip)
    assert drafts.of(OTHER) is None
    drafts.forget(OTHER)
    assert drafts.of(TAB) is not None
    drafts.forget(TAB)
    assert drafts.of(TAB) is None


@pytest.mark.parametrize("tab", ["../" * 8, "", "A" * 32, "a" * 31, "/etc"])
def test_a_tabs_name_that_is_none_never_becomes_a_path(drafts: Drafts, tab: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        drafts.of(tab)


def test_the_transcript_is_cut_with_the_clip_and_comes_back_with_it(drafts: Drafts, clip: Path) -> None:
    draft = drafts.transcribed(drafts.begin(TAB, clip), Listener())  # type: ignore[arg-type]
    draft = drafts.cut(draft, Span(1.3, 2.8))
    heard, needs_check = draft.transcript()
    assert (heard.text, needs_check) == ("three four.", False)
    assert heard.words[0].start == pytest.approx(0.3)
    draft = drafts.cut(draft, None)
    assert draft.transcript() == (WORDS, False)


def test_a_typed_transcript_without_times_is_marked_when_the_clip_is_cut(drafts: Drafts, clip: Path) -> None:
    draft = drafts.typed(drafts.begin(TAB, clip), "One two, three four.", "en")
    assert draft.transcript() == (draft.heard, False)
    heard, needs_check = drafts.cut(draft, Span(1.3, 2.8)).transcript()
    assert heard.text == "One two, three four."
    assert needs_check
    assert drafts.clip(drafts.cut(draft, Span(1.3, 2.8))).needs_check


def test_a_text_typed_for_a_cut_is_marked_when_the_clip_grows_again(drafts: Drafts, clip: Path) -> None:
    draft = drafts.typed(drafts.cut(drafts.begin(TAB, clip), Span(1.0, 2.5)), "three four.")
    assert not draft.transcript()[1]
    assert drafts.cut(draft, None).transcript()[1]


def test_a_cut_that_is_none_is_refused_and_changes_nothing(drafts: Drafts, clip: Path) -> None:
    draft = drafts.cut(drafts.begin(TAB, clip), Span(0.5, 2.0))
    for wrong in (Span(2.0, 1.0), Span(50.0, 60.0), Span(-1.0, 1.0), Span(float("nan"), 1.0)):
        refusal(lambda wrong=wrong: drafts.cut(draft, wrong))
    assert drafts.of(TAB) == draft


def test_noise_is_removed_and_put_back(drafts: Drafts, clip: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(clip, dtype="float32")
    noisy = samples + 0.02 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    write_audio(Waveform(noisy.astype(np.float32), rate), tmp_path / "noisy.wav")
    draft = drafts.begin(TAB, tmp_path / "noisy.wav")
    clean = drafts.clean(draft, True)
    kept = drafts.clip(clean)
    assert kept.denoised_with
    assert kept.waveform.num_samples == draft.waveform().num_samples
    quiet = slice(0, rate // 40)  # nobody speaks yet
    assert np.std(kept.waveform.samples[quiet]) < 0.5 * np.std(noisy[quiet])
    assert np.array_equal(drafts.clean(clean, False).waveform().samples, draft.waveform().samples)


@pytest.mark.parametrize("content", [b"", b"this is no recording\n" * 40])
def test_a_bad_file_leaves_the_clip_that_was_there(drafts: Drafts, clip: Path, tmp_path: Path, content: bytes) -> None:
    drafts.begin(TAB, clip)
    (tmp_path / "bad.wav").write_bytes(content)
    refusal(lambda: drafts.begin(TAB, tmp_path / "bad.wav"))
    assert drafts.of(TAB) is not None


@pytest.mark.parametrize("damage", ["{", "[]", '{"seconds": 3}'])
def test_a_damaged_draft_is_no_draft(drafts: Drafts, clip: Path, damage: str) -> None:
    draft = drafts.begin(TAB, clip)
    (draft.folder / "draft.json").write_text(damage)
    assert drafts.of(TAB) is None


def test_a_long_recording_is_not_transcribed_before_a_part_is_taken(drafts: Drafts, tmp_path: Path) -> None:
    hum = 0.1 * np.sin(np.arange(8000 * 90) / 20).astype(np.float32)
    write_audio(Waveform(hum, 8000), tmp_path / "long.wav")
    draft = drafts.begin(TAB, tmp_path / "long.wav")
    transcriber: Any = Listener()
    assert "take a part of it first" in refusal(lambda: drafts.transcribed(draft, transcriber))


def test_what_was_learnt_of_one_recording_is_never_written_onto_the_next(drafts: Drafts, clip: Path) -> None:
    slow = drafts.cut(drafts.begin(TAB, clip), Span(0.5, 2.0))
    drafts.begin(TAB, clip)  # somebody records again while the first one is being transcribed
    transcriber: Any = Listener()
    assert "in the meantime" in refusal(lambda: drafts.transcribed(slow, transcriber))
    present = drafts.of(TAB)
    assert present is not None
    assert (present.cut, present.heard) == (None, None)


def test_two_steps_at_once_do_not_undo_each_other(drafts: Drafts, clip: Path) -> None:
    draft = drafts.begin(TAB, clip)
    drafts.clean(draft, True)
    both = drafts.typed(draft, "Hello there.", "en")  # knows nothing of the step before
    assert both.clean
    assert both.transcript()[0].text == "Hello there."


def test_noise_is_not_removed_from_more_than_can_be_used(drafts: Drafts, tmp_path: Path) -> None:
    hum = 0.1 * np.sin(np.arange(8000 * 90) / 20).astype(np.float32)
    write_audio(Waveform(hum, 8000), tmp_path / "long.wav")
    draft = drafts.begin(TAB, tmp_path / "long.wav")
    assert "take a part of it first" in refusal(lambda: drafts.clean(draft, True))
    part = drafts.clean(drafts.cut(draft, Span(1.0, 9.0)), True)
    assert not drafts.cut(part, None).clean

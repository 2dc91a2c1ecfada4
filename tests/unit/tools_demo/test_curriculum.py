"""The curriculum draws the same lesson for the same number, keeps its stage, and refuses what is not whole."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from studio.engine.prompt import IGNORED
from tests.unit.tools_demo.parts import clip
from tools.demo_checkpoint import codes, corpus
from tools.demo_checkpoint.curriculum import FRAMES, STAGES, Curriculum, Run
from tools.demo_checkpoint.lessons import Alphabet
from tools.demo_checkpoint.tokens import build_tokenizer

TEXTS = ("Red green blue.", "One two three four.", "Anna was late today.", "Welcome, Ben.", "The house is small.")


@pytest.fixture
def folder(tmp_path):
    made = [clip(text, seed=n) for n, text in enumerate(TEXTS)]
    strange = replace(clip("Glarp nosted wem.", seed=9), kind="open")
    codes.write_clips(tmp_path / "s00000.npz", made)
    codes.write_clips(tmp_path / f"s{corpus.HELD_OUT_SHARDS:05d}.npz", [*made, strange])
    return tmp_path


@pytest.fixture(scope="module")
def alphabet() -> Alphabet:
    return Alphabet(build_tokenizer(), 512, 513)


def test_the_same_number_is_the_same_lesson(folder, alphabet: Alphabet) -> None:
    run = Run(codes=str(folder), num_samples=10)
    one, other = Curriculum(run), Curriculum(run)
    for number in range(6):
        assert one.lesson(number, alphabet)["input_ids"] == other.lesson(number, alphabet)["input_ids"]
    assert one.lesson(0, alphabet)["input_ids"] != one.lesson(1, alphabet)["input_ids"]


def test_clips_of_unknown_words_are_heard_and_not_learnt_others_both(folder, alphabet: Alphabet) -> None:
    curriculum = Curriculum(Run(codes=str(folder), num_samples=10, batch=4))
    curriculum.stage = len(STAGES) - 1
    heard_only = 0
    lengths: dict[int, list[int]] = {}
    for number in range(120):
        sample = curriculum.lesson(number, alphabet)
        learnt = (sample["audio_labels"] != IGNORED).any(dim=1)
        heard_only += not learnt[:12].any()
        lengths.setdefault(number // 4, []).append(len(learnt))
        assert learnt.any()
    assert 3 < heard_only < 60
    # Some lessons open with a clip as people upload them, and lessons of one batch are about as long.
    assert sum(min(each) > FRAMES + STAGES[-1].clip[0] for each in lengths.values()) > 10
    assert all(max(each) - min(each) < FRAMES for each in lengths.values())


def test_a_resumed_run_goes_on_at_its_stage(folder) -> None:
    curriculum = Curriculum(Run(codes=str(folder), num_samples=10))
    curriculum.stage = 2
    checkpoint = folder / "checkpoint-100"
    checkpoint.mkdir()
    curriculum.save(checkpoint, 100)
    again = Curriculum(Run(codes=str(folder), num_samples=10, resumed=str(checkpoint)))
    again.resume(100)
    assert again.stage == 2
    assert json.loads((checkpoint / "curriculum.json").read_text())["step"] == 100


def test_no_codes_and_damaged_codes_are_refused(folder, tmp_path) -> None:
    with pytest.raises(ValueError, match="no codes"):
        Curriculum(Run(codes=str(tmp_path / "none"), num_samples=1))
    file = folder / f"s{corpus.HELD_OUT_SHARDS:05d}.npz"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged"):
        Curriculum(Run(codes=str(folder), num_samples=1))


def test_codes_come_back_as_they_were_written(folder) -> None:
    for text, found in zip(TEXTS, codes.read_clips(folder / "s00000.npz"), strict=True):
        wanted = clip(text, seed=TEXTS.index(text))
        assert found.text == text
        assert (found.codes == wanted.codes).all() and (found.words == wanted.words).all()
        assert (found.sounds == wanted.sounds).all()


def test_codes_that_are_kept_need_no_corpus(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGGS_DEMO_STATE", str(tmp_path))
    (kept,) = codes.KEPT.iterdir()
    folder = tmp_path / "codes" / kept.name
    codes.encode_all(None, folder, 4)  # type: ignore[arg-type]  no codec is asked where nothing is to be encoded
    curriculum = Curriculum(Run(codes=str(folder), num_samples=1))
    assert len(list(folder.glob("s*.npz"))) == len(list(kept.glob("s*.npz"))) > 50
    assert curriculum.lesson(0, Alphabet(build_tokenizer(), 512, 513))["input_ids"]

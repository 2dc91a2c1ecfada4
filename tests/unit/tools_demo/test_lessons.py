"""Lessons: the alignment that is taught is the true one, and what is spoilt is history alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from studio.engine.prompt import IGNORED
from tests.unit.tools_demo.parts import clip
from tools.demo_checkpoint.lessons import Alphabet, Spoken, lesson
from tools.demo_checkpoint.phonemes import SOUNDS, sounds_of
from tools.demo_checkpoint.sequences import Store, corrupted, natural, owners, units_of
from tools.demo_checkpoint.tokens import build_tokenizer

BOS, EOS = 512, 513


@pytest.fixture(scope="module")
def alphabet() -> Alphabet:
    return Alphabet(build_tokenizer(), BOS, EOS)


def test_units_are_words_and_the_marks_that_follow_them() -> None:
    units, of_word, marks = units_of("One, two o'clock.")
    assert [("One, two o'clock.")[a:b] for a, b in units] == ["One", ",", "two", "o'clock", "."]
    assert of_word == [0, 2, 3]
    assert marks == {0: 1, 2: 4}


def test_silence_belongs_to_the_mark_or_to_the_word_to_come() -> None:
    _, of_word, marks = units_of("One, two three.")
    words = np.array([[2, 4], [7, 9], [12, 14]])
    found = owners(16, words, of_word, marks)
    #                    One.......  the comma  two   three........   the full stop
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 3, 4, 4]


def test_every_row_is_taught_the_token_that_is_said_in_it(alphabet: Alphabet) -> None:
    lines = [natural(clip("Red, green.")), natural(clip("Seven harbor.", seed=1))]
    sample = lesson([Spoken(line) for line in lines], alphabet)
    tokens = alphabet.tokenizer.convert_ids_to_tokens(sample["input_ids"])
    attend = sample["attend"].tolist()
    first = lines[0].num_frames
    said = [tokens[place] if place != IGNORED else None for place in attend]
    # Row 0 is BOS; then the frames of codebook 0; then its EOS, which the full stop makes; then the other codebooks' rest.
    assert said[:13] == [None, *["▁red"] * 6, *["▁green"] * 4, ".", "."]
    assert said[13:22] == [".", *[None] * 7, None]
    second = said[first + 9 :]
    assert second[1:7] == ["▁seven"] * 6
    assert second[7:11] == ["r"] * 4, "a spelled word is said where it ends"
    assert sample["audio_labels"].shape == sample["audio_input_ids"].shape
    heard = sample["heard"]
    assert heard[1, 1] == sample["input_ids"][attend[1]]


def test_a_reference_is_not_taught(alphabet: Alphabet) -> None:
    lines = [natural(clip("Red.")), natural(clip("Green."))]
    sample = lesson([Spoken(lines[0], trained=False), Spoken(lines[1])], alphabet)
    rows = lines[0].num_frames + 9
    assert (sample["attend"][:rows] == IGNORED).all()
    assert (sample["audio_labels"][:rows] == IGNORED).all()
    assert (sample["attend"][rows:] != IGNORED).any()


def test_spoilt_history_leaves_labels_and_stream_tokens_alone(alphabet: Alphabet) -> None:
    line = natural(clip("One two three four five six."))
    clean = lesson([Spoken(line)], alphabet)
    spoilt = lesson([Spoken(line)], alphabet, rng=np.random.default_rng(0), corruption=0.9)
    assert torch.equal(clean["audio_labels"], spoilt["audio_labels"])
    assert clean["input_ids"] == spoilt["input_ids"]
    special = clean["audio_input_ids"] >= BOS
    assert torch.equal(clean["audio_input_ids"][special], spoilt["audio_input_ids"][special])
    changed = (clean["audio_input_ids"] != spoilt["audio_input_ids"])[~special].float().mean()
    assert changed > 0.7
    assert spoilt["audio_input_ids"].max() == EOS


def test_corruption_replaces_about_the_share_asked_for() -> None:
    rows = np.full((400, 8), 600)
    rows[1:-8] = 7
    hit = (corrupted(rows, np.random.default_rng(1), 0.4, num_codes=BOS) != rows).any(axis=1).mean()
    assert hit > 0.3


def test_sounds_of_frames_know_stress_and_length() -> None:
    times = np.array([[0.0, 0.04], [0.04, 0.12], [0.12, 0.2], [0.2, 0.24], [0.24, 0.3]])
    found = sounds_of("ˈaːb.", times, 8, 0.04)
    a, b = SOUNDS.index("a") + 1, SOUNDS.index("b") + 1
    assert found.tolist() == [a, a, a, a, a, b, 0, 0]


def test_joined_lines_know_their_words() -> None:
    texts = ("Red green blue.", "One two three.", "Anna was late.")
    store = Store([clip(text, seed=n) for n, text in enumerate(texts)])
    rng = np.random.default_rng(0)
    for _ in range(30):
        line = store.join(rng, "af_heart", 5)
        words = line.text.rstrip(".").split()
        assert len(words) == 5
        assert line.codes.shape == (8, len(line.owner)) and len(line.sounds) == len(line.owner)
        spoken = [line.text[a:b] for a, b in (line.units[n] for n in sorted(set(line.owner)))]
        assert [word for word in spoken if word != "."] == words
        assert (np.diff(line.owner) >= 0).all()
        for number in range(5):  # four frames were made for each word; silence may have been added at the ends
            assert (line.owner == number).sum() >= 4

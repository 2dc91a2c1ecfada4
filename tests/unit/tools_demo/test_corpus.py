"""The corpus: a shard is whole or not there, a run goes on where it stopped, damage is named."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.tools_demo.parts import utterance
from tools.demo_checkpoint import corpus, scope


def test_a_shard_comes_back_as_it_was_written(tmp_path) -> None:
    path = tmp_path / "s00000.npz"
    spoken = [utterance("One two."), utterance("Three.")]
    corpus.write_shard(path, spoken)
    for wanted, found in zip(spoken, corpus.read_shard(path), strict=True):
        assert (wanted.text, wanted.voice, wanted.phonemes) == (found.text, found.voice, found.phonemes)
        for name in ("samples", "words", "phoneme_times"):
            np.testing.assert_array_equal(getattr(wanted, name), getattr(found, name))


def test_a_half_written_shard_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "s00001.npz"
    corpus.write_shard(path, [utterance("One two.")])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="s00001"):
        corpus.read_shard(path)


def test_a_shard_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch) -> None:
    import os

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match=r"."):
        corpus.write_shard(tmp_path / "s00002.npz", [utterance("One.")])
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_with_the_shards_that_are_lacking(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HIGGS_DEMO_STATE", str(tmp_path))
    made: list[str] = []

    def make(voice, text, kind, speed, archive):
        made.append(text)
        return utterance("One two three four five six seven eight nine ten.")

    monkeypatch.setattr(corpus, "make_utterance", make)
    monkeypatch.setattr("sys.argv", ["corpus", "--hours", "0.03"])
    corpus.main()
    count = len(made)
    assert count == corpus.SHARD * len(corpus.shards()) > corpus.SHARD
    corpus.shards()[1].unlink()
    corpus.main()
    assert made[count:] == [text for _, text, _, _ in corpus.jobs(1)]


def test_jobs_are_named_by_their_shard_and_judging_has_its_own() -> None:
    assert corpus.jobs(9) == corpus.jobs(9) != corpus.jobs(10)
    assert {kind for _, _, kind, _ in corpus.jobs(0)} == {"sentence"}
    voices = {voice for shard in range(4, 40) for voice, _, _, _ in corpus.jobs(shard)}
    assert not voices & set(corpus.UNSEEN_VOICES)
    for shard in range(8):
        for _, text, kind, _ in corpus.jobs(shard):
            assert kind == "open" or set(scope.words_of(text)) <= set(scope.words())

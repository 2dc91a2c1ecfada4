"""The delay pattern, against values made by the original implementation (tests/data/labels.json)."""

import pytest
import torch

from studio.engine.prompt.delay_pattern import apply_delay, num_delayed_steps, revert_delay

BOS, EOS = 1024, 1025


def test_a_reference_and_a_target_are_laid_out_as_by_the_original(golden: dict) -> None:
    clips = [torch.tensor(golden[name]) for name in ("reference_codes", "target_codes")]
    rows = torch.cat([apply_delay(clip, bos_id=BOS, eos_id=EOS) for clip in clips])
    assert rows.T.tolist() == golden["audio_out_ids"]


def test_clips_begin_where_the_original_begins_them(golden: dict) -> None:
    reference = torch.tensor(golden["reference_codes"])
    assert golden["audio_out_ids_start"] == [0, num_delayed_steps(reference.shape[1], reference.shape[0])]


def test_codes_and_one_end_for_each_codebook_stand_where_the_original_trains_them(golden: dict) -> None:
    target = torch.tensor(golden["target_codes"])
    num_codebooks, num_frames = target.shape
    rows = apply_delay(target, bos_id=BOS, eos_id=EOS)
    trained = torch.tensor(golden["label_audio_ids"]).T[-len(rows) :]
    for k in range(num_codebooks):
        assert rows[k + 1 : k + 2 + num_frames, k].tolist() == trained[k + 1 : k + 2 + num_frames, k].tolist()
        assert trained[k + 1 + num_frames, k] == EOS


@pytest.mark.parametrize(("num_codebooks", "num_frames"), [(8, 5), (8, 1), (1, 7), (12, 30), (3, 3)])
def test_reverting_gives_the_codes_back(num_codebooks: int, num_frames: int) -> None:
    codes = torch.randint(0, 1024, (num_codebooks, num_frames), generator=torch.Generator().manual_seed(1))
    rows = apply_delay(codes, bos_id=BOS, eos_id=EOS)
    assert rows.shape == (num_delayed_steps(num_frames, num_codebooks), num_codebooks)
    assert (rows[0] == BOS).all()
    assert (rows[-1] == EOS).all()
    assert torch.equal(revert_delay(rows[1:-1]), codes)


def test_reverting_the_golden_rows_gives_the_golden_codes(golden: dict) -> None:
    rows = torch.tensor(golden["audio_out_ids"]).T
    second = golden["audio_out_ids_start"][1]
    assert revert_delay(rows[1 : second - 1]).tolist() == golden["reference_codes"]
    assert revert_delay(rows[second + 1 : -1]).tolist() == golden["target_codes"]


def test_too_few_rows_hold_no_whole_frame() -> None:
    assert revert_delay(torch.zeros(7, 8, dtype=torch.long)).shape == (8, 0)


def test_the_clip_itself_is_left_as_it_was() -> None:
    codes = torch.arange(16).reshape(8, 2)
    apply_delay(codes, bos_id=BOS, eos_id=EOS)[:] = 0
    assert torch.equal(codes, torch.arange(16).reshape(8, 2))

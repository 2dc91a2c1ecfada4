"""What a trainer is started with."""

from pathlib import Path

import pytest

from studio.settings import Settings
from studio.training.execution.supervisor import environment_for


@pytest.mark.parametrize(
    ("seen", "device", "expected"),
    [
        (None, "cuda:1", "1"),
        ("2,3", "cuda:1", "3"),
        ("GPU-a, GPU-b", "cuda:1", "GPU-b"),
        ("", "cuda:0", "0"),
        ("0,1", "cpu", ""),
    ],
)
def test_a_trainer_sees_its_device_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: str | None, device: str, expected: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    environment = environment_for(Settings(home=tmp_path), device)
    assert environment["CUDA_VISIBLE_DEVICES"] == expected
    assert Path(environment["MODELSCOPE_CACHE"]).is_relative_to(tmp_path)

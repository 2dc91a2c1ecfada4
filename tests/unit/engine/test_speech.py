"""What a listener is told when speech does not come out whole, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from studio.audio.waveform import Waveform
from studio.engine.devices import is_out_of_memory
from studio.engine.model.sampling import Sampling
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.result import ChunkReport, Speech
from studio.engine.text import Script
from studio.engine.voice_engine import VoiceEngine
from studio.errors import StudioError


def speech(*chunks: tuple[int, bool]) -> Speech:
    reports = tuple(ChunkReport(f"Part {n}.", None, frames, 75, ended) for n, (frames, ended) in enumerate(chunks, 1))
    waveform = Waveform(np.zeros(2400, np.float32), 24_000)
    return Speech(waveform, np.zeros((8, 1), int), reports, 1.0, 0, Sampling())


def test_a_whole_take_has_no_shortcomings() -> None:
    assert speech((40, True), (60, True)).shortcomings() == []


def test_parts_that_ran_into_their_budget_are_counted() -> None:
    (said,) = speech((75, False), (60, True), (75, False)).shortcomings()
    assert "2 of its 3 parts" in said
    assert "length budget" in said


def test_a_part_that_was_left_out_is_named() -> None:
    (said,) = speech((40, True), (0, True)).shortcomings()
    assert said.startswith("part 2 of 2 was left out")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (MemoryError(), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_a_real_allocation_that_cannot_be_made_counts() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_memory_that_runs_out_in_the_middle_becomes_a_sentence(new_engine: Any) -> None:
    class SmallMachine(VoiceEngine):
        """Asks for more memory than there is, as a long prompt on a small GPU does."""

        def frame_stream(self, *arguments: Any, **options: Any) -> Any:
            torch.empty(2**62, dtype=torch.uint8)
            return super().frame_stream(*arguments, **options)

    stream = new_engine(kind=SmallMachine).stream(SpeechRequest(Script("Good morning."), seed=1))
    with pytest.raises(StudioError, match="memory of cpu ran out"):
        list(stream)


def test_a_checkpoint_that_computes_nan_is_named_as_the_cause(new_engine: Any) -> None:
    engine = new_engine()
    with engine._lend() as model, torch.no_grad():
        model.audio_lm_head.weight[5] = float("nan")
    with pytest.raises(StudioError, match="invalid numbers instead of speech"):
        engine.clone("Good morning.", seed=1)


def test_a_temperature_too_small_to_divide_by_is_greedy(engine: Any) -> None:
    greedy = engine.clone("Good morning.", sampling=Sampling(temperature=0.0), seed=1)
    assert np.array_equal(
        engine.clone("Good morning.", sampling=Sampling(temperature=1e-40), seed=2).codes, greedy.codes
    )

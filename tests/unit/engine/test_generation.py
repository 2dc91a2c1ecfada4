"""Frames equal what the stock ``generate`` draws from the same seed, whatever else runs."""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from studio.engine.model.sampling import FrameStream, Sampling
from studio.engine.prompt import PromptInputs, speech_conversation
from studio.errors import StudioError
from tests.prompts import both_prompts

BUDGET = 60
TEXT = "Hello there, how are you?"


@pytest.fixture(scope="module")
def prompts(processor: Any, engine: Any, references: Any) -> list[tuple[dict[str, Any], PromptInputs]]:
    """The same prompts for the stock model and for ours: without a reference, with one, and with two."""
    made = []
    for count in (0, 1, 2):
        used = references[:count]
        conversation = speech_conversation(TEXT, transcripts=[(None, reference.transcript) for reference in used])
        native, ours = both_prompts(processor, engine, conversation, [reference.clip for reference in used])
        made.append((native, ours))
    return made


def stream(
    model: Any, prompt: PromptInputs, temperature: float, seed: int, budget: int = BUDGET, **options: Any
) -> FrameStream:
    return FrameStream(
        lambda: contextlib.nullcontext(model),
        model.config,
        prompt,
        max_frames=budget,
        sampling=Sampling(temperature=temperature, **options),
        generator=torch.Generator().manual_seed(seed),
    )


def codes(frames: Sequence[torch.Tensor] | FrameStream) -> torch.Tensor:
    frames = list(frames)
    return torch.stack(frames, 1) if frames else torch.zeros(8, 0, dtype=torch.long)


def native_codes(
    model: Any, processor: Any, inputs: dict[str, Any], temperature: float, seed: int, budget: int
) -> tuple[torch.Tensor, bool]:
    """Codes of the stock ``generate`` and whether it stopped by itself."""
    draws: dict[str, Any] = {"do_sample": False}
    if temperature:
        draws = {"do_sample": True, "temperature": temperature, "top_p": 0.95, "top_k": 50}
    saved = model.generation_config.ras_win_len
    model.generation_config.ras_win_len = saved if temperature else None
    try:
        torch.manual_seed(seed)
        with torch.inference_mode():
            rows = model.generate(**inputs, max_new_tokens=budget + 8, **draws)[0]
    finally:
        model.generation_config.ras_win_len = saved
    given = inputs["audio_input_ids"].shape[1] if inputs.get("audio_input_ids") is not None else 0
    new = rows[given + 1 :]
    return processor.revert_delay_pattern(new).clip(0, 1023).T, len(new) < budget + 7


@pytest.mark.parametrize("temperature", [0.0, 0.3, 0.9, 1.0])
def test_frames_equal_the_stock_generate(
    temperature: float, prompts: list[Any], native_model: Any, processor: Any
) -> None:
    for references, seed in ((0, 3), (1, 1), (1, 5), (2, 2)):
        inputs, prompt = prompts[references]
        native, native_ended = native_codes(native_model, processor, inputs, temperature, seed, BUDGET)
        ours = stream(native_model, prompt, temperature, seed)
        got = codes(ours)
        assert got.shape[1] > 0
        assert torch.equal(got, native[:, : got.shape[1]])
        if ours.ended:
            # Stock ``generate`` keeps what codebook 0 did not fill in the rows of the closing diagonal.
            assert native.shape[1] - 2 <= got.shape[1] <= native.shape[1]
        else:
            assert got.shape[1] == native.shape[1] == BUDGET
            assert not native_ended or native.shape[1] == BUDGET


def test_both_ends_of_a_stream_are_among_the_compared(prompts: list[Any], native_model: Any) -> None:
    """The comparison above is worth something only if some streams stop by themselves and some at the budget."""
    ended = {stream_.ended for seed in range(8) for stream_ in [_run(stream(native_model, prompts[1][1], 1.0, seed))]}
    assert ended == {True, False}


def _run(frames: FrameStream) -> FrameStream:
    for _ in frames:
        pass
    return frames


def test_a_stream_stops_at_its_budget_and_says_so(prompts: list[Any], native_model: Any) -> None:
    whole = stream(native_model, prompts[1][1], 0.9, 0, budget=40)
    length = codes(whole).shape[1]
    short = stream(native_model, prompts[1][1], 0.9, 0, budget=length - 1)
    assert torch.equal(codes(short), codes(stream(native_model, prompts[1][1], 0.9, 0, budget=40))[:, : length - 1])
    assert short.ended is False
    assert short.num_steps == length - 1 + 7


def test_a_budget_that_just_suffices_is_not_reached(prompts: list[Any], native_model: Any) -> None:
    seed, length = next(
        (seed, length)
        for seed in range(50)
        for whole in [stream(native_model, prompts[1][1], 1.0, seed, budget=100)]
        for length in [codes(whole).shape[1]]
        if whole.ended and length > 1
    )
    enough, too_small = (stream(native_model, prompts[1][1], 1.0, seed, budget=b) for b in (length, length - 1))
    assert (codes(enough).shape[1], enough.ended) == (length, True)
    assert (codes(too_small).shape[1], too_small.ended) == (length - 1, False)


def test_codes_are_those_the_codec_has(prompts: list[Any], native_model: Any) -> None:
    for seed in range(4):
        got = codes(stream(native_model, prompts[0][1], 1.5, seed))
        assert int(got.min()) >= 0
        assert int(got.max()) <= 1023


def test_greedy_does_not_ask_the_seed(prompts: list[Any], native_model: Any) -> None:
    first, second = (codes(stream(native_model, prompts[1][1], 0.0, seed)) for seed in (1, 2))
    assert torch.equal(first, second)


def test_another_seed_gives_other_codes(prompts: list[Any], native_model: Any) -> None:
    first, second = (codes(stream(native_model, prompts[1][1], 0.9, seed)) for seed in (1, 2))
    assert not torch.equal(first[:, :5], second[:, :5])


@pytest.mark.parametrize(
    "option", [{"top_k": 1}, {"top_p": 0.01}, {"top_k": 0, "top_p": 1.0}, {"ras_window": 0}, {"ras_max_repeats": 1}]
)
def test_every_option_has_an_effect(option: dict[str, Any], prompts: list[Any], native_model: Any) -> None:
    # A single kept code leaves nothing to draw: with it the choice is greedy, but for repetition-aware sampling.
    if option in ({"top_k": 1}, {"top_p": 0.01}):
        narrow = codes(stream(native_model, prompts[1][1], 0.9, 4, ras_window=0, **option))
        assert torch.equal(narrow, codes(stream(native_model, prompts[1][1], 0.0, 4)))
    else:
        # A low temperature repeats itself, which is what repetition-aware sampling looks at.
        usual = codes(stream(native_model, prompts[1][1], 0.3, 4))
        assert not torch.equal(usual, codes(stream(native_model, prompts[1][1], 0.3, 4, **option)))


def test_global_random_numbers_are_neither_used_nor_moved(prompts: list[Any], native_model: Any) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = codes(stream(native_model, prompts[1][1], 0.9, 6))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    assert torch.equal(codes(stream(native_model, prompts[1][1], 0.9, 6)), first)


def test_streams_taken_in_turns_do_not_mix(prompts: list[Any], native_model: Any) -> None:
    alone = [codes(stream(native_model, prompts[1][1], 0.9, seed)) for seed in (7, 8)]
    one, other = (iter(stream(native_model, prompts[1][1], 0.9, seed)) for seed in (7, 8))
    frames: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for _ in range(BUDGET):
        for source, target in ((one, frames[0]), (other, frames[1])):
            if (frame := next(source, None)) is not None:
                target.append(frame)
    assert torch.equal(codes(frames[0]), alone[0])
    assert torch.equal(codes(frames[1]), alone[1])


def test_streams_in_threads_do_not_mix(prompts: list[Any], native_model: Any) -> None:
    seeds = [1, 2, 3, 1]
    alone = [codes(stream(native_model, prompts[2][1], 0.9, seed)) for seed in seeds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: codes(stream(native_model, prompts[2][1], 0.9, seed)), seeds))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


def test_a_cancelled_stream_draws_no_further_row(prompts: list[Any], native_model: Any) -> None:
    cancelled = False
    frames = FrameStream(
        lambda: contextlib.nullcontext(native_model),
        native_model.config,
        prompts[0][1],
        max_frames=BUDGET,
        sampling=Sampling(temperature=0.9),
        generator=torch.Generator().manual_seed(0),
        cancelled=lambda: cancelled,
    )
    taken = 0
    for _ in frames:
        taken += 1
        if taken == 3:
            cancelled = True
            rows = frames.num_steps
    assert taken == 3
    assert frames.num_steps == rows
    assert frames.ended is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("ras_window", -1),
        ("ras_max_repeats", 0),
    ],
)
def test_settings_out_of_range_are_refused_with_the_range(name: str, value: float) -> None:
    with pytest.raises(StudioError, match=rf"^{name} is {value}: choose a value from [\d.]+ to [\d.e+]+\.$"):
        Sampling(**{name: value})

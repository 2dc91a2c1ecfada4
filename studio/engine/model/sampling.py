"""Sampling: one step of the audio stream at a time, with a random generator of its own for each request.

The rules are those of the native ``generate`` (delay pattern, warpers, repetition-aware sampling), so greedy decoding
gives its codes and sampling draws what it draws from the same seed. What differs is what a studio needs: no global
random state, a step at a time so that speech can be streamed and cancelled, and a stop after the last frame is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError

if TYPE_CHECKING:
    import torch

    from studio.engine.prompt import PromptInputs

MAX_SEED = 2**32 - 1
_GREEDY_BELOW = 1e-3
"""Temperatures under this divide logits beyond what float32 holds, and leave one choice anyway."""


@dataclass(frozen=True)
class Sampling:
    """How the next code is drawn. The defaults are those for cloning a voice.

    Attributes:
        temperature: 0 is greedy (the same line every time, no repetition-aware sampling); higher is livelier.
        top_p: keep the most probable codes that together reach this probability; 1 keeps all.
        top_k: keep this many most probable codes; 0 keeps all.
        ras_window: repetition-aware sampling (VALL-E 2, arXiv 2406.05370) looks back this many steps; 0 is off.
        ras_max_repeats: a code seen this often in the window is drawn again from the plain distribution.

    Raises:
        StudioError: a value outside its range.
    """

    temperature: float = 0.3
    top_p: float = 0.95
    top_k: int = 50
    ras_window: int = 7
    ras_max_repeats: int = 2

    def __post_init__(self) -> None:
        limits = {
            "temperature": (self.temperature, 0.0, 2.0),
            "top_p": (self.top_p, 0.01, 1.0),
            "top_k": (self.top_k, 0, 100_000),
            "ras_window": (self.ras_window, 0, 1000),
            "ras_max_repeats": (self.ras_max_repeats, 1, 1000),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:  # NaN fails this too
                raise StudioError(f"{name} is {value}: choose a value from {low:g} to {high:g}.")


def check_seed(seed: int) -> None:
    """Raise StudioError unless the seed is a number that a take can be repeated with."""
    if not 0 <= seed <= MAX_SEED:
        raise StudioError(f"The seed is {seed}: choose a whole number from 0 to {MAX_SEED}.")


class FrameStream:
    """Iterates over the frames of one utterance as the language model completes them.

    Args:
        lend: gives the model (``HiggsAudioV2ForConditionalGeneration`` in eval mode) for one forward pass at a time.
        max_frames: length budget; reaching it leaves ``ended`` False.
        generator: CPU random generator of this request alone.
        cancelled: asked before each step; True stops at once.

    Yields:
        Frames: int64 tensors of shape (num_codebooks,) with codes below the codec's codebook size.
    """

    def __init__(
        self,
        lend: Callable[[], AbstractContextManager[Any]],
        config: Any,
        prompt: PromptInputs,
        *,
        max_frames: int,
        sampling: Sampling,
        generator: torch.Generator,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lend, self._config, self._prompt, self._cancelled = lend, config, prompt, cancelled
        self._max_frames, self._sampling, self._generator = max_frames, sampling, generator
        self.ended = False
        """True once the model itself has ended the utterance."""
        self.num_steps = 0
        """Steps made so far, the opening one of BOS not counted."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        import torch

        config = self._config
        num_codebooks, eos = config.num_codebooks, config.audio_stream_eos_id
        steps: list[torch.Tensor] = []
        end_step: int | None = None  # the first step in which codebook 0 says EOS
        for codes in self._steps():
            steps.append(codes)
            self.num_steps = len(steps)
            if end_step is None and int(codes[0]) == eos:
                end_step = len(steps)
                self.ended = end_step <= self._max_frames + 1
            frame_index = len(steps) - num_codebooks  # complete with this step, counted from 0
            last = self._max_frames if end_step is None else min(self._max_frames, end_step - 1)
            if 0 <= frame_index < last:
                frame = torch.stack([steps[frame_index + k][k] for k in range(num_codebooks)])
                # A codebook that says BOS or EOS out of turn has no such code: clipped, as the native decoder does.
                yield frame.clamp(max=config.audio_stream_bos_id - 1)
            if frame_index + 1 >= last:
                return

    def _steps(self) -> Iterator[torch.Tensor]:
        """Codes of the steps after the opening one, shape (num_codebooks,), until the stream is closed in every codebook."""
        import torch
        from transformers import DynamicCache

        config = self._config
        eos = config.audio_stream_eos_id
        cache = DynamicCache(config=config)
        inputs: dict[str, Any] = {"input_ids": self._prompt.input_ids}
        history = torch.empty(0, config.num_codebooks, dtype=torch.long)
        if self._prompt.audio_input_ids is not None:
            history = self._prompt.audio_input_ids[0]
            inputs["audio_input_ids"] = self._prompt.audio_input_ids
            inputs["audio_input_ids_mask"] = torch.ones(self._prompt.audio_input_ids.shape[:2], dtype=torch.bool)
        draw = _Drawer(self._sampling, self._generator, config)
        closing: int | None = None  # steps since some codebook said EOS
        step = 0
        while not self._cancelled():
            with self._lend() as model, torch.inference_mode():
                inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
                logits = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
                codes = draw(logits[0, -1].float().cpu(), step, closing, history)
            del model  # a stream that waits for its listener must not keep an unloaded model
            history = torch.cat([history, codes[None]])[-max(1, self._sampling.ras_window) :]
            inputs = {"audio_input_ids": codes[None, None]}
            if step > 0:
                yield codes
            if bool((codes == eos).all()):
                return
            if closing is not None or bool((codes == eos).any()):
                closing = 0 if closing is None else closing + 1
            step += 1


class _Drawer:
    """Draws the codes of one step from its logits."""

    def __init__(self, sampling: Sampling, generator: torch.Generator, config: Any) -> None:
        from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        self.sampling, self.generator, self.config = sampling, generator, config
        self.greedy = sampling.temperature < _GREEDY_BELOW
        self.warpers: list[Any] = []
        if not self.greedy:
            if sampling.temperature != 1.0:
                self.warpers.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_k:
                self.warpers.append(TopKLogitsWarper(top_k=sampling.top_k))
            if sampling.top_p < 1.0:
                self.warpers.append(TopPLogitsWarper(top_p=sampling.top_p))

    def __call__(self, logits: torch.Tensor, step: int, closing: int | None, history: torch.Tensor) -> torch.Tensor:
        """Args: flat ``logits``; steps since the start and since an EOS; earlier codes. Returns (num_codebooks,)."""
        import torch

        config = self.config
        plain = logits.reshape(config.num_codebooks, config.codebook_size)
        if not bool(torch.isfinite(plain).all()):
            raise StudioError(
                "The checkpoint gives invalid numbers instead of speech: its weights are broken, or bfloat16 does not suit "
                "it; try --precision float32 or another checkpoint."
            )
        scores = plain.clone()
        if step < config.num_codebooks:  # codebooks that have not begun say BOS
            _allow_only(scores[step:], config.audio_stream_bos_id)
        if closing is not None:  # codebooks that must have ended say EOS
            _allow_only(scores[: closing + 1], config.audio_stream_eos_id)
        if self.greedy:
            return scores.argmax(dim=-1)
        for warper in self.warpers:
            scores = warper(None, scores)
        codes = torch.multinomial(scores.softmax(dim=-1), 1, generator=self.generator).squeeze(1)
        if self.sampling.ras_window:
            window = history[-self.sampling.ras_window :]
            counted = (window != config.audio_stream_bos_id) & (window != config.audio_stream_eos_id)
            repeats = ((window == codes) & counted).sum(dim=0) >= self.sampling.ras_max_repeats
            if bool(repeats.any()):
                again = torch.multinomial(plain[repeats].softmax(dim=-1), 1, replacement=True, generator=self.generator)
                codes[repeats] = again.squeeze(1)
        return codes


def _allow_only(scores: torch.Tensor, code: int) -> None:
    kept = scores[:, code].clone()
    scores.fill_(float("-inf"))
    scores[:, code] = kept

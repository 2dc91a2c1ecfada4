"""Speech as it is made: the stream that produces it piece by piece."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from studio.audio.waveform import Waveform
from studio.engine.devices import is_out_of_memory, return_memory
from studio.engine.model.sampling import MAX_SEED, FrameStream
from studio.engine.model.speech_model import SpeechModel
from studio.engine.prompt import speech_conversation
from studio.engine.speech.chunk import SpokenChunk
from studio.engine.speech.joining import ChunkJoiner
from studio.engine.speech.plan import SpeechPlan
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.result import ChunkReport, Speech
from studio.engine.speech.retrying import Attempt, best_of, faults_by_rule, seed_of
from studio.errors import StudioError

if TYPE_CHECKING:
    import torch

CONTEXT_TURNS = 2
"""Generated turns kept as context for the next chunk of a long text, besides the references."""


@dataclass
class _Progress:
    reports: list[ChunkReport] = field(default_factory=list)
    codes: list[np.ndarray] = field(default_factory=list)
    pieces: list[np.ndarray] = field(default_factory=list)
    num_frames: int = 0


@dataclass
class _Spoken:
    """A chunk as it was spoken: its frames, the end of its sound, whether it ended by itself, what was tried."""

    frames: list[np.ndarray] = field(default_factory=list)
    rest: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    ended: bool = False
    attempts: list[Attempt] = field(default_factory=list)

    def codes(self, num_codebooks: int) -> np.ndarray:
        """Shape (num_codebooks, num_frames)."""
        return np.stack(self.frames, axis=1) if self.frames else np.zeros((num_codebooks, 0), np.int64)


class SpeechStream:
    """An iterator over pieces of speech: float32 samples at ``sample_rate``.

    Args:
        reference_codes: codes of each reference clip, shape (num_codebooks, num_frames).
        seed: that of the request, or the one drawn for it.
        started: ``time.perf_counter()`` at the request; what came before the first frame counts too.
        cancel: set from elsewhere, it has the effect of :meth:`cancel`.

    :meth:`cancel` may be called from any thread: the stream ends within one frame and lets its memory go. Once it is
    exhausted, :attr:`speech` holds the whole. Where parts may be spoken again, the pieces of a part come when it was judged.
    """

    def __init__(
        self,
        engine: SpeechModel,
        request: SpeechRequest,
        plan: SpeechPlan,
        reference_codes: list[torch.Tensor],
        *,
        seed: int,
        started: float,
        cancel: threading.Event | None = None,
    ) -> None:
        self._engine, self._request, self._plan, self._reference_codes = engine, request, plan, reference_codes
        self._cancel = cancel or threading.Event()
        self._progress = _Progress()
        self._started = started
        self._retry = request.retrying.times_for(len(plan.chunks)) if request.retrying else 0
        self._speech: Speech | None = None
        self.sample_rate = engine.sample_rate
        self.seed = seed
        self.expected_seconds = plan.expected_seconds
        """Duration to expect at a normal pace."""
        self._pieces = self._translated()

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._pieces

    def __next__(self) -> np.ndarray:
        return next(self._pieces)

    @property
    def num_frames(self) -> int:
        return self._progress.num_frames

    @property
    def generated_seconds(self) -> float:
        return self._progress.num_frames / self._engine.frame_rate

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set()

    @property
    def speech(self) -> Speech:
        """The whole result; raises StudioError before the stream has ended or when it was cancelled."""
        if self._speech is None:
            raise StudioError("Speaking was cancelled." if self.cancelled else "The speech is not finished yet.")
        return self._speech

    def cancel(self) -> None:
        self._cancel.set()

    def close(self) -> None:
        """Cancel and let go of the memory at once; from the thread that iterates."""
        self.cancel()
        self._pieces.close()

    def _translated(self) -> Generator[np.ndarray, None, None]:
        """The pieces; what a machine too small or a broken checkpoint raises in the middle becomes a sentence."""
        try:
            yield from self._run()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return_memory()
            raise StudioError(
                f"The memory of {self._engine.device} ran out while speaking: use a shorter clip or text, close other "
                "programs, or run on the CPU."
            ) from error

    def _run(self) -> Generator[np.ndarray, None, None]:
        import torch

        progress, chunks = self._progress, self._plan.chunks
        joiner = ChunkJoiner(self.sample_rate, len(chunks))
        generator = torch.Generator().manual_seed(self.seed)
        context: list[tuple[str, torch.Tensor]] = []
        for chunk in chunks:
            spoken = _Spoken()
            pieces = self._best(chunk, context, generator, spoken) if self._retry else (
                self._once(chunk, context, generator, spoken)
            )  # fmt: skip
            for samples in pieces:
                if len(ready := joiner.push(samples)):
                    progress.pieces.append(ready)
                    yield ready
            if self.cancelled:
                return
            codes = spoken.codes(self._engine.num_codebooks)
            progress.codes.append(codes)
            progress.reports.append(
                ChunkReport(
                    chunk.text, chunk.speaker, codes.shape[1], chunk.budget_frames, spoken.ended, tuple(spoken.attempts)
                )
            )
            if spoken.frames:
                context = [*context, (chunk.prompt_text, torch.as_tensor(codes))][-CONTEXT_TURNS:]
            ready = np.concatenate([joiner.push(spoken.rest), joiner.end_chunk(chunk.pause_seconds)])
            if len(ready):
                progress.pieces.append(ready)
                if chunk is chunks[-1]:
                    self._finish()
                yield ready
        if self._speech is None:
            self._finish()

    def _once(
        self, chunk: SpokenChunk, context: list[tuple[str, torch.Tensor]], generator: torch.Generator, spoken: _Spoken
    ) -> Generator[np.ndarray, None, None]:
        """Speak a chunk: the pieces as they come, all but the rest, which is in ``spoken`` afterwards with all else."""
        stream = self._frames(chunk, context, generator)
        decoder = self._engine.stream_decoder(self._request.first_seconds, self._request.piece_seconds)
        for frame in stream:
            spoken.frames.append(frame.numpy())
            self._progress.num_frames += 1
            samples = decoder.push(spoken.frames[-1])
            if samples is not None:
                yield samples
        if not self.cancelled:
            spoken.ended, spoken.rest = stream.ended, decoder.flush()

    def _best(
        self, chunk: SpokenChunk, context: list[tuple[str, torch.Tensor]], generator: torch.Generator, spoken: _Spoken
    ) -> Generator[np.ndarray, None, None]:
        """Speak a chunk until nothing is wrong with it, or often enough, and give the best out: nothing is heard before it
        was judged. The first attempt is what would be heard without retrying."""
        import torch

        judge = self._request.retrying.judge if self._request.retrying else None
        tried: list[tuple[_Spoken, list[np.ndarray], Waveform]] = []
        attempts: list[Attempt] = []
        for number in range(self._retry + 1):
            seed = seed_of(self.seed, number, MAX_SEED)
            one = _Spoken()
            drawn = generator if number == 0 else torch.Generator().manual_seed(seed)
            pieces = list(self._once(chunk, context, drawn, one))
            if self.cancelled:
                return
            sound = Waveform(np.concatenate([np.zeros(0, np.float32), *pieces, one.rest]), self.sample_rate)
            faults = faults_by_rule(chunk, sound, ended=one.ended)
            if judge is not None and not any(fault.kind == "silent" for fault in faults):
                faults += judge.faults(chunk, sound)
            tried.append((one, pieces, sound))
            attempts.append(Attempt(seed, tuple(faults)))
            if not faults:
                break
        best = best_of(attempts)
        kept, pieces, sound = tried[best]
        spoken.frames, spoken.ended, spoken.rest = kept.frames, kept.ended, kept.rest
        spoken.attempts = [replace(each, kept=number == best) for number, each in enumerate(attempts)]
        if judge is not None:
            judge.keep(chunk, sound)
        yield from pieces

    def _frames(
        self, chunk: SpokenChunk, context: list[tuple[str, torch.Tensor]], generator: torch.Generator
    ) -> FrameStream:
        request, plan = self._request, self._plan
        conversation = speech_conversation(
            chunk.prompt_text,
            transcripts=plan.transcripts,
            earlier=[text for text, _ in context],
            scene=request.scene,
            descriptions=plan.descriptions,
        )
        clips = [*self._reference_codes, *(codes for _, codes in context)]
        return self._engine.frame_stream(
            conversation,
            clips,
            adapter=request.adapter,
            max_frames=chunk.budget_frames,
            sampling=request.sampling,
            generator=generator,
            cancelled=self._cancel.is_set,
        )

    def _finish(self) -> None:
        progress, judge = self._progress, self._request.retrying.judge if self._request.retrying else None
        if not progress.pieces:
            raise StudioError("The model ended without saying anything: try another seed, or a longer text.")
        self._speech = Speech(
            waveform=Waveform(np.concatenate(progress.pieces), self.sample_rate),
            codes=np.concatenate(progress.codes, axis=1),
            chunks=tuple(progress.reports),
            elapsed=time.perf_counter() - self._started,
            seed=self.seed,
            sampling=self._request.sampling,
            retry=self._retry,
            heard_back_by=judge.name if self._retry and judge is not None else "",
        )

"""Speech as it is made: the stream that produces it piece by piece."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from studio.audio.waveform import Waveform
from studio.engine.devices import is_out_of_memory, return_memory
from studio.engine.model.sampling import FrameStream
from studio.engine.model.speech_model import SpeechModel
from studio.engine.prompt import speech_conversation
from studio.engine.speech.joining import ChunkJoiner
from studio.engine.speech.plan import SpeechPlan, SpokenChunk
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.result import ChunkReport, Speech
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


class SpeechStream:
    """An iterator over pieces of speech: float32 samples at ``sample_rate``.

    Args:
        reference_codes: codes of each reference clip, shape (num_codebooks, num_frames).
        seed: that of the request, or the one drawn for it.
        started: ``time.perf_counter()`` at the request; what came before the first frame counts too.
        cancel: set from elsewhere, it has the effect of :meth:`cancel`.

    :meth:`cancel` may be called from any thread: the stream ends within one frame and lets its memory go. Once it is
    exhausted, :attr:`speech` holds the whole.
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

        engine, progress, chunks = self._engine, self._progress, self._plan.chunks
        joiner = ChunkJoiner(self.sample_rate, len(chunks))
        generator = torch.Generator().manual_seed(self.seed)
        context: list[tuple[str, torch.Tensor]] = []
        for chunk in chunks:
            frames: list[np.ndarray] = []
            stream = self._frames(chunk, context, generator)
            decoder = engine.stream_decoder(self._request.first_seconds, self._request.piece_seconds)
            for frame in stream:
                frames.append(frame.numpy())
                progress.num_frames += 1
                samples = decoder.push(frames[-1])
                if samples is not None and len(ready := joiner.push(samples)):
                    progress.pieces.append(ready)
                    yield ready
            if self.cancelled:
                return
            codes = np.stack(frames, axis=1) if frames else np.zeros((engine.num_codebooks, 0), np.int64)
            progress.codes.append(codes)
            progress.reports.append(
                ChunkReport(chunk.text, chunk.speaker, codes.shape[1], chunk.budget_frames, stream.ended)
            )
            if frames:
                context = [*context, (chunk.prompt_text, torch.as_tensor(codes))][-CONTEXT_TURNS:]
            ready = np.concatenate([joiner.push(decoder.flush()), joiner.end_chunk(chunk.pause_seconds)])
            if len(ready):
                progress.pieces.append(ready)
                if chunk is chunks[-1]:
                    self._finish()
                yield ready
        if self._speech is None:
            self._finish()

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
        progress = self._progress
        if not progress.pieces:
            raise StudioError("The model ended without saying anything: try another seed, or a longer text.")
        self._speech = Speech(
            waveform=Waveform(np.concatenate(progress.pieces), self.sample_rate),
            codes=np.concatenate(progress.codes, axis=1),
            chunks=tuple(progress.reports),
            elapsed=time.perf_counter() - self._started,
            seed=self.seed,
            sampling=self._request.sampling,
        )

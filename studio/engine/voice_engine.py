"""VoiceEngine: text and references in, speech out."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studio.engine.checkpoints import Checkpoint
from studio.engine.checkpoints.scope import read_scope
from studio.engine.model.adapter import Adapter
from studio.engine.model.sampling import MAX_SEED, Sampling, check_seed
from studio.engine.model.speech_model import SpeechModel
from studio.engine.prompt import DEFAULT_SCENE, speech_conversation
from studio.engine.speech.plan import CHUNK_SECONDS, plan_speech
from studio.engine.speech.reference import Reference
from studio.engine.speech.request import SpeechRequest
from studio.engine.speech.result import Speech
from studio.engine.speech.stream import SpeechStream
from studio.engine.text import Script

if TYPE_CHECKING:
    import torch


class VoiceEngine(SpeechModel):
    """Speaks with one loaded checkpoint, see :class:`SpeechModel`. Requests do not influence each other.

    Texts longer than ``max_text_chars`` are refused.
    """

    def __init__(self, checkpoint: Checkpoint, *, code_cache: Path | None = None, max_text_chars: int = 10_000) -> None:
        super().__init__(checkpoint, code_cache=code_cache)
        self.max_text_chars = max_text_chars
        scope = read_scope(checkpoint.files.folder)
        # A small checkpoint loses its way in what a large one says in one breath.
        self.chunk_seconds = min(CHUNK_SECONDS, (scope and scope.longest_seconds) or CHUNK_SECONDS)
        self.whole_seconds = min(CHUNK_SECONDS, (scope and scope.whole_seconds) or 0.0)

    def clone(
        self,
        text: str,
        references: Sequence[Reference] = (),
        *,
        scene: str = DEFAULT_SCENE,
        sampling: Sampling | None = None,
        seed: int | None = None,
        descriptions: Mapping[str, str] | None = None,
        language: str | None = None,
        adapter: Adapter | None = None,
    ) -> Speech:
        """Speak plain text, or a script of lines ``[Name] text``, in the voice of the references: see SpeechRequest.

        Raises:
            StudioError: nothing to say, too long, a name without a voice, an unloaded engine, …
        """
        # The whole is the stream in large pieces: one path, so that both sound the same.
        stream = self.stream(
            SpeechRequest(
                Script(text),
                references,
                scene=scene,
                sampling=sampling or Sampling(),
                seed=seed,
                descriptions=descriptions or {},
                language=language,
                adapter=adapter,
                first_seconds=20.0,
                piece_seconds=20.0,
            )
        )
        for _ in stream:
            pass
        return stream.speech

    def stream(self, request: SpeechRequest, *, cancel: threading.Event | None = None) -> SpeechStream:
        """Like :meth:`clone`, in pieces as they are spoken. Set ``cancel`` at any time to stop within one frame.

        Everything that can be refused is refused here, before the first piece.
        """
        started = time.perf_counter()
        seed = secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed
        check_seed(seed)
        plan = plan_speech(
            request, max_chars=self.max_text_chars, frame_rate=self.frame_rate, chunk_seconds=self.chunk_seconds,
            whole_seconds=self.whole_seconds,
        )  # fmt: skip
        # Refuses control tokens in what is written around the text.
        speech_conversation("", transcripts=plan.transcripts, scene=request.scene, descriptions=plan.descriptions)
        codes = [self._encode(reference) for reference in request.references]
        return SpeechStream(self, request, plan, codes, seed=seed, started=started, cancel=cancel)

    def _encode(self, reference: Reference) -> torch.Tensor:
        import torch

        with self._lend():
            return torch.as_tensor(self.codec.encode(reference.clip))

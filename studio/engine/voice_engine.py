"""VoiceEngine: text and references in, speech out."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studio.engine.checkpoints import Checkpoint
from studio.engine.model.adapter import Adapter
from studio.engine.model.sampling import MAX_SEED, Sampling, check_seed
from studio.engine.model.speech_model import SpeechModel
from studio.engine.prompt import DEFAULT_SCENE, speech_conversation
from studio.engine.speech.plan import plan_speech
from studio.engine.speech.reference import Reference
from studio.engine.speech.result import Speech
from studio.engine.speech.stream import SpeechRequest, SpeechStream
from studio.engine.text import Script

if TYPE_CHECKING:
    import torch


class VoiceEngine(SpeechModel):
    """Speaks with one loaded checkpoint. Requests do not influence each other.

    Args:
        checkpoint, code_cache: see :class:`SpeechModel`.
        max_text_chars: longer texts are refused.

    Raises:
        StudioError: the model and the codec of the checkpoint do not belong together.
    """

    def __init__(self, checkpoint: Checkpoint, *, code_cache: Path | None = None, max_text_chars: int = 10_000) -> None:
        super().__init__(checkpoint, code_cache=code_cache)
        self.max_text_chars = max_text_chars

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
        """Speak a text in the voice of the references.

        Args:
            text: plain text of any length, or a dialogue script of lines ``[Name] text``.
            references: clips of the voice; several are allowed; none lets the model pick a voice. In a dialogue each
                names its speaker.
            scene: where it is spoken, in words; empty for none.
            sampling: how codes are drawn; the default suits cloning.
            seed: 0 to 2**32 - 1; None draws one and reports it.
            descriptions: voices given in words instead of a clip, by the name used in the script.
            language: ISO 639-1 code for numbers and sentence boundaries; None finds it from the script.
            adapter: one of :meth:`load_adapter`; None for the base alone, whatever others speak with.

        Raises:
            StudioError: nothing to say, too long, a name without a voice, an unloaded engine, …
        """
        # The whole is the stream in large pieces: one path, so that both sound the same.
        stream = self.stream(
            text,
            references,
            scene=scene,
            sampling=sampling,
            seed=seed,
            descriptions=descriptions,
            language=language,
            first_seconds=20.0,
            piece_seconds=20.0,
            adapter=adapter,
        )
        for _ in stream:
            pass
        return stream.speech

    def stream(
        self,
        text: str,
        references: Sequence[Reference] = (),
        *,
        scene: str = DEFAULT_SCENE,
        sampling: Sampling | None = None,
        seed: int | None = None,
        descriptions: Mapping[str, str] | None = None,
        language: str | None = None,
        first_seconds: float = 0.4,
        piece_seconds: float = 1.0,
        cancel: threading.Event | None = None,
        adapter: Adapter | None = None,
    ) -> SpeechStream:
        """Like :meth:`clone`, in pieces as they are spoken: ``first_seconds`` first, then ``piece_seconds`` each.

        Set ``cancel`` at any time to stop within one frame.

        Everything that can be refused is refused here, before the first piece.
        """
        started = time.perf_counter()
        if seed is None:
            seed = secrets.randbelow(MAX_SEED + 1)
        check_seed(seed)
        plan = plan_speech(
            Script(text),
            references,
            descriptions=descriptions or {},
            language=language,
            max_chars=self.max_text_chars,
            frame_rate=self.frame_rate,
        )
        # Refuses control tokens in what is written around the text.
        speech_conversation("", transcripts=plan.transcripts, scene=scene, descriptions=plan.descriptions)
        request = SpeechRequest(
            plan=plan,
            adapter=adapter,
            reference_codes=[self._encode(reference) for reference in references],
            scene=scene,
            sampling=sampling or Sampling(),
            seed=seed,
            first_seconds=first_seconds,
            piece_seconds=piece_seconds,
        )
        return SpeechStream(self, request, started=started, cancel=cancel)

    def _encode(self, reference: Reference) -> torch.Tensor:
        import torch

        with self._lend():
            return torch.as_tensor(self.codec.encode(reference.clip))

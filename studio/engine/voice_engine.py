"""VoiceEngine: text and references in, speech out."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from studio.engine.adapter import Adapter, Adapters
from studio.engine.checkpoint import Checkpoint
from studio.engine.codec import Codec, CodeCache, StreamDecoder
from studio.engine.generation import MAX_SEED, FrameStream, Sampling, check_seed
from studio.engine.memory import return_memory
from studio.engine.plan import plan_speech
from studio.engine.prompt import DEFAULT_SCENE, Conversation, PromptInputs, encode_prompt, speech_conversation
from studio.engine.reference import Reference
from studio.engine.speech import Speech, SpeechRequest, SpeechStream
from studio.errors import StudioError

if TYPE_CHECKING:
    import torch


_UNLOADED = "The model was unloaded to free its memory: load a checkpoint and try again."


class VoiceEngine:
    """Speaks with one loaded checkpoint. Safe to use from several threads; requests do not influence each other.

    Args:
        checkpoint: see :func:`studio.engine.checkpoint.load_checkpoint`; the engine becomes its owner.
        code_cache: folder in which the codes of reference clips are kept; None keeps none.
        max_text_chars: longer texts are refused.

    Raises:
        StudioError: the model and the codec of the checkpoint do not belong together.
    """

    def __init__(self, checkpoint: Checkpoint, *, code_cache: Path | None = None, max_text_chars: int = 10_000) -> None:
        self._model: Any = checkpoint.model
        self._tokenizer, self._config = checkpoint.tokenizer, checkpoint.model.config
        self.codec = Codec(
            checkpoint.codec_model, checkpoint.feature_extractor, CodeCache(code_cache) if code_cache else None
        )
        self.files, self.device, self.precision = checkpoint.files, checkpoint.device, checkpoint.precision
        self.warnings = list(checkpoint.warnings)
        self.num_parameters = checkpoint.num_parameters
        self.max_text_chars = max_text_chars
        self.sample_rate, self.frame_rate = self.codec.sample_rate, self.codec.frame_rate
        self.num_codebooks = self.codec.num_codebooks
        self._lock = threading.RLock()
        self._adapters: Adapters | None = Adapters(self._model)
        self._adapter: Adapter | None = None
        # Held while an adapter is read, so that passes go on meanwhile and unload() waits. Always taken before _lock.
        self._adapter_lock = threading.Lock()
        if (self._config.num_codebooks, self._config.audio_stream_bos_id) != (
            self.num_codebooks,
            self.codec.codebook_size,
        ):
            raise StudioError(
                f"The model of {self.files.shown_name} speaks {self._config.num_codebooks} codebooks of "
                f"{self._config.audio_stream_bos_id} codes and its codec {self.num_codebooks} of "
                f"{self.codec.codebook_size}: put the codec that belongs to it into its subfolder."
            )

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
        adapter: Adapter | EllipsisType | None = ...,
    ) -> SpeechStream:
        """Like :meth:`clone`, in pieces as they are spoken: ``first_seconds`` first, then ``piece_seconds`` each.

        Set ``cancel`` at any time to stop within one frame.

        ``adapter`` is one of :meth:`load_adapter`, or None for the base alone, whatever others speak with; without it the
        one of :meth:`use_adapter`.

        Everything that can be refused is refused here, before the first piece.
        """
        started = time.perf_counter()
        if adapter is ...:
            adapter = self._adapter
        if seed is None:
            seed = secrets.randbelow(MAX_SEED + 1)
        check_seed(seed)
        plan = plan_speech(
            text,
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

    def frame_stream(
        self,
        conversation: Conversation,
        clips: Sequence[torch.Tensor],
        *,
        adapter: Adapter | None,
        max_frames: int,
        sampling: Sampling,
        generator: torch.Generator,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> FrameStream:
        """Frames that continue a conversation; ``clips`` are the codes of its assistant turns."""
        return FrameStream(
            partial(self._lend, adapter),
            self._config,
            self._prompt(conversation, clips),
            max_frames=max_frames,
            sampling=sampling,
            generator=generator,
            cancelled=cancelled,
        )

    def prompt_logits(
        self, conversation: Conversation, clips: Sequence[torch.Tensor], *, adapter: Adapter | None
    ) -> torch.Tensor:
        """What the audio head says after a prompt: float32 on the CPU, shape (num_codebooks, codebook_size).

        Args:
            conversation, clips: as for :meth:`frame_stream`.
        """
        import torch

        prompt = self._prompt(conversation, clips)
        inputs = {"input_ids": prompt.input_ids}
        if prompt.audio_rows is not None:
            inputs["audio_input_ids"] = prompt.audio_rows
            inputs["audio_input_ids_mask"] = torch.ones(prompt.audio_rows.shape[:2], dtype=torch.bool)
        with self._lend(adapter) as model, torch.inference_mode():
            inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
            logits = model(**inputs, use_cache=False, logits_to_keep=1).logits[0, -1].float().cpu()
        return logits.reshape(self._config.num_codebooks, self._config.codebook_size)

    def _prompt(self, conversation: Conversation, clips: Sequence[torch.Tensor]) -> PromptInputs:
        return encode_prompt(
            conversation,
            clips,
            tokenizer=self._tokenizer,
            stream_bos_id=self._config.audio_stream_bos_id,
            stream_eos_id=self._config.audio_stream_eos_id,
        )

    def stream_decoder(self, first_seconds: float, piece_seconds: float) -> StreamDecoder:
        """A decoder for frames as they come, in pieces of these durations."""
        return StreamDecoder(
            self.codec,
            first_frames=round(first_seconds * self.frame_rate),
            piece_frames=round(piece_seconds * self.frame_rate),
        )

    @contextmanager
    def _lend(self, adapter: Adapter | None = None) -> Iterator[Any]:
        """The model, for one forward pass: nobody else keeps it, so that :meth:`unload` really frees it.

        Each pass says which adapter it wants. So a stream goes on with the adapter it began with while others speak with
        another one: nobody has to end because somebody else changed his mind, and no request can hear two adapters.
        """
        with self._lock:
            if self._model is None or self._adapters is None:
                raise StudioError(_UNLOADED)
            self._adapters.put_on(adapter)
            yield self._model

    @property
    def adapter(self) -> Path | None:
        """Folder of the adapter that new requests speak with; None where the base speaks alone."""
        adapter = self._adapter
        return adapter.folder if adapter else None

    def use_adapter(self, folder: Path | None) -> None:
        """Let all requests from now on speak with a LoRA adapter, or with the base alone again.

        Requests that have begun end as they began. Adapters that were used lately are still loaded, so going back to one
        takes no time, unless its files have changed. Without an adapter the base speaks as if there had never been one.

        Args:
            folder: what a training wrote: ``adapter_config.json`` and ``adapter_model.safetensors``. None takes the
                adapter off.

        Raises:
            StudioError: unloaded engine; a folder that is missing, damaged, or no LoRA adapter of the loaded checkpoint;
                too little memory. The engine then speaks as before.
        """
        with self._adapter_lock:
            if self._adapters is None:
                raise StudioError(_UNLOADED)
            self._adapter = None if folder is None else self._adapters.load(Path(folder))

    def load_adapter(self, folder: Path) -> Adapter:
        """Read an adapter for single requests, see :meth:`stream`; nobody speaks with it by that. Raises as
        :meth:`use_adapter`.
        """
        with self._adapter_lock:
            if self._adapters is None:
                raise StudioError(_UNLOADED)
            return self._adapters.load(Path(folder))

    @property
    def is_loaded(self) -> bool:
        """False after :meth:`unload`."""
        return self._model is not None

    def unload(self) -> None:
        """Give the memory back. Streams that are running end with a StudioError; the engine cannot speak afterwards."""
        with self._adapter_lock, self._lock:
            self._model = self._adapters = self._adapter = None
            self.codec.close()
        return_memory()

"""SpeechModel: one loaded checkpoint, lent to whoever makes a forward pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.engine.checkpoints import Checkpoint
from studio.engine.devices import return_memory
from studio.engine.model.adapter import Adapter, Adapters
from studio.engine.model.codec import Codec, CodeCache, StreamDecoder
from studio.engine.model.sampling import FrameStream, Sampling
from studio.engine.prompt import Conversation, PromptInputs, encode_prompt
from studio.errors import StudioError

if TYPE_CHECKING:
    import torch

_UNLOADED = "The model was unloaded to free its memory: load a checkpoint and try again."


class SpeechModel:
    """One loaded checkpoint. Safe to use from several threads; passes do not influence each other.

    Args:
        checkpoint: see :func:`studio.engine.checkpoints.loading.load_checkpoint`; this becomes its owner.
        code_cache: folder in which the codes of reference clips are kept; None keeps none.

    Raises:
        StudioError: the model and the codec of the checkpoint do not belong together.
    """

    def __init__(self, checkpoint: Checkpoint, *, code_cache: Path | None = None) -> None:
        self._model: Any = checkpoint.model
        self._tokenizer, self._config = checkpoint.tokenizer, checkpoint.model.config
        self.codec = Codec(
            checkpoint.codec_model, checkpoint.feature_extractor, CodeCache(code_cache) if code_cache else None
        )
        self.files, self.device, self.precision = checkpoint.files, checkpoint.device, checkpoint.precision
        self.warnings = list(checkpoint.warnings)
        self.num_parameters = checkpoint.num_parameters
        self.sample_rate, self.frame_rate = self.codec.sample_rate, self.codec.frame_rate
        self.num_codebooks = self.codec.num_codebooks
        self._lock = threading.RLock()
        self._adapters: Adapters | None = Adapters(self._model)
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
        """What the audio head says after a prompt: float32 on the CPU, shape (num_codebooks, codebook_size)."""
        import torch

        prompt = self._prompt(conversation, clips)
        inputs = {"input_ids": prompt.input_ids}
        if prompt.audio_input_ids is not None:
            inputs["audio_input_ids"] = prompt.audio_input_ids
            inputs["audio_input_ids_mask"] = torch.ones(prompt.audio_input_ids.shape[:2], dtype=torch.bool)
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

    def load_adapter(self, folder: Path, strength: float = 1.0) -> Adapter:
        """Read an adapter for single passes; nobody speaks with it by that. Adapters that were used lately are still
        loaded, so going back to one takes no time, unless its files have changed.

        Args:
            strength: share of what was trained that is added to the base; 1 for all of it.

        Raises:
            StudioError: unloaded engine, or as :meth:`Adapters.load`.
        """
        with self._adapter_lock:
            if self._adapters is None:
                raise StudioError(_UNLOADED)
            return self._adapters.load(Path(folder), strength)

    @property
    def is_loaded(self) -> bool:
        return self._model is not None

    def unload(self) -> None:
        """Give the memory back. Streams that are running end with a StudioError; the engine cannot speak afterwards."""
        with self._adapter_lock, self._lock:
            self._model = self._adapters = None
            self.codec.close()
        return_memory()

"""The codec: waveform to codes and back, with a cache of codes on disk.

Codes are what the language model reads and writes: ``num_codebooks`` integers for each frame.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.files import atomic_write_bytes

if TYPE_CHECKING:
    import torch

_NO_DIFFERENCE = 1e-7
"""Of full scale: 40 dB below one step of 16-bit audio."""


class CodeCache:
    """Codes of clips in a ``folder``, by content and codec: a clip is encoded once, whoever asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def get(self, key: str) -> np.ndarray | None:
        """Codes of shape (num_codebooks, num_frames), or None if they are not here or not readable."""
        try:
            with self._path(key).open("rb") as file:
                codes = np.lib.format.read_array(file, allow_pickle=False)  # not np.load, which also opens archives
        except (OSError, ValueError, EOFError):
            return None
        return codes.astype(np.int64) if codes.ndim == 2 else None

    def put(self, key: str, codes: np.ndarray) -> None:
        """Keep codes. A cache that cannot be written is no reason to fail: the clip is encoded again next time."""
        from io import BytesIO

        buffer = BytesIO()
        np.save(buffer, codes.astype(np.int16), allow_pickle=False)
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_bytes(path, buffer.getvalue())
        except (OSError, StudioError):
            return

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npy"


@dataclass(frozen=True)
class DecoderContext:
    """How far, in frames, a decoded frame depends on the frames before and after it."""

    before: int
    after: int


class Codec:
    """Encodes and decodes with one codec model. Safe to use from several threads.

    Args:
        model: ``HiggsAudioV2TokenizerModel`` in eval mode.
        feature_extractor: its ``DacFeatureExtractor``.
        cache: where codes are kept; None keeps none.
    """

    def __init__(self, model: Any, feature_extractor: Any, cache: CodeCache | None = None) -> None:
        self._held_model, self._feature_extractor, self._cache = model, feature_extractor, cache
        self._lock = threading.Lock()
        config = model.config
        self.sample_rate: int = config.sample_rate
        self.num_codebooks: int = config.num_quantizers
        self.codebook_size: int = config.codebook_size
        self.hop_length: int = config.hop_length
        self.num_encodes = 0
        """Clips really encoded, not found in the cache."""

    @property
    def _model(self) -> Any:
        if self._held_model is None:
            raise StudioError("The model was unloaded to free its memory: load a checkpoint and try again.")
        return self._held_model

    def close(self) -> None:
        """Let go of the model; the codec cannot be used afterwards."""
        # transformers keeps every codec that has encoded in an lru_cache on its class, for good.
        layers = getattr(type(self._held_model), "_get_conv1d_layers", None)
        if forget := getattr(layers, "cache_clear", None):
            forget()
        self._held_model = None

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.hop_length

    def encode(self, clip: Waveform) -> np.ndarray:
        """Codes of a clip at any rate, shape (num_codebooks, num_frames), int64; equal to the processor's own encode."""
        clip = clip.resampled(self.sample_rate)
        key = self._key(clip)
        if self._cache is not None and (codes := self._cache.get(key)) is not None and self._are_codes(codes):
            return codes
        codes = self._encode(clip)
        if self._cache is not None:
            self._cache.put(key, codes)
        return codes

    def _are_codes(self, codes: np.ndarray) -> bool:
        """Whether a damaged file can be ruled out: anything else would only fail, or lie, inside the model."""
        return (
            len(codes) == self.num_codebooks and codes.size > 0 and 0 <= codes.min() <= codes.max() < self.codebook_size
        )

    def _encode(self, clip: Waveform) -> np.ndarray:
        import torch

        inputs = self._feature_extractor(
            clip.samples, sampling_rate=self.sample_rate, padding=False, return_tensors="pt"
        ).input_values
        # HuBERT draws a number for each layer even when it drops none: whether a clip's codes were at hand already must
        # not change what others draw (the dropout of a training, for one).
        with self._lock, torch.inference_mode(), torch.random.fork_rng(devices=[]):
            self.num_encodes += 1
            codes = self._model.encode(inputs.to(self._model.device, self._model.dtype)).audio_codes
        return codes[0].cpu().numpy().astype(np.int64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Samples of codes of shape (num_codebooks, num_frames): float32, shape (num_frames * hop_length,)."""
        import torch

        if codes.shape[1] == 0:
            return np.zeros(0, dtype=np.float32)
        with torch.inference_mode():
            audio = self._model.decode(torch.as_tensor(codes, device=self._model.device)[None]).audio_values
        return audio[0, 0].float().cpu().numpy()

    def _key(self, clip: Waveform) -> str:
        content = hashlib.sha256(np.ascontiguousarray(clip.samples).tobytes()).hexdigest()
        return hashlib.sha256(f"{self.fingerprint}:{content}".encode()).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """Names the codec by its weights, and by device and precision, which can tip a code that lies between two."""
        digest = hashlib.sha256(f"{self._model.device.type}:{self._model.dtype}".encode())
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(_raw_bytes(tensor))
        return digest.hexdigest()

    @cached_property
    def decoder_context(self) -> DecoderContext:
        """Measured on the decoder itself: change one frame's codes, see which samples change."""
        length = 128
        codes = np.random.default_rng(0).integers(0, self.codebook_size, (self.num_codebooks, length))
        other = codes.copy()
        middle = length // 2
        other[:, middle] = (other[:, middle] + self.codebook_size // 2) % self.codebook_size
        # Not `!=`: on a GPU two decodes of the same codes may differ in their last bits.
        difference = np.abs(self.decode(codes) - self.decode(other))
        changed = np.flatnonzero(difference > _NO_DIFFERENCE) // self.hop_length
        if len(changed) == 0:  # a decoder that ignores its codes needs none of their neighbours either
            return DecoderContext(0, 0)
        # Frame `middle` reaches from changed[0] to changed[-1]; a frame therefore looks as far the other way round.
        return DecoderContext(before=int(changed[-1]) - middle, after=middle - int(changed[0]))


def _raw_bytes(tensor: torch.Tensor) -> bytes:
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


class StreamDecoder:
    """Decodes frames as they come. The pieces joined are the whole decode: every frame is decoded with the full context
    that the decoder looks at on either side, so only rounding can differ (below 1e-5 of full scale).

    Args:
        first_frames: frames in the first piece; small for an early start.
        piece_frames: frames in each later piece.
    """

    def __init__(self, codec: Codec, *, first_frames: int, piece_frames: int) -> None:
        self._codec, self._context = codec, codec.decoder_context
        self._next_size, self._piece_frames = max(1, first_frames), max(1, piece_frames)
        self._frames: list[np.ndarray] = []
        self._done = 0

    def push(self, frame: np.ndarray) -> np.ndarray | None:
        """Add a frame of shape (num_codebooks,); returns samples as soon as a piece is final."""
        self._frames.append(frame)
        if len(self._frames) - self._context.after < self._done + self._next_size:
            return None
        return self._decode(self._done + self._next_size)

    def flush(self) -> np.ndarray:
        """The samples of the frames not returned yet."""
        return self._decode(len(self._frames))

    def _decode(self, end: int) -> np.ndarray:
        start, self._done, self._next_size = self._done, end, self._piece_frames
        if start == end:
            return np.zeros(0, dtype=np.float32)
        low = max(0, start - self._context.before)
        high = min(len(self._frames), end + self._context.after)
        samples = self._codec.decode(np.stack(self._frames[low:high], axis=1))
        hop = self._codec.hop_length
        return samples[(start - low) * hop : (end - low) * hop]

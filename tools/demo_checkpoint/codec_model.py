"""The codec in training: the native class, but with its blocks at the sampling rate replaced by a learnt linear transform.

``HiggsAudioV2TokenizerModel`` with strides [160, 2, 2]: everything that learns runs at 25 to 100 Hz. What the class has at
16 kHz becomes the identity around one analysis and one synthesis filter bank (192 filters of 320 samples, a step of 160),
so a second of speech costs a twentieth. :func:`export` puts the filters where the class expects them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import studio.engine  # noqa: F401  installs the import guard

RATE, HOP, STEP, TAPS, FILTERS = 16_000, 640, 160, 320, 192
NUM_CODEBOOKS, CODES = 8, 512
_ACOUSTIC = 128
_UNTRAINED = ("semantic_model.", "encoder_semantic.", "decoder_semantic.", "fc1.")
_FULL_RATE = (
    "acoustic_encoder.conv1.", "acoustic_encoder.block.0.", "acoustic_decoder.conv2.", "acoustic_decoder.snake1.",
    "acoustic_decoder.block.2.conv_t1.", "acoustic_decoder.block.2.res_unit",
)  # fmt: skip


def native_codec() -> Any:
    """An untrained ``HiggsAudioV2TokenizerModel`` of this shape: 16 kHz, 25 frames/s, 8 codebooks of 512."""
    from transformers import HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel

    return HiggsAudioV2TokenizerModel(
        HiggsAudioV2TokenizerConfig(
            sample_rate=RATE,
            semantic_sample_rate=RATE,
            codebook_size=CODES,
            codebook_dim=16,
            target_bandwidths=[NUM_CODEBOOKS * int(math.log2(CODES)) * 25 / 1000],
            acoustic_model_config={
                "model_type": "dac",
                "encoder_hidden_size": 96,
                "downsampling_ratios": [STEP, 2, 2],
                "decoder_hidden_size": 768,
                "upsampling_ratios": [2, 2, STEP],
                "hidden_size": _ACOUSTIC,
                "sampling_rate": RATE,
            },
            # The class insists on a semantic tower; this one is as small as it can be, and its columns of `fc` are zero.
            semantic_model_config={
                "model_type": "hubert",
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "conv_dim": [16] * 7,
                "num_conv_pos_embeddings": 16,
                "num_conv_pos_embedding_groups": 2,
            },
        )
    )


class Quantised(NamedTuple):
    """What the quantiser makes of frames.

    Attributes:
        frames: shape (batch, num_frames, 144), gradients pass straight through.
        commitment: how far the encoder's frames are from their codes, summed over the codebooks.
        codes: shape (NUM_CODEBOOKS, batch, num_frames).
        first: what the first codebook alone gives, of the shape of ``frames``.
    """

    frames: Tensor
    commitment: Tensor
    codes: Tensor
    first: Tensor


class Codec(nn.Module):
    """Encoder, quantiser and decoder of the native class, with fast filter banks at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.native = native_codec()
        k, t = torch.arange(FILTERS // 2), torch.arange(TAPS) - TAPS // 2
        phase = 2 * math.pi * (k[:, None] + 0.5) * t / FILTERS
        bank = torch.cat([torch.cos(phase), torch.sin(phase)]) * torch.hann_window(TAPS)
        self.analysis = nn.Parameter(bank[:, None] / math.sqrt(FILTERS))
        self.synthesis = nn.Parameter(bank[:, None] / math.sqrt(FILTERS) * 0.7)

    def trained_parameters(self) -> list[nn.Parameter]:
        """All that learns by gradients; codebooks follow their frames instead."""
        native = [p for name, p in self.native.named_parameters() if not name.startswith(_UNTRAINED + _FULL_RATE)]
        return [*native, self.analysis, self.synthesis]

    def decoding_parameters(self) -> list[nn.Parameter]:
        """What turns codes to sound, and has no say in which codes a clip gets."""
        parts = ("fc2.", "acoustic_decoder.")
        named = self.native.named_parameters()
        return [p for name, p in named if name.startswith(parts) and not name.startswith(_FULL_RATE)] + [self.synthesis]

    def encode(self, audio: Tensor) -> Tensor:
        """Frames to quantise, shape (batch, num_frames, 144), of audio of shape (batch, 1, num_samples)."""
        encoder = self.native.acoustic_encoder
        hidden = F.conv1d(audio, self.analysis, stride=STEP, padding=STEP // 2)
        for block in encoder.block[1:]:
            hidden = block(hidden)
        acoustic = encoder.conv2(encoder.snake1(hidden))
        fc = self.native.fc
        return F.linear(acoustic.transpose(1, 2), fc.weight[:, :_ACOUSTIC], fc.bias)

    def decode(self, frames: Tensor) -> Tensor:
        """Audio, shape (batch, 1, num_samples), of quantised frames of shape (batch, num_frames, 144)."""
        decoder = self.native.acoustic_decoder
        hidden = decoder.conv1(self.native.fc2(frames).transpose(1, 2))
        for block in decoder.block[:-1]:
            hidden = block(hidden)
        return F.conv_transpose1d(decoder.block[-1].snake1(hidden), self.synthesis, stride=STEP, padding=STEP // 2)

    def quantise(self, frames: Tensor, *, learn: bool = False) -> Quantised:
        """Residual quantisation with straight-through gradients.

        Args:
            frames: shape (batch, num_frames, 144).
            learn: let the codebooks follow the frames (moving averages; unused codes are put onto frames).
        """
        residual, outs, commitment, codes = frames, [], frames.new_zeros(()), []
        for quantizer in self.native.quantizer.quantizers:
            book = quantizer.codebook
            projected = quantizer.project_in(residual)
            flat = projected.reshape(-1, projected.shape[-1])
            chosen = book.quantize(flat)
            centre = F.embedding(chosen, book.embed).view_as(projected)
            if learn:
                _follow(book, flat.detach(), chosen)
            commitment = commitment + F.mse_loss(projected, centre.detach())
            out = quantizer.project_out(projected + (centre - projected).detach())
            outs.append(out)
            residual = residual - out.detach()
            codes.append(chosen.view(frames.shape[:2]))
        return Quantised(torch.stack(outs).sum(dim=0), commitment, torch.stack(codes), outs[0])

    @torch.inference_mode()
    def codes(self, audio: Tensor) -> Tensor:
        """Codes of one clip, shape (NUM_CODEBOOKS, num_frames), of audio of shape (num_samples,)."""
        padded = F.pad(audio, (0, -len(audio) % HOP))
        return self.quantise(self.encode(padded[None, None])).codes[:, 0]

    @torch.inference_mode()
    def audio(self, codes: Tensor) -> Tensor:
        """Samples, shape (num_frames * HOP,), of codes of shape (NUM_CODEBOOKS, num_frames)."""
        frames = sum(
            quantizer.project_out(F.embedding(row, quantizer.codebook.embed))
            for quantizer, row in zip(self.native.quantizer.quantizers, codes, strict=True)
        )
        return self.decode(frames[None])[0, 0]

    @torch.no_grad()
    def start_codebooks(self, frames: Tensor) -> None:
        """Principal axes and k-means for each quantiser in turn, of frames of shape (num_frames, 144)."""
        residual = frames
        for quantizer in self.native.quantizer.quantizers:
            mean = residual.mean(dim=0)
            axes = torch.linalg.svd(residual - mean, full_matrices=False)[2][: quantizer.project_in.out_features]
            quantizer.project_in.weight.copy_(axes)
            quantizer.project_in.bias.copy_(-axes @ mean)
            quantizer.project_out.weight.copy_(axes.T)
            quantizer.project_out.bias.copy_(mean)
            projected, book = quantizer.project_in(residual), quantizer.codebook
            centres = _k_means(projected, book.codebook_size)
            book.embed.copy_(centres)
            book.embed_avg.copy_(centres)
            book.cluster_size.fill_(1.0)
            residual = residual - quantizer.project_out(F.embedding(book.quantize(projected), book.embed))


@torch.no_grad()
def _follow(book: Any, flat: Tensor, chosen: Tensor, decay: float = 0.99) -> None:
    """Move the centres of a codebook towards the frames that chose them."""
    hits = F.one_hot(chosen, book.codebook_size).to(flat.dtype)
    book.cluster_size.mul_(decay).add_(hits.sum(dim=0), alpha=1 - decay)
    book.embed_avg.mul_(decay).add_(hits.T @ flat, alpha=1 - decay)
    total = book.cluster_size.sum()
    smoothed = (book.cluster_size + 1e-3) / (total + book.codebook_size * 1e-3) * total
    book.embed.copy_(book.embed_avg / smoothed[:, None])
    unused = book.cluster_size < 0.05
    if count := int(unused.sum()):
        drawn = flat[torch.randint(len(flat), (count,))]
        book.embed[unused] = drawn
        book.embed_avg[unused] = drawn
        book.cluster_size[unused] = 1.0


def _k_means(points: Tensor, count: int, rounds: int = 10) -> Tensor:
    centres = points[torch.randperm(len(points))[:count]].clone()
    for _ in range(rounds):
        hits = F.one_hot(torch.cdist(points, centres).argmin(dim=1), count).to(points.dtype)
        sizes = hits.sum(dim=0)[:, None]
        centres = torch.where(
            sizes > 0, hits.T @ points / sizes.clamp(min=1), points[torch.randint(len(points), (count,))]
        )
    return centres


def load_start(codec: Codec, path: Path) -> None:
    """Weights of an earlier codec of this shape (safetensors, native names; ``ana`` and ``syn`` are the filters)."""
    from safetensors.torch import load_file

    weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    codec.analysis.data.copy_(weights.pop("ana"))
    codec.synthesis.data.copy_(weights.pop("syn"))
    result = codec.native.load_state_dict(weights, strict=False)
    lacking = [name for name in result.missing_keys if not name.startswith(_FULL_RATE + _UNTRAINED)]
    if lacking or result.unexpected_keys:
        raise ValueError(f"{path.name} does not fit: {[*lacking, *result.unexpected_keys][:3]}")


def load_exported(codec: Codec, folder: Path) -> None:
    """Weights of the codec of an assembled checkpoint: what :func:`export` made, taken apart again."""
    from safetensors.torch import load_file

    weights = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    codec.analysis.data.copy_(weights["acoustic_encoder.block.0.conv1.weight"][:, :1])
    codec.synthesis.data.copy_(weights["acoustic_decoder.block.2.conv_t1.weight"][:, :1])
    codec.native.load_state_dict(weights, strict=False)


def _units(block: Any) -> Iterator[Any]:
    yield from (block.res_unit1, block.res_unit2, block.res_unit3)


@torch.no_grad()
def export(codec: Codec) -> Any:
    """The plain native model: the filters in its first and last convolutions, the identity around them."""
    model = codec.native
    tiny = 1e-6  # of a Snake: x + sin²(αx)/α tends to x
    model.fc.weight[:, _ACOUSTIC:] = 0
    encoder, decoder = model.acoustic_encoder, model.acoustic_decoder
    first, last = encoder.block[0], decoder.block[-1]
    for unit in [*_units(first), *_units(last)]:
        for convolution in (unit.conv1, unit.conv2):
            convolution.weight.zero_()
            convolution.bias.zero_()
    for through in (encoder.conv1, decoder.conv2):  # kernel of 7: the middle tap of channel 0 passes the samples on
        through.weight.zero_()
        through.bias.zero_()
        through.weight[0, 0, 3] = 1
    for snake in (first.snake1, decoder.snake1):
        snake.alpha.fill_(tiny)
    for filters, weight in ((codec.analysis, first.conv1), (codec.synthesis, last.conv_t1)):
        weight.weight.zero_()
        weight.bias.zero_()
        weight.weight[:, 0] = filters[:, 0]
    return model.eval()

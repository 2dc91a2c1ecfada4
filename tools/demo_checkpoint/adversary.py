"""The adversarial finish: small discriminators on spectrograms of several resolutions, and the losses against them.

They are for the ear, once the words have settled: to a spectral distance any phase is as good as any other, which buzzes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WINDOWS = (256, 512, 1024)
_CHANNELS = (16, 24, 32, 32)


class Discriminator(nn.Module):
    """Judges patches of one complex spectrogram.

    Args:
        window: length of the transform in samples; a quarter of it is the step.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self._size = window
        self._window = nn.Buffer(torch.hann_window(window), persistent=False)
        norm = torch.nn.utils.parametrizations.weight_norm
        sizes = (2, *_CHANNELS)
        self.layers = nn.ModuleList(
            norm(nn.Conv2d(before, after, (9, 3), stride=(2, 1), padding=(4, 1))) for before, after in pairwise(sizes)
        )
        self.last = norm(nn.Conv2d(_CHANNELS[-1], 1, 3, padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The judgement of each patch, and the features of each layer, of audio of shape (batch, num_samples)."""
        spectrum = torch.stft(audio, self._size, self._size // 4, window=self._window, return_complex=True)
        # Loud and quiet sounds alike: the magnitude is compressed, the phase kept.
        magnitude = spectrum.abs().clamp_min(1e-5)
        hidden = torch.view_as_real(spectrum * magnitude.pow(-0.7)).permute(0, 3, 1, 2)
        features = []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.2)
            features.append(hidden)
        return self.last(hidden), features


class Adversary(nn.Module):
    """All discriminators together, with the losses of both sides (hinge, and distance of features)."""

    def __init__(self, windows: Sequence[int] = _WINDOWS) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Discriminator(window) for window in windows)

    def own_loss(self, wanted: Tensor, given: Tensor) -> Tensor:
        """What the discriminators learn by: recordings above 1, resynthesis below −1."""
        total = wanted.new_zeros(())
        for part in self.parts:
            total = total + F.relu(1 - part(wanted)[0]).mean() + F.relu(1 + part(given.detach())[0]).mean()
        return total / len(self.parts)

    def generator_loss(self, wanted: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """What the codec learns by: to be taken for a recording, and to have its features."""
        fooled, alike = wanted.new_zeros(()), wanted.new_zeros(())
        for part in self.parts:
            with torch.no_grad():
                features = part(wanted)[1]
            judgement, found = part(given)
            fooled = fooled + F.relu(1 - judgement).mean()
            for theirs, ours in zip(features, found, strict=True):
                alike = alike + (theirs - ours).abs().mean() / (theirs.abs().mean() + 1e-6) / len(found)
        return fooled / len(self.parts), alike / len(self.parts)

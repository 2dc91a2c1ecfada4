"""One mono recording in memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from studio.errors import StudioError


def decibels(amplitude: float) -> float:
    """Return 20·log10 of an ``amplitude`` relative to full scale 1.0, in dBFS; −inf for zero."""
    return float(20.0 * np.log10(amplitude)) if amplitude > 0.0 else float("-inf")


# Arrays have no single truth value, so the generated ``==`` would raise: waveforms compare by identity.
@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono samples and their rate.

    Attributes:
        samples: float32, shape ``(num_samples,)``; full scale is ±1.0, though a file may exceed it.
        sample_rate: samples per second (Hz), a positive whole number.

    Raises:
        StudioError: a sample is NaN or infinite.
        TypeError, ValueError: wrong type, shape or rate. The caller's bug, not the user's mistake.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        if not isinstance(self.samples, np.ndarray) or self.samples.dtype != np.float32:
            found = getattr(self.samples, "dtype", type(self.samples).__name__)
            raise TypeError(f"samples must be a float32 array, not {found}")
        if self.samples.ndim != 1:
            raise ValueError(f"samples must have shape (num_samples,), not {self.samples.shape}")
        if self.sample_rate != int(self.sample_rate) or self.sample_rate <= 0:
            raise ValueError(f"sample_rate must be a positive whole number of Hz, not {self.sample_rate!r}")
        # numpy integers pass the test above but break JSON and some C libraries later.
        object.__setattr__(self, "sample_rate", int(self.sample_rate))
        if not np.isfinite(self.samples).all():
            raise StudioError("The clip contains invalid (NaN or infinite) samples; export it again from its source.")

    @property
    def num_samples(self) -> int:
        return len(self.samples)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest absolute sample, linear (1.0 is full scale); 0.0 for a clip without samples."""
        return float(np.max(np.abs(self.samples), initial=0.0))

    @property
    def rms_dbfs(self) -> float:
        """Root mean square in dB relative to an amplitude of 1.0 (a full-scale sine reads −3.01); −inf for silence."""
        if self.num_samples == 0:
            return float("-inf")
        # float64: a long clip summed in float32 loses its quiet parts.
        return decibels(float(np.sqrt(np.mean(np.square(self.samples, dtype=np.float64)))))

    def resampled(self, rate: int) -> "Waveform":
        """Return this clip at ``rate`` Hz (the same object when it already is).

        Band-limited resampling by libsoxr at its very high quality (VHQ): linear phase, so nothing moves in time, and
        what lies above the new Nyquist frequency is removed instead of folding back. The duration stays within one
        sample.

        Raises:
            ValueError: ``rate`` is not positive.
        """
        if rate <= 0:
            raise ValueError(f"rate must be positive, not {rate!r}")
        if rate == self.sample_rate:
            return self
        if self.num_samples == 0:
            return Waveform(self.samples, rate)
        import soxr

        samples = soxr.resample(self.samples, self.sample_rate, rate, quality="VHQ")
        return Waveform(np.ascontiguousarray(samples, dtype=np.float32), rate)


class Span(NamedTuple):
    """From ``start`` to ``end``, both in seconds from the beginning of the recording."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        return self.end - self.start


def total_seconds(spans: Iterable[Span]) -> float:
    """The sum of the lengths, in seconds."""
    return sum(span.duration for span in spans)

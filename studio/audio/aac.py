"""Sound as it is being made → AAC frames that a browser plays at once."""

from __future__ import annotations

from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from studio.audio.waveform import Waveform

FRAME_SAMPLES = 1024
"""Samples of one AAC frame (ISO/IEC 14496-3, AAC-LC)."""

# The rates an ADTS header can name (ISO/IEC 13818-7, table 35).
_RATES = (7_350, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)


class AacPiece(NamedTuple):
    """Whole frames with their headers, and how long they play, in seconds."""

    data: bytes
    seconds: float


class AacEncoder:
    """One encoder for one stretch of speech, fed in pieces of any length.

    A frame overlaps its neighbours, so pieces that were encoded each for itself would click where they meet. The frames
    carry ADTS headers: each piece can be sent as it is. PyAV's own library encodes, no program is started.

    Args:
        sample_rate: of the pieces, in Hz. A rate that ADTS cannot name is resampled to the next higher one it can.
    """

    def __init__(self, sample_rate: int) -> None:
        import av

        self._rate = next((rate for rate in _RATES if rate >= sample_rate), _RATES[-1])
        self._written = BytesIO()
        self._container = av.open(self._written, "w", format="adts")
        self._stream = self._container.add_stream("aac", rate=self._rate, layout="mono", format="fltp")
        self._fed = 0
        # In one go over all pieces, for the same reason as the encoder.
        self._resampler = None if sample_rate == self._rate else _resampler(sample_rate, self._rate)

    def feed(self, piece: Waveform) -> AacPiece:
        """The frames complete with this piece, perhaps none (``b""``, 0 s); the rest waits for the next piece."""
        self._encode(piece.samples if self._resampler is None else self._resampler.resample_chunk(piece.samples))
        return self._taken()

    def finish(self) -> AacPiece:
        """What is left. Nothing can be fed after it."""
        if self._resampler is not None:
            self._encode(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._taken()

    def _encode(self, samples: np.ndarray) -> None:
        import av

        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = self._rate, self._fed
        self._fed += len(samples)
        self._container.mux(self._stream.encode(frame))

    def _taken(self) -> AacPiece:
        data = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        return AacPiece(data, _num_frames(data) * FRAME_SAMPLES / self._rate)


def _resampler(rate: int, wanted: int) -> Any:
    import soxr

    return soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="VHQ")


def _num_frames(data: bytes) -> int:
    """How many ADTS frames these bytes hold: bits 30–42 of each header are the length of its frame."""
    count = position = 0
    while position + 7 <= len(data):
        position += (data[position + 3] & 0x03) << 11 | data[position + 4] << 3 | data[position + 5] >> 5
        count += 1
    return count

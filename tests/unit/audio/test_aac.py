"""Speech as it is made, in frames that can be played at once."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from studio.audio.aac import FRAME_SAMPLES, AacEncoder
from studio.audio.waveform import Waveform


def tone(rate: int, seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440.0 * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def decoded(data: bytes) -> tuple[np.ndarray, int]:
    import av

    with av.open(BytesIO(data), format="aac") as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
        return np.concatenate(frames), container.streams.audio[0].rate


@pytest.mark.parametrize("pieces", [[0.4, 1.0, 1.0], [0.02] * 30, [2.5]])
def test_pieces_of_any_length_are_one_sound_without_seams(pieces: list[float]) -> None:
    rate, samples = 24_000, tone(24_000, sum(pieces))
    encoder, made, start = AacEncoder(rate), [], 0
    for seconds in pieces:
        end = start + round(seconds * rate)
        made.append(encoder.feed(Waveform(samples[start:end], rate)))
        start = end
    made.append(encoder.finish())
    heard, heard_rate = decoded(b"".join(piece.data for piece in made))
    assert heard_rate == rate
    assert sum(piece.seconds for piece in made) == pytest.approx(len(heard) / rate)
    delay = FRAME_SAMPLES  # the encoder's own
    middle = slice(2 * FRAME_SAMPLES, len(samples) - 2 * FRAME_SAMPLES)
    np.testing.assert_allclose(heard[delay:][middle], samples[middle], atol=0.01)


def test_each_piece_can_be_played_as_soon_as_it_is_there() -> None:
    encoder = AacEncoder(16_000)
    first = encoder.feed(Waveform(tone(16_000, 0.4), 16_000))
    assert 0.2 < first.seconds <= 0.4
    assert len(decoded(first.data)[0]) >= 0.2 * 16_000


def test_less_than_a_frame_waits() -> None:
    encoder = AacEncoder(24_000)
    assert encoder.feed(Waveform(np.zeros(0, np.float32), 24_000)) == (b"", 0.0)
    assert encoder.feed(Waveform(np.zeros(100, np.float32), 24_000)) == (b"", 0.0)
    assert encoder.finish().seconds > 0.0


def test_a_rate_that_adts_cannot_name_is_resampled_in_one_go() -> None:
    samples = tone(20_000, 1.0)
    encoder = AacEncoder(20_000)
    made = [encoder.feed(Waveform(samples[first : first + 1_000], 20_000)) for first in range(0, 20_000, 1_000)]
    heard, rate = decoded(b"".join(piece.data for piece in [*made, encoder.finish()]))
    assert rate == 22_050
    expected = tone(22_050, 1.0)[4_000:18_000]
    np.testing.assert_allclose(heard[FRAME_SAMPLES:][4_000:18_000], expected, atol=0.01)

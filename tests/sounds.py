"""Sounds whose content is known, and files as phones and browsers make them."""

from io import BytesIO

import av
import numpy as np

from studio.audio import Waveform


def sine(frequency=1000.0, seconds=1.0, rate=24_000, amplitude=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return Waveform((amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32), rate)


def silence(seconds=1.0, rate=24_000):
    return Waveform(np.zeros(round(seconds * rate), np.float32), rate)


def tone_level(waveform, frequency):
    """Amplitude of one frequency, by projection on it; the edges, where filters ring, are left out."""
    edge = round(0.05 * waveform.sample_rate)
    inner = waveform.samples[edge:-edge].astype(np.float64)
    window = np.hanning(len(inner))
    phase = np.exp(-2j * np.pi * frequency * np.arange(len(inner)) / waveform.sample_rate)
    return 2 * abs(np.sum(inner * window * phase)) / window.sum()


def loudest_frequency(waveform):
    """The frequency of the strongest component, in Hz, interpolated between bins."""
    spectrum = np.abs(np.fft.rfft(waveform.samples * np.hanning(waveform.num_samples)))
    k = int(np.argmax(spectrum))
    a, b, c = np.log(spectrum[k - 1 : k + 2])
    return (k + (a - c) / (2 * (a - 2 * b + c))) * waveform.sample_rate / waveform.num_samples


def encoded(waveform, container, codec, *, container_options=None, codec_options=None, path=None):
    """The waveform as the bytes of a file made by FFmpeg, as phones and browsers make them (left at ``path`` too)."""
    buffer = BytesIO()
    rate = waveform.sample_rate
    with av.open(str(path) if path else buffer, "w", format=container, options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=codec_options or {})
        stream.layout = "mono"
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(waveform.samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        convert = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=rate, frame_size=stream.codec_context.frame_size
        )
        for piece in [*convert.resample(frame), *convert.resample(None), None]:
            for packet in stream.encode(piece):
                output.mux(packet)
    return path.read_bytes() if path else buffer.getvalue()


def silent_video():
    """A short MP4 with a picture and no sound track."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    return buffer.getvalue()

"""The two decoders behind ``read_audio``: libsndfile for plain audio files, FFmpeg for everything else."""

from collections.abc import Iterator
from io import FileIO
from typing import TYPE_CHECKING

import numpy as np

from studio.audio import problems

if TYPE_CHECKING:
    from av.container import InputContainer

# The demuxers FFmpeg may use. Playlists and other files that name files (hls, concat, dash, sdp, image2, …) are left
# out: an upload must never make the server open something else. Matched against any of a demuxer's names.
DEMUXERS = "aac,aiff,amr,asf,au,caf,flac,matroska,mov,mp3,ogg,w64,wav"
# Formats whose number of frames is derived from positions or whole packets: reading may yield fewer without any damage.
_ESTIMATED_LENGTH = {"OGG", "SDS"}
_UNKNOWN_FRAMES = 1 << 48
_MIN_RATE, _MAX_RATE = 4_000, 768_000


class NotRecognised(Exception):
    """The decoder does not know this kind of file; another one may. An answer, not a failure."""


class Collector:
    """Gathers decoded blocks as mono float32 and refuses what must not get in.

    ``name`` is the file as messages show it; ``max_seconds`` None is no limit.
    """

    def __init__(self, name: str, max_seconds: float | None) -> None:
        self.name = name
        self.max_seconds = max_seconds
        self.rate = 0
        self.num_samples = 0
        self._blocks: list[np.ndarray] = []

    def start(self, rate: int, num_frames: int | None) -> None:
        """Take the file's ``rate`` in Hz and, where its header states it exactly, its number of frames."""
        if not _MIN_RATE <= rate <= _MAX_RATE:
            raise problems.implausible_rate(self.name, rate)
        self.rate = rate
        if num_frames is not None:
            self._check_length(num_frames, known=True)

    def add(self, block: np.ndarray) -> None:
        """Append a block of shape ``(num_frames, num_channels)`` as the mean of its channels."""
        # float64: two loud channels must not overflow on their way to the mean.
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float64)
        if not np.isfinite(mono).all():
            raise problems.invalid_samples(self.name)
        self.take(mono.astype(np.float32, copy=False))
        self.num_samples += len(mono)
        self._check_length(self.num_samples, known=False)

    def take(self, mono: np.ndarray) -> None:
        """Keep a checked block of shape ``(num_samples,)``."""
        self._blocks.append(mono)

    def samples(self) -> np.ndarray:
        """All blocks as one array of shape ``(num_samples,)``."""
        if self.num_samples == 0:
            raise problems.no_samples(self.name)
        return np.concatenate(self._blocks)

    def _check_length(self, num_frames: int, *, known: bool) -> None:
        seconds = num_frames / self.rate
        # Rounded as messages show it: codecs pad a clip of exactly 60 s by a few milliseconds.
        if self.max_seconds is not None and round(seconds, 1) > self.max_seconds:
            raise problems.too_long(self.name, seconds if known else None, self.max_seconds)


def decode_with_soundfile(file: FileIO, into: Collector) -> None:
    """Decode with libsndfile: WAV, FLAC, OGG, Opus, AIFF, … of any depth.

    Raises:
        NotRecognised: libsndfile cannot open this content.
        StudioError: the content is damaged, cut short, too long or not finite.
    """
    import soundfile

    file.seek(0)
    try:
        # By descriptor: without a name, neither soundfile nor libsndfile can guess a format from the suffix.
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.LibsndfileError as error:
        raise NotRecognised from error
    with sound:
        # FFmpeg does better with two kinds. MPEG audio: libsndfile estimates its length from the first frames and stops
        # there; a variable-rate MP3 without an index lost 17 of its 20 seconds. FLAC that was piped, with no length in
        # its header: libsndfile fails to read it.
        if "MPEG" in sound.subtype or sound.frames > _UNKNOWN_FRAMES:
            raise NotRecognised
        exact = sound.format not in _ESTIMATED_LENGTH
        into.start(sound.samplerate, sound.frames if exact else None)
        failed = False
        # A quarter of a second at a time: when a block fails, the message can still say how far reading came.
        size = max(sound.samplerate // 4, 1)
        while True:
            try:
                block = sound.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                failed = True
                break
            if len(block) == 0:
                break
            into.add(block)
        if exact and into.num_samples < sound.frames:
            raise problems.cut_short(into.name, into.num_samples / into.rate, sound.frames / into.rate)
        if failed:
            raise problems.damaged(into.name)


def decode_with_ffmpeg(file: FileIO, into: Collector) -> None:
    """Decode the first sound track with FFmpeg (PyAV): MP3, M4A, WebM, AAC, AMR, WMA, video files, …

    FFmpeg gets the open file, not its path, and only the demuxers of plain containers.

    Raises:
        NotRecognised: FFmpeg cannot open this content.
        StudioError: no sound track, damaged, too long or not finite.
    """
    import av

    file.seek(0)
    try:
        container = av.open(file, mode="r", options={"format_whitelist": DEMUXERS})
    except (av.FFmpegError, ValueError) as error:
        raise NotRecognised from error
    with container:
        if not container.streams.audio:
            raise problems.no_audio_stream(into.name)
        try:
            for block, rate in _ffmpeg_blocks(container):
                if not into.rate:
                    into.start(rate, None)
                elif rate != into.rate:
                    raise problems.damaged(into.name)
                into.add(block)
        except (av.FFmpegError, ValueError) as error:
            raise problems.damaged(into.name) from error


def _ffmpeg_blocks(container: "InputContainer") -> Iterator[tuple[np.ndarray, int]]:
    """Yield blocks of shape ``(num_frames, num_channels)``, float32, each with its rate in Hz."""
    import av

    stream = container.streams.audio[0]
    # Converts the sample type only; rate and channels stay, and the mean over channels is ours.
    to_float = av.AudioResampler(format="fltp")
    for frame in container.decode(stream):
        for converted in to_float.resample(frame):
            yield converted.to_ndarray().T, converted.sample_rate

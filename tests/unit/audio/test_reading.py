import json
import os
import struct
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from studio.audio import Waveform, read_audio, trim
from studio.errors import StudioError
from tests.conftest import DATA
from tests.refusals import refusal as refusal_of
from tests.sounds import encoded, loudest_frequency, silence, silent_video, sine, tone_level
from tools.coach_faults import joined


@pytest.fixture
def save(tmp_path):
    """Return a function that writes bytes, or a waveform through soundfile, under a name and gives the path."""

    def _save(name, content, **options):
        path = tmp_path / name
        if isinstance(content, Waveform):
            soundfile.write(path, content.samples, content.sample_rate, **options)
        else:
            path.write_bytes(content)
        return path

    return _save


def refusal(path, **options):
    message = refusal_of(lambda: read_audio(path, **options))
    assert str(path.parent) not in message
    return message


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tone.wav", {"subtype": "PCM_16"}),
        ("tone.wav", {"subtype": "PCM_24"}),
        ("tone.wav", {"subtype": "FLOAT"}),
        ("tone.wav", {"subtype": "ULAW"}),
        ("tone.flac", {}),
        ("tone.ogg", {}),
        ("tone.mp3", {}),
        ("tone.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("tone.aiff", {}),
    ],
)
def test_formats_of_audio_editors_are_read(save, name, options):
    sound = read_audio(save(name, sine(1000, seconds=2, rate=48_000), **options))
    assert sound.sample_rate == 48_000
    assert sound.duration == pytest.approx(2.0, abs=0.03)
    assert loudest_frequency(sound) == pytest.approx(1000, abs=1)
    assert tone_level(sound, 1000) == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("webm", "libopus"),
        ("ogg", "libopus"),
        ("ipod", "aac"),
        ("mp4", "aac"),
        ("3gp", "aac"),
        ("adts", "aac"),
        ("matroska", "flac"),
        ("caf", "alac"),
        ("mp3", "libmp3lame"),
    ],
)
def test_formats_of_phones_and_browsers_are_read(save, container, codec):
    # The suffix says nothing: every one of them is called .bin.
    sound = read_audio(save("recording.bin", encoded(sine(1000, seconds=2, rate=48_000), container, codec)))
    assert sound.sample_rate == 48_000
    assert sound.duration == pytest.approx(2.0, abs=0.05)
    assert loudest_frequency(sound) == pytest.approx(1000, abs=1)
    assert tone_level(sound, 1000) == pytest.approx(0.5, rel=0.06)  # LAME itself takes 5% off


def test_a_browser_recording_without_a_length_is_read(save):
    live = encoded(sine(1000, seconds=2, rate=48_000), "webm", "libopus", container_options={"live": "1"})
    assert read_audio(save("live.webm", live)).duration == pytest.approx(2.0, abs=0.05)


def test_the_sound_of_a_video_is_read(save):
    tone = sine(1000, seconds=1, rate=48_000)
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        picture, sound = output.add_stream("mpeg4", rate=10), output.add_stream("aac", rate=48_000)
        picture.width = picture.height = 32
        sound.layout = "mono"
        image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in [*picture.encode(image), *picture.encode(None)]:
            output.mux(packet)
        for start in range(0, tone.num_samples, 1024):
            frame = av.AudioFrame.from_ndarray(tone.samples[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            for packet in sound.encode(frame):
                output.mux(packet)
        for packet in sound.encode(None):
            output.mux(packet)
    assert loudest_frequency(read_audio(save("film.mp4", buffer.getvalue()))) == pytest.approx(1000, abs=1)


def test_channels_become_their_mean(save):
    left, right = sine(1000, amplitude=0.6), sine(500, amplitude=0.2)
    path = save("stereo.wav", b"")
    soundfile.write(path, np.stack([left.samples, right.samples], axis=1), 24_000, subtype="FLOAT")
    expected = (left.samples + right.samples) / 2
    assert np.abs(read_audio(path).samples - expected).max() < 1e-6


def test_channels_in_opposite_phase_cancel_in_compressed_files_too(save):
    # FFmpeg's own downmix would weigh or rescale; ours is the plain mean.
    tone = sine(1000, seconds=1, rate=48_000)
    stereo = np.stack([tone.samples, -tone.samples], axis=1)
    buffer = BytesIO()
    soundfile.write(buffer, stereo, 48_000, format="WAV", subtype="FLOAT")
    buffer.seek(0)
    target = BytesIO()
    with av.open(buffer) as source, av.open(target, "w", format="matroska") as output:
        stream = output.add_stream("pcm_f32le", rate=48_000)
        stream.layout = "stereo"
        for frame in source.decode(audio=0):
            for packet in stream.encode(frame):
                output.mux(packet)
    sound = read_audio(save("opposite.mka", target.getvalue()))
    assert sound.num_samples == 48_000
    assert sound.peak < 1e-6


def test_a_96_khz_8_bit_stereo_recording_is_read(save):
    tone = sine(1000, rate=96_000)
    path = save("wide.wav", b"")
    soundfile.write(path, np.stack([tone.samples] * 2, axis=1), 96_000, subtype="PCM_U8")
    sound = read_audio(path)
    assert (sound.sample_rate, sound.num_samples) == (96_000, 96_000)
    assert tone_level(sound, 1000) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["voice 🎤 – été.wav", "bare", "wrong.mp3", "wrong.raw", "wrong.vox", "a'b\n.wav"])
def test_any_name_will_do(save, name):
    tone = sine()
    buffer = BytesIO()
    soundfile.write(buffer, tone.samples, 24_000, format="WAV")
    path = save(name, buffer.getvalue())
    assert read_audio(str(path)).num_samples == tone.num_samples


def test_a_file_whose_name_is_not_utf8_is_read_or_named(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    with open(path, "wb") as file:
        soundfile.write(file, sine().samples, 24_000, format="WAV")
    assert read_audio(path).duration == 1.0
    os.truncate(path, 1000)
    with pytest.raises(StudioError) as caught:
        read_audio(path)
    str(caught.value).encode("utf-8")


def test_the_committed_utterances_are_read_whole():
    for name, text in json.loads((DATA / "kathleen.json").read_text()).items():
        clip = read_audio(DATA / name)
        assert text
        assert clip.sample_rate == 24_000
        assert 2.5 < clip.duration < 4


def test_a_missing_file_is_said(tmp_path):
    assert "'none.wav' does not exist" in refusal(tmp_path / "none.wav")
    assert "does not exist" in refusal(tmp_path / "none.wav" / "deeper.wav")
    assert "does not exist" in refusal(tmp_path / "nul\0.wav")


def test_a_folder_and_a_pipe_are_refused(tmp_path):
    (tmp_path / "clips").mkdir()
    assert "'clips' is a folder" in refusal(tmp_path / "clips")
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in refusal(tmp_path / "pipe.wav")


def test_an_empty_file_is_refused(save):
    assert "'void.wav' is empty (0 bytes)" in refusal(save("void.wav", b""))


@pytest.mark.parametrize("text", ["The quick brown fox.\n" * 50, "hi", "\ufeffنص عربي 语音 " * 400])
@pytest.mark.parametrize("name", ["notes.wav", "notes.mp3", "notes.vox", "notes.raw"])
def test_text_under_an_audio_name_is_refused(save, name, text):
    assert f"'{name}' contains text" in refusal(save(name, text.encode()))


def test_what_is_no_audio_is_refused(save):
    noise = np.random.default_rng(1).bytes(50_000)
    assert "not an audio file" in refusal(save("random.wav", noise))
    assert "not an audio file" in refusal(save("zeros.wav", bytes(5000)))
    assert "not an audio file" in refusal(save("picture.wav", b"\x89PNG\r\n\x1a\n" + bytes(2000)))


def test_a_video_without_sound_is_refused(save):
    assert "'film.mp4' has no sound track" in refusal(save("film.mp4", silent_video()))


def test_a_file_without_samples_is_refused(save):
    for suffix in ("wav", "aiff"):
        path = save(f"nothing.{suffix}", Waveform(np.zeros(0, np.float32), 24_000))
        assert "zero length" in refusal(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_invalid_samples_are_refused_not_repaired(save, bad):
    samples = sine().samples.copy()
    samples[12_345] = bad
    path = save("bad.wav", b"")
    soundfile.write(path, samples, 24_000, subtype="FLOAT")
    assert "'bad.wav' contains invalid (NaN or infinite) samples" in refusal(path)


def test_numbers_too_large_for_a_sample_are_invalid(save):
    path = save("huge.wav", b"")
    soundfile.write(path, np.full(1000, 1e300), 24_000, subtype="DOUBLE")
    assert "invalid" in refusal(path)


def test_a_rate_no_recording_has_is_refused(save):
    assert "sampling rate of 100 Hz" in refusal(save("slow.wav", sine(10, rate=100)))


def test_cut_wav_says_how_much_is_there(save):
    whole = save("whole.wav", sine(seconds=2)).read_bytes()
    message = refusal(save("cut.wav", whole[: 44 + 24_000]))
    assert "'cut.wav' is damaged or cut short: only 0.5 s of its 2 s could be read" in message
    assert "only 1.9998 s of its 2.0000 s" in refusal(save("cut.wav", whole[:-10]))
    assert "only 0 s of its 2 s" in refusal(save("cut.wav", whole[:44]))
    assert "damaged or cut short" in refusal(save("cut.wav", whole[:30]))


def test_cut_flac_says_how_much_is_there(save):
    noise = Waveform(np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32), 24_000)
    whole = save("whole.flac", noise).read_bytes()
    assert "only 1 s of its 2 s could be read" in refusal(save("cut.flac", whole[: len(whole) * 5 // 9]))
    assert "damaged or cut short" in refusal(save("cut.flac", whole[:-1]))


def test_a_damaged_flac_is_refused(save):
    noise = Waveform(np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32), 24_000)
    content = bytearray(save("whole.flac", noise).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    assert "damaged or cut short" in refusal(save("holed.flac", bytes(content)))


@pytest.mark.parametrize(
    ("container", "codec"),
    [("webm", "libopus"), ("ogg", "libopus"), ("ipod", "aac"), ("adts", "aac"), ("aiff", "pcm_s16be"), ("caf", "alac")],
)
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_cut_recordings_are_refused(save, container, codec, kept):
    whole = encoded(sine(seconds=2, rate=48_000), container, codec)
    assert "damaged or cut short" in refusal(save("cut.bin", whole[: int(len(whole) * kept)]))


def test_an_m4a_with_its_index_first_is_refused_when_cut(save):
    path = save("whole.m4a", b"")
    options = {"movflags": "faststart"}
    whole = encoded(sine(seconds=2, rate=48_000), "ipod", "aac", container_options=options, path=path)
    assert whole.index(b"moov") < whole.index(b"mdat")
    assert read_audio(path).duration == pytest.approx(2, abs=0.05)
    assert "damaged or cut short" in refusal(save("cut.m4a", whole[:-100]))


def test_cut_ogg_and_mp3_are_refused(save):
    for name in ("whole.ogg", "whole.mp3"):
        whole = save(name, sine(seconds=3, rate=44_100)).read_bytes()
        assert "damaged or cut short" in refusal(save(f"cut-{name}", whole[: len(whole) // 2]))


def test_a_wav_that_was_piped_is_read_to_its_end(save):
    # A writer that cannot seek back leaves 0xFFFFFFFF (FFmpeg) or 0x7FFFF000 (SoX) as sizes.
    content = bytearray(save("whole.wav", sine(seconds=2)).read_bytes())
    for size in (0xFFFFFFFF, 0x7FFFF000):
        struct.pack_into("<I", content, 4, size)
        struct.pack_into("<I", content, 40, size)
        assert read_audio(save("piped.wav", bytes(content))).duration == 2.0


def test_a_flac_that_was_piped_is_read_to_its_end(save):
    # Its header holds 36 bits of zero where the number of samples belongs.
    content = bytearray(save("whole.flac", sine(seconds=2)).read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    assert read_audio(save("piped.flac", bytes(content))).duration == 2.0


@pytest.mark.parametrize("loud_first", [True, False])
def test_a_variable_rate_mp3_without_an_index_is_read_whole(save, loud_first):
    # Its length can only be guessed from its first frames; a reader that trusts the guess loses most of it.
    noise = Waveform(np.random.default_rng(0).normal(0, 0.2, 5 * 44_100).astype(np.float32), 44_100)
    parts = [noise, silence(5, 44_100)] if loud_first else [silence(5, 44_100), noise]
    content = encoded(
        joined(parts),
        "mp3",
        "libmp3lame",
        container_options={"write_xing": "0"},
        codec_options={"flags": "+qscale", "global_quality": "236"},  # variable bit rate, quality 2 of 9
    )
    path = save("stream.mp3", content)
    if loud_first:
        assert soundfile.info(path).duration < 5
    sound = read_audio(path)
    assert sound.duration == pytest.approx(10, abs=0.1)
    assert (trim(sound, 0.2, 4.8).rms_dbfs > -20) == loud_first
    assert (trim(sound, 5.2, 9.8).rms_dbfs > -20) != loud_first


def test_mp3_tags_before_and_after_do_no_harm(save):
    sound = save("plain.mp3", sine(seconds=2, rate=44_100)).read_bytes()
    before = b"ID3\x04\x00\x00" + bytes([0, 0, 8, 0]) + bytes(1024)
    tagged = save("tagged.mp3", before + sound + b"TAG" + b"x" * 125)
    assert read_audio(tagged).duration == pytest.approx(2, abs=0.03)
    assert "damaged or cut short" in refusal(save("cut.mp3", before + sound[: len(sound) // 2]))


class TestFilesThatNameOtherFiles:
    """An upload must never make the server read another file."""

    @pytest.fixture(autouse=True)
    def _beside_a_real_recording(self, save, monkeypatch, tmp_path):
        save("secret.wav", sine(seconds=2))
        monkeypatch.chdir(tmp_path)

    @staticmethod
    def ffmpeg_alone_would_read(path):
        with path.open("rb") as file, av.open(file, options={"safe": "0"}) as container:
            return sum(frame.samples for frame in container.decode(audio=0))

    def test_a_concat_script_is_refused(self, save):
        path = save("clip.wav", b"ffconcat version 1.0\nfile secret.wav\n")
        assert self.ffmpeg_alone_would_read(path) == 48_000
        assert "contains text" in refusal(path)

    def test_a_concat_script_that_does_not_look_like_text_is_refused(self, save):
        path = save("clip.wav", b"ffconcat version 1.0\n# \xff\xfe\nfile secret.wav\n")
        assert self.ffmpeg_alone_would_read(path) == 48_000
        assert "not an audio file" in refusal(path)

    @pytest.mark.parametrize("name", ["list.m3u8", "list.wav"])
    @pytest.mark.parametrize("comment", [b"", b"#\xff\xfe\n"])
    def test_a_playlist_is_refused(self, save, tmp_path, name, comment):
        target = (tmp_path / "secret.wav").as_uri().encode()
        lines = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + comment + b"#EXTINF:2,\n" + target + b"\n#EXT-X-ENDLIST\n"
        message = refusal(save(name, lines))
        assert ("not an audio file" if comment else "contains text") in message


def test_a_recording_over_the_length_limit_is_refused(save):
    path = save("long.wav", sine(seconds=3))
    assert read_audio(path, max_seconds=3).duration == 3
    assert "'long.wav' is 3 s long, more than the limit of 2 s" in refusal(path, max_seconds=2)
    webm = save("long.webm", encoded(sine(seconds=3, rate=48_000), "webm", "libopus"))
    assert read_audio(webm, max_seconds=3).duration == pytest.approx(3, abs=0.03)
    assert "is longer than the limit of 2 s" in refusal(webm, max_seconds=2)


def test_refused_files_are_closed(save):
    path = save("cut.wav", save("whole.wav", sine()).read_bytes()[:1000])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        refusal(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before

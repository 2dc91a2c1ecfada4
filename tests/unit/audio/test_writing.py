import ctypes
import errno
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
import soundfile

from studio.audio import AUDIO_FORMATS, Waveform, encode_audio, read_audio, write_audio
from studio.audio.synthetic_mark import MARK, is_marked
from studio.errors import StudioError
from studio.files import atomic_write_bytes
from tests.sounds import loudest_frequency, sine, tone_level


@pytest.fixture
def noise():
    return Waveform(np.random.default_rng(0).uniform(-1, 1, 24_000).astype(np.float32), 24_000)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_wav_and_flac_keep_each_sample_to_sixteen_bits(tmp_path, noise, suffix):
    path = tmp_path / f"clip{suffix}"
    write_audio(noise, path)
    steps, rate = soundfile.read(path, dtype="int16")
    assert rate == 24_000
    assert soundfile.info(path).subtype == "PCM_16"
    # Half a step of rounding at the writer's scale of 32767, at most one step altogether below half of full scale.
    assert np.abs(steps - noise.samples.astype(np.float64) * 32_767).max() <= 0.501
    half = np.abs(noise.samples) <= 0.5
    assert np.abs(read_audio(path).samples - noise.samples)[half].max() <= 1 / 32_768


def test_sound_that_a_model_made_says_so_in_every_format_and_sounds_the_same(tmp_path, noise):
    import av

    for suffix in AUDIO_FORMATS:
        plain, marked = tmp_path / f"plain{suffix}", tmp_path / f"marked{suffix}"
        write_audio(noise, plain)
        write_audio(noise, marked, synthetic=True)
        assert (is_marked(plain), is_marked(marked)) == (False, True), suffix
        np.testing.assert_array_equal(read_audio(plain).samples, read_audio(marked).samples)
        for turned, codec in (
            ("turned.m4a", "aac"),
            ("turned.flac", "flac"),
            ("turned.mp3", "mp3"),
        ):  # by other programs
            with av.open(str(marked)) as source, av.open(str(tmp_path / turned), "w") as target:
                target.metadata.update(source.metadata)
                stream = target.add_stream(codec, rate=noise.sample_rate, layout="mono")
                for frame in av.AudioResampler(format=stream.format).resample(next(source.decode(audio=0))):
                    target.mux(stream.encode(frame))
                target.mux(stream.encode(None))
            assert is_marked(tmp_path / turned), (suffix, turned)
    (tmp_path / "note.txt").write_text(MARK)
    assert not is_marked(tmp_path / "note.txt") and not is_marked(tmp_path / "gone.wav")


def test_full_scale_is_symmetric_and_limited():
    clip = Waveform(np.array([1.0, -1.0, 1.5, -20.0, 0.0, 0.6 / 32_767], np.float32), 24_000)
    steps, _ = soundfile.read(BytesIO(encode_audio(clip, "wav")), dtype="int16")
    assert steps.tolist() == [32_767, -32_767, 32_767, -32_767, 0, 1]


@pytest.mark.parametrize(("rate", "stored"), [(24_000, 24_000), (44_100, 44_100), (20_000, 22_050), (96_000, 48_000)])
def test_an_mp3_keeps_length_pitch_and_level(tmp_path, rate, stored):
    path = tmp_path / "clip.mp3"
    write_audio(sine(1000, seconds=2, rate=rate), path)
    sound = read_audio(path)
    assert soundfile.info(path).format == "MP3"
    assert sound.sample_rate == stored
    assert sound.duration == pytest.approx(2.0, abs=0.03)
    assert loudest_frequency(sound) == pytest.approx(1000, abs=0.5)
    assert tone_level(sound, 1000) == pytest.approx(0.5, rel=0.02)


def test_formats_name_their_mime_type():
    assert {suffix: format.mime for suffix, format in AUDIO_FORMATS.items()} == {
        ".wav": "audio/wav",
        ".flac": "audio/flac",
        ".mp3": "audio/mpeg",
    }


def test_a_suffix_in_capitals_is_understood(tmp_path):
    write_audio(sine(), tmp_path / "CLIP.WAV")
    assert read_audio(tmp_path / "CLIP.WAV").duration == 1.0


@pytest.mark.parametrize("name", ["clip.aac", "clip", ".wav"])
def test_unknown_suffix_names_those_allowed(tmp_path, name):
    with pytest.raises(StudioError, match=r"must end in \.wav, \.flac or \.mp3"):
        write_audio(sine(), tmp_path / name)
    with pytest.raises(StudioError, match=r"\.wav, \.flac or \.mp3"):
        encode_audio(sine(), "aac")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_clip_is_not_saved(tmp_path):
    with pytest.raises(StudioError, match="no sound to save"):
        write_audio(Waveform(np.zeros(0, np.float32), 24_000), tmp_path / "clip.wav")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_and_keeps_the_users_mode(tmp_path):
    path = tmp_path / "note 🎤.txt"
    atomic_write_bytes(path, b"old" * 1000)
    atomic_write_bytes(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    (tmp_path / "plain").write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_the_longest_name_the_system_allows_is_saved_and_no_longer_one(tmp_path):
    atomic_write_bytes(tmp_path / ("n" * 255), b"data")
    with pytest.raises(StudioError, match="could not be saved"):
        atomic_write_bytes(tmp_path / ("n" * 256), b"data")
    assert [entry.name for entry in tmp_path.iterdir()] == ["n" * 255]


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path):
    path = tmp_path / "shared.bin"
    contents = [bytes([value]) * 100_000 for value in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: atomic_write_bytes(path, data), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_said(tmp_path):
    for folder in (tmp_path / "absent", tmp_path / "file"):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StudioError, match=r"folder for 'clip\.wav' does not exist; create it"):
            write_audio(sine(), folder / "clip.wav")


def test_a_target_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "clip.wav").mkdir()
    with pytest.raises(StudioError, match=r"'clip\.wav' is a folder"):
        write_audio(sine(), tmp_path / "clip.wav")
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.wav"]


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(StudioError, match="could not be saved"):
        atomic_write_bytes(tmp_path / "nul\0.wav", b"data")


def test_a_folder_that_may_not_be_written_is_said():
    # A folder that refuses even root; for others, too.
    with pytest.raises(StudioError, match=r"no permission to write 'clip\.wav'"):
        write_audio(sine(), "/sys/clip.wav")


_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from studio.audio import Waveform, write_audio
from studio.errors import StudioError
{before}
try:
    write_audio(Waveform(np.full(200_000, 0.5, np.float32), 24_000), sys.argv[1])
except StudioError as error:
    print(error)
"""


def test_file_size_limit_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(b"old")
    script = _SCRIPT.format(before="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))")
    result = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"The disk or quota is full, so 'clip\.wav' was not saved; .*\n", result.stdout)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk; the file size limit above covers the same path")
    if (error := mount(folder, 0, b"size=64k")) != 0:
        pytest.skip(f"this system does not let root mount a small disk: {os.strerror(error)}")
    yield folder
    ctypes.CDLL(None).umount(os.fsencode(folder))


def mount(folder, flags, options):
    """A file system in memory, by the C library: a machine need not have the program. Returns 0 or the error's number."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(flags), options)
    return 0 if done == 0 else ctypes.get_errno()


def test_full_disk_leaves_the_old_file_and_nothing_else(small_disk):
    path = small_disk / "clip.wav"
    write_audio(sine(seconds=0.1), path)
    before = path.read_bytes()
    for suffix in ("wav", "flac", "mp3"):
        loud = Waveform(np.random.default_rng(0).uniform(-1, 1, 400_000).astype(np.float32), 24_000)
        with pytest.raises(StudioError, match="disk or quota is full") as caught:
            write_audio(loud, small_disk / f"clip.{suffix}")
        assert caught.value.__cause__.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert list(small_disk.iterdir()) == [path]


def test_a_read_only_disk_is_said(small_disk):
    remount_read_only = 0x20 | 0x1  # MS_REMOUNT, MS_RDONLY of <sys/mount.h>
    assert mount(small_disk, remount_read_only, None) == 0
    with pytest.raises(StudioError, match="no permission"):
        write_audio(sine(), small_disk / "clip.wav")

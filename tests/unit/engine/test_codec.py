"""Codes equal the processor's own, are made once, and decode in pieces as in one go."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio.audio import Waveform
from studio.engine.model.codec import Codec, CodeCache, StreamDecoder
from studio.errors import StudioError


@pytest.fixture
def open_codec(processor: Any) -> Callable[..., Codec]:
    def open_with(folder: Path | None = None) -> Codec:
        return Codec(
            processor.audio_tokenizer, processor.feature_extractor, CodeCache(folder) if folder is not None else None
        )

    return open_with


@pytest.fixture(scope="module")
def codes(engine: Any) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 1024, (8, 60))


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_codes_equal_the_processors_own(open_codec: Callable[..., Codec], processor: Any, references: Any) -> None:
    codec = open_codec()
    for reference in references:
        inputs = processor.feature_extractor(reference.clip.samples, sampling_rate=24_000, return_tensors="pt")
        with torch.inference_mode():
            expected = processor.audio_tokenizer.encode(inputs["input_values"]).audio_codes[0]
        assert np.array_equal(codec.encode(reference.clip), expected.numpy())


def test_codes_have_eight_rows_and_25_frames_a_second(open_codec: Callable[..., Codec], references: Any) -> None:
    codec = open_codec()
    assert (codec.sample_rate, codec.num_codebooks, codec.codebook_size, codec.frame_rate) == (24_000, 8, 1024, 25.0)
    clip = references[0].clip
    encoded = codec.encode(clip)
    assert encoded.shape[0] == 8
    assert abs(encoded.shape[1] - 25 * clip.duration) <= 1
    assert encoded.dtype == np.int64
    assert encoded.min() >= 0
    assert encoded.max() < 1024
    assert all(len(set(row.tolist())) > 10 for row in encoded), "a codebook says the same all the time"


def test_a_clip_at_another_rate_is_resampled(open_codec: Callable[..., Codec], references: Any) -> None:
    codec = open_codec()
    clip = references[0].clip
    assert codec.encode(clip.resampled(44_100)).shape == codec.encode(clip).shape


def test_a_clip_is_encoded_once_whoever_asks(open_codec: Callable[..., Codec], references: Any, tmp_path: Path) -> None:
    first, second = open_codec(tmp_path), open_codec(tmp_path)
    made = first.encode(references[0].clip)
    found = second.encode(Waveform(references[0].clip.samples.copy(), 24_000))
    assert np.array_equal(made, found)
    assert (first.num_encodes, second.num_encodes) == (1, 0)
    assert found.dtype == np.int64


def test_a_second_engine_with_the_same_cache_encodes_nothing(
    new_engine: Callable[..., Any], references: Any, tmp_path: Path
) -> None:
    first, second = new_engine(code_cache=tmp_path), new_engine(code_cache=tmp_path)
    speech = first.clone("Hello.", references[:2], seed=1)
    assert first.codec.num_encodes == 2
    assert np.array_equal(second.clone("Hello.", references[:2], seed=1).codes, speech.codes)
    assert second.codec.num_encodes == 0


def test_a_changed_clip_is_encoded_anew(open_codec: Callable[..., Codec], references: Any, tmp_path: Path) -> None:
    codec = open_codec(tmp_path)
    clip = references[0].clip
    codec.encode(clip)
    louder = Waveform(clip.samples * np.float32(1.01), 24_000)
    codec.encode(louder)
    assert codec.num_encodes == 2
    assert len(files_under(tmp_path)) == 2


def test_another_codec_does_not_take_these_codes(
    new_engine: Callable[..., Any], other_checkpoint: Path, references: Any, tmp_path: Path
) -> None:
    one, other = new_engine(code_cache=tmp_path), new_engine(other_checkpoint, code_cache=tmp_path)
    assert one.codec.fingerprint != other.codec.fingerprint
    first = one.codec.encode(references[0].clip)
    assert not np.array_equal(other.codec.encode(references[0].clip), first)
    assert other.codec.num_encodes == 1


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _of_another_codec(path: Path) -> None:
    np.save(path, np.zeros((4, 70), np.int16))


def _out_of_range(path: Path) -> None:
    np.save(path, np.full((8, 77), -3, np.int16))


def _a_zip(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, codes=np.zeros((8, 77), np.int16))


@pytest.mark.parametrize(
    "spoil",
    [
        _truncated,
        _of_another_codec,
        _out_of_range,
        _a_zip,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes(4000)),
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
    ],
    ids=["truncated", "wrong shape", "out of range", "archive", "empty", "zeros", "broken archive"],
)
def test_a_damaged_cache_file_is_made_anew(
    spoil: Callable[[Path], object], open_codec: Callable[..., Codec], references: Any, tmp_path: Path
) -> None:
    clip = references[0].clip
    codes = open_codec(tmp_path).encode(clip)
    (file,) = files_under(tmp_path)
    spoil(file)
    codec = open_codec(tmp_path)
    assert np.array_equal(codec.encode(clip), codes)
    assert codec.num_encodes == 1
    repaired = open_codec(tmp_path)
    assert np.array_equal(repaired.encode(clip), codes)
    assert repaired.num_encodes == 0


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    open_codec: Callable[..., Codec], references: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    codec = open_codec(tmp_path / "file")
    codes = codec.encode(references[0].clip)
    assert np.array_equal(codes, open_codec().encode(references[0].clip))
    assert (tmp_path / "file").read_bytes() == b"in the way"


def test_clips_encoded_at_once_in_several_threads_keep_their_codes(
    open_codec: Callable[..., Codec], references: Any, tmp_path: Path
) -> None:
    alone = [open_codec().encode(reference.clip) for reference in references]
    codec = open_codec(tmp_path)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda reference: codec.encode(reference.clip), references))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def test_a_frame_decodes_to_960_samples(engine: Any, codes: np.ndarray) -> None:
    assert engine.codec.decode(codes).shape == (60 * 960,)
    assert engine.codec.decode(codes).dtype == np.float32
    assert engine.codec.decode(codes[:, :0]).shape == (0,)
    assert engine.codec.decode(codes[:, :1]).shape == (960,)


def test_frames_outside_the_measured_context_change_nothing(engine: Any, codes: np.ndarray) -> None:
    context, place = engine.codec.decoder_context, 30
    other = codes.copy()
    other[:, place] = (other[:, place] + 500) % 1024
    changed = np.flatnonzero(engine.codec.decode(codes) != engine.codec.decode(other)) // 960
    assert place - context.after <= changed[0] <= place <= changed[-1] <= place + context.before


@pytest.mark.parametrize(("first", "later"), [(1, 1), (10, 25), (7, 13), (60, 60), (1000, 1)])
def test_pieces_joined_are_the_whole(engine: Any, codes: np.ndarray, first: int, later: int) -> None:
    decoder = StreamDecoder(engine.codec, first_frames=first, piece_frames=later)
    pieces = [piece for frame in codes.T if (piece := decoder.push(frame)) is not None]
    pieces.append(decoder.flush())
    whole = engine.codec.decode(codes)
    assert np.concatenate(pieces).shape == whole.shape
    assert np.abs(np.concatenate(pieces) - whole).max() < 1e-5 * max(1.0, np.abs(whole).max())


def test_the_first_piece_comes_as_soon_as_it_is_final(engine: Any, codes: np.ndarray) -> None:
    decoder = StreamDecoder(engine.codec, first_frames=10, piece_frames=25)
    ready = [index for index, frame in enumerate(codes.T, 1) if decoder.push(frame) is not None]
    after = engine.codec.decoder_context.after
    assert ready[:2] == [10 + after, 35 + after]


def test_a_closed_codec_says_why_it_is_silent(open_codec: Callable[..., Codec], references: Any) -> None:
    codec = open_codec()
    codec.close()
    with pytest.raises(StudioError, match="was unloaded"):
        codec.encode(references[0].clip)


def test_encoding_takes_nothing_from_the_random_numbers_of_others(
    open_codec: Callable[..., Codec], references: Any
) -> None:
    codec = open_codec()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    codec.encode(references[0].clip)
    assert torch.equal(torch.rand(3), expected)

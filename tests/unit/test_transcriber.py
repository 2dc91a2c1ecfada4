"""A real, small recogniser on real recordings, and every way in which there is none."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform, read_audio, trim
from studio.listening.transcriber import NothingHeard, Transcriber
from studio.listening.transcript import Transcript
from studio.listening.transcript_editing import has_times, retimed, trimmed
from studio.listening.whisper_files import WhisperFiles
from tests.refusals import refusal

ARABIC_DIGITS = Path("/work/shared/speech/clips/ar_digits_0_9.flac")
FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.json")


@pytest.fixture(scope="module")
def transcriber(asr_model: Path) -> Transcriber:
    return Transcriber(str(asr_model), device="cpu")


@pytest.fixture(scope="module")
def heard(transcriber: Transcriber, kathleen: dict[Path, str]) -> dict[Path, Transcript]:
    """What the recogniser makes of the three recordings."""
    return {path: transcriber.transcribe(read_audio(path), language="en") for path in kathleen}


def plain(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def errors(said: str, written: str) -> int:
    """Words to insert, delete or replace to get from one to the other."""
    row = list(range(len(plain(written)) + 1))
    for count, word in enumerate(plain(said), start=1):
        before, row[0] = row[0], count
        for place, other in enumerate(plain(written), start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


def check(transcript: Transcript, duration: float) -> None:
    assert has_times(transcript)
    assert "".join(word.text for word in transcript.words) == "".join(transcript.text.split())
    assert all(0.0 <= word.start <= word.end <= duration for word in transcript.words)
    assert all(before.end <= after.start for before, after in pairwise(transcript.words))
    assert transcript.text == transcript.text.strip()


def noise(seconds: float, level: float) -> Waveform:
    samples = np.random.default_rng(0).standard_normal(round(16_000 * seconds)) * level
    return Waveform(samples.astype(np.float32), 16_000)


def in_cache(cache: Path, hub_id: str, model: Path, files: tuple[str, ...] = FILES) -> None:
    """Put the model where the hub's client keeps a download."""
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    for name in files:
        (snapshot / name).symlink_to(model / name)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that refuses connections."""
    set_hub(monkeypatch, "http://127.0.0.1:9")


def set_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", address)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Any], None]]:
    """A hub on this machine that gives one answer to every question."""
    answer: list[tuple[int, Any]] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = answer[-1]
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        set_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        yield lambda status, content: answer.append((status, content))
        server.shutdown()


# What it hears.


def test_it_writes_what_is_said(heard: dict[Path, Transcript], kathleen: dict[Path, str]) -> None:
    wrong = sum(errors(said, heard[path].text) for path, said in kathleen.items())
    assert wrong <= 2  # of 27; "twentieth" comes out as "20th"
    for path, transcript in heard.items():
        check(transcript, read_audio(path).duration)
        assert transcript.language == "en"
        assert transcript.model.startswith("whisper-base")  # type: ignore[union-attr]  the folder's name, not its path


def test_the_language_is_detected(transcriber: Transcriber, heard: dict[Path, Transcript]) -> None:
    path = next(path for path in heard if "b0394" in path.name)
    found = transcriber.transcribe(read_audio(path))
    assert (found.language, found.text) == ("en", heard[path].text)


def test_a_cut_at_a_pause_says_what_its_transcript_says(transcriber: Transcriber, kathleen: dict[Path, str]) -> None:
    clips = [read_audio(path) for path in kathleen]
    gap = np.zeros(clips[0].sample_rate // 2, np.float32)
    joined = Waveform(np.concatenate([part for clip in clips for part in (clip.samples, gap)]), clips[0].sample_rate)
    whole = transcriber.transcribe(joined, language="en")
    check(whole, joined.duration)
    # The three longest pauses: the two between the recordings, and the one before "then mastered his temper".
    pairs = sorted(pairwise(whole.words), key=lambda pair: pair[0].end - pair[1].start)[:3]
    cuts = sorted((before.end + after.start) / 2 for before, after in pairs)
    said = [trimmed(whole, start, end) for start, end in pairwise([0.0, *cuts, joined.duration])]
    assert " ".join(part.text for part in said) == whole.text
    assert [part.words[-1].text.strip(".,") for part in said] == ["hands", "hesitated", "temper", "judgment"]
    for expected, (start, end) in zip(said, pairwise([0.0, *cuts, joined.duration]), strict=True):
        again = transcriber.transcribe(trim(joined, start, end), language="en")
        check(again, end - start)
        if expected in (said[0], said[3]):
            assert plain(again.text) == plain(expected.text)
            for mine, measured in zip(expected.words, again.words, strict=True):
                assert abs(mine.start - measured.start) < 0.45
                assert abs(mine.end - measured.end) < 0.45
        else:
            # Half a sentence without its context: the base model hears "has a tated" and "master", but the same sounds.
            letters, heard = ("".join(plain(part.text)) for part in (expected, again))
            assert SequenceMatcher(None, letters, heard).ratio() > 0.8


def test_a_corrected_text_keeps_the_times(heard: dict[Path, Transcript], kathleen: dict[Path, str]) -> None:
    path = next(path for path in heard if "a0003" in path.name)
    measured, corrected = heard[path], retimed(heard[path], kathleen[path])
    assert corrected.text == kathleen[path] != measured.text  # "twentieth" where the model wrote "20th"
    check(corrected, read_audio(path).duration)
    assert [(word.start, word.end) for word in corrected.words] == [(word.start, word.end) for word in measured.words]
    assert trimmed(corrected, 0.0, 1.58).text == "For the twentieth time that evening"


def test_arabic_is_recognised_and_written_with_its_times(transcriber: Transcriber) -> None:
    if not ARABIC_DIGITS.is_file():
        pytest.skip("no Arabic recording on this machine")
    clip = read_audio(ARABIC_DIGITS)
    found = transcriber.transcribe(clip)
    check(found, clip.duration)
    assert found.language == "ar"
    assert errors("صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة", found.text) <= 5  # of 10, by the base model
    two = trimmed(found, 0.9, 2.7)
    assert two.text == "واحد اثنان"


def test_silence_and_noise_are_no_words(transcriber: Transcriber) -> None:
    for clip in (
        Waveform(np.zeros(48_000, np.float32), 16_000),  # left alone, the model hears "You" in it
        noise(3.0, 0.0005),
        noise(3.0, 0.1),
        Waveform(np.zeros(0, np.float32), 24_000),
        Waveform(np.zeros(1, np.float32), 24_000),
    ):
        with pytest.raises(NothingHeard, match=r"^No words were recognised.*type the transcript"):
            transcriber.transcribe(clip, language="en")


def test_long_silence_around_speech_adds_nothing(transcriber: Transcriber, heard: dict[Path, Transcript]) -> None:
    path = next(path for path in heard if "b0394" in path.name)
    clip = read_audio(path)
    silence = np.zeros(clip.sample_rate * 6, np.float32)
    padded = Waveform(np.concatenate([silence, clip.samples, silence]), clip.sample_rate)
    found = transcriber.transcribe(padded, language="en")
    check(found, padded.duration)
    assert plain(found.text) == plain(heard[path].text)
    assert found.words[0].start >= 5.0
    assert abs(found.words[-1].end - 6.0 - heard[path].words[-1].end) < 0.3


def test_a_language_code_may_name_a_country_and_an_unknown_one_is_refused(
    transcriber: Transcriber, heard: dict[Path, Transcript]
) -> None:
    path = next(path for path in heard if "b0394" in path.name)
    for code in ("xx", "klingon"):
        sentence = refusal(lambda code=code: transcriber.transcribe(read_audio(path), language=code))
        assert f'"{code}"' in sentence
    british = transcriber.transcribe(read_audio(path), language=" en-GB ")
    assert (british.language, british.text) == ("en", heard[path].text)


def test_two_threads_share_it(asr_model: Path, kathleen: dict[Path, str]) -> None:
    shared = Transcriber(str(asr_model), device="mps")  # taken for the CPU
    texts: dict[Path, str] = {}
    paths = list(kathleen)[:2]

    def listen(path: Path) -> None:
        texts[path] = shared.transcribe(read_audio(path), language="en").text

    threads = [threading.Thread(target=listen, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(errors(kathleen[path], texts[path]) <= 1 for path in paths)


# Where it is not.


def test_nothing_heavy_is_imported_for_a_look(asr_model: Path) -> None:
    code = (
        "import sys; from studio.listening.transcriber import Transcriber\n"
        "for model in sys.argv[1:]: t = Transcriber(model); t.name; print(t.missing() is None)\n"
        "print([name for name in ('torch', 'faster_whisper', 'ctranslate2', 'transformers', 'av') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, "nobody/has-this", str(asr_model)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "True", "[]"]


def test_short_names_are_those_of_faster_whisper() -> None:
    from faster_whisper.utils import _MODELS

    for name, hub_id in _MODELS.items():
        assert WhisperFiles(name).hub_id() == hub_id


def test_a_folder_that_is_no_model_is_said_without_its_path(
    tmp_path: Path, kathleen: dict[Path, str], asr_model: Path
) -> None:
    clip = read_audio(next(iter(kathleen)))
    (tmp_path / "config.json").write_text("{}")
    for wanted, what in (
        (tmp_path, "model.bin"),
        (tmp_path / "absent", "There is no folder absent"),
        ("~nobody-of-that-name/model", "There is no folder model"),
        (tmp_path / "config.json", "There is no folder config.json"),
    ):
        broken = Transcriber(str(wanted))
        sentence = refusal(lambda broken=broken: broken.transcribe(clip))
        assert what in sentence
        assert "type the transcript by hand" in sentence
        assert "STUDIO_ASR_MODEL" in sentence
        assert str(tmp_path) not in sentence  # visitors see no paths
        assert broken.missing() == sentence
    assert Transcriber(str(asr_model)).missing() is None


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.bin", b"PK" * 99), ("model.bin", b""), ("vocabulary.json", b"{"), ("tokenizer.json", b"{")],
)
def test_a_damaged_model_is_said_and_never_used(
    tmp_path: Path, asr_model: Path, kathleen: dict[Path, str], name: str, content: bytes
) -> None:
    for file in FILES:
        (tmp_path / file).symlink_to(asr_model / file)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(content)
    broken = Transcriber(str(tmp_path), device="cpu")
    clip = read_audio(next(iter(kathleen)))
    sentence = refusal(lambda: broken.transcribe(clip))
    assert "could not be loaded" in sentence
    assert "type the transcript by hand" in sentence
    assert refusal(lambda: broken.transcribe(clip)) == sentence  # nothing half loaded is used


@pytest.mark.usefixtures("offline")
def test_a_hub_that_cannot_be_reached_is_said_at_once_and_downloads_serve(
    tmp_path: Path, kathleen: dict[Path, str], asr_model: Path
) -> None:
    clip = read_audio(next(iter(kathleen)))
    absent = Transcriber("small", device="cpu", cache=tmp_path)
    assert "is not on this machine yet" in (absent.missing() or "")
    begun = time.perf_counter()
    sentence = refusal(lambda: absent.transcribe(clip))
    assert time.perf_counter() - begun < 5.0
    assert "small" in sentence
    assert "cannot be reached" in sentence
    assert "type the transcript by hand" in sentence
    # What was downloaded before serves without a hub, and half of it does not count.
    in_cache(tmp_path, "Systran/faster-whisper-small", asr_model)
    assert absent.missing() is None
    assert absent.transcribe(clip, language="en").model == "small"
    in_cache(tmp_path, "somebody/half", asr_model, FILES[:2])
    assert Transcriber("somebody/half", cache=tmp_path).missing()


def test_a_hub_that_says_nothing_is_given_up_within_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kathleen: dict[Path, str]
) -> None:
    monkeypatch.setattr("studio.listening.whisper_files._ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        set_hub(monkeypatch, f"http://127.0.0.1:{mute.getsockname()[1]}")
        begun = time.perf_counter()
        absent = Transcriber("small", device="cpu", cache=tmp_path)
        assert "cannot be reached" in refusal(lambda: absent.transcribe(read_audio(next(iter(kathleen)))))
        assert time.perf_counter() - begun < 8.0


@pytest.mark.parametrize(
    ("status", "content", "what"),
    [
        (404, {"error": "Repository not found"}, "status 404"),
        (401, {"error": "Invalid username or password."}, "status 401"),
        (503, {}, "try again later"),
        (200, {"id": "a/b", "sha": "0" * 40, "siblings": [{"rfilename": "model.safetensors"}]}, "no model.bin"),
    ],
)
def test_why_the_hub_does_not_give_a_model_is_said(
    hub: Callable[[int, Any], None], tmp_path: Path, kathleen: dict[Path, str], status: int, content: Any, what: str
) -> None:
    hub(status, content)
    absent = Transcriber("somebody/whisper", device="cpu", cache=tmp_path)
    begun = time.perf_counter()
    sentence = refusal(lambda: absent.transcribe(read_audio(next(iter(kathleen)))))
    assert time.perf_counter() - begun < 8.0
    assert what in sentence
    assert "type the transcript by hand" in sentence


def test_names_that_no_hub_could_know_are_refused_with_one_that_works(kathleen: dict[Path, str]) -> None:
    clip = read_audio(next(iter(kathleen)))
    for name in ("smal", "what is this?", "a/b c"):
        unknown = Transcriber(name)
        sentence = refusal(lambda unknown=unknown: unknown.transcribe(clip))
        assert name in sentence
        assert "large-v3-turbo" in sentence
        assert unknown.missing() == sentence


@pytest.mark.usefixtures("offline")
def test_offline_is_said_before_a_click(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "cannot be reached" in (Transcriber("small", cache=tmp_path).missing() or "")


# Machines that the tests do not have, by stand-ins for CTranslate2's answers.


def test_a_gpu_that_fails_is_replaced_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asr_model: Path, kathleen: dict[Path, str]
) -> None:
    import faster_whisper

    real = faster_whisper.WhisperModel
    asked: list[tuple[str, str]] = []
    failure = "Library libcublas.so.12 is not found or cannot be loaded"

    def load(folder: str, *, device: str, compute_type: str) -> Any:
        asked.append((device, compute_type))
        if device == "cuda":
            raise RuntimeError(failure)
        return real(folder, device=device, compute_type=compute_type)

    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(
        "ctranslate2.get_supported_compute_types", lambda device: {"float16"} if device == "cuda" else {"int8"}
    )
    monkeypatch.setattr(faster_whisper, "WhisperModel", load)
    clip = read_audio(next(iter(kathleen)))
    willing = Transcriber(str(asr_model))
    assert willing.transcribe(clip, language="en").words
    assert willing.transcribe(clip, language="en").words
    assert asked == [("cuda", "float16"), ("cpu", "int8")]
    sentence = refusal(lambda: Transcriber(str(asr_model), device="cuda").transcribe(clip))
    assert "libcublas" in sentence
    assert "STUDIO_DEVICE" in sentence
    failure = "CUDA failed with error out of memory"
    assert "too little free memory" in refusal(lambda: Transcriber(str(asr_model), device="cuda").transcribe(clip))


def test_a_gpu_that_was_asked_for_and_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, asr_model: Path, kathleen: dict[Path, str]
) -> None:
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    sentence = refusal(lambda: Transcriber(str(asr_model), device="cuda").transcribe(read_audio(next(iter(kathleen)))))
    assert "finds no GPU" in sentence


def test_memory_that_runs_out_is_said_and_the_model_let_go_of(
    monkeypatch: pytest.MonkeyPatch, asr_model: Path, kathleen: dict[Path, str]
) -> None:
    import faster_whisper

    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError("std::bad_alloc")

    clip = read_audio(next(iter(kathleen)))
    full = Transcriber(str(asr_model), device="cpu")
    with monkeypatch.context() as listening:
        listening.setattr(faster_whisper.WhisperModel, "transcribe", fail)
        assert "too little free memory" in refusal(lambda: full.transcribe(clip))
    # The model was let go of: the next clip would load it again.
    monkeypatch.setattr(faster_whisper, "WhisperModel", fail)
    assert "too little free memory" in refusal(lambda: full.transcribe(clip))


def test_the_model_is_used_as_it_was_uploaded(asr_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A joined file with another hash is never used."""
    from tests import asr_model as recogniser

    monkeypatch.setattr(recogniser, "FOLDER", tmp_path / "joined")
    monkeypatch.setattr(recogniser, "MODEL_SHA256", "0" * 64)
    with pytest.raises(LookupError, match="wrong sha256"):
        recogniser.joined_model()
    assert not any(tmp_path.iterdir())
    assert (asr_model / "model.bin").stat().st_size == 145_217_607

"""What must not happen: whatever a user gives, one clear sentence, nothing half-written, and the studio goes on."""

import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.audio import read_audio
from studio.engine.model.sampling import Sampling
from studio.engine.speech.reference import Consent
from studio.errors import StudioError
from studio.settings import Settings
from studio.takes.request import ReferenceClip, SpeakRequest
from studio.takes.service import TakeService
from tests.integration.in_turn import Result, assert_refused, by_name, run
from tests.refusals import refusal

OWN = Consent("own")


def reference(kathleen: dict[Path, str]) -> ReferenceClip:
    path, transcript = next(iter(kathleen.items()))
    return ReferenceClip(path, transcript, OWN)


@pytest.fixture
def clip(kathleen: dict[Path, str]) -> ReferenceClip:
    return reference(kathleen)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where speech goes; its folder holds nothing else."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "speech.wav"


def assert_goes_on(service: TakeService, out: Path) -> None:
    take = service.speak(SpeakRequest("Still here.", seed=1), out)
    assert read_audio(take.path).duration == pytest.approx(take.speech.seconds)


# --- clips ----------------------------------------------------------------------------------------------------------


def noise(seconds: float, rate: int = 24_000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, round(seconds * rate)).astype(np.float32)


def _with_nan() -> np.ndarray:
    samples = noise(3)
    samples[1000] = np.nan
    return samples


CLIPS: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "missing": (lambda path, good: None, "does not exist"),
    "empty file": (lambda path, good: path.write_bytes(b""), "is empty (0 bytes)"),
    "text": (lambda path, good: path.write_text("Dear diary, …" * 50), "contains text, not sound"),
    "truncated FLAC": (lambda path, good: path.write_bytes(good.read_bytes()[:40_000]), "damaged or cut short"),
    "a fifth of a second": (lambda path, good: soundfile.write(path, noise(0.2), 24_000), "only 0.2 s long"),
    "two minutes": (lambda path, good: soundfile.write(path, noise(120, 8_000), 8_000), "120 s long and at most 60 s"),
    "silence": (lambda path, good: soundfile.write(path, np.zeros(72_000), 24_000), "is silent"),
    "NaN": (lambda path, good: soundfile.write(path, _with_nan(), 24_000, "FLOAT"), "invalid (NaN or infinite)"),
    "folder": (lambda path, good: path.mkdir(), "is a folder"),
    "random bytes": (lambda path, good: path.write_bytes(np.random.default_rng(0).bytes(9_000)), "not an audio file"),
}


@pytest.mark.parametrize("kind", CLIPS)
def test_a_clip_that_is_no_recording_is_refused(
    service: TakeService, clip: ReferenceClip, out: Path, tmp_path: Path, kind: str
) -> None:
    make, says = CLIPS[kind]
    make(tmp_path / "my clip.wav", clip.path)
    bad = replace(clip, path=tmp_path / "my clip.wav")
    sentence = refusal(lambda: service.speak(SpeakRequest("Hello.", (bad,), seed=1), out))
    assert says in sentence
    assert str(tmp_path) not in sentence, "a page's visitor must not see the server's folders"
    assert list(out.parent.iterdir()) == []
    assert_goes_on(service, out)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"transcript": "  "}, "transcript of the reference clip is missing"),
        ({"consent": None}, "no consent record"),
        ({"transcript": "Hi <|eot_id|>"}, "control token"),
        ({"start": 2.0, "end": 1.0}, "not after its start"),
        ({"start": 99.0}, "but the clip is 3.08 s long"),
        ({"start": 2.9}, "only 0.2 s long"),
        ({"end": math.nan}, "must be numbers of seconds"),
    ],
)
def test_what_is_wrong_about_a_clip_is_refused(
    service: TakeService, clip: ReferenceClip, out: Path, changes: dict[str, Any], says: str
) -> None:
    bad = replace(clip, **changes)
    assert says in refusal(lambda: service.speak(SpeakRequest("Hello.", (bad,), seed=1), out))
    assert list(out.parent.iterdir()) == []


# --- texts, settings, targets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "There is no text"),
        (" \n\t ", "There is no text"),
        ("a" * 20_000, "has 20,000 characters and the limit is 10,000"),
        ("?!… --- ***", "nothing to say in this text"),
        ("😀", None),
        ("\u200b\u200f", "nothing to say|There is no text"),
        ("Hi <|audio_eos|>", "control token"),
        ("Once.\n[Anna] Hi.", "has no speaker: put [Anna] before it"),
        ("[Anna]\n[Bob] Hi.", "[Anna] has nothing to say"),
        ("\n".join(f"[N{n}] Hi." for n in range(11)), "11 speakers and the limit is 10"),
    ],
    ids=["empty", "white space", "20,000 characters", "punctuation", "emoji", "invisible", "control token",
         "no speaker", "no line", "11 speakers"],
)  # fmt: skip
def test_a_text_that_cannot_be_spoken_is_refused(
    service: TakeService, clip: ReferenceClip, out: Path, text: str, says: str | None
) -> None:
    request = SpeakRequest(text, (clip,), seed=1)
    if says is None:  # an emoji may be read aloud or refused, but never breaks anything
        try:
            service.speak(request, out)
        except StudioError:
            assert list(out.parent.iterdir()) == []
        return
    sentence = refusal(lambda: service.speak(request, out))
    assert any(part in sentence for part in says.split("|"))
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_a_seed_out_of_range_is_refused(service: TakeService, out: Path, seed: int) -> None:
    assert f"The seed is {seed}: " in refusal(lambda: service.speak(SpeakRequest("Hello.", seed=seed), out))
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("speech.aac", "must end in .wav, .flac or .mp3"),
        ("speech", "must end in .wav, .flac or .mp3"),
        ("absent/speech.wav", "folder for 'speech.wav' does not exist"),
        ("folder.wav", "'folder.wav' is a folder"),
        ("n" * 300 + ".wav", "could not be saved"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_spoken(
    service: TakeService, out: Path, name: str, says: str
) -> None:
    (out.parent / "folder.wav").mkdir()
    # The text would be refused too: that the target is named shows that it was looked at first.
    assert says in refusal(lambda: service.speak(SpeakRequest(""), out.parent / name))
    assert [path.name for path in out.parent.iterdir()] == ["folder.wav"]


def test_an_earlier_take_survives_a_refused_one(service: TakeService, clip: ReferenceClip, out: Path) -> None:
    service.speak(SpeakRequest("Hello.", seed=1), out)
    before = out.read_bytes()
    for request in (SpeakRequest(""), SpeakRequest("Hi.", (replace(clip, path=out.parent / "absent.wav"),))):
        refusal(lambda request=request: service.speak(request, out))
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


# --- what works -----------------------------------------------------------------------------------------------------


def test_a_96_khz_8_bit_stereo_recording_with_an_emoji_in_its_name_works(
    service: TakeService, clip: ReferenceClip, tmp_path: Path
) -> None:
    voice = read_audio(clip.path).resampled(96_000).samples
    path, out = tmp_path / "my voice 🎤.wav", tmp_path / "spoken 🎧.flac"
    soundfile.write(path, np.stack([voice, voice * 0.8], axis=1), 96_000, subtype="PCM_U8")
    assert (soundfile.info(path).samplerate, soundfile.info(path).channels) == (96_000, 2)
    take = service.speak(SpeakRequest("Hello.", (replace(clip, path=path),), seed=1), out)
    assert (soundfile.info(out).samplerate, soundfile.info(out).format) == (24_000, "FLAC")
    assert soundfile.info(out).duration == pytest.approx(take.speech.seconds)


@pytest.mark.parametrize(
    "text",
    ["السماء صافية والطقس جميل.", "وُلِدَ عام ١٩٧٥ في القاهرة", "\ufeffHello 😀 there!", "a" * 300, "1" * 300, "(:,.a"],
    ids=["Arabic", "Arabic digits", "BOM and emoji", "one long word", "one long number", "one letter"],
)
def test_unusual_texts_are_spoken(service: TakeService, clip: ReferenceClip, out: Path, text: str) -> None:
    take = service.speak(SpeakRequest(text, (clip,), seed=1), out)
    assert read_audio(out).duration == pytest.approx(take.speech.seconds)


def test_the_longest_text_allowed_is_planned_in_chunks(service: TakeService) -> None:
    text = ("The boy hesitated, then he mastered his temper and went on. " * 200)[:10_000]
    stream = service.stream(SpeakRequest(text, seed=1))
    next(stream)
    assert stream.expected_seconds > 400
    stream.close()


def test_two_takes_at_once_into_one_file_leave_one_of_them_whole(service: TakeService, out: Path) -> None:
    requests = [SpeakRequest("Hello there.", seed=seed, sampling=Sampling(temperature=1.0)) for seed in (1, 2)]
    alone = []
    for request in requests:
        service.speak(request, out)
        alone.append(out.read_bytes())
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(2) as pool:
        takes = list(pool.map(lambda request: service.speak(request, out), requests))
    assert out.read_bytes() in alone
    assert [take.speech.seed for take in takes] == [1, 2]
    assert list(out.parent.iterdir()) == [out]


def test_a_checkpoint_folder_removed_while_the_studio_runs_does_not_silence_it(
    tiny_checkpoint: Path, tmp_path: Path, clip: ReferenceClip, out: Path
) -> None:
    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "a voice")
    service = TakeService.from_settings(Settings(home=tmp_path / "home", checkpoint=str(checkpoint), device="cpu"))
    first = service.speak(SpeakRequest("Hello.", (clip,), seed=1), out)
    shutil.rmtree(checkpoint)
    again = service.speak(SpeakRequest("Hello.", (clip,), seed=1), out)
    assert np.array_equal(first.speech.codes, again.speech.codes)
    service.host.unload()
    assert "does not exist" in refusal(lambda: service.speak(SpeakRequest("Hello.", seed=1), out))
    shutil.copytree(tiny_checkpoint, checkpoint)
    assert_goes_on(service, out)


# --- the same from the command line ---------------------------------------------------------------------------------


def voice(clip: ReferenceClip, **changes: str) -> list[str]:
    options = {"--reference": str(clip.path), "--transcript": clip.transcript, "--speaker-consent": "own"}
    return [part for name, value in (options | changes).items() if value is not None for part in (name, value)]


def without(**options: Any) -> Callable[[ReferenceClip, Path], list[str]]:
    return lambda clip, folder: ["Hello.", *voice(clip, **{f"--{k.replace('_', '-')}": v for k, v in options.items()})]


def empty(folder: Path) -> Path:
    (folder / "empty.wav").write_bytes(b"")
    return folder / "empty.wav"


CLI: dict[str, tuple[Callable[[ReferenceClip, Path], list[str]], str]] = {
    "no transcript": (without(transcript=None), "Each --reference needs its own --transcript"),
    "no consent": (without(speaker_consent=None), "--speaker-consent own, permission or licence"),
    "unknown consent": (without(speaker_consent="maybe"), "Unknown consent 'maybe'"),
    "permission without a note": (without(speaker_consent="permission"), "say who gave the permission"),
    "empty clip": (lambda clip, folder: ["Hi.", *voice(replace(clip, path=empty(folder)))], "is empty (0 bytes)"),
    "no clip for the consent": (lambda clip, folder: ["Hi.", "--speaker-consent", "own"], "no clip to clone"),
    "bad suffix": (lambda clip, folder: ["Hi.", "--out", str(folder / "speech.ogg")], "must end in .wav, .flac or .mp3"),
    "no folder": (lambda clip, folder: ["Hi.", "--out", str(folder / "no" / "s.wav")], "does not exist"),
    "no checkpoint": (lambda clip, folder: ["Hi.", "--checkpoint", str(folder / "no")], "does not exist"),
    "cold": (lambda clip, folder: ["Hi.", "--temperature", "-1"], "temperature is -1"),
    "seed of another kind": (lambda clip, folder: ["Hi.", "--seed", "lucky"], "--seed"),
    "unknown option": (lambda clip, folder: ["Hi.", "--voice", "x"], "--voice"),
    "text and script": (lambda clip, folder: ["Hi.", "--script", str(clip.path)], "either a text or --script"),
    "neither": (lambda clip, folder: [], "either a text or --script"),
    "binary script": (lambda clip, folder: ["--script", str(clip.path)], "is not a UTF-8 text file"),
    "absent script": (lambda clip, folder: ["--script", str(folder / "no.txt")], "no.txt cannot be read"),
    "unknown device": (lambda clip, folder: ["Hi.", "--device", "abacus"], "device"),
}  # fmt: skip
ENGINE: dict[str, tuple[list[str], str]] = {
    "seed too large": (["Hello.", "--seed", "4294967296"], "The seed is 4294967296"),
    "nothing to say": (["?!"], "nothing to say in this text"),
}


@pytest.fixture(scope="module")
def said(
    kathleen: dict[Path, str], tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Result, Path]]:
    """What ``python -m studio speak`` says to each case, and the folder that it should have written to."""
    folder = tmp_path_factory.mktemp("said")
    clip = reference(kathleen)
    given = {name: arguments(clip, folder) for name, (arguments, _) in CLI.items()}
    given |= {name: arguments for name, (arguments, _) in ENGINE.items()}
    commands: dict[str, list[str | Path]] = {}
    for name, arguments in given.items():
        (folder / name).mkdir()
        target = [] if "--out" in arguments else ["--out", folder / name / "speech.wav"]
        commands[name] = ["speak", "--checkpoint", tiny_checkpoint, *arguments, *target]
    return {name: (result, folder / name) for name, result in by_name(folder / "home", commands).items()}


@pytest.mark.parametrize("case", CLI)
def test_the_command_line_says_it_in_one_line(said: dict[str, tuple[Result, Path]], case: str) -> None:
    result, folder = said[case]
    assert_refused(result, CLI[case][1])
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("case", ENGINE)
def test_what_only_the_engine_knows_is_said_in_one_line_too(said: dict[str, tuple[Result, Path]], case: str) -> None:
    result, folder = said[case]
    assert_refused(result, ENGINE[case][1])
    assert list(folder.iterdir()) == []


def test_a_missing_target_is_said(tmp_path: Path) -> None:
    assert_refused(run(tmp_path, "speak", "Hi."), "--out FILE.wav")

"""The preset voices that are shipped: complete, fit to be references, and with a statement of where each comes from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from studio.audio import integrated_lufs, read_audio, require_speech_like, trim_edges
from studio.engine.speech.reference import Consent, Reference
from studio.engine.text import expected_seconds

REPOSITORY = Path(__file__).resolve().parents[2]
VOICES = REPOSITORY / "assets" / "voices"
KEYS = [
    "id", "name", "file", "transcript", "language", "description", "speaker", "licence", "ground", "statement",
    "provenance", "seconds", "sha256",
]  # fmt: skip
PRESETS: list[dict[str, Any]] = json.loads((VOICES / "voices.json").read_text(encoding="utf-8"))

every_preset = pytest.mark.parametrize("preset", PRESETS, ids=[preset["id"] for preset in PRESETS])


def test_there_are_at_least_four_and_no_file_without_an_entry() -> None:
    assert len(PRESETS) >= 4
    assert {preset["file"] for preset in PRESETS} == {path.name for path in VOICES.glob("*.flac")}
    for key in ("id", "name", "file", "transcript", "sha256"):
        assert len({preset[key] for preset in PRESETS}) == len(PRESETS), key


@every_preset
def test_the_entry_of_a_preset_voice_is_complete(preset: dict[str, Any]) -> None:
    assert list(preset) == KEYS
    assert preset["id"] == f"preset-{Path(preset['file']).stem}"
    assert preset["licence"] in ("CC0-1.0", "Apache-2.0")
    assert all(str(value) == str(value).strip() != "" for value in preset.values())


@every_preset
def test_the_file_is_the_one_described(preset: dict[str, Any]) -> None:
    path = VOICES / preset["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == preset["sha256"]
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", 24_000, 1)
    assert info.duration == pytest.approx(preset["seconds"], abs=0.005)


@every_preset
def test_the_clip_is_a_good_reference(preset: dict[str, Any]) -> None:
    clip = read_audio(VOICES / preset["file"])
    require_speech_like(clip, min_seconds=6.0, max_seconds=12.0)
    assert clip.peak <= 10 ** (-1.0 / 20), "clipped, or close to it"
    assert integrated_lufs(clip) == pytest.approx(-23.0, abs=0.1)
    silence = clip.duration - trim_edges(clip, keep_seconds=0.0).duration
    assert silence == pytest.approx(2 * 0.15, abs=0.05)  # Measured in blocks of 20 ms at each end.


@every_preset
def test_the_transcript_fits_the_length(preset: dict[str, Any]) -> None:
    expected = expected_seconds(preset["transcript"], preset["language"])
    assert 0.8 < preset["seconds"] / expected < 1.25


@every_preset
def test_a_preset_voice_can_be_used_as_it_is(preset: dict[str, Any]) -> None:
    consent = Consent(preset["ground"], preset["statement"])
    reference = Reference(read_audio(VOICES / preset["file"]), preset["transcript"], consent)
    assert reference.consent.ground == "licence"


@every_preset
def test_the_notice_names_each_preset_voice(preset: dict[str, Any]) -> None:
    section = (REPOSITORY / "NOTICE").read_text(encoding="utf-8").partition("4. Preset voices")[2]
    assert f"{preset['name']} ({preset['file']})" in section


@every_preset
def test_a_synthetic_voice_says_so(preset: dict[str, Any]) -> None:
    synthetic = preset["licence"] == "Apache-2.0"
    assert ("synthetic" in preset["description"]) == synthetic
    assert ("Kokoro-82M" in preset["statement"]) == synthetic

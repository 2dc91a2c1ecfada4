"""The voice library: what is saved comes back, only with consent, whole or not at all, and only for its owner."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform, read_audio
from studio.engine.speech.reference import Reference
from studio.listening.transcript import Transcript, Word
from studio.settings import Settings
from studio.store import takes as take_records
from studio.store.store import Store
from studio.store.tables import TakeRecord
from studio.voices import presets
from studio.voices.consent import CONSENT_WORDING, SpeakerConsent
from studio.voices.library import VoiceLibrary, clear_remains
from studio.voices.naming import checked_name
from studio.voices.voice import NewClip
from tests.disks import disk_that_holds
from tests.refusals import refusal

OWN = SpeakerConsent.given("own", who="Anna Smith")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(settings.store_file)


@pytest.fixture
def library(settings: Settings, store: Store) -> VoiceLibrary:
    return VoiceLibrary(settings, store)


@pytest.fixture(scope="session")
def clips(kathleen: dict[Path, str]) -> list[NewClip]:
    """Three recordings of one speaker, about 3 s each."""
    return [NewClip(read_audio(path), Transcript(transcript, "en")) for path, transcript in kathleen.items()]


def files(settings: Settings) -> list[str]:
    """Everything under the folder of voices."""
    return sorted(str(path.relative_to(settings.voices_folder)) for path in settings.voices_folder.rglob("*"))


def own(library: VoiceLibrary) -> list[str]:
    return [voice.name for voice in library.voices() if not voice.preset]


# --- saving and looking ---------------------------------------------------------------------------------------------


def test_a_voice_comes_back_as_it_was_saved(library: VoiceLibrary, settings: Settings, clips: list[NewClip]) -> None:
    words = (Word("For", 0.1, 0.3), Word("the", 0.3, 0.4))
    heard = replace(clips[0], transcript=replace(clips[0].transcript, words=words, model="small"), needs_check=True)
    before = datetime.now(UTC)
    saved = library.add(
        "  Anna   Smith ", [heard], SpeakerConsent.given("permission", who="Anna", statement="by letter"),
        language="EN-gb", notes=" warm ",
    )  # fmt: skip
    voice = VoiceLibrary(settings, Store(settings.store_file)).voice("anna smith")  # as another process would see it
    assert (voice.id, voice.name, voice.language, voice.notes, voice.preset) == (
        saved.id, "Anna Smith", "en", "warm", False,
    )  # fmt: skip
    assert (voice.consent.ground, voice.consent.who, voice.consent.statement) == ("permission", "Anna", "by letter")
    assert voice.consent.wording == CONSENT_WORDING["permission"]
    assert abs((voice.consent.recorded_at - before).total_seconds()) < 60
    clip = voice.clips[0]
    assert clip.transcript == replace(heard.transcript, language="en")
    assert clip.needs_check
    assert {verdict["item"] for verdict in clip.report["verdicts"]} >= {"duration", "noise", "transcript"}
    sound = library.read_clip(voice, clip)
    assert (sound.sample_rate, sound.num_samples) == (heard.waveform.sample_rate, heard.waveform.num_samples)
    assert np.abs(sound.samples - heard.waveform.samples).max() < 1e-4
    assert files(settings) == [voice.id, f"{voice.id}/{clip.id}.flac"]
    json.dumps(voice.as_json())


def test_a_fresh_library_has_the_voices_that_come_with_the_studio(library: VoiceLibrary) -> None:
    voices = library.voices()
    assert [voice.name for voice in voices][:1] == ["Kathleen"]
    for voice in voices:
        assert voice.preset
        assert voice.trouble is None
        assert all(isinstance(reference, Reference) for reference in library.references(voice.name.upper()))


def test_voices_are_found_by_name_notes_language_and_what_they_say(library: VoiceLibrary, clips: list[NewClip]) -> None:
    library.add("Élodie", [clips[0]], OWN, language="en", notes="for the audiobook")
    library.add("Bob", [clips[1]], OWN, language="de")
    assert own(library) == ["Bob", "Élodie"]  # the newest first
    for search, found in {
        "élod": {"Élodie"}, "ÉLODIE": {"Élodie"}, "AUDIOBOOK": {"Élodie"}, "german": {"Bob"}, "temper": {"Bob"},
        "nobody has this": set(), "anna smith": {"Élodie", "Bob"}, "100%_": set(),
    }.items():  # fmt: skip
        assert {voice.name for voice in library.voices(search) if not voice.preset} == found, search


def test_a_voice_is_renamed_and_described(library: VoiceLibrary, clips: list[NewClip]) -> None:
    library.add("Anna", [clips[0]], OWN)
    library.add("Bob", [clips[1]], OWN)
    edited = library.edit("ANNA", name="Anna B", language="ar", notes="new")
    assert (edited.name, edited.language, edited.notes) == ("Anna B", "ar", "new")
    assert library.edit("Anna B", name="anna b").name == "anna b"  # only its capitals
    assert library.edit("anna b", language="", notes="").language == ""
    for name, says in {
        "bob": "already a voice called bob",
        "KATHLEEN": "comes with the studio",
        " ": "no name",
    }.items():
        assert says in refusal(lambda name=name: library.edit("anna b", name=name, notes="lost"))
    assert "no language code" in refusal(lambda: library.edit("anna b", language="xx", name="Else"))
    assert "The notes have 2001 characters" in refusal(lambda: library.edit("anna b", notes="n" * 2001))
    assert (own(library), library.voice("anna b").notes) == (["Bob", "anna b"], "")
    assert "There is no voice 'Anna'" in refusal(lambda: library.voice("Anna"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "has no name"),
        (" \n\t ", "has no name"),
        ("n" * 300, "has 300 characters: use at most 60"),
        ("../x", "'..' in it"),
        ("a/b", "'/' in it"),
        ("a\\b", "'\\' in it"),
        (".hidden", "'.' in it"),
        ("ANNA=Bob", "'=' in it"),
        ("[Anna]", "'[' in it"),
        ("An\u200bna", "an invisible character in it"),
        ("An\x00na", "an invisible character in it"),
        ("—!?", "neither a letter nor a digit"),
        ("Laugh", "sound effect"),
        ("anna", "already a voice called anna"),
        ("ＡＮＮＡ", "already a voice called"),
        ("kathleen", "comes with the studio"),
        ("preset-kathleen", "comes with the studio"),
    ],
)
def test_a_name_that_would_be_misread_or_is_taken_is_refused_before_the_clip_is_judged(
    library: VoiceLibrary, settings: Settings, clips: list[NewClip], name: str, says: str
) -> None:
    if "already" in says:
        library.add("Anna", [clips[0]], OWN)
    before, silent = files(settings), replace(clips[0], waveform=Waveform(np.zeros(24_000, np.float32), 24_000))
    assert says in refusal(lambda: library.add(name, [silent], OWN))
    assert files(settings) == before


@pytest.mark.parametrize("name", ["María José", "عبد الله", "李小龍", "O'Brien", "Voice 2", "Anna (calm)", "x" * 60])
def test_names_of_all_scripts_are_taken(name: str) -> None:
    assert checked_name(f" {name} ") == name


# --- consent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ground", "statement", "says"),
    [
        (None, "", "Say whose voice it is"),
        ("", "", "Say whose voice it is"),
        ("maybe", "", "Unknown consent 'maybe'"),
        ("permission", "  ", "say who gave the permission"),
        ("licence", "", "say which licence"),
    ],
)
def test_a_consent_that_is_none_is_refused(ground: str | None, statement: str, says: str) -> None:
    assert says in refusal(lambda: SpeakerConsent.given(ground, statement=statement))


def test_without_a_consent_that_holds_nothing_is_saved(
    library: VoiceLibrary, settings: Settings, clips: list[NewClip]
) -> None:
    for consent in (None, "own", replace(OWN, withdrawn_at=datetime.now(UTC))):
        assert "no consent record" in refusal(lambda consent=consent: library.add("Anna", [clips[0]], consent))  # type: ignore[arg-type]
    assert (own(library), files(settings)) == ([], [])


def test_a_withdrawn_consent_ends_everything_but_looking(
    library: VoiceLibrary, store: Store, clips: list[NewClip]
) -> None:
    voice = library.add("Anna", [clips[0]], OWN)
    library.require_consent([(voice.id, voice.name)])
    row = TakeRecord(
        owner="", text="Hi.", voices=[{"id": voice.id, "name": "Anna", "speaker": None}], checkpoint="tiny", seed=1,
        seconds=1.0, sample_rate=24_000, elapsed=1.0,
    )  # fmt: skip
    with store.writing() as session:
        take_records.save(session, row)
    gone = library.withdraw_consent("anna")
    assert gone.consent.withdrawn_at is not None
    assert "The consent for Anna was withdrawn" in refusal(lambda: library.references("Anna"))
    assert "The consent for Anna was withdrawn" in refusal(lambda: library.require_consent([(voice.id, "Anna")]))
    assert "The consent for Anna was withdrawn" in refusal(lambda: library.add_clip("Anna", clips[1]))
    assert library.voice("Anna").as_json()["usable"] is False
    with store.reading() as session:
        marked = take_records.takes(session, "")[0]
    assert marked.consent_withdrawn_at == gone.consent.withdrawn_at
    again = library.withdraw_consent("Anna")
    assert again.consent.withdrawn_at == gone.consent.withdrawn_at


def test_a_deleted_voice_may_not_speak_on(library: VoiceLibrary, clips: list[NewClip]) -> None:
    voice = library.add("Anna", [clips[0]], OWN)
    library.remove("Anna")
    assert "Anna was deleted" in refusal(lambda: library.require_consent([(voice.id, "Anna")]))
    preset = library.voice("Kathleen")
    library.require_consent([(preset.id, preset.name)])


def test_presets_cannot_be_changed(library: VoiceLibrary, clips: list[NewClip]) -> None:
    preset = library.voice("Kathleen")
    for do in (
        lambda: library.edit("Kathleen", notes="mine"),
        lambda: library.remove(preset.id),
        lambda: library.add_clip("kathleen", clips[0]),
        lambda: library.correct_transcript("Kathleen", "clip", Transcript("Hello.")),
        lambda: library.changeable("Kathleen"),
    ):
        assert "Kathleen comes with the studio" in refusal(do)
    assert "licence" in refusal(lambda: library.withdraw_consent("Kathleen"))


def test_a_preset_that_comes_later_does_not_hide_a_saved_voice(
    library: VoiceLibrary, clips: list[NewClip], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = library.add("Anna", [clips[0]], OWN)
    later = replace(presets.preset_voices()[0], id="preset-anna", name="Anna")
    monkeypatch.setattr("studio.voices.library.preset_voices", lambda: (later,))
    assert library.voice("anna").id == saved.id
    assert library.voice("preset-anna").preset


# --- clips ----------------------------------------------------------------------------------------------------------


def test_a_voice_has_several_clips_and_keeps_the_last(
    library: VoiceLibrary, settings: Settings, clips: list[NewClip]
) -> None:
    voice = library.add("Anna", clips[:2], OWN)
    voice = library.add_clip("Anna", clips[2])
    assert [clip.transcript.text for clip in voice.clips] == [clip.transcript.text for clip in clips]
    references = library.references("Anna", speaker="ANNA")
    assert [reference.transcript for reference in references] == [clip.transcript.text for clip in clips]
    assert {reference.speaker for reference in references} == {"ANNA"}
    for clip in voice.clips[:2]:
        voice = library.remove_clip("Anna", clip.id)
    assert "the only clip of Anna" in refusal(lambda: library.remove_clip("Anna", voice.clips[0].id))
    assert "no such clip" in refusal(lambda: library.remove_clip("Anna", "x"))
    assert files(settings) == [voice.id, f"{voice.id}/{voice.clips[0].id}.flac"]


def test_clips_that_are_too_much_together_are_refused(settings: Settings, clips: list[NewClip]) -> None:
    tight = settings.with_changes(max_reference_seconds=5.0)
    library = VoiceLibrary(tight, Store(tight.store_file))
    assert "would be 6 s together, and at most 5 s" in refusal(lambda: library.add("Anna", clips[:2], OWN))
    voice = library.add("Anna", clips[:1], OWN)
    assert "would be 6 s together, and at most 5 s" in refusal(lambda: library.add_clip("Anna", clips[1]))
    assert files(tight) == [voice.id, f"{voice.id}/{voice.clips[0].id}.flac"]


def test_a_twenty_minute_recording_is_refused_with_the_part_that_could_be_used(
    library: VoiceLibrary, settings: Settings, clips: list[NewClip]
) -> None:
    pause = np.zeros(8_000, np.float32)
    spoken = [clip.waveform.resampled(16_000).samples for clip in clips]
    round_ = np.concatenate([part for samples in spoken for part in (samples, pause)])
    long = Waveform(np.tile(round_, round(20 * 60 * 16_000 / len(round_))), 16_000)
    assert 19 * 60 < long.duration < 21 * 60
    sentence = refusal(lambda: library.add("Anna", [replace(clips[0], waveform=long)], OWN))
    assert "length" in sentence
    assert "take the part from" in sentence
    assert files(settings) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"transcript": Transcript("  ")}, "transcript of the reference clip is missing"),
        ({"transcript": Transcript("Hi <|eot_id|>")}, "control token"),
        ({"transcript": Transcript("word " * 500)}, "words and length"),
        ({"waveform": Waveform(np.zeros(72_000, np.float32), 24_000)}, "Nobody is heard"),
    ],
    ids=["no transcript", "control token", "transcript of another clip", "silence"],
)
def test_a_clip_that_cannot_be_a_reference_is_refused(
    library: VoiceLibrary, settings: Settings, clips: list[NewClip], changes: dict[str, Any], says: str
) -> None:
    assert says in refusal(lambda: library.add("Anna", [clips[0], replace(clips[1], **changes)], OWN))
    assert (own(library), files(settings)) == ([], [])
    assert "There is no clip" in refusal(lambda: library.add("Anna", [], OWN))


def test_a_transcript_is_corrected_and_counts_as_checked(library: VoiceLibrary, clips: list[NewClip]) -> None:
    text = clips[0].transcript.text
    heard = replace(clips[0], transcript=Transcript(text.replace("men", "hens"), "en", (), "small"), needs_check=True)
    voice = library.add("Anna", [heard], OWN)
    clip = voice.clips[0]
    assert (clip.transcript.model, clip.needs_check) == ("small", True)
    words = (Word("For", 0.1, 0.3),)
    fixed = library.correct_transcript("Anna", clip.id, Transcript(f" {text} ", "en", words, "small")).clips[0]
    assert (fixed.transcript.text, fixed.transcript.words) == (text, words)
    assert (fixed.transcript.model, fixed.needs_check) == (None, False)
    for bad, says in {"": "is missing", "Hi <|eot_id|>": "control token", "word " * 500: "Check the text"}.items():
        assert says in refusal(lambda bad=bad: library.correct_transcript("Anna", clip.id, Transcript(bad)))
    half = library.correct_transcript("Anna", clip.id, Transcript("For the twentieth time")).clips[0]
    ratios = [next(v["value"] for v in c.report["verdicts"] if v["item"] == "transcript") for c in (fixed, half)]
    assert ratios[1] > ratios[0], "what the coach says of the text is about the text that is there"


# --- what is gone, and what fails -----------------------------------------------------------------------------------


def test_a_voice_is_removed_with_its_files_and_nothing_else(
    library: VoiceLibrary, settings: Settings, clips: list[NewClip]
) -> None:
    library.add("Anna", clips[:2], OWN)
    kept = library.add("Bob", clips[2:], OWN)
    assert library.remove("ANNA").name == "Anna"
    assert own(library) == ["Bob"]
    assert files(settings) == [kept.id, f"{kept.id}/{kept.clips[0].id}.flac"]
    assert "There is no voice 'Anna'" in refusal(lambda: library.remove("Anna"))
    library.add("Anna", clips[:1], OWN)  # the name is free again


def test_a_clip_that_is_gone_from_the_disk_is_said_and_can_be_mended(
    library: VoiceLibrary, clips: list[NewClip]
) -> None:
    voice = library.add("Anna", clips[:2], OWN)
    voice.clips[0].path.unlink()
    voice = library.voice("Anna")
    assert [clip.as_json()["missing"] for clip in voice.clips] == [True, False]
    assert "1 of 2 clips of Anna are gone" in refusal(lambda: library.references("Anna"))
    assert "gone from the disk" in refusal(lambda: library.read_clip(voice, voice.clips[0]))
    library.correct_transcript("Anna", voice.clips[0].id, Transcript("Still to be edited."))
    library.remove_clip("Anna", voice.clips[0].id)
    assert len(library.references("Anna")) == 1
    library.voice("Anna").clips[0].path.write_bytes(b"")
    assert "is empty" in refusal(lambda: library.references("Anna"))
    library.remove("Anna")
    assert own(library) == []


FAILURES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "while the second clip is written": lambda patch: patch.setattr(
        "studio.voices.records.write_audio", _fails_the_second_time()
    ),
    "while the records are saved": lambda patch: patch.setattr("studio.voices.library.queries.save", _fails),
}


def _fails(*arguments: Any) -> Any:
    raise RuntimeError("power cut")


def _fails_the_second_time() -> Callable[..., None]:
    from studio.audio import write_audio

    calls: list[Path] = []

    def write(waveform: Waveform, path: Path) -> None:
        calls.append(path)
        write_audio(waveform, path) if len(calls) < 2 else _fails()

    return write


@pytest.mark.parametrize("when", FAILURES)
def test_a_failure_leaves_nothing_half_written(
    library: VoiceLibrary, settings: Settings, clips: list[NewClip], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    FAILURES[when](monkeypatch)
    with pytest.raises(RuntimeError, match="power cut"):
        library.add("Anna", clips[:2], OWN)
    monkeypatch.undo()
    assert (own(library), files(settings)) == ([], [])
    voice = library.add("Anna", clips[:1], OWN)
    before = files(settings)
    monkeypatch.setattr("studio.voices.library.queries.save", _fails)
    with pytest.raises(RuntimeError, match="power cut"):
        library.add_clip("Anna", clips[1])
    monkeypatch.undo()
    assert (files(settings), library.voice("Anna")) == (before, voice)


@pytest.mark.parametrize("hit_by", ["the clip", "the store"])
def test_a_full_disk_leaves_nothing_half_written(
    library: VoiceLibrary, store: Store, settings: Settings, clips: list[NewClip], hit_by: str
) -> None:
    limit, says = 16_384, "The disk or quota is full, so the clip was not saved"
    if hit_by == "the store":  # which is then larger than the clip
        limit, says = 200_000, "library studio.db cannot be written, perhaps because the disk or quota is full"
        row = TakeRecord(owner="x", text="x" * 400_000, checkpoint="", seed=1, seconds=1, sample_rate=1, elapsed=1)
        with store.writing() as session:
            take_records.save(session, row)
    voice = library.add("Anna", [clips[1]], OWN)
    before = files(settings)
    with disk_that_holds(limit):
        assert says in refusal(lambda: library.add("Bob", [clips[0]], OWN))
        assert says in refusal(lambda: library.add_clip("Anna", clips[0]))
        assert (own(library), files(settings)) == (["Anna"], before)
    assert library.voice("Anna") == voice
    library.add("Bob", [clips[0]], OWN)


def test_owners_do_not_see_each_other(
    library: VoiceLibrary, store: Store, settings: Settings, clips: list[NewClip]
) -> None:
    mine, theirs = (VoiceLibrary(settings, store, letter * 32) for letter in "ab")
    voice = mine.add("Anna", [clips[0]], OWN)
    assert own(theirs) == own(library) == []
    for key in ("Anna", voice.id):
        for do in (theirs.voice, theirs.references, theirs.remove, theirs.withdraw_consent, library.voice):
            assert "There is no voice" in refusal(lambda do=do, key=key: do(key))
    assert theirs.add("Anna", [clips[0]], OWN).id != voice.id
    theirs.remove("Anna")
    assert mine.references("Anna")


def test_what_a_killed_process_left_is_removed_later(
    library: VoiceLibrary, store: Store, settings: Settings, clips: list[NewClip]
) -> None:
    voice = library.add("Anna", [clips[0]], OWN)
    for name, age in (("0" * 24, 7200), ("1" * 24, 0)):
        (settings.voices_folder / name).mkdir()
        then = datetime.now(UTC).timestamp() - age
        os.utime(settings.voices_folder / name, (then, then))
    os.utime(settings.voices_folder / voice.id, (0, 0))
    assert clear_remains(settings, store) == 1
    assert [path.name for path in sorted(settings.voices_folder.iterdir())] == sorted(["1" * 24, voice.id])
    assert library.references("Anna")

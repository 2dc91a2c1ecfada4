"""The library: saves voices, gives them out as references, and checks their consent each time."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio.audio.reading import read_audio
from studio.audio.waveform import Waveform
from studio.engine.prompt import refuse_control_tokens
from studio.engine.speech.reference import Consent, Reference, require_transcript
from studio.errors import StudioError
from studio.listening.transcript import Transcript
from studio.settings import Settings
from studio.store import comparisons as comparison_queries
from studio.store import takes as take_queries
from studio.store import voices as queries
from studio.store.store import Store
from studio.store.tables import VoiceRecord, new_id, now
from studio.voices.coach import ClipReport, examine
from studio.voices.consent import SpeakerConsent, is_of_set
from studio.voices.languages import known_language
from studio.voices.naming import checked_name, name_key
from studio.voices.presets import preset_voices
from studio.voices.records import voice_of, written_clip
from studio.voices.voice import NewClip, Voice, VoiceClip, words_as_json

MAX_NOTES_CHARS = 2000


class VoiceLibrary:
    """The voices of one owner ("" is whoever runs the studio) and the presets; others' voices do not exist here."""

    def __init__(self, settings: Settings, store: Store, owner: str = "") -> None:
        self._settings, self._store, self.owner = settings, store, owner

    def voices(self, search: str = "") -> list[Voice]:
        """Own voices, the newest first, then presets; those whose name, notes, language or transcripts have ``search``."""
        with self._store.reading() as session:
            own = [self._voice(record) for record in queries.every_voice(session, self.owner)]
        wanted = name_key(search)
        return [voice for voice in (*own, *preset_voices()) if wanted in _searched(voice)]

    def voice(self, name_or_id: str) -> Voice:
        """One voice. Raises StudioError where there is none of that name or id."""
        presets = preset_voices()
        if preset := next((preset for preset in presets if name_or_id == preset.id), None):
            return preset
        wanted = name_key(name_or_id)
        with self._store.reading() as session:
            record = queries.voice_by_id(session, self.owner, name_or_id) or queries.voice_by_name(
                session, self.owner, wanted
            )
            # Before the presets: one that comes with a later studio must not hide a voice saved under its name.
            if record is not None:
                return self._voice(record)
        if preset := next((preset for preset in presets if wanted == name_key(preset.name)), None):
            return preset
        raise StudioError(f"There is no voice '{_short(name_or_id)}' in the library: choose one of the list.")

    def changeable(self, name_or_id: str) -> Voice:
        """One own voice. Raises StudioError where there is none, or it is a preset."""
        return self._own(name_or_id)

    def free_name(self, name: str | None) -> str:
        """The name, tidied, of a voice about to be saved. Raises StudioError for one that is taken or none at all."""
        tidy = checked_name(name)
        self._refuse_taken(tidy)
        return tidy

    def read_clip(self, voice: Voice, clip: VoiceClip) -> Waveform:
        """The sound of a clip. Raises StudioError where the file is gone or damaged."""
        if not clip.is_there:
            raise StudioError(voice.trouble or f"The clip of {voice.name} is gone from the disk.")
        return read_audio(clip.path)

    def references(self, name_or_id: str, *, speaker: str | None = None) -> list[Reference]:
        """The voice as references for the engine; ``speaker`` is its name in a dialogue script.

        Raises:
            StudioError: no such voice, consent withdrawn, or a clip is gone.
        """
        voice = self.voice(name_or_id)
        if voice.trouble:
            raise StudioError(voice.trouble)
        consent = Consent(voice.consent.ground, voice.consent.statement, voice.consent.recorded_at)  # type: ignore[arg-type]
        return [Reference(self.read_clip(voice, clip), clip.transcript.text, consent, speaker) for clip in voice.clips]

    def require_consent(self, voices: Iterable[tuple[str, str]]) -> None:
        """Raise StudioError if one of these ``(id, name)`` was deleted or its consent withdrawn: cheap, to ask often."""
        presets = {preset.id for preset in preset_voices()}
        asked = {voice_id: name for voice_id, name in voices if voice_id not in presets}
        if not asked:
            return
        with self._store.reading() as session:
            found = queries.withdrawn(session, asked)
        for voice_id, name in asked.items():
            if voice_id not in found and is_of_set(voice_id):
                continue
            if voice_id not in found:
                raise StudioError(f"{name} was deleted from the library, so speaking with it was stopped.")
            if found[voice_id] is not None:
                raise StudioError(f"The consent for {name} was withdrawn, so speaking with it was stopped.")

    def add(
        self, name: str, clips: Iterable[NewClip], consent: SpeakerConsent, *, language: str = "", notes: str = ""
    ) -> Voice:
        """Save a voice, whole or not at all.

        Raises:
            StudioError: the name is taken or none, there is no clip or an unusable one, no transcript, no consent, the
                disk is full, or the library is locked.
        """
        if not isinstance(consent, SpeakerConsent) or consent.withdrawn_at is not None:
            raise StudioError("This voice has no consent record: say whose voice it is before it is saved.")
        clips = list(clips)
        name, language, notes = self.free_name(name), known_language(language), _checked_notes(notes)
        if not clips:
            raise StudioError("There is no clip: record or upload one.")
        reports = [self._approved(clip, language) for clip in clips]
        self._refuse_too_much(sum(clip.waveform.duration for clip in clips))
        voice_id = new_id()
        folder = self._folder(voice_id)
        record = VoiceRecord(
            id=voice_id,
            owner=self.owner,
            name=name,
            name_key=name_key(name),
            language=language,
            notes=notes,
            who=consent.who,
            consent_ground=consent.ground,
            consent_wording=consent.wording,
            consent_statement=consent.statement,
            consent_recorded_at=consent.recorded_at,
        )
        try:
            # Files before records: a record never names a file that was not written.
            record.clips = [written_clip(folder, clip, report) for clip, report in zip(clips, reports, strict=True)]
            for position, clip_record in enumerate(record.clips):
                clip_record.position = position
            with self._store.writing() as session:
                if not queries.save(session, record):
                    raise _name_taken(name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self.voice(voice_id)

    def add_clip(self, name_or_id: str, clip: NewClip) -> Voice:
        """Give an own voice one more clip of the same speaker. Raises StudioError as :meth:`add`."""
        voice = self._own(name_or_id)
        if voice.consent.withdrawn_at is not None:
            raise StudioError(f"The consent for {voice.name} was withdrawn: it takes no more clips.")
        report = self._approved(clip, voice.language)
        self._refuse_too_much(voice.seconds + clip.waveform.duration)
        folder = self._folder(voice.id)
        record = written_clip(folder, clip, report)
        try:
            with self._store.writing() as session:
                owned = self._record(session, voice)
                record.position = max((present.position for present in owned.clips), default=-1) + 1
                owned.clips.append(record)
                queries.save(session, owned)
        except BaseException:
            (folder / record.file).unlink(missing_ok=True)
            with suppress(OSError):  # empty where the voice was deleted meanwhile
                folder.rmdir()
            raise
        return self.voice(voice.id)

    def remove_clip(self, name_or_id: str, clip_id: str) -> Voice:
        """Delete one of several clips with its file. Raises StudioError for the last one."""
        voice = self._own(name_or_id)
        clip = _clip(voice, clip_id)
        with self._store.writing() as session:
            owned = self._record(session, voice)
            if len(owned.clips) < 2:
                raise StudioError(f"This is the only clip of {voice.name}: add another one first, or delete the voice.")
            owned.clips = [record for record in owned.clips if record.id != clip_id]
            queries.save(session, owned)
        clip.path.unlink(missing_ok=True)
        return self.voice(voice.id)

    def edit(
        self, name_or_id: str, *, name: str | None = None, language: str | None = None, notes: str | None = None
    ) -> Voice:
        """Change what is said about an own voice; None leaves a field as it is. Raises StudioError as :meth:`add`."""
        voice = self._own(name_or_id)
        with self._store.writing() as session:
            record = self._record(session, voice)
            if name is not None:
                record.name = checked_name(name)
                record.name_key = name_key(record.name)
            record.language = record.language if language is None else known_language(language)
            record.notes = record.notes if notes is None else _checked_notes(notes)
            if name is not None and record.name_key != name_key(voice.name):
                self._refuse_preset_name(record.name)
            if not queries.save(session, record):
                raise _name_taken(name or voice.name)
        return self.voice(voice.id)

    def correct_transcript(self, name_or_id: str, clip_id: str, transcript: Transcript) -> Voice:
        """Replace what is said in a clip; it then counts as checked, and as written by a person.

        Raises:
            StudioError: it is empty, or cannot be what is said in a clip of this length.
        """
        voice = self._own(name_or_id)
        _refuse_bad_transcript(transcript)
        report = self._report_again(_clip(voice, clip_id), transcript, voice.language)
        with self._store.writing() as session:
            record = self._record(session, voice)
            for clip in record.clips:
                if clip.id == clip_id:
                    by_model = transcript.model if transcript.text.strip() == clip.transcript else None
                    clip.transcript, clip.words = transcript.text.strip(), words_as_json(transcript.words)
                    clip.transcript_model, clip.needs_check, clip.report = by_model or "", False, report
            queries.save(session, record)
        return self.voice(voice.id)

    def wear(self, name_or_id: str, adapter_id: str, strength: float = 1.0) -> Voice:
        """Remember the trained voice that an own voice is spoken with, "" for none; for :func:`studio.takes.wearing.put_on`,
        which asks whether it may be used."""
        voice = self._own(name_or_id, "save a voice of your own to be spoken with it")
        with self._store.writing() as session:
            record = self._record(session, voice)
            record.adapter, record.adapter_strength = adapter_id, strength
            queries.save(session, record)
        return self.voice(voice.id)

    def withdraw_consent(self, name_or_id: str) -> Voice:
        """End the right to use a voice: nobody can speak with it from now on, and its takes are marked, compared ones too."""
        voice = self._own(name_or_id, "its consent is a licence that anybody may rely on, and cannot be withdrawn here")
        with self._store.writing() as session:
            record = self._record(session, voice)
            record.consent_withdrawn_at = record.consent_withdrawn_at or now()
            queries.save(session, record)
            take_queries.mark_withdrawn(session, self.owner, record.id, record.consent_withdrawn_at)
            comparison_queries.mark_withdrawn(session, self.owner, record.id, record.consent_withdrawn_at)
        return self.voice(voice.id)

    def remove(self, name_or_id: str) -> Voice:
        """Delete an own voice and its files; returns what was deleted. Takes stay."""
        voice = self._own(name_or_id)
        with self._store.writing() as session:
            queries.delete(session, self._record(session, voice))
        shutil.rmtree(self._folder(voice.id), ignore_errors=True)
        return voice

    def _folder(self, voice_id: str) -> Path:
        return self._settings.voices_folder / voice_id

    def _voice(self, record: VoiceRecord) -> Voice:
        return voice_of(record, self._folder(record.id))

    def _own(self, name_or_id: str, why: str = "it cannot be changed") -> Voice:
        voice = self.voice(name_or_id)
        if voice.preset:
            raise StudioError(f"{voice.name} comes with the studio: {why}.")
        return voice

    def _record(self, session: object, voice: Voice) -> VoiceRecord:
        record = queries.voice_by_id(session, self.owner, voice.id)  # type: ignore[arg-type]
        if record is None:
            raise StudioError(f"{voice.name} was deleted in the meantime: reload the library.")
        return record

    def _approved(self, clip: NewClip, language: str) -> ClipReport:
        """What the coach says of a clip that may be saved."""
        _refuse_bad_transcript(clip.transcript)
        report = examine(
            clip.waveform,
            transcript=clip.transcript.text,
            language=language or clip.transcript.language,
            max_seconds=self._settings.max_reference_seconds,
        )
        if not report.ok:
            raise StudioError(report.sentence)
        return report

    def _report_again(self, clip: VoiceClip, transcript: Transcript, language: str) -> dict[str, Any]:
        """What the coach says of a saved clip with another transcript: one of its verdicts is about that."""
        if not clip.is_there:
            return clip.report
        report = examine(
            read_audio(clip.path),
            transcript=transcript.text,
            language=language or transcript.language,
            max_seconds=self._settings.max_reference_seconds,
        )
        verdict = report.verdict("transcript")
        if verdict.verdict == "bad":
            raise StudioError(verdict.advice)
        return report.as_json()

    def _refuse_too_much(self, seconds: float) -> None:
        limit = self._settings.max_reference_seconds
        if seconds > limit:
            raise StudioError(
                f"The clips of this voice would be {seconds:.0f} s together, and at most {limit:.0f} s can be used: remove "
                "or shorten one."
            )

    def _refuse_taken(self, name: str) -> None:
        self._refuse_preset_name(name)
        with self._store.reading() as session:
            if queries.voice_by_name(session, self.owner, name_key(name)) is not None:
                raise _name_taken(name)

    def _refuse_preset_name(self, name: str) -> None:
        if name_key(name) in {name_key(known) for preset in preset_voices() for known in (preset.name, preset.id)}:
            raise StudioError(f"{name} is the name of a voice that comes with the studio: choose another.")


def clear_remains(settings: Settings, store: Store) -> int:
    """Remove clips that no voice has any more, left by a process that was killed; returns how many."""
    removed, oldest = 0, now().timestamp() - 3600  # a file is written before its record: leave what is young
    for folder in settings.voices_folder.iterdir() if settings.voices_folder.is_dir() else ():
        with store.reading() as session:
            known = queries.clip_files(session, folder.name)
        with suppress(OSError):
            if known is None:
                if folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder)
                    removed += 1
                continue
            for path in folder.iterdir():
                if path.name not in known and path.stat().st_mtime < oldest:
                    path.unlink()
                    removed += 1
    return removed


def _searched(voice: Voice) -> str:
    from studio.voices.languages import LANGUAGES

    spoken = " ".join(clip.transcript.text for clip in voice.clips)
    language = f"{voice.language} {LANGUAGES.get(voice.language, '')}"
    return name_key(f"{voice.name} {voice.notes} {language} {voice.consent.who} {spoken}")


def _clip(voice: Voice, clip_id: str) -> VoiceClip:
    for clip in voice.clips:
        if clip.id == clip_id:
            return clip
    raise StudioError(f"{voice.name} has no such clip any more: reload the library.")


def _checked_notes(notes: str) -> str:
    notes = notes.strip()
    if len(notes) > MAX_NOTES_CHARS:
        raise StudioError(f"The notes have {len(notes)} characters: use at most {MAX_NOTES_CHARS}.")
    return notes


def _refuse_bad_transcript(transcript: Transcript) -> None:
    require_transcript(transcript.text)
    refuse_control_tokens(transcript.text, "transcript of the reference clip")


def _name_taken(name: str) -> StudioError:
    return StudioError(f"There is already a voice called {name}: choose another name, or delete that voice first.")


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}…"

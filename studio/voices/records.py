"""Between voices as the store has them and voices as the library gives them out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from studio.audio.writing import write_audio
from studio.errors import StudioError
from studio.listening.transcript import Transcript
from studio.store.tables import ClipRecord, SpeakerRecord, VoiceRecord, new_id
from studio.voices.coach import ClipReport
from studio.voices.consent import SpeakerConsent
from studio.voices.voice import NewClip, Voice, VoiceClip, words_as_json, words_from_json

_CLIP_SUFFIX = ".flac"


def voice_of(record: VoiceRecord, folder: Path) -> Voice:
    """A stored voice whose clips lie in ``folder``; within the session that read it."""
    consent = stored_consent(record, record.consent_recorded_at)
    clips = tuple(_clip_of(clip, folder, record.language or None) for clip in record.clips)
    return Voice(
        record.id, record.name, record.language, record.notes, clips, consent, record.created_at,
        adapter=record.adapter, adapter_strength=record.adapter_strength,
    )  # fmt: skip


def stored_consent(record: VoiceRecord | SpeakerRecord, recorded_at: datetime) -> SpeakerConsent:
    """The consent that a record holds; a speaker's need not hold one, so it is for the caller to know since when."""
    return SpeakerConsent(
        record.who,
        record.consent_ground,
        record.consent_statement,
        record.consent_wording,
        recorded_at,
        record.consent_withdrawn_at,
    )


def written_clip(folder: Path, clip: NewClip, report: ClipReport) -> ClipRecord:
    """Write a clip to ``folder``; its record still lacks voice and position. Raises StudioError if it cannot."""
    clip_id = new_id()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(
            f"The voice cannot be saved ({error.strerror}): free some space, or mend the permissions of the studio's "
            "folder, and try again."
        ) from error
    path = folder / f"{clip_id}{_CLIP_SUFFIX}"
    try:
        write_audio(clip.waveform, path)
    except StudioError as error:
        # Of the file's name, which is an id, nobody can make anything.
        raise StudioError(str(error).replace(f"'{path.name}'", "the clip")) from error
    return ClipRecord(
        id=clip_id,
        voice_id="",
        position=0,
        file=path.name,
        seconds=clip.waveform.duration,
        sample_rate=clip.waveform.sample_rate,
        transcript=clip.transcript.text.strip(),
        words=words_as_json(clip.transcript.words),
        transcript_model=clip.transcript.model or "",
        needs_check=clip.needs_check,
        report=report.as_json(),
        denoised_with=clip.denoised_with,
    )


def _clip_of(record: ClipRecord, folder: Path, language: str | None) -> VoiceClip:
    return VoiceClip(
        record.id,
        folder / record.file,
        record.seconds,
        record.sample_rate,
        Transcript(record.transcript, language, words_from_json(record.words), record.transcript_model or None),
        record.needs_check,
        record.report,
        record.denoised_with,
    )

"""Voices that come with the studio. Their provenance is in ``assets/voices/voices.json`` and in NOTICE."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache

from studio.listening.transcript import Transcript
from studio.settings import ASSETS
from studio.voices.consent import CONSENT_WORDING, SpeakerConsent
from studio.voices.voice import Voice, VoiceClip

FOLDER = ASSETS / "voices"
_SINCE = datetime(2026, 11, 21, tzinfo=UTC)
_RATE = 24_000


@lru_cache(maxsize=1)
def preset_voices() -> tuple[Voice, ...]:
    """Every preset, in the order of the file; none where the assets were left out of an installation."""
    catalogue = FOLDER / "voices.json"
    if not catalogue.is_file():
        return ()
    return tuple(_voice(entry) for entry in json.loads(catalogue.read_text(encoding="utf-8")))


def _voice(entry: dict[str, str]) -> Voice:
    clip = VoiceClip(
        id="clip",
        path=FOLDER / entry["file"],
        seconds=float(entry["seconds"]),
        sample_rate=_RATE,
        transcript=Transcript(entry["transcript"], entry["language"]),
    )
    consent = SpeakerConsent(
        who=entry["speaker"],
        ground=entry["ground"],
        statement=entry["statement"],
        wording=CONSENT_WORDING[entry["ground"]],
        recorded_at=_SINCE,
    )
    notes = f"{entry['description'].rstrip('.')}. {entry['provenance']}"
    return Voice(entry["id"], entry["name"], entry["language"], notes, (clip,), consent, _SINCE, preset=True)

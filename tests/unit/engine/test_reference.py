"""No voice without a consent record that says something."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from studio.audio import Waveform
from studio.engine.speech.reference import CONSENT_GROUNDS, Consent, Reference
from studio.errors import StudioError

CLIP = Waveform(np.full(24_000, 0.1, np.float32), 24_000)


def test_ones_own_voice_needs_no_note() -> None:
    assert Reference(CLIP, "Hello.", Consent("own")).consent.ground == "own"


@pytest.mark.parametrize(
    ("ground", "asks"), [("permission", "who gave the permission and when"), ("licence", "which licence allows it")]
)
@pytest.mark.parametrize("statement", ["", "  \n"])
def test_permission_and_licence_need_a_note(ground: str, asks: str, statement: str) -> None:
    with pytest.raises(StudioError, match=f"consent note is empty: say {asks}"):
        Consent(ground, statement)
    assert Consent(ground, "Anna, 3 May 2026, by letter").ground == ground


@pytest.mark.parametrize("ground", ["", "Own", "none", "fair use"])
def test_another_ground_is_refused_with_those_there_are(ground: str) -> None:
    with pytest.raises(StudioError, match="use own, permission or licence"):
        Consent(ground, "a note")


def test_every_ground_has_a_wording_to_choose_from() -> None:
    assert set(CONSENT_GROUNDS) == {"own", "permission", "licence"}
    assert all(Consent(ground, "note") and wording for ground, wording in CONSENT_GROUNDS.items())


def test_the_record_remembers_when_it_was_made() -> None:
    recorded = Consent("own").recorded_at
    assert abs(datetime.now(UTC) - recorded) < timedelta(minutes=1)


@pytest.mark.parametrize("consent", [None, "own", {"ground": "own"}, True])
def test_a_clip_without_a_consent_record_is_no_reference(consent: object) -> None:
    with pytest.raises(StudioError, match="no consent record"):
        Reference(CLIP, "Hello.", consent)


@pytest.mark.parametrize("transcript", ["", " \t\n"])
def test_a_clip_without_its_transcript_is_no_reference(transcript: str) -> None:
    with pytest.raises(StudioError, match="transcript of the reference clip is missing"):
        Reference(CLIP, transcript, Consent("own"))

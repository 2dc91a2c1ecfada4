"""What the tests of takes share: voices that may speak, and requests that take their time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from studio.audio import read_audio
from studio.listening.transcript import Transcript
from studio.takes.request import SpeakRequest, VoiceChoice
from studio.voices.consent import SpeakerConsent
from studio.voices.voice import NewClip, Voice

SHORT = "Good morning to you all."
LONG = "The ferry leaves at nine, and nobody on the pier has seen the captain since the storm of last night. " * 60
"""Some minutes of speech: whoever waits for its end waits too long."""


def saved_voice(service: Any, owner: str, kathleen: dict[Path, str], name: str = "Anna", clips: int = 1) -> Voice:
    """A voice in the owner's library."""
    new = [
        NewClip(read_audio(path), Transcript(transcript, "en"))
        for path, transcript in sorted(kathleen.items(), key=lambda clip: len(clip[1]))[:clips]
    ]
    return service.voices(owner).add(name, new, SpeakerConsent.given("licence", statement="CC0 1.0"), language="en")


def request(text: str = SHORT, *voices: str, **changes: Any) -> SpeakRequest:
    """A request for voices of the library."""
    return SpeakRequest(text, voices=tuple(VoiceChoice(voice) for voice in voices), **changes)


def run_python(program: str, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Another process on the same home."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "STUDIO_HOME": str(home), **environment},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


WITHDRAW = """
import sys
from studio.settings import get_settings
from studio.store.store import Store
from studio.voices.library import VoiceLibrary
settings = get_settings()
library = VoiceLibrary(settings, Store(settings.store_file), sys.argv[1])
library.remove(sys.argv[2]) if sys.argv[3:] == ["remove"] else library.withdraw_consent(sys.argv[2])
"""
"""Arguments: owner, voice, and "remove" where it is to be deleted."""

"""Words and small pieces that the form and the library both show."""

from __future__ import annotations

from html import escape

import numpy as np

from studio.audio.waveform import Waveform
from studio.ui.shown import card
from studio.voices.consent import CONSENT_WORDING
from studio.voices.languages import LANGUAGES, passage

LANGUAGE_CHOICES = [("Not said", ""), *[(name, code) for code, name in LANGUAGES.items()]]
NOTE_LABELS = {"permission": "Who gave permission, and when?", "licence": "Which licence, and from where is the clip?"}
NO_CLIP = '<p class="hint">The coach listens as soon as there is a clip.</p>'


def playable(waveform: Waveform) -> tuple[int, np.ndarray]:
    """For a player: Gradio writes it to its own cache, under a name made from the sound itself."""
    return waveform.sample_rate, np.rint(np.clip(waveform.samples, -1.0, 1.0) * 32767.0).astype(np.int16)


def reading_html(language: str | None) -> str:
    """The passage to read aloud."""
    return (
        '<p class="hint">Not sure what to say? Read this aloud, it takes about ten seconds:</p>'
        f'<blockquote dir="auto">{escape(passage(language))}</blockquote>'
    )


def wording_html(ground: str | None) -> str:
    """What is agreed to by saving."""
    return f'<p class="wording">By saving you say: “{CONSENT_WORDING[ground]}”</p>' if ground in CONSENT_WORDING else ""


def transcript_note(model: str | None, needs_check: bool) -> str:
    """What to know of a transcript."""
    if needs_check:
        return card("The clip was cut and its text could not be cut with it: check it word for word.", "warn")
    if model:
        return card(f"Written by {model}: listen once, and mend what is wrong.")
    return ""

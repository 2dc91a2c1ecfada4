"""Words and small pieces that the form and the library both show."""

from __future__ import annotations

from html import escape

import numpy as np

from studio.audio.waveform import Waveform
from studio.ui.html import card
from studio.voices.consent import CONSENT_WORDING
from studio.voices.languages import LANGUAGES, passage
from studio.voices.voice import Voice, VoiceClip

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


def voice_line(voice: Voice) -> str:
    """A voice in the list: its name, and what there is to know at a glance."""
    facts = [LANGUAGES.get(voice.language, ""), f"{voice.seconds:.0f} s"]
    if voice.preset:
        facts.append("comes with the studio")
    if voice.consent.withdrawn_at is not None:
        facts.append("consent withdrawn")
    elif voice.trouble:
        facts.append("file missing")
    return f"{voice.name}\n{' · '.join(fact for fact in facts if fact)}"


def voice_facts(voice: Voice, clip: VoiceClip | None, damage: str) -> str:
    """Everything about a voice and the clip of it that is shown; ``damage`` is what is wrong with its file."""
    consent = voice.consent
    right = consent.shown_ground[0].upper() + consent.shown_ground[1:]
    rows = [
        ("Who speaks", consent.who),
        ("By what right", f"{right}{f': {consent.statement}' if consent.statement else ''}"),
        ("Agreed to", f"{consent.wording} ({consent.recorded_at:%d %B %Y})"),
    ]
    if voice.notes:
        rows.append(("Notes", voice.notes))
    if clip is not None:
        by = f" (written by {clip.transcript.model})" if clip.transcript.model else ""
        rows.append(("Says", f"{clip.transcript.text}{by}"))
        if clip.denoised_with:
            rows.append(("Noise removed", f"with {clip.denoised_with}"))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td dir="auto">{escape(value)}</td></tr>' for name, value in rows
    )
    trouble = voice.trouble or damage
    said = card(trouble, "bad") if trouble else ""
    if clip is not None and clip.needs_check:
        said += card("The transcript was not cut with the clip: check it word for word, and save it.", "warn")
    remarks = _remarks(clip)
    return f"<h4>{escape(voice.name)}</h4>{said}<table class='facts'><tbody>{body}</tbody></table>{remarks}"


def _remarks(clip: VoiceClip | None) -> str:
    """What the coach found wanting when the clip was saved."""
    found = [v for v in (clip.report.get("verdicts", []) if clip else []) if v["verdict"] != "good"]
    lines = "".join(
        f'<li class="{v["verdict"]}"><span class="mark" aria-hidden="true">{_MARKS[v["verdict"]]}</span>'
        f'<span class="advice">{escape(v["advice"])}</span></li>'
        for v in found
    )
    return f'<ul class="verdicts">{lines}</ul>' if lines else ""


_MARKS = {"good": "✓", "warn": "!", "bad": "✕"}

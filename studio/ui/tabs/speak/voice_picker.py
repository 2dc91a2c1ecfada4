"""The voices and scenes that are offered."""

from __future__ import annotations

from html import escape

from studio.voices.languages import LANGUAGES
from studio.voices.voice import Voice

MODEL_PICKS = ""
"""The value of "Let the model pick a voice"."""
DESCRIBED = {"model:feminine": ("Woman", "feminine"), "model:masculine": ("Man", "masculine")}
"""Voices of a dialogue that the model picks: the name in the script, and the word for it that the model was trained
with."""

SCENES = {
    "Quiet room": "Audio is recorded from a quiet room.",
    "Close up": "Audio is recorded in a small studio, very close to the microphone.",
    "Phone call": "Audio is recorded over a telephone line, thin and slightly muffled.",
    "Large hall": "Audio is recorded in a large hall with a long echo.",
    "Outdoors": "Audio is recorded outdoors, with a light wind and distant traffic.",
}
"""Examples, by what they are called. The first is the one that the model was shown most."""
SAMPLE_TEXT = "My name is David, and this is Oscar."
"""Short, and what the checkpoint that comes with the studio says best."""


def voice_choices(voices: list[Voice]) -> list[tuple[str, str]]:
    """What the voice picker offers: label and value."""
    own = [(voice.name, voice.id) for voice in voices if not voice.preset]
    presets = [(f"{voice.name} · comes with the studio", voice.id) for voice in voices if voice.preset]
    return [("Let the model pick a voice", MODEL_PICKS), *own, *presets]


def dialogue_choices(voices: list[Voice]) -> list[list[object]]:
    """What each line of a dialogue offers: groups of values and labels."""
    groups = {
        "Your voices": [[voice.id, voice.name] for voice in voices if not voice.preset],
        "Voices of the studio": [[voice.id, voice.name] for voice in voices if voice.preset],
        "Picked by the model": [["model:feminine", "A woman"], ["model:masculine", "A man"]],
    }
    return [[group, found] for group, found in groups.items() if found]


def voice_card(voice: Voice | None) -> str:
    """A chosen voice in a line or two."""
    if voice is None:
        return '<p class="voice-about">A new voice each time. The seed of a take brings it back.</p>'
    if voice.trouble:
        return f'<p class="voice-about bad" role="alert">{escape(voice.trouble)}</p>'
    language = LANGUAGES.get(voice.language, "")
    clips = f"{voice.seconds:.0f} s of speech" + (f" in {len(voice.clips)} clips" if len(voice.clips) > 1 else "")
    facts = " · ".join(escape(fact) for fact in (language, clips) if fact)
    parts = [f"<strong>{facts}.</strong>", f'<span dir="auto">{escape(_right(voice))}</span>']
    if advice := _advice(voice):
        parts.append(f'<span class="voice-advice">{escape(advice)}</span>')
    return f'<p class="voice-about">{" ".join(parts)}</p>'


def _advice(voice: Voice) -> str:
    """What the coach would improve, if anything."""
    if any(clip.needs_check for clip in voice.clips):
        return "Check its transcript on the Voices tab: the clip was cut."
    found = [
        str(verdict.get("advice") or "")
        for clip in voice.clips
        for verdict in clip.report.get("verdicts", ())
        if isinstance(verdict, dict) and verdict.get("verdict") not in ("good", None)
    ]
    return next((advice for advice in found if advice), "")


def _right(voice: Voice) -> str:
    """Whose voice it is and by what right it is used."""
    consent = voice.consent
    if voice.preset:
        return f"{consent.statement}."
    if consent.ground == "own":
        return f"{consent.who[:1].upper()}{consent.who[1:]}: their own voice."
    return f"{consent.who}: {consent.shown_ground} ({consent.statement})."

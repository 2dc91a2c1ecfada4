"""What is to be spoken, as strings: markup, scripts, languages, normalisation, sentences, duration."""

from studio.engine.text.duration import expected_seconds, frame_budget
from studio.engine.text.languages import detect_language
from studio.engine.text.markup import SOUND_TAGS, SPEAKER_TAG_PATTERN, speaker_tags
from studio.engine.text.normalisation import prepare_text
from studio.engine.text.script import Line, Script
from studio.engine.text.sentences import split_text

__all__ = [
    "Line",
    "SOUND_TAGS",
    "SPEAKER_TAG_PATTERN",
    "Script",
    "detect_language",
    "expected_seconds",
    "frame_budget",
    "prepare_text",
    "speaker_tags",
    "split_text",
]

"""The languages a clip can be said to be in."""

from __future__ import annotations

from studio.errors import StudioError

LANGUAGES: dict[str, str] = {
    "en": "English", "ar": "Arabic", "zh": "Chinese", "cs": "Czech", "da": "Danish", "nl": "Dutch", "fi": "Finnish",
    "fr": "French", "de": "German", "el": "Greek", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "no": "Norwegian", "fa": "Persian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "es": "Spanish", "sv": "Swedish",
    "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese",
}  # fmt: skip
"""ISO 639-1 code and English name. A list to choose from: what the model speaks well is another question."""


def known_language(code: str | None) -> str:
    """The code as it is stored; "" where none is given. Raises StudioError for one that is not in the list."""
    code = (code or "").strip().lower().replace("_", "-").split("-")[0]
    if code and code not in LANGUAGES:
        raise StudioError(f"'{code}' is no language code that the studio knows: use one such as en, ar or zh.")
    return code

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


PASSAGES: dict[str, str] = {
    "en": "On Sunday mornings I open the window, put the kettle on, and listen to the street wake up. "
    "Nobody is in a hurry, and neither am I. Would you like a cup?",
    "de": "Sonntags öffne ich zuerst das Fenster, setze Wasser auf und höre zu, wie die Straße wach wird. "
    "Niemand hat es eilig, ich auch nicht. Möchten Sie eine Tasse?",
    "fr": "Le dimanche matin, j'ouvre la fenêtre, je fais chauffer de l'eau et j'écoute la rue se réveiller. "
    "Personne n'est pressé, et moi non plus. Vous en voulez une tasse ?",
    "es": "Los domingos por la mañana abro la ventana, pongo agua a calentar y escucho cómo despierta la calle. "
    "Nadie tiene prisa, y yo tampoco. ¿Quieres una taza?",
    "it": "La domenica mattina apro la finestra, metto a scaldare l'acqua e ascolto la strada che si sveglia. "
    "Nessuno ha fretta, e nemmeno io. Ne vuoi una tazza?",
    "ar": "في صباح كل جمعة أفتح النافذة وأضع إبريق الشاي على النار، ثم أستمع إلى الشارع وهو يستيقظ. "
    "لا أحد مستعجل، ولا أنا. هل تريد كوبا من الشاي؟",
    "he": "בכל שבת בבוקר אני פותח את החלון, שם מים על האש ומקשיב לרחוב שמתעורר. אף אחד לא ממהר, וגם אני לא. רוצים כוס תה?",
    "zh": "星期天早上，我打开窗户，烧一壶水，听着街道慢慢醒来。没有人着急，我也不着急。你想喝一杯茶吗？",
}
"""A passage for each language, by ISO 639-1 code: statements and a question, so that the voice rises and falls."""


def passage(language: str | None) -> str:
    """The passage in this language; the English one where there is none."""
    return PASSAGES.get(language or "en", PASSAGES["en"])

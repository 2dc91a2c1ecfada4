"""Something to read aloud: about ten seconds in one's own voice, with the transcript known beforehand."""

from __future__ import annotations

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

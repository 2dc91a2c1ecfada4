"""What the trainer speaks at each checkpoint: two fixed sentences in the voice of the rows."""

from __future__ import annotations

from collections.abc import Sequence

from studio.engine.rows import TrainingRow
from studio.engine.speech.sample_plan import SamplePlan
from studio.engine.text import detect_language
from studio.training.folder import JobFolder

SAMPLE_SEED = 0
SENTENCES: dict[str, tuple[str, str]] = {
    "en": ("The train to the coast leaves at nine, and I have kept you a seat.", "Shall we walk, or wait for the bus?"),
    "ar": ("يغادر القطار إلى الساحل في التاسعة، وقد حجزت لك مقعدا.", "هل نمشي أم ننتظر الحافلة؟"),
    "he": ("הרכבת לחוף יוצאת בתשע, ושמרתי לך מקום.", "נלך ברגל, או נחכה לאוטובוס?"),
    "zh": ("去海边的火车九点出发，我给你留了座位。", "我们走路去，还是等公共汽车？"),
    "ja": ("海へ行く電車は九時に出ます。席を取っておきました。", "歩きましょうか、それともバスを待ちますか。"),
    "ko": ("바다로 가는 기차는 아홉 시에 떠나요. 자리를 맡아 두었어요.", "걸어갈까요, 아니면 버스를 기다릴까요?"),
    "ru": ("Поезд к морю уходит в девять, я занял тебе место.", "Пойдём пешком или подождём автобус?"),
    "hi": ("समुद्र की ओर जाने वाली रेल नौ बजे चलती है, मैंने आपके लिए जगह रखी है।", "पैदल चलें, या बस का इंतज़ार करें?"),
}
"""A statement and a question for each script that the model may be trained on. Languages in Latin letters cannot be told
apart by their script: they get the English ones."""

_WRITTEN_ALIKE = {"fa": "ar", "ur": "ar", "uk": "ru"}
_LOOKED_AT = 200


def sample_plan(rows: Sequence[TrainingRow], folder: JobFolder) -> SamplePlan:
    """What ``--sample_plan`` is given: the sentences, and the row that tells in whose voice and after which reference.

    The first row with a trained clip is taken: every run on the same rows speaks alike and can be compared.
    """
    spoken = next((row for row in rows if any(turn.trained and turn.clip for turn in row.turns)), None)
    if spoken is None:
        return SamplePlan(folder.samples, None, (), SAMPLE_SEED)
    return SamplePlan(folder.samples, spoken.as_row(), SENTENCES[script_of(rows)], SAMPLE_SEED)


def script_of(rows: Sequence[TrainingRow]) -> str:
    """The key of :data:`SENTENCES` for the script that most letters of the rows are written in."""
    language = detect_language(" ".join(turn.text for row in rows[:_LOOKED_AT] for turn in row.turns))
    key = _WRITTEN_ALIKE.get(language, language)
    return key if key in SENTENCES else "en"

"""One utterance, scored as the authors of Seed-TTS-eval do it (``run_wer.py``, ``verification.py`` of their repository)."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from studio.audio.reading import read_audio
from studio.errors import StudioError
from studio.evaluation.measures.kept import content_of
from studio.evaluation.measures.listeners import Listeners
from studio.evaluation.seed_tts.listing import Line
from studio.settings import Settings

LANGUAGES = ("en", "zh")
# What is taken away besides ASCII punctuation, in every language: zhon.hanzi.punctuation, which the authors use.
_HANZI_PUNCTUATION = (
    "＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､"
    "\u3000、〃〈〉《》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”"
    "„‟…‧﹏﹑﹔·！？｡。"
)
_REMOVED = dict.fromkeys(map(ord, (_HANZI_PUNCTUATION + string.punctuation).replace("'", "")))


@dataclass(frozen=True)
class Score:
    """What came of one line of the list.

    Attributes:
        wer: word error rate (of Chinese: of characters), 0 and up; 1 for a missing take.
        similarity: cosine of the voices of take and prompt; None where the take is missing or has under a second of speech.
        missing: why there is no take, in a sentence; "" where there is one.
        took: the take's size and time of change, which tell whether it was scored as it is now.
    """

    name: str
    wer: float
    heard: str | None
    similarity: float | None
    missing: str = ""
    took: tuple[int, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """A line of the results; :meth:`from_json` gives the same back."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Score:
        """Raises TypeError, KeyError for what is none."""
        given = {field.name: content[field.name] for field in fields(cls)}
        return cls(**{**given, "took": tuple(given["took"]) if given["took"] else None})


@dataclass(frozen=True)
class ListTask:
    """One line on its way to a worker, with the folder of the takes."""

    line: Line
    folder: Path
    language: str


def normalised(text: str, language: str = "en") -> str:
    """A text as it is compared: without punctuation but the apostrophe and, in English, in lower case; no rules for numbers.

    Chinese becomes its characters, with spaces between them.
    """
    text = text.translate(_REMOVED).replace("  ", " ")
    return " ".join(text) if language == "zh" else text.lower()


def utterance_wer(text: str, heard: str, language: str = "en") -> float:
    """Word error rate of one utterance, 0 and up."""
    import jiwer

    return float(jiwer.wer(normalised(text, language), normalised(heard, language)))


def missing_score(name: str, why: str) -> Score:
    """The score of a take that is not there: every word is lost."""
    return Score(name, 1.0, None, None, why)


def signature(path: Path) -> tuple[int, int]:
    """Size and time of change of a take."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns


class Scorer:
    """Scores lines with one load of each model.

    Raises:
        StudioError: there is no recogniser: without one there is no figure at all.
    """

    def __init__(self, settings: Settings, asr_model: str = "") -> None:
        self.listeners = Listeners.from_settings(settings, asr_model=asr_model)
        if not self.listeners.recognises:
            raise StudioError(self.listeners.why_silent)

    @property
    def models(self) -> dict[str, str]:
        """Who hears the words (``wer``) and the voices (``similarity``), with versions."""
        return {name: self.listeners.models[name] for name in ("wer", "similarity")}

    def __call__(self, task: ListTask) -> Score:
        """The score of a line. Raises StudioError where the prompt cannot be read, or the recogniser fails."""
        line = task.line
        path = line.take(task.folder)
        if path is None:
            return missing_score(line.name, "There is no such take.")
        try:
            sound = read_audio(path)
        except StudioError as error:
            return missing_score(line.name, str(error))
        prompt = read_audio(line.prompt)
        take, clip = content_of(sound), content_of(prompt)
        transcript = self.listeners.transcripts({f"{take} {task.language}": (sound, task.language)})
        heard = transcript[f"{take} {task.language}"]
        if isinstance(heard, StudioError):
            raise heard
        sounds = {take: sound, clip: prompt}
        voices = self.listeners.voices(sounds, self.listeners.speech(sounds))
        ours, theirs = voices[take], voices[clip]
        similarity = None if ours is None or theirs is None else float(np.clip(np.dot(ours, theirs), -1.0, 1.0))
        text = str(heard["text"])
        return Score(
            line.name, utterance_wer(line.text, text, task.language), text, similarity, took=signature(path)
        )  # fmt: skip


def scorer(settings: Settings, asr_model: str = "") -> Callable[[], Scorer]:
    """Makes a scorer in a worker."""
    return partial(Scorer, settings, asr_model)

"""Measuring takes: many at once, with one load of each model and everything that was heard before taken from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from studio.audio.waveform import Span, Waveform, total_seconds
from studio.datasets.measures.words import compared
from studio.engine.text import detect_language, expected_seconds
from studio.errors import StudioError
from studio.evaluation.measures import encoders, pitch
from studio.evaluation.measures.endings import after_last_word
from studio.evaluation.measures.figures import Figures
from studio.evaluation.measures.listeners import Listeners
from studio.evaluation.measures.subject import Subject
from studio.evaluation.measures.wording import wording
from studio.listening.speech_quality import LEAST_SECONDS as LEAST_RATED_SECONDS

AT_ONCE = 16
"""Takes that are heard together: enough for full batches, few enough for a small memory."""
_NOBODY = "Nobody is heard to speak in the take."
_NO_TEXT = "It is not known what the take should say: give its text."


def measure(subject: Subject, listeners: Listeners) -> Figures:
    """Measure one take. What cannot be had is absent, with its reason; a silent take and one of 0.2 s get an answer."""
    return next(measure_all([subject], listeners))


def measure_all(
    subjects: Iterable[Subject], listeners: Listeners, *, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Figures]:
    """Measure takes in order, some at once: each sound is heard once, references and recordings too, however often they come.

    Args:
        subjects: asked for as they are needed, so that not all sounds are in memory.
        stopped: looked at before each batch.
    """
    waiting = iter(subjects)
    while not stopped() and (batch := list(islice(waiting, AT_ONCE))):
        heard = _Heard.of(batch, listeners)
        yield from (_figures(subject, heard, listeners) for subject in batch)


@dataclass(frozen=True)
class _Heard:
    """What was heard in the sounds of a batch, by content."""

    speech: Mapping[str, list[Span]]
    voices: Mapping[str, np.ndarray | None]
    qualities: Mapping[str, dict[str, float] | None]
    contours: Mapping[str, np.ndarray]
    melodies: Mapping[str, float | None]
    loudness: Mapping[str, float | None]
    transcripts: Mapping[str, dict[str, Any] | StudioError]

    @classmethod
    def of(cls, batch: Iterable[Subject], listeners: Listeners) -> _Heard:
        takes: dict[str, Waveform] = {}
        references: dict[str, Waveform] = {}
        recordings: dict[str, Waveform] = {}
        for each in batch:
            takes[each.content] = each.sound
            references |= zip(each.reference_contents, each.references, strict=True)
            if each.recording is not None:
                recordings[each.recording_content] = each.recording
        speech = listeners.speech(takes | references | recordings)
        spoken = {content: sound for content, sound in takes.items() if speech[content]}
        compared = {each.content: each.sound for each in batch if each.references}
        contours = listeners.contours(spoken | recordings) if listeners.why_no_pitch is None else {}
        pairs = {
            f"{each.content} {each.recording_content}": (
                each.sound, contours[each.content], each.recording, contours[each.recording_content],
            )
            for each in batch
            if each.recording is not None and each.content in contours
        }  # fmt: skip
        transcribed = {_asked(each): (each.sound, _language(each)) for each in batch} if listeners.recognises else {}
        return cls(
            speech,
            listeners.voices(compared | references, speech),
            listeners.qualities(spoken) if listeners.why_no_quality is None else {},
            contours,
            listeners.melodies(pairs) if pairs else {},
            listeners.loudness(takes, speech),
            listeners.transcripts(transcribed) if transcribed else {},
        )


def _language(subject: Subject) -> str:
    return subject.language or (detect_language(subject.text) if subject.text.strip() else "")


def _asked(subject: Subject) -> str:
    return f"{subject.content} {_language(subject)}"


class _Found:
    """Figures as they are found, and why others are not."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known, self.values, self.absent = known, dict[str, Any](), dict[str, str]()

    def put(self, figure: str, value: Any, reason: str) -> None:
        """A figure, or the reason why it is absent; what the subject itself knows of it comes first."""
        if value is None:
            self.absent[figure] = self._known.get(figure, reason)
        else:
            self.values[figure] = value


def _figures(subject: Subject, heard: _Heard, listeners: Listeners) -> Figures:
    found, speech = _Found(subject.absent), heard.speech[subject.content]
    sound, models = subject.sound, dict(listeners.models)
    found.put("similarity", *_similarity(subject, heard))
    last_word_end = _put_words(found, subject, heard, listeners)
    _put_quality(found, subject, heard, listeners)
    ratio, models["duration_ratio"] = _duration_ratio(subject, heard)
    found.put("duration_ratio", ratio, _NOBODY if not speech else _NO_TEXT)
    spoken = total_seconds(speech)
    letters = sum(map(len, compared(subject.text, _language(subject))))
    rate = letters / spoken if letters and spoken > 0.1 else None
    found.put("speech_rate", rate, _NOBODY if not speech else _NO_TEXT)
    _put_pitch(found, subject, heard, listeners)
    found.put("loudness_lufs", heard.loudness[subject.content], "The take is silent.")
    trail = max(0.0, sound.duration - speech[-1].end) if speech else None
    found.put("silence_at_end_seconds", trail, _NOBODY)
    after = after_last_word(sound, speech, last_word_end)
    found.put("noise_after_last_word", after and after.as_json(), _NOBODY)
    found.put("ended", subject.ended, "A sound does not tell whether a model ended it by itself.")
    found.put("rtf", subject.rtf, "A sound does not tell how long it took to make.")
    return Figures(sound.duration, **found.values, models=models, absent=found.absent)


def _similarity(subject: Subject, heard: _Heard) -> tuple[float | None, str]:
    if not subject.references:
        return None, "There is no reference to compare the voice with."
    given = [heard.voices[content] for content in subject.reference_contents]
    known = [vector for vector in given if vector is not None]
    if not known:
        return None, f"The reference has under {encoders.LEAST_SECONDS:g} s of speech."
    voice = heard.voices[subject.content]
    if voice is None:
        return None, f"The take has under {encoders.LEAST_SECONDS:g} s of speech."
    reference = np.mean(known, axis=0)
    size = float(np.linalg.norm(voice) * np.linalg.norm(reference))
    return float(np.clip(np.dot(voice, reference) / size, -1.0, 1.0)), ""


def _put_words(found: _Found, subject: Subject, heard: _Heard, listeners: Listeners) -> float | None:
    """What was heard, beside the text; returns when the last word ends."""
    reason, transcript = listeners.why_silent, heard.transcripts.get(_asked(subject))
    if isinstance(transcript, StudioError):
        reason, transcript = str(transcript), None
    text = None if transcript is None else str(transcript["text"])
    found.put("heard", text, reason)
    if text is None or not subject.text.strip():
        for figure in ("wer", "cer", "word_differences", "leaked_reference_words"):
            found.put(figure, None, reason if text is None else _NO_TEXT)
    else:
        words = wording(subject.text, text, language=_language(subject), reference_text=subject.reference_text)
        found.put("wer", words.wer, "The text has no words.")
        found.put("cer", words.cer, "The text has no words.")
        found.put("word_differences", tuple(each.as_json() for each in words.differences), "")
        found.put("leaked_reference_words", words.leaked, "It is not known what is said in the reference.")
    return None if transcript is None else transcript["last_word_end"]


def _put_quality(found: _Found, subject: Subject, heard: _Heard, listeners: Listeners) -> None:
    quality = heard.qualities.get(subject.content)
    if quality is not None:
        found.values.update(quality)
        return
    too_short = f"The take is under {LEAST_RATED_SECONDS:g} s long."
    nobody = _NOBODY if subject.sound.duration >= LEAST_RATED_SECONDS else too_short
    found.absent["dnsmos"] = listeners.why_no_quality or nobody


def _put_pitch(found: _Found, subject: Subject, heard: _Heard, listeners: Listeners) -> None:
    contour = heard.contours.get(subject.content)
    own = pitch.pitch_of(contour) if contour is not None else None
    unheard = listeners.why_no_pitch or (_NOBODY if contour is None else None)
    found.put(
        "pitch", own and own.as_json(), unheard or f"Under {pitch.LEAST_VOICED_SECONDS:g} s of the take is voiced."
    )
    correlation = heard.melodies.get(f"{subject.content} {subject.recording_content}")
    why = "Too little is voiced in both take and recording, or one of them is longer than 60 s."
    if subject.recording is None:
        why, unheard = "There is no real recording of the text.", None
    found.put("pitch_correlation", correlation, unheard or why)


def _duration_ratio(subject: Subject, heard: _Heard) -> tuple[float | None, str]:
    """The ratio, and what it is a ratio to."""
    speech = heard.speech[subject.content]
    theirs = heard.speech.get(subject.recording_content, [])
    if theirs:
        extent = theirs[-1].end - theirs[0].start
        return ((speech[-1].end - speech[0].start) / extent if speech else None), "the recording"
    expected = expected_seconds(subject.text, _language(subject) or None) if subject.text.strip() else 0.0
    ratio = subject.sound.duration / expected if expected and speech else None
    return ratio, "the time that the text should take"

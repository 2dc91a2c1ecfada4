"""Hears a part of a take back as soon as it was spoken: are its words those of the text, is it still the voice?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from importlib.metadata import version

import numpy as np

from studio.audio.waveform import Span, Waveform, total_seconds
from studio.datasets.measures.words import both_compared, word_error_rate
from studio.engine.speech.chunk import SpokenChunk
from studio.engine.speech.reference import Reference
from studio.engine.speech.retrying import Fault
from studio.engine.text import detect_language
from studio.errors import StudioError
from studio.listening.speakers import voice_vectors
from studio.listening.transcriber import NothingHeard, Transcriber
from studio.listening.vad import find_speech

LEAST_SPEECH_SECONDS = 1.0
"""Of speech; what is shorter says little about who speaks."""
FAR_BELOW = 0.15
"""A part whose voice is so much less like the reference than those before it has left the voice: recordings of one speaker
that last three seconds differ by less than a tenth, two speakers by a fifth and more. Those of a second may differ as much:
then a part more is spoken again, and the better one is kept."""
UNLIKE = 0.55
"""The first part is held against the reference, and where there is none a later part against those before: two voices are
about 0.5 alike, one over 0.75."""
_FEWEST_WORDS = 3
"""A recogniser guesses at one or two words alone, so these are only asked for being heard at all."""
_LOST_WORDS, _LOST_SHARE, _OTHER_SHARE = 2, 0.15, 0.5
_NO_WORDS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
"""Sound effects, which nobody writes down."""
_SHOWN_WORDS = 6


class HearingBack:
    """A judge of parts, see :class:`studio.engine.speech.retrying.Judge`, for one take.

    Args:
        transcriber: writes down what is heard; None leaves the words unheard.
        references: clips of the voices.
        language: ISO 639-1 code; None finds it from the script of each part.
    """

    def __init__(
        self, transcriber: Transcriber | None, references: Sequence[Reference] = (), language: str | None = None
    ) -> None:
        self._transcriber, self._language, self._given = transcriber, language, list(references)
        self._references: dict[str, np.ndarray | None] = {}
        self._kept: dict[str, list[np.ndarray]] = {}
        words = [f"{transcriber.name} ({transcriber.version()})"] if transcriber is not None else []
        self.name = ", ".join([*words, f"Resemblyzer 0.1.4, Silero VAD {version('silero-vad')}"])

    def faults(self, chunk: SpokenChunk, sound: Waveform) -> list[Fault]:
        """Lost, doubled or other words, where somebody can hear them; and a voice that is not that of the rest."""
        found = self._words(chunk, sound) if self._transcriber is not None else []
        return found + self._voice(chunk, sound)

    def keep(self, chunk: SpokenChunk, sound: Waveform) -> None:
        """Later parts of the same speaker are held against it."""
        vector = _vector(sound, find_speech(sound))
        if vector is not None:
            self._kept.setdefault(_key(chunk), []).append(vector)

    def _words(self, chunk: SpokenChunk, sound: Waveform) -> list[Fault]:
        assert self._transcriber is not None
        text = _NO_WORDS.sub(" ", chunk.text)
        language = self._language or detect_language(text)
        try:
            heard = self._transcriber.transcribe(sound, language=language).text
        except NothingHeard:
            heard = ""
        except StudioError:  # of a language that it does not know, it cannot tell anything
            return []
        return word_faults(text, heard, language)

    def _voice(self, chunk: SpokenChunk, sound: Waveform) -> list[Fault]:
        before, reference = self._kept.get(_key(chunk), []), self._reference(chunk)
        vector = _vector(sound, find_speech(sound)) if before or reference is not None else None
        if vector is None:
            return []
        if reference is not None:
            alike = float(np.dot(vector, reference))
            usual = float(np.median([np.dot(each, reference) for each in before])) if before else None
            least = UNLIKE if usual is None else usual - FAR_BELOW
            told = f"it left the voice (similarity {alike:.2f}"
            told += ")" if usual is None else f", of the parts before it {usual:.2f})"
        else:
            alike, least = float(np.dot(vector, _unit(np.mean(before, axis=0)))), UNLIKE
            told = f"its voice is not that of the parts before it (similarity {alike:.2f})"
        return [Fault("voice", told, 1.0 + max(0.0, 1.0 - alike))] if alike < least else []

    def _reference(self, chunk: SpokenChunk) -> np.ndarray | None:
        """The voice of the clips of its speaker; None where there is none."""
        key = _key(chunk)
        if key not in self._references:
            own = [each.clip for each in self._given if each.speaker is None or each.speaker.casefold() == key]
            vectors = [_vector(clip, find_speech(clip)) for clip in own]
            known = [vector for vector in vectors if vector is not None]
            self._references[key] = _unit(np.mean(known, axis=0)) if known else None
        return self._references[key]


def word_faults(text: str, heard: str, language: str) -> list[Fault]:
    """What the words of a part show: lost, said twice, or mostly others. Small slips are as likely the recogniser's."""
    wanted, found = both_compared(text, heard, language)
    if not wanted:
        return []
    if not found:
        return [Fault("words", "no word of it is heard", 3.0)]
    if len(wanted) < _FEWEST_WORDS:
        return []
    wrong = word_error_rate(text, heard, language) or 0.0
    lost, doubled = list[str](), list[str]()
    for kind, a, b, c, d in SequenceMatcher(None, wanted, found, autojunk=False).get_opcodes():
        if kind == "delete":
            lost += wanted[a:b]
        elif kind == "insert" and found[c:d] in (found[2 * c - d : c] if 2 * c >= d else [], found[d : 2 * d - c]):
            doubled += found[c:d]
    faults = []
    if len(lost) >= max(_LOST_WORDS, _LOST_SHARE * len(wanted)):
        faults.append(Fault("words", f"it lost {_shown(lost)}", 1.0 + wrong))
    if doubled:
        faults.append(Fault("words", f"it says {_shown(doubled)} twice", 1.0 + wrong))
    if not faults and wrong >= _OTHER_SHARE:
        faults.append(Fault("words", f"{wrong:.0%} of its words are heard as others", 1.0 + wrong))
    return faults


def _shown(words: Sequence[str]) -> str:
    return f"“{' '.join(words[:_SHOWN_WORDS])}{' …' if len(words) > _SHOWN_WORDS else ''}”"


def _key(chunk: SpokenChunk) -> str:
    return (chunk.speaker or "").casefold()


def _vector(sound: Waveform, speech: Sequence[Span]) -> np.ndarray | None:
    """A voice as a unit vector; None with under a second of speech."""
    if total_seconds(speech) < LEAST_SPEECH_SECONDS:
        return None
    (found,) = voice_vectors([(sound, speech)], least_seconds=LEAST_SPEECH_SECONDS)
    return None if found is None else _unit(found)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)

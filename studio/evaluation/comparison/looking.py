"""Takes of one text side by side, to be looked at and measured: waveforms, mel spectrograms on one scale, pitch, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from studio.audio.reading import read_audio
from studio.audio.waveform import Waveform
from studio.errors import StudioError
from studio.evaluation.comparison.comparison import ComparedTake, Comparison
from studio.evaluation.comparison.hearing import equally_loud
from studio.evaluation.comparison.library import ComparisonLibrary
from studio.evaluation.measures import Listeners, Subject, measure_all
from studio.evaluation.measures.kept import content_of
from studio.evaluation.measures.pitch import HOP_SECONDS
from studio.listening.compiled import librosa
from studio.voices.library import VoiceLibrary

_RATE = 16_000
_WINDOW, _BANDS, _HIGHEST_HZ = 1024, 64, 8000.0
_RANGE_DB = 70.0
"""What is darker than that below the loudest moment of all takes is all the same."""
_MAX_MOMENTS = 360
"""Columns of a spectrogram, and steps of a waveform: more than a page is wide would only be sent."""


@dataclass(frozen=True)
class Looked:
    """A take to look at. All arrays are over time, in seconds from its beginning.

    Attributes:
        sound: as loud as the others.
        moments, lows, highs: the waveform, shape ``(num_moments,)``: its smallest and largest sample in each.
        mel_seconds, mel_hz: of the columns and the rows of ``mel_db``.
        mel_db: mel spectrogram, shape ``(64, num_columns)``, in dB below the loudest point of all takes.
        pitch_seconds, pitch_hz: shape ``(num_frames,)``; NaN where there is none.
    """

    take: ComparedTake
    sound: Waveform
    moments: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    mel_seconds: np.ndarray
    mel_hz: np.ndarray
    mel_db: np.ndarray
    pitch_seconds: np.ndarray
    pitch_hz: np.ndarray


def takes_of(library: ComparisonLibrary, comparison: Comparison, text: int, seed: int) -> list[ComparedTake]:
    """What each system that may be heard made of a text from a seed, in the order of the systems.

    A real recording is there once for a text, whatever the seed.
    """
    hidden = {system.id for system in comparison.systems if system.withheld}
    takes = [each for each in library.takes(comparison.id) if each.text == text and each.can_play]
    found = []
    for system in comparison.systems:
        own = [each for each in takes if each.system_id == system.id and system.id not in hidden]
        found += [each for each in own if each.seed == seed or not each.synthetic][:1]
    return found


def looked_at(takes: Sequence[ComparedTake], listeners: Listeners) -> list[Looked]:
    """Takes to be looked at beside each other.

    Raises:
        StudioError: the sound of one is damaged.
    """
    sounds = equally_loud([read_audio(take.path) for take in takes]) if takes else []
    contours = listeners.contours({content_of(each): each for each in sounds}) if sounds else {}
    mels = [_mel(each) for each in sounds]
    top = max((float(mel.max(initial=-200.0)) for mel, _ in mels), default=0.0)
    found = []
    for take, sound, (mel, hop) in zip(takes, sounds, mels, strict=True):
        contour = contours[content_of(sound)]
        moments, lows, highs = _envelope(sound)
        found.append(
            Looked(
                take, sound, moments, lows, highs, np.arange(mel.shape[1]) * hop / _RATE, _mel_hz(),
                np.clip(mel - top, -_RANGE_DB, 0.0), np.arange(len(contour)) * HOP_SECONDS, contour,
            )
        )  # fmt: skip
    return found


def measure_takes(
    library: ComparisonLibrary, comparison: Comparison, takes: Sequence[ComparedTake], listeners: Listeners,
    voices: VoiceLibrary, *, tell: Callable[[str], None] = lambda _: None,
) -> None:  # fmt: skip
    """Measure takes and keep their figures with them.

    Raises:
        StudioError: the sound of one is damaged, or it was deleted meanwhile.
    """
    for number, take in enumerate(takes, 1):
        tell(f"Take {number} of {len(takes)} is measured …")
        subject = _subject(library, comparison, take, voices)
        for figures in measure_all([subject], listeners):
            library.add_figures(take.id, figures.as_json())


def _subject(
    library: ComparisonLibrary, comparison: Comparison, take: ComparedTake, voices: VoiceLibrary
) -> Subject:  # fmt: skip
    at = [system.id for system in comparison.systems].index(take.system_id)
    clips: tuple[Waveform, ...] = ()
    said = ""
    absent: dict[str, str] = {}
    wished = comparison.plan.said(comparison.plan.systems[at], "voice")
    try:
        if not wished:
            raise StudioError("The model picked the voice of this take, so there is no reference to compare it with.")
        references = voices.references(wished)  # consent is asked now
        clips, said = tuple(each.clip for each in references), " ".join(each.transcript for each in references)
    except StudioError as error:
        absent |= dict.fromkeys(("similarity", "leaked_reference_words"), str(error))
    recorded = next(
        (each for each in library.takes(comparison.id)
         if each.text == take.text and not each.synthetic and each.can_play and each.id != take.id),
        None,
    )  # fmt: skip
    return Subject(
        read_audio(take.path), comparison.texts[take.text], comparison.plan.language or "", clips, said,
        read_audio(recorded.path) if recorded else None, ended=take.report.get("ended"), rtf=take.report.get("rtf"),
        absent=absent,
    )  # fmt: skip


def _envelope(sound: Waveform) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    samples = sound.samples
    count = min(_MAX_MOMENTS, max(len(samples), 1))
    edges = np.linspace(0, len(samples), count + 1).astype(int)
    pieces = [samples[low:high] for low, high in pairwise(edges)]
    lows = np.array([piece.min(initial=0.0) for piece in pieces])
    highs = np.array([piece.max(initial=0.0) for piece in pieces])
    return edges[:-1] / sound.sample_rate, lows, highs


def _mel(sound: Waveform) -> tuple[np.ndarray, int]:
    """In dB of full scale, and the samples between two columns."""
    samples = sound.resampled(_RATE).samples
    hop = max(_WINDOW // 4, -(-len(samples) // _MAX_MOMENTS))
    power = librosa().feature.melspectrogram(
        y=np.pad(samples, (0, max(0, _WINDOW - len(samples)))), sr=_RATE, n_fft=_WINDOW, hop_length=hop, n_mels=_BANDS,
        fmax=_HIGHEST_HZ,
    )  # fmt: skip
    return 10.0 * np.log10(np.maximum(power, 1e-12)), hop


def _mel_hz() -> np.ndarray:
    return librosa().mel_frequencies(n_mels=_BANDS, fmax=_HIGHEST_HZ)

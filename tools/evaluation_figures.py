"""How right the figures of takes are: prints the tables of docs/evaluation-measures.md, from real recordings.

    python -m tools.evaluation_figures [--without-words]

Needs ../shared/speech/librispeech (six speakers, five recordings each) and, for the words, a recogniser in STUDIO_ASR_MODEL.
Takes about five minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from studio.audio import Waveform, read_audio
from studio.evaluation.measures import Listeners, Subject, measure_all
from studio.evaluation.measures.figures import Figures
from studio.settings import get_settings

LIBRISPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech" / "librispeech"
LEVELS_DB = (20.0, 10.0, 0.0)


class Clip(NamedTuple):
    """A recording of the corpus."""

    speaker: str
    sound: Waveform
    text: str


class Separation(NamedTuple):
    """How well similarity tells speakers apart: pairs, means, and the rate at which both kinds of errors are equal."""

    same: int
    different: int
    mean_same: float
    mean_different: float
    equal_error_rate: float
    threshold: float


def clips_of(folder: Path, *, most_of_each: int | None = None, seconds: float | None = None) -> list[Clip]:
    """Recordings of a folder with ``metadata.csv`` (``filename,speaker_id,transcript``).

    Args:
        most_of_each: at most so many of each speaker.
        seconds: only the beginning of each.
    """
    found: list[Clip] = []
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if most_of_each is None or sum(each.speaker == row["speaker_id"] for each in found) < most_of_each:
                sound = read_audio(folder / row["filename"])
                if seconds is not None:
                    sound = Waveform(sound.samples[: round(seconds * sound.sample_rate)], sound.sample_rate)
                found.append(Clip(row["speaker_id"], sound, row["transcript"]))
    return found


def separation(clips: Sequence[Clip], listeners: Listeners) -> Separation:
    """The similarity of every pair of recordings, by whether one person speaks in both."""
    from studio.evaluation.measures.kept import content_of

    sounds = {content_of(each.sound): each.sound for each in clips}
    voices = listeners.voices(sounds, listeners.speech(sounds))
    vectors = [voices[content] for content in sounds]
    same, different = [], []
    for (one, first), (other, second) in itertools.combinations(zip(clips, vectors, strict=True), 2):
        if first is not None and second is not None:
            (same if one.speaker == other.speaker else different).append(float(np.dot(first, second)))
    rate, threshold = equal_error_rate(same, different)
    return Separation(
        len(same), len(different), float(np.mean(same)), float(np.mean(different)), rate, threshold
    )  # fmt: skip


def equal_error_rate(same: Sequence[float], different: Sequence[float]) -> tuple[float, float]:
    """The rate at which as many same pairs are refused as different ones are taken for the same, and the limit for it."""
    thresholds = np.unique([*same, *different])
    refused = np.array([np.mean(np.array(same) < limit) for limit in thresholds])
    taken = np.array([np.mean(np.array(different) >= limit) for limit in thresholds])
    place = int(np.argmin(np.abs(refused - taken)))
    return float((refused[place] + taken[place]) / 2), float(thresholds[place])


def with_noise(sound: Waveform, snr_db: float) -> Waveform:
    """White noise at a distance from the level of the sound."""
    noise = np.random.default_rng(0).standard_normal(sound.num_samples)
    level = float(np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64)))) * 10 ** (-snr_db / 20)
    return Waveform((sound.samples + level * noise).astype(np.float32), sound.sample_rate)


def direct_wer(clips: Sequence[Clip], model: str) -> list[float]:
    """Word error rates by faster-whisper itself, words compared after Whisper's own English normaliser."""
    import jiwer
    from faster_whisper import WhisperModel
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    recogniser, plain = WhisperModel(model, device="cpu", compute_type="int8"), EnglishTextNormalizer({})
    rates = []
    for clip in clips:
        segments, _ = recogniser.transcribe(clip.sound.resampled(16_000).samples, language="en", beam_size=5)
        heard = " ".join(segment.text.strip() for segment in segments)
        rates.append(float(jiwer.wer(plain(clip.text), plain(heard))))
    return rates


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-words", action="store_true", help="leave the recogniser out")
    options = parser.parse_args()
    if not LIBRISPEECH.is_dir():
        sys.exit(f"{LIBRISPEECH} is not here.")
    clips = clips_of(LIBRISPEECH)
    _print_separation(clips)
    _print_noise(clips[::5])
    if not options.without_words:
        _print_words(clips)


def _print_separation(clips: Sequence[Clip]) -> None:
    listeners = Listeners.from_settings(get_settings(), recognise=False)
    print(f"Similarity by {listeners.models['similarity']}:")
    for seconds in (None, 4.0, 2.0):
        cut = [
            clip if seconds is None else clip._replace(sound=_beginning(clip.sound, seconds)) for clip in clips
        ]  # fmt: skip
        found = separation(cut, listeners)
        print(
            f"  {'whole' if seconds is None else f'{seconds:g} s'}: {found.same} same pairs {found.mean_same:.3f}, "
            f"{found.different} different {found.mean_different:.3f}; EER {100 * found.equal_error_rate:.1f} % at "
            f"{found.threshold:.3f}"
        )


def _beginning(sound: Waveform, seconds: float) -> Waveform:
    return Waveform(sound.samples[: round(seconds * sound.sample_rate)], sound.sample_rate)


def _print_noise(clips: Sequence[Clip]) -> None:
    listeners = Listeners.from_settings(get_settings(), recognise=False, leave_out=("pitch",))
    print(f"{listeners.models['dnsmos']}, {len(clips)} recordings of six speakers:")
    for level in (None, *LEVELS_DB):
        takes = [clip.sound if level is None else with_noise(clip.sound, level) for clip in clips]
        figures = list(measure_all(map(Subject, takes), listeners))
        means = [np.mean([getattr(each, name) for each in figures]) for name in ("ovrl", "sig", "bak")]
        name = "clean" if level is None else f"{level:g} dB"
        print(f"  {name:>6}: OVRL {means[0]:.2f}, SIG {means[1]:.2f}, BAK {means[2]:.2f}")


def _print_words(clips: Sequence[Clip]) -> None:
    listeners = Listeners.from_settings(get_settings(), leave_out=("dnsmos", "pitch"))
    if not listeners.recognises:
        sys.exit(listeners.why_silent)
    subjects = [Subject(clip.sound, clip.text, "en") for clip in clips]
    figures: list[Figures] = list(measure_all(subjects, listeners))
    ours = [each.wer for each in figures]
    direct = direct_wer(clips, get_settings().asr_model)
    print(f"WER by {listeners.models['wer']}, mean of {len(clips)} recordings:")
    print(f"  ours {100 * np.mean(ours):.2f} %, the recogniser called directly {100 * np.mean(direct):.2f} %")
    flagged = sum(bool((each.noise_after_last_word or {}).get("flag")) for each in figures)
    print(f"Noise after the last word is flagged in {flagged} of {len(clips)} recordings.")


if __name__ == "__main__":
    main()

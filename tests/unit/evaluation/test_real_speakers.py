"""Six real speakers are told apart, and words are heard as the recogniser hears them when it is called directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.evaluation.measures import Listeners, Subject, measure_all
from tools.evaluation_figures import LIBRISPEECH, clips_of, direct_wer, equal_error_rate, separation

pytestmark = pytest.mark.skipif(not LIBRISPEECH.is_dir(), reason="../shared/speech/librispeech is not here")


def test_pairs_of_one_speaker_are_more_alike_than_pairs_of_two(deaf: Listeners) -> None:
    found = separation(clips_of(LIBRISPEECH, most_of_each=3, seconds=4.0), deaf)
    assert (found.same, found.different) == (18, 135)
    assert found.mean_same > found.mean_different + 0.25
    assert found.equal_error_rate <= 0.03


def test_the_word_error_rate_is_that_of_the_recogniser_itself(listeners: Listeners, asr_model: Path) -> None:
    clips = sorted(clips_of(LIBRISPEECH), key=lambda clip: clip.sound.duration)[:3]
    subjects = [Subject(clip.sound, clip.text, "en") for clip in clips]
    quick = Listeners(transcriber=listeners._transcriber, leave_out=("dnsmos", "pitch"))
    ours = [figures.wer for figures in measure_all(subjects, quick)]
    assert None not in ours
    assert 100 * abs(np.mean(ours) - np.mean(direct_wer(clips, str(asr_model)))) <= 2.0  # type: ignore[arg-type]


def test_the_equal_error_rate_is_where_both_errors_meet() -> None:
    assert equal_error_rate([0.8, 0.9, 1.0], [0.1, 0.2, 0.3])[0] == 0.0
    rate, threshold = equal_error_rate([0.2, 0.6, 0.7, 0.9], [0.1, 0.3, 0.4, 0.65])
    assert rate == 0.25
    assert 0.4 < threshold <= 0.65

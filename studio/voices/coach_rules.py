"""From figures to verdicts: the coach's limits, and what it advises.

Where the limits come from, and how often they are wrong, is in docs/coach.md (`python -m tools.coach_figures`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio import formatting
from studio.audio.quality.clip_quality import ClipQuality
from studio.engine.text import expected_seconds
from studio.listening.speakers import Speakers

Grade = Literal["good", "warn", "bad"]

SHORTEST_SECONDS, SHORT_SECONDS, LONG_SECONDS = 1.0, 5.0, 30.0
LITTLE_SPEECH_SECONDS = 3.0
NOISY_DB, VERY_NOISY_DB = 18.0, 12.0
CROWDED_DB = 10.0  # Not even a strong echo reads less: rooms that are heard as much as the speaker read 11–14 dB.
CLIPPED_SHARE, VERY_CLIPPED_SHARE = 2e-4, 1e-2
FAINT_LUFS, QUIET_LUFS, LOUD_LUFS = -50.0, -38.0, -9.0
NARROW_HZ, TELEPHONE_HZ = 7000.0, 5000.0
ECHO_SECONDS, STRONG_ECHO_SECONDS = 0.5, 0.95
EDGE_SECONDS = 1.0
STEADY_SHARE = 0.15
# Speech over the expected time of its text; studio.engine.text.duration: the slowest of 350 recordings takes 1.7.
FASTEST, SLOWEST = 0.5, 1.7
IMPOSSIBLY_FAST, IMPOSSIBLY_SLOW = 0.3, 3.0
_WORD_SECONDS = 0.5  # One slow word is no mismatch.


@dataclass(frozen=True)
class Verdict:
    """What the coach says about one property of a clip.

    Attributes:
        item: stable key, one of :data:`studio.voices.coach.ITEMS`.
        label: what people call it ("Background noise").
        value: the figure in ``unit``; None where it could not be measured.
        unit: "s", "%", "dB", "LUFS", "Hz", "x" or "" for a count.
        shown: the figure as people read it ("31 dB").
        verdict: "good", "warn" (usable, but a better clip makes a better voice) or "bad" (not usable as it is).
        advice: exactly one sentence, for good ones too.
    """

    item: str
    label: str
    value: float | int | None
    unit: str
    shown: str
    verdict: Grade
    advice: str


def judged(
    quality: ClipQuality,
    speakers: Speakers | None,
    *,
    transcript: str | None = None,
    language: str | None = None,
    max_seconds: float = 60.0,
) -> tuple[Verdict, ...]:
    """The verdicts on everything, in the order in which a report shows them.

    Args:
        speakers: who is heard; None where that was not checked.
        transcript, language, max_seconds: as for :func:`studio.voices.coach.examine`.
    """
    verdicts = [
        _duration(quality, max_seconds),
        _speech(quality),
        _noise(quality),
        _clipping(quality),
        _loudness(quality),
        _bandwidth(quality),
        _echo(quality),
        _silence(quality),
        _speakers(quality, speakers),
    ]
    if transcript is not None and transcript.strip():
        verdicts.append(_transcript(quality, expected_seconds(transcript, language)))
    return tuple(verdicts)


def _duration(quality: ClipQuality, max_seconds: float) -> Verdict:
    seconds = quality.duration
    compared = round(seconds, 1)  # As it is shown, so that a message never contradicts itself.
    grade: Grade = "good"
    advice = "Long enough, and not too long."
    if compared < SHORTEST_SECONDS:
        grade, advice = "bad", "Record 5–15 s: this is too short to hear a voice in."
    elif compared > max_seconds:
        grade = "bad"
        advice = f"Use the best 5–15 s of it: at most {formatting.seconds(max_seconds)} can be a reference."
    elif compared < SHORT_SECONDS:
        grade, advice = "warn", "Use 5–15 s if you can: more speech makes the voice more alike."
    elif compared > LONG_SECONDS:
        grade, advice = "warn", "Use the best 5–15 s of it: more makes every take slower and the voice no better."
    return Verdict("duration", "Length", round(seconds, 2), "s", formatting.seconds(seconds), grade, advice)


def _speech(quality: ClipQuality) -> Verdict:
    seconds = quality.speech_seconds
    grade: Grade = "good"
    advice = "Enough speech."
    if seconds == 0.0:
        grade, advice = "bad", "Nobody is heard speaking: check the microphone, and that it is the right file."
    elif round(seconds, 1) < SHORTEST_SECONDS:
        grade, advice = "bad", "There is hardly any speech in it: record 5–15 s of somebody talking."
    elif round(seconds, 1) < LITTLE_SPEECH_SECONDS:
        grade, advice = "warn", "Record a little more: 5–15 s of speech make the voice more alike."
    return Verdict("speech", "Speech", round(seconds, 2), "s", formatting.seconds(seconds), grade, advice)


def _noise(quality: ClipQuality) -> Verdict:
    snr = quality.snr_db
    if snr is None:
        return _unmeasured("noise", "Background noise", "dB", "Not checked, for there is no speech to compare it with.")
    grade: Grade = "good"
    advice = "Quiet enough."
    # An echo fills the pauses as noise does. It has a verdict of its own, and removing noise does not cure it.
    echo = _echo_grade(quality)
    if snr < VERY_NOISY_DB and not (echo == "bad" and snr >= CROWDED_DB):
        grade, advice = "bad", "Record in a quieter place or remove the noise: it would become part of the voice."
    elif snr < NOISY_DB and echo in ("warn", "bad"):
        grade = "warn"
        advice = "Something fills the pauses, the echo of the room or other voices: record in a quiet room."
    elif snr < NOISY_DB:
        grade, advice = "warn", "Record closer to the microphone, in a quieter place, or remove the noise."
    return Verdict("noise", "Background noise", round(snr, 1), "dB", f"{snr:.0f} dB", grade, advice)


def _clipping(quality: ClipQuality) -> Verdict:
    share = quality.clipped
    grade: Grade = "good"
    advice = "Nothing is overdriven."
    if share >= VERY_CLIPPED_SHARE:
        grade, advice = "bad", "Turn the microphone down and record it again: the voice is distorted."
    elif share >= CLIPPED_SHARE:
        grade, advice = "warn", "Turn the microphone down: the loudest moments are distorted."
    shown = "none" if share == 0.0 else "under 0.01 %" if share < 1e-4 else f"{100 * share:.2g} %"
    return Verdict("clipping", "Clipping", round(100.0 * share, 4), "%", shown, grade, advice)


def _loudness(quality: ClipQuality) -> Verdict:
    lufs = quality.lufs
    if lufs is None:
        return Verdict(
            "loudness", "Loudness", None, "LUFS", "silent", "bad", "Check the microphone: the clip is silent."
        )
    grade: Grade = "good"
    advice = "Loud enough."
    if lufs < FAINT_LUFS:
        grade, advice = "bad", "Turn the microphone up and record it again: the voice is too faint to copy."
    elif lufs < QUIET_LUFS:
        grade, advice = "warn", "Turn the microphone up or go closer to it."
    elif lufs > LOUD_LUFS:
        grade, advice = "warn", "Turn the microphone down: it is so loud that little room for peaks is left."
    return Verdict("loudness", "Loudness", round(lufs, 1), "LUFS", f"{lufs:.0f} LUFS", grade, advice)


def _bandwidth(quality: ClipQuality) -> Verdict:
    label = "Highest frequency"
    bandwidth = quality.bandwidth_hz
    if bandwidth is None:
        return _unmeasured("bandwidth", label, "Hz", "Not checked, for there is too little speech.")
    # Noise hides the faint high parts of a voice; that nothing is heard there then says nothing about the recording.
    if bandwidth < NARROW_HZ and quality.masked:
        return _unmeasured("bandwidth", label, "Hz", "Not checked, for the noise hides the high part of the voice.")
    grade: Grade = "good"
    advice = "Clear and open."
    if bandwidth < TELEPHONE_HZ:
        grade, advice = "bad", "Record with a microphone instead: this sounds like a telephone, and so would the voice."
    elif bandwidth < NARROW_HZ:
        grade = "warn"
        advice = "Find a better source if you can: the high part of the voice is missing, it sounds dull."
    return Verdict("bandwidth", label, round(bandwidth), "Hz", f"{bandwidth / 1000:.3g} kHz", grade, advice)


def _echo_grade(quality: ClipQuality) -> Grade | None:
    """None where noise keeps the room from being heard: a hiss stays when the voice stops, as an echo does."""
    if quality.reverberation is None:
        return None
    if quality.reverberation < ECHO_SECONDS:
        return "good"
    if quality.steady > STEADY_SHARE and quality.snr_db is not None and quality.snr_db < NOISY_DB + 6.0:
        return None
    return "bad" if quality.reverberation >= STRONG_ECHO_SECONDS else "warn"


def _echo(quality: ClipQuality) -> Verdict:
    grade, seconds = _echo_grade(quality), quality.reverberation
    if seconds is None:
        return _unmeasured("echo", "Echo", "s", "Not checked, for there is too little speech.")
    if grade is None:
        return _unmeasured("echo", "Echo", "s", "Not checked, for the noise hides the room.")
    advice = {
        "good": "Little echo.",
        "warn": "Record closer to the microphone, in a room with carpet, curtains or clothes.",
        "bad": "Record in another room or much closer to the microphone: the echo would become part of the voice.",
    }[grade]
    shown = f"about {seconds:.1f} s" if seconds >= 0.2 else "under 0.2 s"
    return Verdict("echo", "Echo", round(seconds, 2), "s", shown, grade, advice)


def _silence(quality: ClipQuality) -> Verdict:
    lead, trail = quality.lead_seconds, quality.trail_seconds
    label = "Silence at the ends"
    if quality.speech_seconds == 0.0:
        return Verdict(
            "silence", label, round(lead, 2), "s", "all of it", "bad", "There is nothing but silence or noise."
        )
    where = {
        (True, False): "beginning",
        (False, True): "end",
        (True, True): "beginning and the end",
    }.get((lead > EDGE_SECONDS, trail > EDGE_SECONDS))
    grade: Grade = "warn" if where else "good"
    advice = f"Cut the silence off at the {where}." if where else "Starts and ends where it should."
    shown = f"{lead:.1f} s before, {trail:.1f} s after"
    return Verdict("silence", label, round(max(lead, trail), 2), "s", shown, grade, advice)


def _speakers(quality: ClipQuality, speakers: Speakers | None) -> Verdict:
    if speakers is None:
        return _unmeasured("speakers", "Speakers", "", "Not checked, for it takes more than 3 s of speech to tell.")
    if speakers.more_than_one:
        advice = "Choose a part in which only one person speaks: two voices would be mixed."
        return Verdict("speakers", "Speakers", 2, "", "more than one", "bad", advice)
    return Verdict("speakers", "Speakers", 1, "", "one", "good", "One voice.")


def _transcript(quality: ClipQuality, expected: float) -> Verdict:
    label = "Words and length"
    if expected <= 0.0:
        advice = "Write what is said in the clip: this text has nothing that can be read aloud."
        return Verdict("transcript", label, None, "x", "no words", "bad", advice)
    spoken = quality.speech_seconds
    ratio = spoken / expected
    grade: Grade = "good"
    advice = "The text fits the length of the speech."
    if ratio < FASTEST:
        grade = "bad" if ratio < IMPOSSIBLY_FAST else "warn"
        advice = "Check the text: nobody can say this much in so little time, so part of it is not in the clip."
    elif spoken > SLOWEST * expected + _WORD_SECONDS:
        grade = "bad" if spoken > IMPOSSIBLY_SLOW * expected + _WORD_SECONDS else "warn"
        advice = "Check the text: more is said in the clip than is written."
    shown = f"{formatting.seconds(spoken)} for {formatting.seconds(expected)} of text"
    return Verdict("transcript", label, round(ratio, 2), "x", shown, grade, advice)


def _unmeasured(item: str, label: str, unit: str, advice: str) -> Verdict:
    return Verdict(item, label, None, unit, "not checked", "good", advice)

"""Is a clip fit to be used as speech at all? Only what is certain; fine advice is the coach's business."""

from studio import formatting
from studio.audio.waveform import Waveform, decibels
from studio.errors import StudioError

# The noise floor of a quiet room through a laptop microphone is about −60 dBFS: below it there is no voice to copy.
SILENCE_DBFS = -60.0


def require_speech_like(
    waveform: Waveform, *, min_seconds: float = 1.0, max_seconds: float = 60.0, what: str = "reference clip"
) -> None:
    """Refuse a clip that is too short, too long or silent; ``what`` is how the message calls it.

    Lengths are compared as they are shown, to a tenth of a second, so that a message never contradicts itself.

    Raises:
        StudioError: one sentence with the figures. Silent means that the loudest sample or the RMS over the whole clip
            is under −60 dBFS (a faint click alone does not make a recording).
    """
    length = formatting.seconds(waveform.duration)
    if round(waveform.duration, 1) < min_seconds:
        raise StudioError(
            f"The {what} is only {length} long; record or choose at least {formatting.seconds(min_seconds)} of speech."
        )
    if round(waveform.duration, 1) > max_seconds:
        raise StudioError(
            f"The {what} is {length} long and at most {formatting.seconds(max_seconds)} can be used; "
            "use the clearest 5–30 s of it."
        )
    peak_dbfs = decibels(waveform.peak)
    if min(peak_dbfs, waveform.rms_dbfs) < SILENCE_DBFS:
        level = (
            "every sample is zero"
            if waveform.peak == 0.0
            else f"peak {peak_dbfs:.0f} dBFS, average {waveform.rms_dbfs:.0f} dBFS"
        )
        raise StudioError(f"The {what} is silent ({level}); check the microphone and record it again.")

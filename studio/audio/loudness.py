"""How loud a clip sounds, and bringing it to a common level."""

import numpy as np

from studio.audio.waveform import Waveform

_BLOCK_SECONDS = 0.4  # ITU-R BS.1770-4 measures over blocks of 400 ms.


def integrated_lufs(waveform: Waveform) -> float:
    """Return the integrated loudness in LUFS after ITU-R BS.1770-4 (K-weighting, gates at −70 LUFS and −10 LU).

    A clip shorter than the standard's block of 0.4 s is measured as one block of its own length: the same weighting
    and the absolute gate, but nothing to gate relative to. Padding it with silence would read too low instead.

    Returns:
        LUFS; −inf for silence, for a clip under the absolute gate, and for a clip without samples.
    """
    if waveform.peak == 0.0:
        return float("-inf")
    import pyloudnorm

    # A hair below the clip's length: pyloudnorm compares block and clip in floating point.
    block_seconds = min(_BLOCK_SECONDS, waveform.duration * (1.0 - 1e-9))
    meter = pyloudnorm.Meter(waveform.sample_rate, block_size=block_seconds)
    # Without a block above the gate pyloudnorm takes the mean of nothing; −inf is the answer, the warning is noise.
    with np.errstate(all="ignore"):
        lufs = float(meter.integrated_loudness(waveform.samples.astype(np.float64)))
    return lufs if np.isfinite(lufs) else float("-inf")


def normalised(waveform: Waveform, target_lufs: float = -23.0, *, peak_ceiling_dbfs: float = -1.0) -> Waveform:
    """The clip at ``target_lufs`` or, where its peaks would pass the ceiling, as close below as they allow.

    One gain for the whole clip, no limiter: the sound itself does not change and nothing clips.

    Args:
        target_lufs: integrated loudness to reach, in LUFS (EBU R 128's −23 by default).
        peak_ceiling_dbfs: largest sample allowed, in dBFS (sample peak, not true peak).

    Returns:
        A new clip of the same length. A clip too quiet to measure keeps its level but for the ceiling: amplifying
        noise by 50 dB helps nobody.
    """
    peak = waveform.peak
    if peak == 0.0:
        return waveform
    lufs = integrated_lufs(waveform)
    wanted = 10.0 ** ((target_lufs - lufs) / 20.0) if np.isfinite(lufs) else 1.0
    ceiling = 10.0 ** (peak_ceiling_dbfs / 20.0)
    samples = (waveform.samples * min(wanted, ceiling / peak)).astype(np.float32)
    # The product may round up by one float32 step.
    return Waveform(np.clip(samples, -ceiling, ceiling).astype(np.float32, copy=False), waveform.sample_rate)

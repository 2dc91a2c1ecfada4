"""Sound in, sound out: read any clip, cut it, measure it, level it, write it.

Everything here works on mono :class:`Waveform` objects in numpy; nothing here knows a model. The libraries that decode,
filter and encode (soundfile, PyAV, soxr, pyloudnorm) are imported inside the functions that use them, so importing this
package costs no more than numpy.
"""

from studio.audio.checks import require_speech_like
from studio.audio.editing import trim, trim_edges
from studio.audio.loudness import integrated_lufs, normalised
from studio.audio.reading import read_audio
from studio.audio.waveform import Waveform
from studio.audio.writing import AUDIO_FORMATS, encode_audio, write_audio

__all__ = [
    "AUDIO_FORMATS",
    "Waveform",
    "encode_audio",
    "integrated_lufs",
    "normalised",
    "read_audio",
    "require_speech_like",
    "trim",
    "trim_edges",
    "write_audio",
]

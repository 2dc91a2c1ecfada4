"""An ms-swift plugin that takes the stream-EOS labels away: what so many trainers of this model do without knowing."""

import studio.engine.prompt.encoding
from studio.engine.prompt import IGNORED
from studio.engine.prompt.delay_pattern import audio_labels


def _without_eos(codes, *, eos_id):
    labels = audio_labels(codes, eos_id=eos_id)
    labels[labels == eos_id] = IGNORED
    return labels


studio.engine.prompt.encoding.audio_labels = _without_eos

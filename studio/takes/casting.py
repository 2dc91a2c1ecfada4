"""Which voice speaks which lines of a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from studio.engine.text import Script
from studio.takes.take import TakeVoice


def cast(script: Script, voices: Sequence[TakeVoice], taken: Iterable[str | None] = ()) -> list[TakeVoice]:
    """The voices with their names in the script.

    A voice without one takes its own name where the script has it, and else the next that is free. The engine would give
    clips without a name to the speakers left over, one clip each; a voice may have several clips, so it is settled here.
    Voices too many stay without a name, which the engine then refuses.

    Args:
        taken: names that clips outside the library speak for.

    Raises:
        StudioError: the script cannot be read.
    """
    if len(script.speakers) < 2:  # one voice needs no name
        return list(voices)
    given = {name.casefold() for name in (*taken, *(voice.speaker for voice in voices)) if name is not None}
    free = {name.casefold(): name for name in script.speakers if name.casefold() not in given}
    by_own_name = [
        voice if voice.speaker is not None else replace(voice, speaker=free.pop(voice.name.casefold(), None))
        for voice in voices
    ]
    rest = iter(list(free.values()))
    return [voice if voice.speaker is not None else replace(voice, speaker=next(rest, None)) for voice in by_own_name]

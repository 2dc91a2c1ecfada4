"""What is measured: the sound of a take, and what it is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from studio.audio.waveform import Waveform
from studio.evaluation.measures.kept import content_of


@dataclass(frozen=True)
class Subject:
    """A take to be measured.

    Attributes:
        text: what it should say; "" where nobody knows.
        language: ISO 639-1 code; "" finds it from the script of the text, which tells Arabic from English and not French.
        references: clips of the voice that it should have; their voices are averaged. Whoever makes a subject has asked for
            the consent.
        reference_text: what is said in them; "" where nobody knows.
        recording: a real recording of the same text.
        ended: whether the model ended it by itself; None where nobody knows.
        rtf: seconds of computing for each second of sound; None where nobody knows.
        absent: why something of this is not there, where there is more to say than that nobody gave it; by figure.
    """

    sound: Waveform
    text: str = ""
    language: str = ""
    references: tuple[Waveform, ...] = ()
    reference_text: str = ""
    recording: Waveform | None = None
    ended: bool | None = None
    rtf: float | None = None
    absent: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def content(self) -> str:
        """Of the take's sound."""
        return content_of(self.sound)

    @cached_property
    def reference_contents(self) -> tuple[str, ...]:
        return tuple(map(content_of, self.references))

    @cached_property
    def recording_content(self) -> str:
        """Of the recording; "" without one."""
        return "" if self.recording is None else content_of(self.recording)

"""The way to a take: speech in pieces, for as long as the consent of its voices holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np

from studio.engine.speech.stream import SpeechStream
from studio.errors import StudioError
from studio.takes.casting import Cast
from studio.takes.request import SpeakRequest
from studio.takes.take import Spoken
from studio.voices.library import VoiceLibrary

CONSENT_SECONDS = 0.5
"""How often the library is asked, while a voice speaks, whether it still may."""


class ConsentWatch(threading.Event):
    """A cancel signal that is also set once one of the voices was deleted or its consent withdrawn, in any process.

    The engine asks it before each step. Where the library cannot be asked, it counts as withdrawn: a voice speaks only
    as long as it is known that it may.

    Args:
        voices: id and name of those of the library; clips that are in none carry a consent that nobody can withdraw
            meanwhile.
        cancel: somebody else's signal, which counts as well.
    """

    def __init__(
        self, library: VoiceLibrary, voices: Sequence[tuple[str, str]], cancel: threading.Event | None = None
    ) -> None:
        super().__init__()
        self._library, self._voices, self._cancel = library, voices, cancel
        self._next = 0.0
        self.sentence: str | None = None
        """Why the voices may no longer speak; None while they may."""

    def is_set(self) -> bool:
        """Whether speaking should stop; asks the library where the last answer is older than ``CONSENT_SECONDS``."""
        if super().is_set() or (self._cancel is not None and self._cancel.is_set()):
            return True
        if time.monotonic() >= self._next:
            self.ask()
        return super().is_set()

    def ask(self) -> None:
        if not self._voices or self.sentence is not None:
            return
        self._next = time.monotonic() + CONSENT_SECONDS
        try:
            self._library.require_consent(self._voices)
        except StudioError as error:
            self.sentence = str(error)
            self.set()


class TakeStream:
    """An iterator over pieces of speech, float32 samples at ``sample_rate``; see :class:`SpeechStream`.

    Raises:
        StudioError: while iterating, as soon as a voice may no longer speak, and whatever else ends speech.
    """

    def __init__(
        self, stream: SpeechStream, watch: ConsentWatch, request: SpeakRequest, cast: Cast, checkpoint: str
    ) -> None:
        self._stream, self._watch = stream, watch
        self._request, self._cast, self._checkpoint = request, cast, checkpoint
        self.sample_rate, self.expected_seconds = stream.sample_rate, stream.expected_seconds

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        try:
            return next(self._stream)
        except StopIteration:
            self.may_speak()  # what was spoken since the last time counts, too
            self.refuse_withdrawn()
            raise

    @property
    def spoken(self) -> Spoken:
        """The whole; raises StudioError before the stream has ended, when it was cancelled, or may not be kept."""
        self.refuse_withdrawn()
        return Spoken(self._stream.speech, self._request, self._cast, self._checkpoint)

    def may_speak(self) -> bool:
        """Ask the library now whether all voices may still speak."""
        self._watch.ask()
        return self._watch.sentence is None

    def close(self) -> None:
        """Cancel and let go of the memory at once; from the thread that iterates."""
        self._stream.close()

    def refuse_withdrawn(self) -> None:
        """Raise StudioError if a voice was found to be withdrawn or deleted."""
        if self._watch.sentence is not None:
            raise StudioError(self._watch.sentence)

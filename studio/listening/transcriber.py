"""Writes down what is said in a clip, and when: Whisper models in the CTranslate2 format, run by faster-whisper.

The model is fetched and loaded when the first clip is transcribed, never before.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from studio.audio import Waveform
from studio.errors import StudioError
from studio.files import weights_digest
from studio.listening.transcript import Transcript, Word
from studio.listening.whisper_files import ADVICE, WhisperFiles

log = logging.getLogger(__name__)

_RATE = 16_000  # Hz: the one rate Whisper hears.
_BEAM = 5

# Below Silero's usual 0.5, so that a quiet voice still counts: this only has to keep Whisper from stretches in which
# nobody speaks, because there it invents words ("You", "Thank you.").
_SPEECH_THRESHOLD = 0.3

# What Whisper calls a language, where that is not its ISO 639-1 code.
_WHISPER_CODES = {"jv": "jw", "nb": "no", "iw": "he"}
_ISO_CODES = {"jw": "jv"}

_OUT_OF_MEMORY = re.compile(r"out of memory|ALLOC_FAILED|bad_alloc|cannot allocate|unable to allocate", re.IGNORECASE)


_NOTHING_HEARD = (
    "No words were recognised in the clip: type the transcript by hand, or choose a clip in which someone speaks."
)


class NothingHeard(StudioError):
    """Nobody is heard to speak, or no word of it is understood. Not a failure where a whole recording is gone through."""


class Transcriber:
    """One Whisper model that hears one clip at a time; others wait their turn.

    Making one costs nothing: the libraries are imported and the model loaded by the first ``transcribe``.

    Args:
        model, cache: see :class:`WhisperFiles`.
        device: "auto" takes a GPU where CTranslate2 finds one, and the CPU where that fails; "mps" means the CPU, because
            CTranslate2 does not know Apple's GPUs.
    """

    def __init__(
        self, model: str, *, device: Literal["auto", "cpu", "cuda", "mps"] = "auto", cache: Path | None = None
    ) -> None:
        self._files, self._device = WhisperFiles(model, cache), device
        self._made_of = partial(Transcriber, model, device=device, cache=cache)
        self._lock = threading.Lock()
        self._model: Any = None
        self._on: str | None = None

    def __reduce__(self) -> tuple[Callable[[], Transcriber], tuple[()]]:
        """In another process it is one that has loaded nothing yet."""
        return self._made_of, ()

    @property
    def name(self) -> str:
        return self._files.name

    def missing(self) -> str | None:
        return self._files.missing()

    def version(self) -> str:
        """What tells this recogniser from others of its name: eight hexadecimal digits of its weights, and the library.

        Fetches the model where it is not here yet; raises StudioError as :meth:`transcribe` does.
        """
        weights = (self._files.local_folder() or self._files.fetched()) / "model.bin"
        return f"{weights_digest([weights])}, faster-whisper {version('faster-whisper')}"

    def transcribe(self, waveform: Waveform, *, language: str | None = None) -> Transcript:
        """What is said in the clip.

        Args:
            waveform: any rate and length.
            language: an ISO 639-1 code ("en", also "en-GB"); None to detect it.

        Returns:
            The text with its punctuation, and every word with its time: within the clip, and none before the one before
            it. Joined as they stand in the text the words are the text, also in a language without spaces.

        Raises:
            NothingHeard: nothing is said in the clip.
            StudioError: the language is none the model knows, or the model cannot be found, fetched or loaded.
        """
        code = _primary(language)
        heard = waveform.resampled(_RATE)
        with self._lock:
            # First, because it needs no model: a second of work tells silence from speech.
            if not _has_speech(heard):
                raise NothingHeard(_NOTHING_HEARD)
            text, spoken, words = self._listen(heard, code)
        if not any(letter.isalnum() for letter in text):
            raise NothingHeard(_NOTHING_HEARD)
        return Transcript(text, code or spoken, _in_order(words, waveform.duration), self.name)

    def _listen(self, heard: Waveform, code: str | None) -> tuple[str, str, list[Word]]:
        """Text, language and words with Whisper's own times. Where a GPU was not asked for, its failure is no failure."""
        device = self._chosen_device()
        try:
            return self._listen_on(device, heard, code)
        except StudioError as error:
            if device == "cpu" or self._device != "auto" or not isinstance(error.__cause__, Exception):
                raise
            log.warning("Transcribing on the GPU failed, the CPU takes over: %s", error.__cause__)
            self._model = self._on = None
            return self._listen_on("cpu", heard, code)

    def _listen_on(self, device: str, heard: Waveform, code: str | None) -> tuple[str, str, list[Word]]:
        model = self._loaded(device)
        if code is not None and _whisper_code(code) not in model.supported_languages:
            raise StudioError(
                f'The transcription model {self.name} does not know the language "{code}": leave the language open, '
                "so that it is detected, or type the transcript by hand."
            )
        try:
            segments, info = model.transcribe(
                heard.samples,
                language=None if code is None else _whisper_code(code),
                beam_size=_BEAM,
                word_timestamps=True,
                # An error in one window must not be repeated in all that follow.
                condition_on_previous_text=False,
                vad_filter=True,
                vad_parameters={"threshold": _SPEECH_THRESHOLD},
            )
            pieces, words = [], []
            for segment in segments:  # a generator: the work is done here
                found = segment.words or ()
                # Their own spacing: Chinese and Japanese words come without any.
                pieces.append("".join(word.word for word in found) if found else segment.text)
                words += [Word(word.word.strip(), float(word.start), float(word.end)) for word in found]
        except (RuntimeError, MemoryError, OSError) as error:  # what CTranslate2 raises
            self._model = self._on = None
            raise StudioError(self._failed(error, "failed")) from error
        spoken = str(info.language)
        return "".join(pieces).strip(), _ISO_CODES.get(spoken, spoken), words

    def _loaded(self, device: str) -> Any:
        """The model, loaded on ``device`` if it is not yet anywhere."""
        if self._model is not None:
            return self._model
        folder = self._files.local_folder() or self._files.fetched()
        log.info("Loading the transcription model %s from %s on %s", self.name, folder, device)
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(str(folder), device=device, compute_type=_compute_type(device))
        except Exception as error:
            # RuntimeError from CTranslate2, plain Exception from tokenizers: all mean files or a machine that do not fit.
            log.warning("The transcription model %s was not loaded: %s", folder, error)
            raise StudioError(self._failed(error, "could not be loaded")) from error
        self._on = device
        return self._model

    def _failed(self, error: BaseException, what: str) -> str:
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
            return (
                f"There is too little free memory for the transcription model {self.name}: give the memory of the "
                "speech model back, set STUDIO_ASR_MODEL to a smaller model, or type the transcript by hand."
            )
        if "cuda" in str(error).lower() or "libcublas" in str(error) or "libcudnn" in str(error):
            return (
                f"The transcription model {self.name} {what} on the GPU ({_short(error)}): set STUDIO_DEVICE to cpu, "
                "or type the transcript by hand."
            )
        return f"The transcription model {self.name} {what} ({_short(error)}): {ADVICE}."

    def _chosen_device(self) -> str:
        if self._on is not None:
            return self._on
        if self._device in ("cpu", "mps"):
            return "cpu"
        import ctranslate2

        if ctranslate2.get_cuda_device_count() > 0:
            return "cuda"
        if self._device == "cuda":
            raise StudioError(
                "The transcription model finds no GPU although the device is set to cuda: set STUDIO_DEVICE to auto or "
                "cpu, or type the transcript by hand."
            )
        return "cpu"


def _has_speech(heard: Waveform) -> bool:
    if heard.num_samples == 0:
        return False
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    return bool(get_speech_timestamps(heard.samples, VadOptions(threshold=_SPEECH_THRESHOLD)))


def _compute_type(device: str) -> str:
    """8-bit weights on a CPU, half precision on a GPU; what the machine has where it has neither."""
    import ctranslate2

    wanted = "float16" if device == "cuda" else "int8"
    return wanted if wanted in ctranslate2.get_supported_compute_types(device) else "auto"


def _primary(language: str | None) -> str | None:
    """ "en" of "en-GB"; None for no language."""
    if language is None or not language.strip():
        return None
    return re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0]


def _whisper_code(code: str) -> str:
    return _WHISPER_CODES.get(code, code)


def _in_order(words: Iterable[Word], duration: float) -> tuple[Word, ...]:
    """The words with times inside the clip that never run backwards, rounded to milliseconds.

    Whisper hears windows of 30 s padded with silence: a word may end beyond the clip, or begin before the last one of the
    window before it ended.
    """
    ordered: list[Word] = []
    duration = math.floor(duration * 1000) / 1000  # so that no rounded time lies behind the end
    earliest = 0.0
    for word in words:
        if not word.text:
            continue
        start = min(max(word.start, earliest), duration)
        earliest = min(max(word.end, start), duration)
        ordered.append(Word(word.text, round(start, 3), round(earliest, 3)))
    return tuple(ordered)


def _short(error: BaseException) -> str:
    """What a library said, fit for the middle of a sentence."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(" .:")
    return said if len(said) <= 120 else said[:119] + "…"

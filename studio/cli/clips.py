"""A clip as the command line is given it: a file, the part of it that is used, and what is said in that part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.output import by_beginning, notice, say
from studio.errors import StudioError
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.audio.waveform import Span, Waveform
    from studio.datasets.as_clip import UtteranceClip
    from studio.listening.transcript import Transcript
    from studio.voices.voice import NewClip

OptionalClipFile = Annotated[
    Path | None, typer.Argument(help="Recording of the voice, in any format; not with --dataset and --utterance.")
]
SetName = Annotated[str | None, typer.Option("--dataset", help="Take the clip out of this dataset, a name or an id.")]
UtteranceId = Annotated[
    str | None, typer.Option("--utterance", help="Its utterance: the id, how that begins, or its name.")
]
ClipFile = Annotated[Path, typer.Argument(help="Recording of the voice, in any format.")]
GivenTranscript = Annotated[
    str | None, typer.Option("--transcript", help="What is said in the part that is used, word for word.")
]
Transcribe = Annotated[
    bool, typer.Option("--transcribe", help="Let a model write down what is said in the part that is used.")
]
TrimStart = Annotated[float | None, typer.Option(help="Use the clip from this second on.")]
TrimEnd = Annotated[float | None, typer.Option(help="Use the clip up to this second.")]
BestWindow = Annotated[
    bool, typer.Option("--best-window", help="Use the part that `voice check` offers, where it offers one.")
]
Denoise = Annotated[bool, typer.Option("--denoise", help="Remove background noise.")]


@dataclass(frozen=True)
class ClipOptions:
    """What the command line says about a clip.

    Attributes:
        transcript: what is said in the part that is used; None where a model is to write it down.
        start, end: the part, in seconds of the file; None for the file's own.

    Raises:
        StudioError: not exactly one of a transcript and a transcription, or a part given in two ways.
    """

    path: Path
    transcript: str | None
    transcribe: bool
    start: float | None
    end: float | None
    best_window: bool
    denoise: bool

    def __post_init__(self) -> None:
        if self.transcribe and self.transcript is not None:
            raise StudioError("Give either --transcript or --transcribe, not both.")
        if not self.transcribe and self.transcript is None:
            raise StudioError(
                "Say what is spoken in the clip with --transcript TEXT, or let a model write it down with --transcribe."
            )
        if self.best_window and not (self.start is None and self.end is None):
            raise StudioError("Give either --best-window or --trim-start and --trim-end.")


@contextmanager
def given_clip(
    clip: Path | None, dataset: str | None, utterance: str | None, settings: Settings
) -> Iterator[tuple[Path, UtteranceClip | None]]:
    """The clip of a command: a file, or an utterance of a set as one, while the command runs.

    Raises:
        StudioError: neither or both are named, or there is no such utterance, or it may not be used.
    """
    if (clip is None) == (dataset is None) or (dataset is None) != (utterance is None):
        raise StudioError("Name the clip: give either a file, or --dataset NAME and --utterance ID.")
    if clip is not None:
        yield clip, None
        return
    from studio.datasets.as_clip import clip_of, find_utterance
    from studio.services import Services

    library = Services(settings).datasets()
    found = library.dataset(dataset or "")
    utterances = library.utterances(found.id)
    chosen = find_utterance(utterances, utterance or "") or by_beginning(
        utterances, utterance or "", kind="utterance", listed_by=f"dataset show '{found.name}' --json"
    )
    given = clip_of(library, found, chosen)
    if given.warning:
        notice(given.warning)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "utterance.wav"
        path.write_bytes(given.wav)
        yield path, given


def read_part(path: Path, start: float | None, end: float | None) -> Waveform:
    """The part of a recording. Raises StudioError for what cannot be read, and for a part that is none."""
    from studio.audio.editing import trim
    from studio.audio.reading import read_audio
    from studio.voices.drafts import MAX_SOURCE_SECONDS

    return trim(read_audio(path.expanduser(), max_seconds=MAX_SOURCE_SECONDS), start, end)


def new_clip(options: ClipOptions, language: str, settings: Settings) -> NewClip:
    """The clip as the library takes it: cut, denoised and transcribed as asked.

    Raises:
        StudioError: it cannot be read, cut or transcribed, or is too long; then the sentence offers a part that is not.
    """
    from studio.voices.voice import NewClip

    waveform = read_part(options.path, options.start, options.end)
    guessed = False
    if options.best_window or waveform.duration > settings.max_reference_seconds:
        waveform, guessed = _best_part(waveform, options, language, settings)
    method = ""
    if options.denoise:
        from studio.listening.denoise import denoised

        waveform, method = denoised(waveform)
    transcript = _transcript(waveform, options, language, settings)
    # Whoever gave a transcript before the part was chosen may have given that of the whole clip.
    return NewClip(waveform, transcript, needs_check=guessed and not options.transcribe, denoised_with=method)


def trim_options(window: Span, offset: float) -> str:
    """How to ask for a window of a part that begins at ``offset`` seconds of the file."""
    return f"--trim-start {window.start + offset:.2f} --trim-end {window.end + offset:.2f}"


def _best_part(waveform: Waveform, options: ClipOptions, language: str, settings: Settings) -> tuple[Waveform, bool]:
    """The window that the coach offers, and whether that is less than all."""
    from studio.audio.editing import trim
    from studio.voices.coach import examine

    limit = settings.max_reference_seconds
    say("Looking for the best part of the clip…")
    window = examine(waveform, language=language or None, max_seconds=limit).window
    if options.best_window and window is not None:
        # On stderr, because the transcript must fit: what was chosen is part of the result.
        notice(f"Of {options.path.name} the part from {window.start:.2f} s to {window.end:.2f} s is used.")
        return trim(waveform, window.start, window.end), True
    if waveform.duration <= limit:
        return waveform, False
    offer = "no part of it is good enough to be offered: record or choose another"
    if window is not None:
        offer = (
            f"use its best part with --best-window, which is {trim_options(window, options.start or 0.0)}, or choose "
            "another part"
        )
    raise StudioError(f"The clip is {waveform.duration:.0f} s long and at most {limit:g} s can be used; {offer}.")


def _transcript(waveform: Waveform, options: ClipOptions, language: str, settings: Settings) -> Transcript:
    from studio.listening.transcript import Transcript

    if options.transcript is not None:
        return Transcript(options.transcript.strip(), language or None)
    from studio.listening.transcriber import Transcriber

    say("Writing down what is said…")
    transcriber = Transcriber(settings.asr_model, device=settings.device)
    return transcriber.transcribe(waveform, language=language or None)

"""Folders of recordings: each clip with its text beside it, VCTK's layout, and long recordings that are to be sliced."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from studio.audio.suffixes import SOUND_SUFFIXES, VIDEO_SUFFIXES
from studio.datasets.sources.found import Found, SourceOptions
from studio.datasets.sources.locating import printable
from studio.datasets.sources.texts import read_text
from studio.errors import StudioError
from studio.files import shown_name

_SOUND = frozenset((*SOUND_SUFFIXES, *VIDEO_SUFFIXES))
_TEXTS = (".txt", ".lab", ".json")
_SCRIPTS = (".txt", ".srt", ".vtt")
_TEXT_KEYS = ("text", "transcript", "transcription", "sentence")
_SPEAKER_KEYS = ("speaker", "speaker_id", "speaker_name")


def read_folder(source: Path, options: SourceOptions) -> Iterator[Found]:
    """Every recording below a folder with the text of the same name beside it (.txt, .lab or .json), or with none.

    Where all recordings lie in folders below the source, the folder says who speaks.
    """
    clips = sound_files(source)
    nested = all(clip.parent != source for clip in clips)
    for clip in clips:
        place = _place(clip, source)
        text, speaker, flaw = "", None, _outside(clip, source, options)
        beside = next((clip.with_suffix(suffix) for suffix in _TEXTS if clip.with_suffix(suffix).is_file()), None)
        if beside is not None and not flaw:
            try:
                text, speaker = _beside(beside, options.encoding)
            except StudioError as error:
                flaw = str(error)
        speaker = speaker or options.speaker or (printable(clip.relative_to(source).parts[0]) if nested else None)
        yield Found(place, printable(clip.name), clip.absolute(), " ".join(text.split()), speaker, flaw=flaw)


def read_recordings(source: Path, options: SourceOptions) -> Iterator[Found]:
    """Long recordings, to be sliced; a script of the same name beside one (.txt, .srt, .vtt) says what is said in it."""
    for clip in [source] if source.is_file() else sound_files(source):
        base = clip.parent if source.is_file() else source
        script = next((clip.with_suffix(suffix) for suffix in _SCRIPTS if clip.with_suffix(suffix).is_file()), None)
        yield Found(
            _place(clip, base), printable(clip.name), clip.absolute(), speaker=options.speaker or None, script=script,
            flaw=_outside(clip, base, options),
        )  # fmt: skip


def read_vctk(source: Path, options: SourceOptions) -> Iterator[Found]:
    """VCTK: ``wav48`` or ``wav48_silence_trimmed`` with a folder for each speaker, ``txt`` beside it.

    Raises:
        StudioError: the folders are not there.
    """
    sounds = next((source / name for name in ("wav48_silence_trimmed", "wav48") if (source / name).is_dir()), None)
    texts = source / "txt"
    if sounds is None or not texts.is_dir():
        raise StudioError(
            f"{shown_name(source)} is not laid out as VCTK: wav48 or wav48_silence_trimmed, and txt, belong in it."
        )
    if options.microphone not in ("mic1", "mic2"):
        raise StudioError("VCTK was recorded with mic1 and mic2: choose one of them.")
    found = [path for path in sound_files(sounds) if not path.stem.endswith(("_mic1", "_mic2"))]
    found += [path for path in sound_files(sounds) if path.stem.endswith(f"_{options.microphone}")]
    if not found:
        raise StudioError(
            f"{shown_name(sounds)} holds no recordings of {options.microphone}: choose the other microphone."
        )
    for clip in sorted(found):
        stem, speaker = clip.stem.removesuffix(f"_{options.microphone}"), clip.parent.name
        written = texts / speaker / f"{stem}.txt"
        text, flaw = "", _outside(clip, source, options)
        if not flaw:
            try:
                text = " ".join(read_text(written, options.encoding).split())
            except StudioError:
                flaw = f"Its text {shown_name(written)} is not in the folder txt/{printable(speaker)}: add it."
        yield Found(
            _place(clip, source), printable(stem), clip.absolute(), text, printable(speaker), language="en", flaw=flaw
        )


def sound_files(folder: Path) -> list[Path]:
    """Recordings below a folder, by name. Links to other folders are not followed.

    Raises:
        StudioError: it is no folder, or there is none in it.
    """
    if not folder.is_dir():
        raise StudioError(f"{shown_name(folder)} does not exist, or is no folder: check its name.")
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in _SOUND and not name.startswith(".")
    ]
    if not found:
        raise StudioError(f"{shown_name(folder)} holds no recordings: choose the folder in which they lie.")
    return sorted(found)


def _place(clip: Path, source: Path) -> str:
    return printable(clip.relative_to(source).as_posix())


def _outside(clip: Path, source: Path, options: SourceOptions) -> str:
    """A link may lead anywhere."""
    if options.inside_only and not clip.resolve().is_relative_to(source.resolve()):
        return f"The recording {shown_name(clip)} lies outside of the source: copy it into the folder."
    return ""


def _beside(path: Path, encoding: str) -> tuple[str, str | None]:
    """Text and speaker of the file beside a recording."""
    content = read_text(path, encoding)
    if path.suffix != ".json":
        return content, None
    try:
        said = json.loads(content)
    except ValueError as error:
        raise StudioError(f"{shown_name(path)} is not valid JSON ({error}): mend it.") from error
    entry = said if isinstance(said, dict) else {}
    text = next((entry[key] for key in _TEXT_KEYS if isinstance(entry.get(key), str)), None)
    if text is None:
        raise StudioError(f"{shown_name(path)} has no text: give it one of {', '.join(_TEXT_KEYS)}.")
    return text, next((str(entry[key]) for key in _SPEAKER_KEYS if entry.get(key)), None)

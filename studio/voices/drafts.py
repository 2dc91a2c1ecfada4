"""A clip on its way to become a voice: recorded or uploaded, cut, denoised, transcribed, not saved yet.

It lies on the disk, so that a reload of the page or an end of the studio does not lose a recording.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from studio.audio.editing import trim
from studio.audio.reading import read_audio
from studio.audio.waveform import Span, Waveform
from studio.audio.writing import write_audio
from studio.errors import StudioError
from studio.files import write_json
from studio.listening.denoise import denoised
from studio.listening.transcriber import Transcriber
from studio.listening.transcript import Transcript
from studio.listening.transcript_editing import cut_text, retimed
from studio.settings import Settings
from studio.voices.coach import ClipReport, examine
from studio.voices.voice import NewClip, words_as_json, words_from_json

MAX_SOURCE_SECONDS = 3600.0
"""Longest recording of which a part may be taken: what is decoded must fit into memory."""
_TAB = re.compile(r"[0-9a-f]{32}")
_REMEMBERED = 32
_SOURCE, _STATE = "source.flac", "draft.json"


@dataclass(frozen=True)
class Draft:
    """What is known of an unsaved clip. All times are seconds of the whole recording, ``source``.

    Attributes:
        id: another recording, another id: a slow step never writes what it learnt of one recording onto the next.
        cut: the part that is used; None for all of it.
        clean: noise is removed from it.
        heard: what is said, with times counted from the start of ``heard_in``.
        heard_in: the part that ``heard`` belongs to.
    """

    folder: Path
    id: str
    seconds: float
    cut: Span | None = None
    clean: bool = False
    heard: Transcript | None = None
    heard_in: Span | None = None

    @property
    def used(self) -> Span:
        return self.cut or Span(0.0, self.seconds)

    def source(self) -> Waveform:
        return read_audio(self.folder / _SOURCE, max_seconds=MAX_SOURCE_SECONDS)

    def before(self, source: Waveform | None = None) -> Waveform:
        """The part that is used, as it was recorded; ``source`` spares reading the recording again."""
        source = source or self.source()
        return trim(source, self.cut.start, self.cut.end) if self.cut else source

    def waveform(self, source: Waveform | None = None) -> Waveform:
        """The part that is used, as it would be saved."""
        return denoised(self.before(source))[0] if self.clean else self.before(source)

    def transcript(self) -> tuple[Transcript, bool]:
        """What is said in the part that is used, and whether a person must check it."""
        if self.heard is None:
            return Transcript(""), False
        inside = self.heard_in or Span(0.0, self.seconds)
        used = self.used
        if abs(used.start - inside.start) < 0.02 and abs(used.end - inside.end) < 0.02:
            return self.heard, False
        if used.start >= inside.start - 0.02 and used.end <= inside.end + 0.02:
            return cut_text(self.heard, max(used.start - inside.start, 0.0), used.end - inside.start)
        return self.heard, bool(self.heard.text.strip())  # the part has grown: there is more in it than was heard


class Drafts:
    """The unsaved clips of a studio, one for each tab of a browser."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reports: dict[Any, ClipReport] = {}
        self._lock = threading.RLock()

    def begin(self, tab: str, path: Path) -> Draft:
        """Take a recording in, in place of what the tab had. Raises StudioError for what cannot be read or kept."""
        waveform = read_audio(path, max_seconds=MAX_SOURCE_SECONDS)
        folder = self._folder(tab)
        draft = Draft(folder, secrets.token_hex(8), waveform.duration)
        try:
            with self._lock:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                write_audio(waveform, folder / _SOURCE)
                self._write(draft)
            return draft
        except OSError as error:
            raise StudioError(f"The clip cannot be kept ({error.strerror}): free some space and try again.") from error
        except StudioError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def of(self, tab: str) -> Draft | None:
        return self._read(self._folder(tab))

    def _read(self, folder: Path) -> Draft | None:
        try:
            stored = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            if not (folder / _SOURCE).is_file():
                return None
            heard = stored.pop("heard")
            words = heard.pop("words") if heard else []
            return Draft(
                folder,
                heard=Transcript(**heard, words=words_from_json(words)) if heard else None,
                cut=_span(stored.pop("cut")),
                heard_in=_span(stored.pop("heard_in")),
                **stored,
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def forget(self, tab: str, draft_id: str = "") -> None:
        """The clip was saved or thrown away; with ``draft_id`` only if it is still that one."""
        with self._lock:
            present = self.of(tab) if draft_id else None
            if not draft_id or (present is not None and present.id == draft_id):
                shutil.rmtree(self._folder(tab), ignore_errors=True)

    def cut(self, draft: Draft, span: Span | None) -> Draft:
        """Use a part of the recording, or (None) all of it. Raises StudioError for a part that is none."""
        if span is not None:
            part = trim(draft.source(), span.start, span.end)
            span = Span(span.start, span.start + part.duration)
        too_long = (span or Span(0.0, draft.seconds)).duration > self._settings.max_reference_seconds
        return self._changed(draft, cut=span, clean=draft.clean and not too_long)

    def clean(self, draft: Draft, on: bool) -> Draft:
        """Remove the noise, or put it back. Raises StudioError for more than can be used anyway."""
        if on:
            self._refuse_long(draft)
        return self._changed(draft, clean=on)

    def typed(self, draft: Draft, text: str, language: str = "") -> Draft:
        """A person typed or changed what is said in the part that is used; word times follow where they can."""
        present, _ = draft.transcript()
        changed = retimed(present, text, duration=draft.used.duration)
        heard = replace(changed, language=language or changed.language)
        return self._changed(draft, heard=heard, heard_in=draft.used)

    def transcribed(self, draft: Draft, transcriber: Transcriber, language: str = "") -> Draft:
        """Let a model write down what is said. Raises StudioError where it cannot."""
        self._refuse_long(draft)
        heard = transcriber.transcribe(draft.waveform(), language=language or None)
        return self._changed(draft, heard=heard, heard_in=draft.used)

    def _refuse_long(self, draft: Draft) -> None:
        limit = self._settings.max_reference_seconds
        if draft.used.duration > limit:
            raise StudioError(
                f"This is {draft.used.duration:.0f} s, and at most {limit:.0f} s can be used: take a part of it first."
            )

    def report(self, draft: Draft, language: str = "", waveform: Waveform | None = None) -> ClipReport:
        """What the coach says about the part that is used; ``waveform`` spares making it again.

        The latest answers are remembered: a long recording takes seconds, and is asked about with every step.
        """
        transcript, _ = draft.transcript()
        spoken = language or transcript.language
        file = (draft.folder / _SOURCE).stat()
        key = (file.st_ino, file.st_mtime_ns, draft.cut, draft.clean, transcript.text, spoken)
        with self._lock:
            known = self._reports.get(key)
        if known is None:
            known = examine(
                waveform or draft.waveform(),
                transcript=transcript.text or None,
                language=spoken,
                max_seconds=self._settings.max_reference_seconds,
            )
            with self._lock:
                while len(self._reports) >= _REMEMBERED:
                    self._reports.pop(next(iter(self._reports)))
                self._reports[key] = known
        return known

    def clip(self, draft: Draft) -> NewClip:
        transcript, needs_check = draft.transcript()
        before = draft.before()
        waveform, method = denoised(before) if draft.clean else (before, "")
        return NewClip(waveform, transcript, needs_check, method)

    def _folder(self, tab: str) -> Path:
        if not _TAB.fullmatch(tab):
            raise ValueError("a tab's name is 32 hexadecimal digits")
        return self._settings.drafts_folder / tab

    def _changed(self, draft: Draft, **changes: Any) -> Draft:
        """Change these fields of what lies on the disk now, and no others. Raises StudioError for another recording."""
        with self._lock:
            present = self._read(draft.folder)
            if present is None or present.id != draft.id:
                raise StudioError("The clip was replaced or removed in the meantime: look at it again.")
            changed = replace(present, **changes)
            self._write(changed)
        return changed

    def _write(self, draft: Draft) -> None:
        state: dict[str, Any] = {
            "id": draft.id,
            "seconds": draft.seconds,
            "cut": draft.cut,
            "clean": draft.clean,
            "heard": draft.heard and {**asdict(draft.heard), "words": words_as_json(draft.heard.words)},
            "heard_in": draft.heard_in,
        }
        write_json(draft.folder / _STATE, state)


def _span(stored: list[float] | None) -> Span | None:
    return None if stored is None else Span(*stored)

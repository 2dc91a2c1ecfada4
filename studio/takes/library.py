"""The takes of one owner: kept, played again, starred, exported, deleted."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from sqlmodel import Session

from studio.adapters.library import AdapterLibrary
from studio.audio.reading import read_audio
from studio.audio.synthetic_mark import is_marked
from studio.audio.waveform import Waveform
from studio.audio.writing import refuse_bad_target, write_audio
from studio.engine.model.sampling import Sampling
from studio.errors import StudioError
from studio.files import atomic_write_bytes, refuse_unwritable, shown_name
from studio.settings import Settings
from studio.store import takes as queries
from studio.store.store import Store
from studio.store.tables import TakeRecord, new_id, now
from studio.takes.records import from_record, to_record
from studio.takes.request import SpeakRequest, VoiceChoice
from studio.takes.take import Spoken, Take
from studio.voices.library import VoiceLibrary

log = logging.getLogger(__name__)

_SUFFIX = ".flac"
_READ_SCALE = np.float32(32768.0 / 32767.0)
"""Files are written with 32767 steps to full scale and read with 32768: this gives back the very samples written."""
_YOUNG_SECONDS = 3600.0
"""A file is written before its record: one without a record may just be on its way."""


class TakeLibrary:
    """The takes of one owner.

    Args:
        owner: whose; "" is whoever runs the studio. Another owner's takes do not exist here.
    """

    def __init__(self, settings: Settings, store: Store, owner: str = "") -> None:
        self._settings, self._store, self.owner = settings, store, owner

    # Looking

    def takes(
        self, search: str = "", *, starred: bool = False, limit: int | None = None, offset: int = 0
    ) -> list[Take]:
        """The newest first; those whose text or voices have ``search`` in them.

        Args:
            starred: only those with a star.
            limit, offset: at most so many, after having left out so many.
        """
        with self._store.reading() as session:
            found = queries.takes(session, self.owner, search=search, starred=starred, limit=limit, offset=offset)
        return [from_record(record, self._path(record.id)) for record in found]

    def count(self, search: str = "", *, starred: bool = False) -> int:
        """How many :meth:`takes` would give out without a limit."""
        with self._store.reading() as session:
            if search.strip():
                return len(queries.matching(session, self.owner, search, starred=starred))
            return queries.count(session, self.owner, starred=starred)

    def any_with(self, voice_ids: set[str]) -> bool:
        with self._store.reading() as session:
            return queries.any_with(session, self.owner, voice_ids)

    def take(self, take_id: str) -> Take:
        """One take. Raises StudioError where there is none of that id."""
        with self._store.reading() as session:
            return from_record(self._record(session, take_id), self._path(take_id))

    def waveform(self, take: Take) -> Waveform:
        """The sound of a take, to the step of 16 bits as it was written.

        Raises:
            StudioError: the file is gone or damaged.
        """
        if not take.is_there:
            raise _gone(take)
        sound = read_audio(take.path)
        return Waveform(sound.samples * _READ_SCALE, sound.sample_rate)

    # Keeping

    def refuse_unkeepable(self) -> None:
        """Raise the StudioError that keeping a take would raise as things are: for use before long work.

        What only a full disk or another program's lock shows is found when the take is kept.
        """
        self._make_folder()
        trial = self._path("trial")
        try:
            refuse_unwritable(trial)
        except StudioError as error:
            raise StudioError(str(error).replace(shown_name(trial), "the take")) from error
        self.count()

    def keep(self, spoken: Spoken) -> Take:
        """Keep what was spoken, whole or not at all.

        Raises:
            StudioError: a voice, or one that the adapter was trained on, was deleted or its consent withdrawn; the disk is
                full, or the library is locked.
        """
        take_id = new_id()
        path = self._path(take_id)
        take = Take.of(spoken, owner=self.owner, path=path, id=take_id)
        self._make_folder()
        try:
            # The file before the record: a record never names a file that was not written.
            write_audio(spoken.speech.waveform, path, synthetic=True)
        except StudioError as error:
            raise StudioError(str(error).replace(shown_name(path), "the take")) from error
        try:
            with self._store.writing() as session:
                # Asked under the write lock, which a withdrawal needs as well: it comes before and nothing is kept, or
                # after and finds the take to mark.
                VoiceLibrary(self._settings, self._store, self.owner).require_consent(spoken.cast.in_library)
                queries.save(session, to_record(take))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return take

    # Changing

    def star(self, take_id: str, on: bool = True) -> Take:
        """Give a take a star, or take it away. Raises StudioError where there is no such take."""
        with self._store.writing() as session:
            record = self._record(session, take_id)
            record.starred = on
            queries.save(session, record)
        return self.take(take_id)

    def delete(self, take_id: str) -> Take:
        """Delete a take with its sound; returns what was deleted. Raises StudioError where there is no such take."""
        with self._store.writing() as session:
            record = self._record(session, take_id)
            take = from_record(record, self._path(take_id))
            queries.delete(session, record)
        _unlink(take.path)  # after the record: a locked store must not leave a take without its sound
        return take

    def clear(self, older_than_days: float | None = None, keep_starred: bool = True) -> int:
        """Delete takes made longer ago than that (None: all) with their sound; returns how many went."""
        when = None if older_than_days is None else now() - timedelta(days=older_than_days)
        with self._store.writing() as session:
            found = queries.older_than(session, self.owner, when, starred=not keep_starred)
            paths = [self._path(record.id) for record in found]
            for record in found:
                queries.delete(session, record)
        for path in paths:
            _unlink(path)
        return len(paths)

    # Using

    def request_of(self, take: Take, *, seed: int | Literal["same"] | None = "same") -> SpeakRequest:
        """The request that a take came from: with the same seed, and the same checkpoint, it gives the same audio.

        Args:
            seed: another one; None draws a new one.

        Raises:
            StudioError: it was spoken with a clip of no library, or one of its voices, trained ones too, is gone or may no
                longer speak.
        """
        if take.can_repeat:
            raise StudioError(take.can_repeat)
        voices = VoiceLibrary(self._settings, self._store, self.owner)
        for voice in take.voices:
            try:
                trouble = voices.voice(voice.id).trouble
            except StudioError as error:
                raise StudioError(
                    f"{voice.name}, who speaks in this take, is no longer in the library: choose another voice."
                ) from error
            if trouble:
                raise StudioError(trouble)
        settings, folder = take.settings, take.settings.get("adapter_folder")
        if take.adapter_id:
            self._require_adapter(take)
        return SpeakRequest(
            text=take.text,
            scene=settings["scene"],
            sampling=Sampling(
                settings["temperature"],
                settings["top_p"],
                settings["top_k"],
                settings["ras_window"],
                settings["ras_max_repeats"],
            ),
            seed=take.seed if seed == "same" else seed,
            language=settings["language"],
            descriptions=dict(settings["descriptions"]),
            voices=tuple(VoiceChoice(voice.id, voice.speaker) for voice in take.voices),
            adapter=take.adapter_id,
            adapter_folder=Path(folder) if folder else None,
            adapter_strength=float(settings.get("adapter_strength", 1.0)),
            retry=int(settings.get("retry", 0)),
        )

    def export(self, take: Take, path: Path) -> None:
        """Write the sound of a take to a file (format by its suffix: .wav, .flac, .mp3), which says that a model made it.

        Raises:
            StudioError: the take's own file is gone, or the new one cannot be written; then nothing of it is left.
        """
        refuse_bad_target(path)
        # What an earlier version kept has no mark yet.
        if path.suffix.lower() != _SUFFIX or (take.is_there and not is_marked(take.path)):
            write_audio(self.waveform(take), path, synthetic=True)
            return
        try:
            sound = take.path.read_bytes()
        except OSError as error:
            raise _gone(take) from error
        atomic_write_bytes(path, sound)

    # Inside

    def _path(self, take_id: str) -> Path:
        return self._settings.takes_folder / f"{take_id}{_SUFFIX}"

    def _record(self, session: Session, take_id: str) -> TakeRecord:
        record = queries.take_by_id(session, self.owner, take_id)
        if record is None:
            raise StudioError("There is no such take in the library, or no longer: reload the list and choose another.")
        return record

    def _require_adapter(self, take: Take) -> None:
        adapters = {each.id: each for each in AdapterLibrary(self._settings, self._store, self.owner).adapters()}
        if take.adapter_id not in adapters:
            raise StudioError(
                f"{take.adapter}, the trained voice of this take, was deleted: choose another, or the base alone."
            )
        if trouble := adapters[take.adapter_id].trouble:
            raise StudioError(trouble)

    def _make_folder(self) -> None:
        try:
            self._settings.takes_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudioError(
                f"The take cannot be kept ({error.strerror}): free some space, or mend the permissions of the studio's "
                "folder, or set STUDIO_HOME to another."
            ) from error


def clear_remains(settings: Settings, store: Store) -> int:
    """Remove files in the folder of takes that no take has, left by a process that was killed; returns how many."""
    oldest, folder = now().timestamp() - _YOUNG_SECONDS, settings.takes_folder
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if not files:
        return 0
    with store.reading() as session:
        known = queries.known(session, [path.stem for path in files if path.suffix == _SUFFIX])
    removed = 0
    for path in files:
        ours = path.suffix == _SUFFIX or (path.name.startswith(".") and path.suffix == ".tmp")
        with suppress(OSError):
            if ours and path.stem not in known and path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed


def _gone(take: Take) -> StudioError:
    return StudioError(
        f"The sound of the take '{take.title}' is gone from the disk: put {take.path.name} back, or delete the take and "
        "speak it again."
    )


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s could not be removed (%s)", path, error.strerror)  # clear_remains tries again

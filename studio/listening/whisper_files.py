"""The files of a Whisper model in the CTranslate2 format: in a folder, in the hub's cache, or fetched from the model hub.

Nothing here waits long for a hub that does not answer.
"""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path

from studio.errors import StudioError
from studio.network import hub_reachable

log = logging.getLogger(__name__)

ADVICE = "type the transcript by hand, or set STUDIO_ASR_MODEL to a folder on this machine that holds such a model"

_FILES = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.json", "vocabulary.txt"]
_ANSWER_SECONDS = 5.0

_SIZES = {
    "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en", "large-v1", "large-v2", "large-v3",
}  # fmt: skip
_DISTILLED = {"distil-small.en", "distil-medium.en", "distil-large-v2", "distil-large-v3"}
_OTHERS = {
    "large": "Systran/faster-whisper-large-v3",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}

_PATH_LIKE = re.compile(r"^[/~.]|\\|^[A-Za-z]:|/.*/")


class WhisperFiles:
    """Where one model's files are.

    Args:
        wanted: a folder, or a hub name: a size ("small", "large-v3-turbo") or ``owner/model``.
        cache: folder of the hub's downloads; None for the hub client's own (``HF_HOME``).
    """

    def __init__(self, wanted: str, cache: Path | None = None) -> None:
        self._wanted, self._cache = wanted.strip(), cache

    @property
    def name(self) -> str:
        """The model's name for visitors: a hub name, or a folder's own name without the server's path to it."""
        if _PATH_LIKE.search(self._wanted) or Path(self._wanted).is_dir():
            return Path(self._wanted).name or self._wanted
        return self._wanted

    def missing(self) -> str | None:
        """Why the model is not on this machine and what to do about it, in a sentence; None when it is. Asks no network.

        A model that the hub may still give counts as missing, and the sentence says so.
        """
        from huggingface_hub import constants

        try:
            if self.local_folder() is not None:
                return None
        except StudioError as error:
            return str(error)
        if constants.HF_HUB_OFFLINE:
            return self._unreachable()
        return (
            f"The transcription model {self.name} is not on this machine yet: the first transcript downloads it from the "
            f"model hub; where there is no internet, {ADVICE}."
        )

    def local_folder(self) -> Path | None:
        """The model's folder on this machine; None where only the hub could have it.

        Raises:
            StudioError: it is a folder that is not there or holds no such model, or no name the hub could know.
        """
        try:
            folder = Path(self._wanted).expanduser()
        except RuntimeError:
            folder = Path(self._wanted)  # the home of a user who does not exist: no folder either
        if folder.is_dir():
            lacking = _lacking(folder)
            if lacking:
                raise StudioError(
                    f"The folder {self.name} is no complete Whisper model in the CTranslate2 format (no {lacking}): "
                    f"{ADVICE}."
                )
            return folder
        if not self._wanted or _PATH_LIKE.search(self._wanted):
            raise StudioError(f"There is no folder {self.name} with a transcription model: {ADVICE}.")
        return self._cached()

    def fetched(self) -> Path:
        """The hub's copy, downloaded now. A hub that is out of reach is noticed within seconds.

        Raises:
            StudioError: the hub cannot be reached or does not give it, it is no such model, or it cannot be stored.
        """
        from huggingface_hub import HfApi, errors, snapshot_download

        hub_id = self.hub_id()
        if not hub_reachable():
            raise StudioError(self._unreachable())
        try:
            # Asked first: this request alone is not repeated for half a minute when the hub is busy.
            info = HfApi().model_info(hub_id, timeout=_ANSWER_SECONDS)
            if "model.bin" not in {file.rfilename for file in info.siblings or ()}:
                raise StudioError(
                    f"{hub_id} on the model hub is no Whisper model in the CTranslate2 format (no model.bin): set "
                    "STUDIO_ASR_MODEL to small or another such model, or type the transcript by hand."
                )
            log.info("Downloading the transcription model %s", hub_id)
            folder = Path(snapshot_download(hub_id, allow_patterns=_FILES, cache_dir=self._cache))
        except (
            errors.HTTPError,
            errors.HFValidationError,
            errors.OfflineModeIsEnabled,
            OSError,
            RuntimeError,
        ) as error:
            log.warning("The transcription model %s was not fetched: %s", hub_id, error)
            raise StudioError(self._refused(hub_id, error)) from None
        lacking = _lacking(folder)
        if lacking:
            raise StudioError(
                f"The transcription model {hub_id} is incomplete on the model hub (no {lacking}): {ADVICE}."
            )
        return folder

    def hub_id(self) -> str:
        """The model's id on the hub. Raises StudioError for what can be none."""
        name = self._wanted
        if name in _SIZES:
            return f"Systran/faster-whisper-{name}"
        if name in _DISTILLED:
            return f"Systran/faster-distil-whisper-{name.removeprefix('distil-')}"
        if name in _OTHERS:
            return _OTHERS[name]
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise StudioError(
                f"There is no transcription model {name}: set STUDIO_ASR_MODEL to small, medium, large-v3-turbo, another "
                "name of the form owner/model, or a folder on this machine; or type the transcript by hand."
            )
        return name

    def _cached(self) -> Path | None:
        from huggingface_hub import errors, try_to_load_from_cache

        try:
            weights = try_to_load_from_cache(self.hub_id(), "model.bin", cache_dir=self._cache)
        except errors.HFValidationError:
            return None
        if not isinstance(weights, str):
            return None
        folder = Path(weights).parent
        return None if _lacking(folder) else folder

    def _refused(self, hub_id: str, error: Exception) -> str:
        from huggingface_hub import errors

        cause: BaseException | None = error
        while cause is not None:
            if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                return (
                    f"The disk is full, so the transcription model {hub_id} could not be downloaded: free some space, or "
                    "type the transcript by hand."
                )
            if getattr(cause, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS):
                return (
                    f"The transcription model {hub_id} cannot be stored in the hub's cache: set HF_HOME to a folder the "
                    "studio may write to, or type the transcript by hand."
                )
            if isinstance(cause, errors.HfHubHTTPError):
                status: int = cause.response.status_code
                if status in (401, 403, 404):
                    return (
                        f"The model hub does not give the transcription model {hub_id} (status {status}): check the name "
                        f"in STUDIO_ASR_MODEL; else {ADVICE}."
                    )
                return (
                    f"The model hub answered with status {status} when asked for the transcription model {hub_id}: try "
                    "again later, or type the transcript by hand."
                )
            if isinstance(cause, errors.HFValidationError):
                return f"There is no transcription model {hub_id}: {ADVICE}."
            cause = cause.__cause__ or cause.__context__
        return self._unreachable()

    def _unreachable(self) -> str:
        return (
            f"The transcription model {self.name} is not on this machine and the model hub cannot be reached: {ADVICE}."
        )


def _lacking(folder: Path) -> str | None:
    """The first file that a model's folder lacks.

    ``tokenizer.json`` counts: without it faster-whisper asks the hub, for as long as that takes. So does ``config.json``:
    without it the model loads, and fails on the first clip.
    """
    for name in ("model.bin", "config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            return name
    if not any((folder / name).is_file() for name in ("vocabulary.json", "vocabulary.txt")):
        return "vocabulary.json"
    return None

"""The local copy of a checkpoint on the model hub."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from studio.engine.compat import CODEC_FOLDER
from studio.errors import StudioError
from studio.files import is_disk_full
from studio.network import hub_reachable

# A "*" of these patterns also stands for "/", so "*.safetensors" would fetch whatever lies in any subfolder.
_FILES = [
    "config.json", "generation_config.json", "studio_checkpoint.json",
    "model.safetensors", "model-*.safetensors", "model.safetensors.index.json",
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt",
    "processor_config.json", "preprocessor_config.json", "chat_template.jinja", "chat_template.json",
    f"{CODEC_FOLDER}/*.json", f"{CODEC_FOLDER}/*.safetensors",
]  # fmt: skip
_NOT_FILES = ["model-*/*", f"{CODEC_FOLDER}/*/*"]

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


def download(hub_id: str, check: Callable[[Path], object]) -> Path:
    """The local copy of a hub repository, fetched first where the hub can be reached.

    Args:
        check: called with the folder when only its ``config.json`` is there; what it raises ends the download.

    Raises:
        StudioError: the hub does not give it, it holds no config, or the disk has no room for it.
    """
    from huggingface_hub import HfApi, errors, hf_hub_download, snapshot_download

    info: Any = None
    refusal: Exception | None = None
    needed = 0
    if hub_reachable():
        try:
            # Asked first because this request alone is not repeated for half a minute when the hub is busy.
            info = HfApi().model_info(hub_id, files_metadata=True, timeout=10)
        except (errors.HTTPError, errors.OfflineModeIsEnabled, OSError, ValueError) as error:
            refusal = error  # what was downloaded before serves all the same
    try:
        offline = info is None
        check(Path(hf_hub_download(hub_id, "config.json", local_files_only=offline)).parent)
        if not offline:
            needed = _bytes_to_fetch(hub_id, info)
            _check_disk(hub_id, needed)
        return Path(
            snapshot_download(hub_id, allow_patterns=_FILES, ignore_patterns=_NOT_FILES, local_files_only=offline)
        )
    except StudioError:
        raise
    except Exception as error:
        sentence = (_why(hub_id, refusal, needed) if refusal else None) or _why(hub_id, error, needed)
        if sentence is None:
            raise
        raise StudioError(sentence) from error


def _bytes_to_fetch(hub_id: str, info: Any) -> int:
    """Bytes of the repository's wanted files that are not here yet, as far as the hub tells sizes."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.utils import filter_repo_objects

    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    return sum(
        sizes[name]
        for name in filter_repo_objects(sizes, allow_patterns=_FILES, ignore_patterns=_NOT_FILES)
        if not isinstance(try_to_load_from_cache(hub_id, name, revision=info.sha), str)
    )


def _check_disk(hub_id: str, needed: int) -> None:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.is_dir())).free
    if needed > free:
        raise StudioError(
            f"{hub_id} needs {needed / 1e9:.1f} GB on the disk of the hub's cache, where {free / 1e9:.1f} GB are free: "
            "free some space, or set HF_HOME to a folder on a larger disk."
        )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _why(hub_id: str, error: Exception, needed: int) -> str | None:
    """The sentence for what the hub's client raised; None for what is none of its doing."""
    from huggingface_hub import errors

    if any(is_disk_full(cause) for cause in _causes(error)):
        room = f" (it needs {needed / 1e9:.1f} GB)" if needed else ""
        return (
            f"The disk is full, so {hub_id} could not be downloaded{room}: free some space, or set HF_HOME to another."
        )
    for cause in _causes(error):
        if isinstance(cause, errors.GatedRepoError):
            return (
                f"{hub_id} asks for its licence to be accepted: accept it on the hub's page and set HF_TOKEN, "
                "then try again."
            )
        if isinstance(cause, errors.RemoteEntryNotFoundError):
            return f"{hub_id} holds no config.json on the hub: it is not a checkpoint in the format of transformers."
        if isinstance(cause, errors.HfHubHTTPError):
            return _refused(hub_id, cause)
        if isinstance(cause, errors.HFValidationError):
            return f"{hub_id}: this is neither a folder nor a hub id of the form owner/model: check its spelling."
    if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
        return f"{hub_id} cannot be stored in the hub's cache ({error.strerror}): set HF_HOME to a folder you may write to."
    if isinstance(error, (errors.HTTPError, OSError)):
        return (
            f"The model hub cannot be reached and {hub_id} is not on this machine yet: connect to the internet, "
            "or use a checkpoint that is on this machine."
        )
    if isinstance(error, (errors.XetDownloadError, RuntimeError)):  # hf_xet raises plain RuntimeErrors
        return f"The download of {hub_id} broke off: try again; what was fetched is kept."
    return None


def _refused(hub_id: str, error: Any) -> str:
    from huggingface_hub import errors

    status: int = error.response.status_code
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return f"The hub has no model {hub_id}, or it is private: check the name, or set HF_TOKEN."
    if status == 401:
        return (
            f"The hub does not accept the access token (status 401) with which {hub_id} was asked for: renew HF_TOKEN."
        )
    if status == 403:
        return (
            f"The hub forbids the download of {hub_id} (status 403): set HF_TOKEN to a token that may read it, or "
            "accept its terms on the hub's page."
        )
    return f"The hub answered with status {status} when asked for {hub_id}: try again later."

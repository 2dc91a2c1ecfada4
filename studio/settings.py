"""Every setting of the studio, from the environment (prefix ``STUDIO_``)."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from studio.errors import StudioError

PROJECT = Path(__file__).parents[1]
"""The folder that the studio runs from."""
ASSETS = PROJECT / "assets"
"""What comes with the studio: voices, weights, styles and scripts. Nothing else finds its way by where its own file lies."""


def _default_home() -> Path:
    """``/data`` on a Space with persistent storage, else the platform's data folder."""
    space_storage = Path("/data")
    if on_space() and space_storage.is_dir() and os.access(space_storage, os.W_OK):
        return space_storage
    return Path(platformdirs.user_data_dir("higgs-voice-studio", appauthor=False))


_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def on_space() -> bool:
    """Whether this process runs as a Hugging Face Space."""
    return bool(os.environ.get("SPACE_ID"))


class Settings(BaseSettings):
    """One object with all settings; see the README for what a deployer sets."""

    model_config = SettingsConfigDict(env_prefix="STUDIO_", env_ignore_empty=True, extra="ignore")

    home: Path = Field(default_factory=_default_home)
    """Folder under which everything a user makes lives."""
    checkpoint: str | None = None
    """Local folder or hub id; None chooses by the machine."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    max_text_chars: Annotated[int, Field(ge=1)] = 10_000
    """Longest text of one request."""
    max_reference_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Longest reference clip."""
    max_upload_mb: Annotated[int, Field(ge=1)] = 200
    """Largest file the page takes, in megabytes."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 7860
    """0 takes any free port; a taken port is refused with a sentence."""
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    """With both set the page asks for a login."""
    asr_model: str = "small"
    """Model that writes transcripts: a local folder in the CTranslate2 format, or a hub name."""
    speaker_model: str | None = None
    """Model that tells how alike two voices are: a folder or hub id of a transformers WavLM with an x-vector head, or
    UniSpeech's wavlm_large_finetune.pth, which Seed-TTS-eval asks for; ``included`` for the one that comes with the studio;
    None: microsoft/wavlm-base-plus-sv where the hub's cache has it, and else the included one."""
    switch_checkpoint: bool | None = None
    """Whether visitors may load another checkpoint for everyone; None: only where they are not strangers."""
    strangers: bool | None = None
    """Whether people who do not know each other may visit: then each browser has a library of its own, else page and
    command line share one. None: yes, unless only this machine is listened on or visitors log in (one login for all).
    To be set behind a reverse proxy on the same machine."""
    training: bool | None = None
    """Whether visitors may train on this machine; None: only where they are not strangers."""

    @field_validator("home")
    @classmethod
    def _expand_home(cls, home: Path) -> Path:
        try:
            return home.expanduser().absolute()
        except RuntimeError:
            raise ValueError("there is no such user's home folder") from None

    @property
    def may_switch_checkpoint(self) -> bool:
        return not self.visitors_are_strangers if self.switch_checkpoint is None else self.switch_checkpoint

    @property
    def visitors_are_strangers(self) -> bool:
        if self.strangers is not None:
            return self.strangers
        return not (self._own_machine or bool(self.username and self.password))

    @property
    def may_train(self) -> bool:
        return not self.visitors_are_strangers if self.training is None else self.training

    @property
    def _own_machine(self) -> bool:
        return self.host in _LOOPBACK and not on_space()

    @property
    def store_file(self) -> Path:
        return self.home / "studio.db"

    @property
    def voices_folder(self) -> Path:
        return self.home / "voices"

    @property
    def takes_folder(self) -> Path:
        return self.home / "takes"

    @property
    def jobs_folder(self) -> Path:
        """Training runs, a folder each."""
        return self.home / "jobs"

    @property
    def comparisons_folder(self) -> Path:
        """The takes of comparisons, a folder each."""
        return self.home / "comparisons"

    @property
    def datasets_folder(self) -> Path:
        """Rows to train on and their recordings: what whoever runs the studio put there, and what was uploaded."""
        return self.home / "datasets"

    @property
    def sets_folder(self) -> Path:
        """The recordings of named sets, a folder each."""
        return self.home / "sets"

    @property
    def measures_folder(self) -> Path:
        """Figures of utterances, by content and model."""
        return self.home / "cache" / "measures"

    @property
    def evaluation_folder(self) -> Path:
        """What was heard in sounds, by content and model."""
        return self.home / "cache" / "evaluation"

    @property
    def drafts_folder(self) -> Path:
        """Clips that were recorded or uploaded and not saved yet; removed after a day."""
        return self.home / "cache" / "drafts"

    @property
    def checkpoints_folder(self) -> Path:
        """Where the studio keeps checkpoints that it made, and offers those that a deployer put there."""
        return self.home / "checkpoints"

    @property
    def code_cache_folder(self) -> Path:
        """Codes of clips, by content and codec."""
        return self.home / "cache" / "codes"

    @property
    def leases_folder(self) -> Path:
        """Which processes of this home have a model in the memory of which device."""
        return self.home / "cache" / "leases"

    @property
    def page_cache_folder(self) -> Path:
        """Files in transit between the page and the browser; removed after a day."""
        return self.home / "cache" / "page"

    def with_changes(self, **changes: object) -> Settings:
        """A copy with some settings changed, checked like the rest. Raises StudioError for a value that does not fit."""
        return _checked({**self.model_dump(), **changes})


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process. Raises StudioError if a variable has no sensible value."""
    return _checked({})


def _checked(values: dict[str, object]) -> Settings:
    try:
        return Settings(**values)  # type: ignore[arg-type]  pydantic checks them
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        raise StudioError(f"The setting {name} (STUDIO_{name.upper()}) is wrong: {first['msg']}.") from None

"""What the plugin can be told beyond ms-swift's own arguments.

ms-swift hands ``--model_kwargs '{"text_loss_weight": 0.5}'`` on as environment variables in capitals, to every process of
a run; so that is where options are read. ``swift_plugins.launch`` also takes each as an argument of its own name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from studio.errors import StudioError


@dataclass(frozen=True)
class Options:
    """Options of one run.

    Attributes:
        text_loss_weight, audio_loss_weight: factors of the two losses in the total.
        codebook_loss_weights: a factor for each codebook in the mean that is the audio loss of the total; empty: all 1.
        auxiliary_loss_weight: factor of the z-loss (PaLM, arXiv 2204.02311, section 5); 0 leaves it out.
        audio_lr_ratio: learning rate of the audio parameters in terms of ``learning_rate``.
        skip_bad_rows: leave out rows that cannot be used and say which, instead of stopping before training.
        code_cache: folder in which codes of clips are kept; None: the studio's own.
        sample_plan: file that says which sentences are spoken at each checkpoint; None: none.

    Raises:
        StudioError: a value outside its range.
    """

    text_loss_weight: float = 1.0
    audio_loss_weight: float = 1.0
    codebook_loss_weights: tuple[float, ...] = ()
    auxiliary_loss_weight: float = 0.0
    audio_lr_ratio: float = 2.0
    skip_bad_rows: bool = False
    code_cache: Path | None = None
    sample_plan: Path | None = None

    def __post_init__(self) -> None:
        for name in ("text_loss_weight", "audio_loss_weight", "auxiliary_loss_weight", "audio_lr_ratio"):
            value = getattr(self, name)
            if not 0 <= value < 1e6:  # NaN fails this too
                raise StudioError(f"{name} is {value}: give a number from 0 up.")
        if self.text_loss_weight == self.audio_loss_weight == 0:
            raise StudioError("Both loss weights are 0, so nothing would be learnt: set one of them above 0.")
        if any(not 0 <= weight < 1e6 for weight in self.codebook_loss_weights) or (
            self.codebook_loss_weights and not sum(self.codebook_loss_weights)
        ):
            raise StudioError(
                "codebook_loss_weights takes numbers from 0 up, one for each codebook, not all of them 0."
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Options:
        """Options of this process. Raises StudioError for a value that cannot be read."""
        given = {name: environment[name.upper()] for name in OPTION_NAMES if environment.get(name.upper())}
        return cls(**{name: _READERS[name](name, text) for name, text in given.items()})


OPTION_NAMES = tuple(field.name for field in fields(Options))


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise StudioError(f"{name} is {text!r}: give a number.") from None


def _numbers(name: str, text: str) -> tuple[float, ...]:
    return tuple(_number(name, part) for part in text.strip("[]() ").replace(",", " ").split())


_FALSE, _TRUE = ("false", "f", "0", "no", "n"), ("true", "t", "1", "yes", "y")
"""As ms-swift reads them."""


def is_false(text: str | None) -> bool:
    """Whether a flag is given and says no."""
    return text is not None and text.lower() in _FALSE


def _flag(name: str, text: str) -> bool:
    if text.lower() not in _FALSE + _TRUE:
        raise StudioError(f"{name} is {text!r}: give true or false.")
    return not is_false(text)


def _path(name: str, text: str) -> Path:
    return Path(text).expanduser()


_READERS = {
    "text_loss_weight": _number,
    "audio_loss_weight": _number,
    "codebook_loss_weights": _numbers,
    "auxiliary_loss_weight": _number,
    "audio_lr_ratio": _number,
    "skip_bad_rows": _flag,
    "code_cache": _path,
    "sample_plan": _path,
}

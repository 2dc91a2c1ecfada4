"""What lies in an adapter's folder: which files there are, and what its config says. Nothing in it is trusted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from studio.engine.checkpoints import shown_name
from studio.engine.devices import is_out_of_memory, return_memory
from studio.errors import StudioError
from studio.files import read_json

CONFIG_FILE, WEIGHTS_FILE, PICKLE_FILE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"

TEXT_HEAD = "text_lm_head"
"""A head that is trained and not used in speech; the engine's model has none."""

_USED = {
    "peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "lora_bias",
    "init_lora_weights", "modules_to_save", "target_modules", "exclude_modules", "layers_to_transform",
}  # fmt: skip
_WITHOUT_EFFECT = {
    # Notes on where the adapter comes from.
    "base_model_name_or_path", "auto_mapping", "revision", "peft_version", "task_type", "inference_mode",
    # Only for training; or only for how the first weights were made, which the trained ones have replaced.
    "lora_dropout", "ensure_weight_tying", "runtime_config", "eva_config", "loftq_config",
    # Only together with a setting that is refused, or for layers that this model does not have. A bias that was trained
    # would be in the file, where it fits no layer.
    "layers_pattern", "qalora_group_size", "megatron_core", "fan_in_fan_out", "bias",
}  # fmt: skip
# Other ways to begin change the weights of the base (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) or the layer itself (MiCA).
_BEGINNINGS = (True, False, "gaussian", "orthogonal", "eva")

_PATTERN_SECONDS = 3.0
"""Of computing, for all patterns of one config together: one can be written so that matching it never ends."""


def signature(folder: Path, shown: str) -> tuple[Any, ...]:
    """What tells whether the files are still those that were read; raises StudioError if one is missing."""
    if not folder.is_dir():
        raise StudioError(f"{shown}: there is no such adapter folder; choose another.")
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if (folder / name).is_file():
            continue
        if name == WEIGHTS_FILE and (folder / PICKLE_FILE).exists():
            raise StudioError(
                f"{shown} holds its weights as {PICKLE_FILE}, a format that can run code and is never loaded: save the "
                f"adapter again as {WEIGHTS_FILE}."
            )
        raise StudioError(
            f"{shown} holds no {name}: choose the checkpoint folder of a LoRA training, or copy it again as a whole."
        )
    files = [(folder / name).stat() for name in (CONFIG_FILE, WEIGHTS_FILE)]
    return tuple((file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns) for file in files)


@contextmanager
def failures_translated(shown: str) -> Iterator[None]:
    """What files and memory can do to a load becomes a sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except StudioError:
        raise
    except SafetensorError as error:
        raise StudioError(f"The {WEIGHTS_FILE} of {shown} is damaged or cut short: copy the adapter again.") from error
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise StudioError(f"{shown} cannot be read ({reason}): check the folder, or choose another.") from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return_memory()
        raise StudioError(
            f"There is not enough memory for {shown}: close other programs, or choose another."
        ) from error


_Rank = Annotated[int, Field(ge=1, le=65_536)]
_Alpha = Annotated[float, Field(ge=-1e9, le=1e9)]
_Name = Annotated[str, Field(min_length=1)]


class AdapterSettings(BaseModel, strict=True):
    """What of ``adapter_config.json`` decides how an adapter sounds, with peft's defaults. Nobody can trust the file, so
    peft is given numbers from here and never the config.

    Attributes:
        target_modules, exclude_modules: patterns or endings of the names of adapted layers; None where they tell nothing.
        modules_to_save: endings of the names of modules that were trained as a whole.
    """

    shown: str
    r: _Rank = 8
    lora_alpha: _Alpha = 8
    rank_pattern: dict[str, _Rank] | None = None
    alpha_pattern: dict[str, _Alpha] | None = None
    use_rslora: bool = False
    use_dora: bool = False
    lora_bias: bool = False
    target_modules: _Name | list[_Name] | None = None
    exclude_modules: str | list[_Name] | None = None
    modules_to_save: list[_Name] | None = None
    _seconds_left: float = _PATTERN_SECONDS
    _compiled: dict[str, Any] = {}

    def rank_of(self, name: str) -> int:
        return self._by_pattern(self.rank_pattern, name, self.r)

    def alpha_of(self, name: str) -> float:
        return self._by_pattern(self.alpha_pattern, name, self.lora_alpha)

    def is_saved(self, name: str) -> bool:
        """Whether the module ``name`` or one that holds it was trained as a whole."""
        endings = tuple(ending for ending in self.modules_to_save or [] if ending.split(".")[0] != TEXT_HEAD)
        parts = name.split(".")
        return any(".".join(parts[:count]).endswith(endings) for count in range(1, len(parts) + 1))

    def is_target(self, name: str) -> bool:
        """Whether the config says that the linear layer ``name`` is adapted."""
        return (
            self._selects(self.target_modules, name)
            and not self._selects(self.exclude_modules, name)
            and not self.is_saved(name)
        )

    def _selects(self, selection: str | list[str] | None, name: str) -> bool:
        if isinstance(selection, str):
            return self._matches(selection, name)
        return any(name == ending or name.endswith(f".{ending}") for ending in selection or [])

    def _by_pattern(self, patterns: Mapping[str, Any] | None, name: str, default: Any) -> Any:
        for pattern, value in (patterns or {}).items():
            if self._matches(rf"(.*\.)?({pattern})", name):  # as peft does
                return value
        return default

    def _matches(self, pattern: str, name: str) -> bool:
        import regex  # unlike re it can give up

        began = time.thread_time()
        try:
            # Some configs have a pattern for each layer, more than regex itself remembers.
            if pattern not in self._compiled:
                self._compiled[pattern] = regex.compile(pattern)
            return self._compiled[pattern].fullmatch(name, timeout=max(self._seconds_left, 1e-3)) is not None
        except (regex.error, TimeoutError, RecursionError, ValueError, OverflowError) as error:
            raise StudioError(
                f"The {CONFIG_FILE} of {self.shown} holds a pattern of layer names that cannot be matched: correct it, "
                "or choose another adapter."
            ) from error
        finally:
            self._seconds_left -= time.thread_time() - began


def read_settings(folder: Path, shown: str) -> AdapterSettings:
    """The config of an adapter. Raises StudioError if it cannot be read or asks for what the studio does not follow."""
    try:
        config = read_json(folder / CONFIG_FILE)
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad_config(shown) from error
    if (kind := config.get("peft_type")) != "LORA":
        raise StudioError(
            f"{shown} is an adapter of the type {shown_name(str(kind))}, but the studio speaks with LoRA only: "
            "choose another."
        )
    begun = config.get("init_lora_weights", True)
    if begun not in _BEGINNINGS:
        raise StudioError(
            f"{shown} was trained from changed weights of its base (init_lora_weights: {shown_name(str(begun))}): choose "
            "its converted version, which ms-swift writes to converted/default."
        )
    for key, value in config.items():
        if value and key not in _USED and key not in _WITHOUT_EFFECT:
            raise StudioError(
                f"The {CONFIG_FILE} of {shown} sets {shown_name(key)}, which the studio does not follow: save the "
                "adapter without it, or choose another."
            )
    # "all-linear" means another set of layers for each model, and layers_to_transform a part of one: then what is in
    # the file is all that tells which layers are adapted.
    if config.get("target_modules") == "all-linear" or config.get("layers_to_transform") is not None:
        config["target_modules"] = None
    try:
        return AdapterSettings.model_validate({**config, "shown": shown})
    except ValidationError as error:
        raise _bad_config(shown) from error


def _bad_config(shown: str) -> StudioError:
    return StudioError(f"The {CONFIG_FILE} of {shown} is damaged: copy the adapter again.")

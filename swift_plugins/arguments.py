"""A command line of ms-swift, to look at and to add to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from studio.errors import StudioError
from swift_plugins.options import OPTION_NAMES, Options, is_false

LORA_GROUPS = {
    "text_attention": r"self_attn\.[qkvo]_proj",
    "text_ffn": r"mlp\.(gate|up|down)_proj",
    "audio_ffn": r"audio_mlp\.(gate|up|down)_proj",
}
"""Names for ``--target_modules``. The attention is shared by text and audio positions; each has an FFN of its own."""

_NESTED: dict[str, str] = dict.fromkeys(
    ("embed_audio_tokens", "model.embed_audio_tokens"), "embed_audio_tokens.embed_audio_tokens"
)
"""peft matches module names by their ends, and the audio embedding lies in a module of its own name: the plain name wraps
both, trains, and is then not found when it is loaded."""


class Arguments:
    """Arguments by name. Values stay strings; order and repetitions are kept as ms-swift reads them (the last one counts).

    Args:
        argv: as on the command line: ``--name value …`` or ``--name=value``, names with underscores or hyphens.

    Raises:
        StudioError: something stands before the first name.
    """

    def __init__(self, argv: Sequence[str] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        name: str | None = None
        for part in argv:
            if re.match(r"--[A-Za-z]", part):
                name, equals, value = part[2:].partition("=")
                name = name.replace("-", "_")
                self._values[name] = [value] if equals else []
            elif name is None:
                raise StudioError(f"'{part}' belongs to no argument: begin with --name.")
            else:
                self._values[name].append(part)

    @property
    def argv(self) -> list[str]:
        return [part for name, values in self._values.items() for part in (f"--{name}", *values)]

    def copy(self) -> Arguments:
        return Arguments(self.argv)

    def has(self, name: str) -> bool:
        """Whether an argument is given, with or without a value."""
        return name in self._values

    def values(self, name: str) -> list[str]:
        return list(self._values.get(name, []))

    def value(self, name: str) -> str | None:
        return next(iter(self._values.get(name, [])), None)

    def flag(self, name: str) -> bool:
        """Whether an argument is given and not with "false": ``--name`` alone means true."""
        return self.has(name) and not is_false(self.value(name))

    def set(self, name: str, *values: str) -> None:
        self._values[name] = list(values)

    def add(self, name: str, value: str) -> None:
        """Add a value to those of an argument, unless it is among them."""
        values = self._values.setdefault(name, [])
        if value not in values:
            values.append(value)

    def take(self, name: str) -> list[str] | None:
        """Remove an argument and return its values; None if it was not given."""
        return self._values.pop(name, None)

    def move_options_to_model_kwargs(self) -> None:
        """Hand the plugin's own options on in ms-swift's ``--model_kwargs``, which reaches every process and the record.

        Raises:
            StudioError: ``--model_kwargs`` is no JSON object, or an option has no sensible value.
        """
        given = self.value("model_kwargs")
        try:
            if given and not given.lstrip().startswith("{") and Path(given).is_file():
                given = Path(given).read_text(encoding="utf-8")
            kwargs = json.loads(given) if given else {}
            if not isinstance(kwargs, dict):
                raise TypeError
        except (OSError, ValueError, TypeError):
            raise StudioError("--model_kwargs takes a JSON object such as '{\"text_loss_weight\": 0.5}'.") from None
        for name in OPTION_NAMES:
            if (values := self.take(name)) is not None:
                kwargs[name] = " ".join(values) if values else "true"
        # "Not strict" means to ms-swift that another row silently takes the place of a bad one. Skipped and counted is meant.
        if self.has("strict") and not self.flag("strict"):
            kwargs.setdefault("skip_bad_rows", "true")
            self.set("strict", "true")
        Options.from_environment({name.upper(): str(value) for name, value in kwargs.items()})
        if kwargs:
            self.set("model_kwargs", json.dumps(kwargs))

    def name_datasets(self) -> None:
        """Files of rows go through this plugin's loader: ``rows.jsonl`` becomes ``higgs_audio:/…/rows.jsonl``.

        Raises:
            StudioError: a file that does not exist.
        """
        for name in ("dataset", "val_dataset"):
            if self.has(name):
                self.set(name, *[_dataset(value) for value in self.values(name)])

    def name_target_modules(self) -> None:
        """Groups of modules become what peft understands.

        Raises:
            StudioError: groups beside what leaves no room for them.
        """
        targets = self.values("target_modules")
        if any(target in LORA_GROUPS for target in targets):
            other = next((target for target in targets if target.startswith("all-")), None)
            if other or self.has("target_regex"):
                raise StudioError(
                    f"--target_modules with {' or '.join(LORA_GROUPS)} cannot stand beside {other or '--target_regex'}: "
                    "leave out one of them."
                )
            self.take("target_modules")
            self.set("target_regex", target_regex(targets))
        saved = self.values("modules_to_save")
        if saved:
            self.set("modules_to_save", *[_NESTED.get(module, module) for module in saved])


def target_regex(targets: Sequence[str]) -> str:
    """What peft compares whole module names with, for groups of ``LORA_GROUPS`` and names of modules."""
    parts = [
        rf"model\.layers\.\d+\.{LORA_GROUPS[target]}" if target in LORA_GROUPS else rf"(.*\.)?{re.escape(target)}"
        for target in targets
    ]
    return rf"({'|'.join(parts)})"


_PREFIX = "higgs_audio:"


def _dataset(value: str) -> str:
    """``PATH`` or ``higgs_audio:PATH``, either with ``#N`` for a sample of N rows."""
    path = value.removeprefix(_PREFIX)
    sample = ""
    if not Path(path).expanduser().exists() and (match := re.fullmatch(r"(.+)#(\d+)", path)):
        path, sample = match[1], f"#{match[2]}"
    whole = Path(path).expanduser().resolve()
    if whole.is_file():
        if re.search(r"[:#]|/\s|\s/|\s$", str(whole)):  # it splits a name at these, and strips each folder
            raise StudioError(
                f"{whole.name}: ms-swift cannot read a path with ':' or '#' in it, or with a space at an end of a name; "
                "rename the file or its folder."
            )
        return f"{_PREFIX}{whole}{sample}"
    if value.startswith(_PREFIX) or path.endswith((".jsonl", ".json")):
        raise StudioError(f"The dataset {path} does not exist or is a folder: check its path.")
    return value  # a dataset of ms-swift's own

"""The names of all arguments that a run can be given, without importing ms-swift, which takes ten seconds."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from studio.settings import PROJECT
from studio.training.config.hyperparameters import HYPERPARAMETERS

_OPTIONS_FILE = PROJECT / "swift_plugins" / "options.py"
_Classes = dict[str, list[tuple[list[str], list[str]]]]


def argument_problems(overrides: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Sentences about overrides that no trainer takes: unknown names, numbers that are none, arguments inside values."""
    known = known_arguments() if overrides else frozenset()
    numbers = {each.name: each.kind for each in HYPERPARAMETERS if each.kind in ("int", "float")}
    for name, values in overrides.items():
        if known and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            instead = f": did you mean {close[0]}?" if close else ", nor to the plugin: leave it out."
            yield f"--set {name} is not known to ms-swift{instead}"
        # ms-swift would take it for another argument, which nobody has looked at.
        if inside := next((value for value in values if value[:1] == "-" and value[1:2] not in "0123456789."), None):
            yield f"--set {name} has '{inside[:40]}' in its value, which is an argument of its own: give it as another --set."
        elif name in numbers and not _is_number(values, numbers[name]):
            kind = "whole number" if numbers[name] == "int" else "number"
            yield f"--set {name} is '{' '.join(values)[:40]}': give a {kind}."


def _is_number(values: tuple[str, ...], kind: str) -> bool:
    try:
        (float if kind == "float" else int)(values[0])
    except (ValueError, IndexError):
        return False
    return len(values) == 1


@lru_cache(maxsize=1)
def known_arguments() -> frozenset[str]:
    """Fields of ms-swift's ``SftArguments`` and of all it inherits from, and options of the plugin.

    Empty where they cannot be read, as in another version: then the trainer refuses by itself what it does not know.
    """
    try:
        swift, transformers = (_package(name) for name in ("swift", "transformers"))
        files = [
            *(swift / "arguments").rglob("*.py"),
            swift / "trainers" / "arguments.py",
            swift / "ray_utils" / "arguments.py",
            transformers / "training_args.py",
            transformers / "training_args_seq2seq.py",
        ]
        classes = _classes(files)
        options = _classes([_OPTIONS_FILE])
    except (OSError, SyntaxError, ValueError, AttributeError, ImportError):
        return frozenset()
    names = set(_fields("SftArguments", classes)) | set(_fields("Options", options))
    return frozenset(names) if {"learning_rate", "lora_rank", "audio_lr_ratio"} <= names else frozenset()


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(name)
    return Path(spec.origin).parent


def _classes(files: list[Path]) -> _Classes:
    """For each class of a name: its bases and its annotated fields."""
    found: _Classes = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                fields = [
                    line.target.id
                    for line in node.body
                    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
                ]
                found.setdefault(node.name, []).append(([ast.unparse(base) for base in node.bases], fields))
    return found


def _fields(name: str, classes: _Classes, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    name = name.split(".")[-1].removeprefix("Hf")  # "as HfTrainingArguments"
    if name in seen:
        return
    for bases, fields in classes.get(name, ()):
        yield from fields
        for base in bases:
            yield from _fields(base, classes, seen | {name})

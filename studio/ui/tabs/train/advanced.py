"""Every argument that the presets set, open to be changed: empty means what the preset says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.training.config.hyperparameters import HYPERPARAMETERS, Hyperparameter
from studio.training.config.request import parse_overrides

_FROM_PRESET = "from the preset"


class Advanced:
    """The fields, laid out where this is made.

    Attributes:
        fields: in the order of ``HYPERPARAMETERS``; values are texts, "" for the preset's.
    """

    def __init__(self) -> None:
        gr.HTML('<p class="hint">What stays empty is chosen by the preset for these rows.</p>', padding=False)
        self.fields: list[Any] = []
        with gr.Row(elem_classes="advanced-grid"):
            self.fields.extend(_component(field) for field in HYPERPARAMETERS)

    def overrides(self, values: Sequence[Any]) -> dict[str, tuple[str, ...]]:
        """What was filled in, by ms-swift's names.

        Raises:
            StudioError: no number where one must stand, or one out of its range.
        """
        entries = []
        for field, value in zip(HYPERPARAMETERS, values, strict=True):
            text = str(value if value is not None else "").strip()
            if text:
                _check(field, text)
                entries.append(f"{field.name}={text}")
        return parse_overrides(entries)

    def fill(self, values: Sequence[str]) -> dict[Any, Any]:
        """What was filled in before a reload."""
        return {
            component: "" if isinstance(component, gr.Dropdown) and value not in _offered(field) else value
            for component, field, value in zip(self.fields, HYPERPARAMETERS, values, strict=True)
        }

    def filled(self, values: Mapping[str, str]) -> dict[Any, Any]:
        """These arguments, and all others left to the preset."""
        return self.fill([values.get(field.name, "") for field in HYPERPARAMETERS])

    def known(self, arguments: Mapping[str, Sequence[str]]) -> dict[Any, Any]:
        """The values of a checked run, shown faintly where nothing was filled in."""
        updates: dict[Any, Any] = {}
        for component, field in zip(self.fields, HYPERPARAMETERS, strict=True):
            value = " ".join(arguments.get(field.name, ()))
            if isinstance(component, gr.Dropdown):
                updates[component] = gr.Dropdown(choices=_choices(field, value))
            else:
                updates[component] = gr.Textbox(placeholder=value or _FROM_PRESET)
        return updates


def other_arguments(typed: str, *, strangers: bool) -> dict[str, tuple[str, ...]]:
    """Arguments that have no field, one on each line as ``NAME=VALUE``.

    Raises:
        StudioError: a line of another form, or visitors who are ``strangers``: some arguments run programs, or publish.
    """
    lines = [line for line in typed.splitlines() if line.strip()]
    if lines and strangers:
        raise StudioError("Other arguments are for whoever runs this server: use the fields above.")
    try:
        return parse_overrides(lines)
    except StudioError as error:
        raise StudioError(str(error).replace("--set ", "")) from None


def refuse_paths(overrides: Mapping[str, Sequence[str]]) -> None:
    """Raise StudioError for a value that could be a path: none that is typed into a page reaches the file system."""
    for name, values in overrides.items():
        if any(mark in value for value in values for mark in ("/", "\\", "~", "..")):
            raise StudioError(
                f"{name} cannot be set to a path on the page: start this run on the server, with `python -m studio train "
                f"start … --set {name}=…`."
            )


def _component(field: Hyperparameter) -> Any:
    shared: dict[str, Any] = {
        "label": field.label, "info": field.help, "elem_id": f"train-{field.name.replace('_', '-')}", "min_width": 220,
        "value": "",
    }  # fmt: skip
    if field.kind in ("choice", "flag"):
        return gr.Dropdown(choices=_choices(field, ""), **shared)
    return gr.Textbox(placeholder=_FROM_PRESET, max_length=1000, **shared)


def _offered(field: Hyperparameter) -> list[str]:
    return ["true", "false"] if field.kind == "flag" else [str(choice) for choice in field.choices or ()]


def _choices(field: Hyperparameter, preset_value: str) -> list[tuple[str, str]]:
    named = {"true": "Yes", "false": "No"} if field.kind == "flag" else {}
    known = f": {named.get(preset_value, preset_value)}" if preset_value else ""
    offered = [(named.get(value, value), value) for value in _offered(field)]
    return [(f"{_FROM_PRESET.capitalize()}{known}", ""), *offered]


def _check(field: Hyperparameter, text: str) -> None:
    if field.kind in ("choice", "flag"):
        if text not in _offered(field):
            offered = ", ".join(_offered(field))
            raise StudioError(f"{field.label}: '{text[:40]}' is not offered; choose one of {offered}.")
    elif field.kind in ("int", "float"):
        try:
            number = int(text) if field.kind == "int" else float(text)
        except ValueError:
            kind = "whole number" if field.kind == "int" else "number"
            raise StudioError(
                f"{field.label} must be a {kind}, and '{text[:40]}' is none: change it or leave it empty."
            ) from None
        low, high = field.minimum, field.maximum
        too_low, too_high = low is not None and number < low, high is not None and number > high
        if number != number or too_low or too_high:
            limits = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
            allowed = " and ".join(limit for limit in limits if limit) or "a number"
            raise StudioError(f"{field.label} must be {allowed}, and {text[:40]} is not: change it or leave it empty.")
